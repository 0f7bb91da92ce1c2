//! Runs of `dlrm train`, and what they say of themselves.
use super::options::{Options, Variant};
use super::study::{Scores, Study};
use crate::run::test;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const BASELINE: &str = "logistic regression";

/// What a run measured on the test rows.
pub(super) struct Run {
    pub model: Scores,
    /// Its own logistic regression.
    pub baseline: Scores,
    /// Half the widths of the paired 95 % intervals of its differences to the peers' regressions: with their
    /// own L2, and with the one that cross-validation chose.
    pub margins: [Scores; 2],
    pub verdict: String,
    pub seconds: f64,
}

impl Run {
    /// From what `dlrm train --json` prints.
    pub(super) fn of(report: &Value, seconds: f64) -> Run {
        let candidates = report["candidates"].as_array().map_or(&[][..], Vec::as_slice);
        let baseline = candidates.iter().skip(1).position(|c| c["name"] == BASELINE).map(|i| i + 1);
        Run {
            model: Scores::of(&test(report, 0)),
            baseline: baseline.map_or(Scores::UNKNOWN, |i| Scores::of(&test(report, i))),
            margins: [Scores::UNKNOWN; 2],
            verdict: report["verdict"].as_str().unwrap_or_default().to_owned(),
            seconds,
        }
    }

    /// Whether its verdict claims to be better than logistic regression in a metric, "AUC" or "log loss".
    pub(super) fn claims(&self, metric: &str) -> bool {
        let claim = format!("better than {BASELINE} in ");
        let Some((_, claimed)) = self.verdict.split_once(&claim) else { return false };
        let end = [" but ", " on the "].iter().filter_map(|word| claimed.find(word)).min();
        claimed[..end.unwrap_or(claimed.len())].contains(metric)
    }

    pub(super) fn as_json(&self) -> Value {
        let scores = |s: Scores| json!({ "auc": s.auc, "log_loss": s.log_loss });
        json!({
            "model": scores(self.model),
            "baseline": scores(self.baseline),
            "margins": self.margins.map(scores),
            "verdict": self.verdict,
            "seconds": self.seconds,
        })
    }
}

/// A finished run, or why it failed.
pub(super) struct Done {
    pub variant: String,
    pub table: String,
    pub split: usize,
    pub run: Result<Run, String>,
}

/// Trains every variant on every split of every table, `--jobs` runs at a time.
pub(super) fn all(binary: &Path, study: &Study, variants: &[Variant], options: &Options) -> Vec<Done> {
    let mut wanted = Vec::new();
    for table in &study.tables {
        for split in 0..options.splits {
            let of = variants.iter().filter(|variant| table.ids || !variant.family);
            wanted.extend(of.map(|variant| (table.name.as_str(), split, variant)));
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (cores / options.jobs).max(1);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&(table, split, variant)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let run = train(binary, &study.folder(table, split), variant, threads);
            progress(variant, table, split, &run);
            let (variant, table) = (variant.name.clone(), table.to_owned());
            if let Ok(mut done) = done.lock() {
                done.push(Done { variant, table, split, run });
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by(|a, b| (&a.variant, &a.table, a.split).cmp(&(&b.variant, &b.table, b.split)));
    done
}

fn progress(variant: &Variant, table: &str, split: usize, run: &Result<Run, String>) {
    match run {
        Ok(run) => eprintln!(
            "{}, {table} {split}: AUC {:.4}, log loss {:.4}, {:.1} s",
            variant.name, run.model.auc, run.model.log_loss, run.seconds
        ),
        Err(message) => eprintln!("{}, {table} {split}: {message}", variant.name),
    }
}

/// Adds the margins that the script worked out of the scores.
pub(super) fn add_margins(done: &mut [Done], margins: &Value) {
    for Done { variant, table, split, run } in done {
        let of = &margins[file_name(variant)][table.as_str()][split.to_string()];
        if let Ok(run) = run {
            run.margins = ["lr", "lr_cv"].map(|peer| Scores::of(&of[peer]));
        }
    }
}

/// A variant in the names of files.
fn file_name(variant: &str) -> String {
    variant.replace([' ', '/'], "")
}

fn train(binary: &Path, folder: &Path, variant: &Variant, threads: usize) -> Result<Run, String> {
    let output = folder.join(format!("run-{}", file_name(&variant.name)));
    let mut command = Command::new(binary);
    command.arg("train").arg(folder.join("train.csv")).arg("--test").arg(folder.join("test.csv"));
    command.args(["--label", "label", "--json", "--quiet", "--overwrite", "-o"]).arg(&output);
    command.arg("--threads").arg(threads.to_string()).args(&variant.flags);
    let started = Instant::now();
    let done = command.output().map_err(|e| format!("{}: {e}", binary.display()))?;
    let seconds = started.elapsed().as_secs_f64();
    if done.status.success() && !variant.family {
        predict(binary, folder, &output)?;
    }
    // Left-overs are overwritten the next time.
    let _ = std::fs::remove_dir_all(&output);
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("failed: {}", said.lines().next().unwrap_or_default()));
    }
    let report = serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())?;
    Ok(Run::of(&report, seconds))
}

/// Writes the scores of the test rows beside the run.
fn predict(binary: &Path, folder: &Path, run: &Path) -> Result<(), String> {
    let mut command = Command::new(binary);
    command.arg("predict").arg(run).arg(folder.join("test.csv")).args(["--quiet", "--overwrite", "-o"]);
    let done = command.arg(run.with_extension("csv")).output();
    let done = done.map_err(|e| format!("{}: {e}", binary.display()))?;
    let said = || String::from_utf8_lossy(&done.stderr).lines().next().unwrap_or_default().to_owned();
    if done.status.success() { Ok(()) } else { Err(format!("predict failed: {}", said())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Run {
        Run::of(&json!({ "verdict": text }), 1.0)
    }

    #[test]
    fn what_a_report_says() {
        let metrics =
            |auc: f64| json!([{ "split": "test", "metrics": { "auc": auc, "log_loss": 1.0 - auc } }]);
        let report = json!({
            "candidates": [
                { "name": "DLRM", "splits": metrics(0.75) },
                { "name": "label mean", "splits": metrics(0.5) },
                { "name": "logistic regression", "splits": metrics(0.625) },
            ],
            "verdict": "DLRM is good.",
        });
        let run = Run::of(&report, 2.0);
        assert_eq!(run.model, Scores { auc: 0.75, log_loss: 0.25 });
        assert_eq!(run.baseline, Scores { auc: 0.625, log_loss: 0.375 });
        assert_eq!((run.verdict.as_str(), run.seconds), ("DLRM is good.", 2.0));
    }

    #[test]
    fn claims_of_verdicts() {
        let both = verdict("DLRM is better than logistic regression in log loss and AUC on the test rows.");
        assert!(both.claims("AUC") && both.claims("log loss"));
        let mixed = verdict(
            "DLRM is better than logistic regression in log loss but worse than logistic regression in AUC \
             on the test rows.",
        );
        assert!(!mixed.claims("AUC") && mixed.claims("log loss"));
        let one = verdict(
            "DLRM is better than logistic regression in log loss on the test rows; in AUC they show no \
             difference.",
        );
        assert!(!one.claims("AUC") && one.claims("log loss"));
        assert!(!verdict("DLRM is worse than logistic regression in AUC on the test rows.").claims("AUC"));
        assert!(!verdict("DLRM is better than label mean in AUC on the test rows.").claims("AUC"));
    }
}
