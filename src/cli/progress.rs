//! Progress on standard error: a bar on a terminal, plain lines elsewhere.
use super::output::{count, tell};
use super::session::Session;
use dlrm::data::format::bytes;
use dlrm::engine::observer::{Observer, Standing};
use dlrm::engine::plan::Plan;
use dlrm::engine::run::RunObserver;
use dlrm::engine::train_state::{Evaluation, TrainState};
use dlrm::metrics::Metric;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shows how a run goes.
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    terminal: bool,
    stop: Arc<AtomicBool>,
    rows_per_epoch: u64,
    epochs: u64,
    batch_size: u64,
    started: Instant,
    rows_at_start: Option<u64>,
    mean_loss: Option<f64>,
    /// When the last plain line was written.
    spoken: Instant,
    /// When the last checkpoint was asked for.
    saved: Instant,
}

/// Between plain lines where there is no terminal.
const SPEAK_EVERY: Duration = Duration::from_secs(10);
/// Between checkpoints within an epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);

impl Progress {
    /// For a run of at most `epochs` epochs.
    pub(super) fn new(session: &Session, epochs: u64, batch_size: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = terminal && !session.quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress {
            bar: ProgressBar::with_draw_target(None, target),
            quiet: session.quiet,
            terminal,
            stop: session.stop.clone(),
            rows_per_epoch: 0,
            epochs,
            batch_size: batch_size as u64,
            started: Instant::now(),
            rows_at_start: None,
            mean_loss: None,
            spoken: Instant::now(),
            saved: Instant::now(),
        }
    }

    /// One line.
    pub(super) fn line(&self, text: &str) {
        if self.quiet {
        } else if self.terminal {
            self.bar.println(text);
        } else {
            tell(text);
        }
    }

    fn rate(&self, state: &TrainState) -> f64 {
        let rows = state.rows - self.rows_at_start.unwrap_or(0);
        rows as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }
}

impl Observer for Progress {
    fn step(&mut self, state: &TrainState, loss: f64) {
        if self.rows_at_start.is_none() {
            // A resumed run counts from where it went on.
            self.started = Instant::now();
            self.rows_at_start = Some(state.rows);
        }
        let smoothed = self.mean_loss.map_or(loss, |mean| mean + 0.02 * (loss - mean));
        self.mean_loss = Some(smoothed);
        self.bar.set_position(state.step);
        if state.step.is_multiple_of(16) {
            self.bar.set_message(format!("loss {smoothed:.4}  {} rows/s", count(self.rate(state) as u64)));
        }
        if !self.terminal && self.spoken.elapsed() >= SPEAK_EVERY {
            self.spoken = Instant::now();
            let steps = self.epochs * self.rows_per_epoch.div_ceil(self.batch_size.max(1));
            let rate = self.rate(state).max(1e-9);
            let left = (steps.saturating_sub(state.step) * self.batch_size) as f64 / rate;
            let (step, steps, rate) = (count(state.step), count(steps), count(rate as u64));
            self.line(&format!(
                "step {step} of at most {steps}  loss {smoothed:.5}  {rate} rows/s  at most {left:.0} s left"
            ));
        }
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        let mut text = format!(
            "epoch {:>3}  step {:>7}  train loss {:.5}",
            evaluation.epoch,
            count(evaluation.step),
            evaluation.train_loss
        );
        if let Some(metrics) = &evaluation.validation {
            for metric in [Metric::LogLoss, Metric::Auc, Metric::Rmse, Metric::HitRateAt10, Metric::NdcgAt10]
            {
                if let Some(value) = metric.of(metrics) {
                    text.push_str(&format!("  validation {} {value:.5}", metric.title()));
                }
            }
        }
        if standing == Standing::Best {
            text.push_str("  best");
        }
        self.line(&text);
    }

    fn warned(&mut self, warning: &str) {
        self.line(&format!("warning: {warning}"));
    }

    fn should_stop(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn should_save(&mut self) -> bool {
        let due = self.saved.elapsed() >= SAVE_EVERY;
        if due {
            self.saved = Instant::now();
        }
        due
    }
}

impl RunObserver for Progress {
    fn stage(&mut self, name: &str) {
        if name == "training" {
            let style = "{spinner} {pos}/{len} steps [{bar:30}] eta {eta}  {msg}";
            // The template is a constant that is known to be right.
            self.bar.set_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            self.bar.set_length(self.epochs * self.rows_per_epoch.div_ceil(self.batch_size.max(1)));
            self.bar.reset();
        } else {
            self.bar.finish_and_clear();
        }
        self.line(&format!("{name} …"));
    }

    fn planned(&mut self, plan: &Plan) {
        self.rows_per_epoch = plan.epoch_rows;
        let [train, validation, test]: [String; 3] = plan.rows.map(count).into();
        self.line(&format!("plan: {train} training, {validation} validation, {test} test rows"));
        let rows: usize = plan.tables.iter().map(|(_, rows, _)| rows).sum();
        let (dense, tables) = (count(plan.dense_parameters as u64), count(plan.table_parameters as u64));
        let shape = format!("{} tables of {} rows in all", plan.tables.len(), count(rows as u64));
        self.line(&format!("plan: {shape}; {tables} parameters in tables, {dense} outside"));
        let parts = [plan.data_bytes, plan.weight_bytes, plan.training_bytes].map(bytes);
        let memory = format!("{} rows + {} weights + {} training", parts[0], parts[1], parts[2]);
        self.line(&format!(
            "plan: {} of memory ({memory}), {} on disk",
            bytes(plan.memory_bytes()),
            bytes(plan.disk_bytes)
        ));
    }
}
