//! `dlrm compare`.
use super::args::CompareArgs;
use super::failure::{Failure, INTERRUPTED};
use super::session::{Session, stop_at};
use super::{output, requests};
use dlrm::bench::memory;
use dlrm::data::Stop;
use dlrm::data::rows::OpenRows;
use dlrm::engine::compare::{CompareDir, CompareObserver, CompareRequest, Diverged, SeedRun};
use dlrm::engine::folds::{CompareFoldsObserver, FOLDS_FILE, Folded, FoldedCompare};
use dlrm::engine::observer::Observer;
use dlrm::engine::tune::JOURNAL_FILE;
use dlrm::engine::{Error, RunRequest};
use dlrm::metrics::Metric;
use dlrm::report::{compare_page, folds_page, folds_text, terminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The page in the directory of a comparison.
const PAGE: &str = "compare.html";

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &CompareArgs) -> Result<(), Failure> {
    super::ranks::check_alone("compare")?;
    let (compare, notes) = request(session, args)?.resolve()?;
    session.stop_by_signal();
    if !session.quiet {
        notes.iter().for_each(|note| output::tell(&output::note(note)));
    }
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/compare"));
    // Found out before the work, not after it.
    let mut dir = CompareDir::open(&out, args.overwrite)?;
    let runs = compare.entries.len() as u64 * compare.seeds * args.folds.unwrap_or(1);
    let mut progress = Progress { quiet: session.quiet, stop: session.stop.clone(), runs, begun: 0 };
    let title = format!("{} models on {}", compare.entries.len(), compare.base.input.name());
    let command: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let command = command.join(" ");
    if let Some(folds) = args.folds {
        let folded = FoldedCompare { compare, folds }.execute_in(Some(&mut dir), &mut progress);
        let folded = folded.map_err(|error| stopped(error, &out))?;
        dir.write(FOLDS_FILE, &folded.to_json())?;
        dir.write(PAGE, folds_page(&folded, &title, &command).as_bytes())?;
        dir.finish()?;
        return on_folds(session, &folded, &out);
    }
    let compared = compare.execute_in(Some(&mut dir), &mut progress).map_err(|error| stopped(error, &out))?;
    let json = serde_json::to_string_pretty(&compared).expect("a comparison is plain data");
    dir.write("compare.json", json.as_bytes())?;
    dir.write(PAGE, compare_page(&compared, &title, &command).as_bytes())?;
    dir.finish()?;
    if session.json {
        return output::print(&format!("{json}\n"));
    }
    output::print(&terminal::comparison_text(&compared, &out.join(PAGE)))
}

/// An interruption says what is kept.
fn stopped(error: Error, out: &Path) -> Failure {
    match error {
        Error::Interrupted { .. } => Failure {
            code: INTERRUPTED,
            message: format!("finished runs are kept in {}", out.join(JOURNAL_FILE).display()),
            hint: Some("the same command goes on from there".into()),
        },
        other => other.into(),
    }
}

/// Shows what the folds have measured.
fn on_folds(session: &Session, folded: &Folded, out: &Path) -> Result<(), Failure> {
    if session.json {
        let json = serde_json::to_string_pretty(folded).expect("figures are plain data");
        return output::print(&format!("{json}\n"));
    }
    output::print(&format!("{}\nreport: {}\n", folds_text(folded), out.join(PAGE).display()))
}

fn request(session: &Session, args: &CompareArgs) -> Result<CompareRequest, Failure> {
    let common = RunRequest {
        epochs: args.epochs,
        ..requests::limited(session, &args.source, args.memory_limit.as_deref())?
    };
    Ok(CompareRequest {
        common,
        configs: args.config.clone(),
        models: args.models.iter().map(|name| name.trim().to_owned()).collect(),
        seeds: args.seeds.unwrap_or(if args.folds.is_some() { 1 } else { 3 }),
    })
}

/// A line per run on standard error.
struct Progress {
    quiet: bool,
    stop: Arc<AtomicBool>,
    runs: u64,
    begun: u64,
}

impl Observer for Progress {
    fn should_stop(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn stop(&self) -> Stop {
        stop_at(&self.stop)
    }
}

impl CompareObserver for Progress {
    fn run(&mut self, _: usize, name: &str, seed: u64) {
        self.begun += 1;
        memory::forget_peak();
        if !self.quiet {
            output::tell(&format!("[{}/{}] {name}, seed {seed} …", self.begun, self.runs));
        }
    }

    fn found(&mut self) {
        if !self.quiet {
            output::tell("       found finished");
        }
    }

    fn peak_bytes(&mut self) -> Option<u64> {
        memory::peak()
    }

    fn diverged(&mut self, run: &Diverged) {
        if !self.quiet {
            output::tell(&format!(
                "warning: {}, seed {}: diverged at step {}; the model is left out",
                run.name, run.seed, run.step
            ));
        }
    }

    fn done(&mut self, name: &str, run: &SeedRun) {
        if self.quiet {
            return;
        }
        let metrics = [Metric::NdcgAt10, Metric::HitRateAt10, Metric::Auc, Metric::LogLoss, Metric::Rmse]
            .into_iter()
            .filter_map(|m| Some(format!("{} {:.5}", m.title(), m.of(&run.test)?)));
        let metrics: Vec<String> = metrics.collect();
        output::tell(&format!(
            "       {name}: test {}, best after {:.2} epochs, {:.1} s",
            metrics.join(", "),
            run.best_epoch,
            run.seconds
        ));
    }
}

impl CompareFoldsObserver for Progress {
    fn fold(&mut self, fold: u64, folds: u64) {
        if !self.quiet {
            output::tell(&format!("fold {} of {folds} …", fold + 1));
        }
    }
}
