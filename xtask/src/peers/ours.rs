//! Our side: what our benchmarks print.
use super::table::{Case, Measured, Sample, parse};
use serde_json::Value;
use std::process::{Command, Stdio};

/// The threads of all sides.
const THREADS: &str = "2";

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args);
    command
}

/// Compiles everything, so that nothing is compiled between timed runs.
pub(super) fn build() -> Result<(), String> {
    for args in
        [&["build", "--release", "--quiet"][..], &["bench", "--quiet", "--bench", "inference", "--no-run"]]
    {
        let done = cargo(args).status().map_err(|e| format!("cargo: {e}"))?;
        if !done.success() {
            return Err(format!("cargo {} failed", args.join(" ")));
        }
    }
    Ok(())
}

/// Training by `dlrm bench`, with its flags for workload, batches and precision.
pub(super) fn training(flags: &[&str]) -> Measured {
    let fixed = [
        "run",
        "--release",
        "--quiet",
        "--",
        "bench",
        "--json",
        "--quiet",
        "--threads",
        THREADS,
        "--seconds",
        "0.8",
    ];
    let done = cargo(&[&fixed[..], flags].concat())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    samples(&done.stdout)
        .filter(|_| done.status.success())
        .ok_or_else(|| format!("dlrm bench {} failed", flags.join(" ")))
}

/// What `dlrm bench --json` prints.
fn samples(printed: &[u8]) -> Option<Vec<Sample>> {
    let printed: Value = serde_json::from_slice(printed).ok()?;
    let sample = |measured: &Value| {
        let workload = measured["workload"]["name"].as_str()?.to_owned();
        let case = Case { task: "train".into(), workload, batch: measured["batch"].as_u64()? };
        Some(Sample { case, rows_per_s: measured["rows_per_second"]["median"].as_f64()?, latency: None })
    };
    printed["workloads"].as_array()?.iter().map(sample).collect()
}

/// Scoring with the Criteo-Kaggle shape.
pub(super) fn inference() -> Measured {
    let done = cargo(&["bench", "--quiet", "--bench", "inference"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    parse(&String::from_utf8_lossy(&done.stdout))
        .filter(|_| done.status.success())
        .ok_or_else(|| "cargo bench --bench inference failed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_dlrm_bench() {
        let printed = br#"{"machine": {}, "workloads": [{"workload": {"name": "k"}, "batch": 128,
            "rows_per_second": {"median": 5.5}}]}"#;
        let rows: Vec<(u64, f64)> =
            samples(printed).expect("samples").iter().map(|s| (s.case.batch, s.rows_per_s)).collect();
        assert_eq!(rows, [(128, 5.5)]);
        assert!(samples(b"{}").is_none());
    }
}
