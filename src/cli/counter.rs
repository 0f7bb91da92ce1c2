//! Rows that have gone by, on standard error: a line in place on a terminal, one every few seconds elsewhere.
use super::output::{count, tell};
use super::session::Session;
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
            started: now,
            spoken: now,
        }
    }

    /// A new stage of the work begins.
    pub(super) fn stage(&mut self, name: &str) {
        name.clone_into(&mut self.stage);
        self.started = Instant::now();
        self.spoken = self.started;
        if !self.quiet && !self.terminal {
            tell(name);
        }
    }

    /// So many rows have gone by in this stage. `false` if the user wants to stop.
    pub(super) fn rows(&mut self, rows: u64) -> bool {
        let rate = rows as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let text = || format!("{}: {} rows, {} rows/s", self.stage, count(rows), count(rate as u64));
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
