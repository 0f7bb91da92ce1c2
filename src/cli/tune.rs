//! `dlrm tune`.
use super::args::TuneArgs;
use super::failure::{Failure, INTERRUPTED};
use super::session::{Session, stop_at};
use super::{output, requests, values};
use dlrm::data::Stop;
use dlrm::engine::observer::Observer;
use dlrm::engine::tune::{BEST_FILE, Entry, JOURNAL_FILE, Trial, Tune, TuneObserver};
use dlrm::engine::{Error, RunRequest};
use dlrm::report::{tuned_json, tuned_text};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the search goes on where nothing bounds it.
const BUDGET: Duration = Duration::from_secs(600);

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &TuneArgs) -> Result<(), Failure> {
    super::ranks::check_alone("tune")?;
    let budget = args.budget.as_deref().map(values::duration).transpose()?;
    let budget = budget.or(args.trials.is_none().then_some(BUDGET));
    let request = RunRequest {
        config: args.config.clone(),
        seed: args.seed,
        ..requests::limited(session, &args.source, args.memory_limit.as_deref())?
    };
    let (run, notes) = request.resolve()?;
    session.stop_by_signal();
    let mut progress = Progress::new(session, budget);
    notes.iter().for_each(|note| progress.line(&output::note(note)));
    let out = args.output.clone().unwrap_or_else(|| PathBuf::from("runs/tune"));
    let tune = Tune {
        base: run.config,
        rows: None,
        trials: args.trials,
        out: out.clone(),
        overwrite: args.overwrite,
        resources: run.resources,
    };
    let tuned = tune.execute(&mut progress).map_err(|error| match error {
        Error::Interrupted { .. } => Failure {
            code: INTERRUPTED,
            message: format!("what was found out is kept in {}", out.join(JOURNAL_FILE).display()),
            hint: Some("the same command goes on from there".into()),
        },
        other => other.into(),
    })?;
    if session.json {
        return output::print(&format!("{}\n", tuned_json(&tuned, &out)));
    }
    output::print(&tuned_text(&tuned, &out))?;
    let best = out.join(BEST_FILE);
    output::print(&format!("next:   dlrm train --config {} -o runs/best\n", best.display()))
}

/// A line per trial on standard error, and the clock.
struct Progress {
    quiet: bool,
    stop: Arc<AtomicBool>,
    start: Instant,
    budget: Option<Duration>,
}

impl Progress {
    fn new(session: &Session, budget: Option<Duration>) -> Self {
        let (quiet, stop) = (session.quiet, session.stop.clone());
        Progress { quiet, stop, start: Instant::now(), budget }
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            output::tell(text);
        }
    }
}

impl Observer for Progress {
    fn warned(&mut self, warning: &str) {
        self.line(&format!("warning: {warning}"));
    }

    fn should_stop(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn stop(&self) -> Stop {
        stop_at(&self.stop)
    }

    fn should_finish(&mut self) -> bool {
        self.budget.is_some_and(|budget| self.start.elapsed() >= budget)
    }
}

impl TuneObserver for Progress {
    fn stage(&mut self, name: &str) {
        self.line(&format!("{name} …"));
    }

    fn resumed(&mut self, results: usize, seconds: f64) {
        // The time that was spent then counts, so that the same command ends after the same time.
        self.budget = self.budget.map(|budget| budget.saturating_sub(Duration::from_secs_f64(seconds)));
        self.line(&format!("going on after {results} results of {seconds:.0} s"));
    }

    fn trial(&mut self, number: u64, rung: u32, trial: &Trial) {
        let (rung, kind) = (rung + 1, trial.model.kind());
        self.line(&format!("trial {number}, rung {rung}: {kind}, {}", trial.settings));
    }

    fn done(&mut self, entry: &Entry) {
        let found = match (&entry.failed, entry.value) {
            (Some(why), _) => why.clone(),
            (None, Some(value)) => format!("{value:.5} after {} steps", output::count(entry.steps)),
            (None, None) => "no value".into(),
        };
        let end = if entry.complete { ", to its end" } else { "" };
        self.line(&format!("       {found}{end}, {:.1} s", entry.seconds));
    }
}
