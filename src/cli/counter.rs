//! Rows that have gone by, on standard error: a line in place on a terminal, one every few seconds elsewhere.
use super::output::{count, tell};
use super::session::Session;
use dlrm::data::format::duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Counts rows of one stage after another.
pub(super) struct Counter {
    bar: ProgressBar,
    quiet: bool,
    terminal: bool,
    stop: Arc<AtomicBool>,
    stage: String,
    /// Which pass of the stage it is, and how many rows it will see, where that is known.
    pass: String,
    expected: Option<u64>,
    started: Instant,
    spoken: Instant,
}

/// Between plain lines where there is no terminal.
const SPEAK_EVERY: Duration = Duration::from_secs(10);

impl Counter {
    /// Shown as the session wants it.
    pub(super) fn new(session: &Session) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = terminal && !session.quiet;
        let bar = ProgressBar::with_draw_target(
            None,
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a constant template"));
        let now = Instant::now();
        Counter {
            bar,
            quiet: session.quiet,
            terminal,
            stop: session.stop.clone(),
            stage: String::new(),
            pass: String::new(),
            expected: None,
            started: now,
            spoken: now,
        }
    }

    /// A new stage of the work begins.
    pub(super) fn stage(&mut self, name: &str) {
        name.clone_into(&mut self.stage);
        self.pass.clear();
        self.expected = None;
        self.started = Instant::now();
        self.spoken = self.started;
        if !self.quiet && !self.terminal {
            tell(name);
        }
    }

    /// Within it a pass begins, over so many rows, where that is known.
    pub(super) fn pass(&mut self, name: &str, rows: Option<u64>) {
        self.pass = format!(" ({name})");
        self.expected = rows.filter(|&rows| rows > 0);
        self.started = Instant::now();
        if !self.quiet && !self.terminal {
            tell(&format!("{}{}", self.stage, self.pass));
        }
    }

    /// How much of the pass is left after so many rows.
    fn left(&self, rows: u64, rate: f64) -> String {
        let left = |expected: u64| {
            let share = 100.0 * rows as f64 / expected as f64;
            let seconds = expected.saturating_sub(rows) as f64 / rate.max(1e-9);
            format!(", {share:.0} %, about {} left", duration(seconds))
        };
        self.expected.map_or_else(String::new, left)
    }

    /// So many rows have gone by in this stage. `false` if the user wants to stop.
    pub(super) fn rows(&mut self, rows: u64) -> bool {
        let rate = rows as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let text = || {
            let (stage, pass, left) = (&self.stage, &self.pass, self.left(rows, rate));
            format!("{stage}{pass}: {} rows, {} rows/s{left}", count(rows), count(rate as u64))
        };
        if self.terminal {
            self.bar.set_message(text());
            self.bar.tick();
        } else if !self.quiet && self.spoken.elapsed() >= SPEAK_EVERY {
            tell(&text());
            self.spoken = Instant::now();
        }
        !self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
