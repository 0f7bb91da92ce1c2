//! Progress on standard error: a bar on a terminal, plain lines elsewhere.
use super::output::{count, plain, tell};
use super::session::{Session, stop_at};
use dlrm::data::Stop;
use dlrm::data::format::{bytes, duration};
use dlrm::engine::choice::{Choice, ChoiceObserver};
use dlrm::engine::folds::{Folded, FoldsObserver};
use dlrm::engine::observer::{Observer, Standing};
use dlrm::engine::plan::Plan;
use dlrm::engine::run::RunObserver;
use dlrm::engine::train_state::{Evaluation, TrainState};
use dlrm::metrics::Metric;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Shows how a run goes.
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    terminal: bool,
    stop: Arc<AtomicBool>,
    /// Training steps, at most.
    steps: u64,
    /// How long training may take, and since when.
    budget: Option<Duration>,
    training: Instant,
    /// When the first of several trainings began, and how long all may take.
    all: Option<(Instant, Option<Duration>)>,
    /// The last rows and when they were trained, for the present rate.
    recent: VecDeque<(Instant, u64)>,
    mean_loss: Option<f64>,
    /// Whether a training is one of many, of which no details are told.
    calm: bool,
    /// When the last plain line was written.
    spoken: Instant,
    /// When the last checkpoint was asked for.
    saved: Instant,
}

/// The present rate is that of the last seconds, looked at now and then.
const RECENT: Duration = Duration::from_secs(10);
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Between plain lines where there is no terminal.
const SPEAK_EVERY: Duration = Duration::from_secs(10);
/// Between checkpoints within an epoch.
const SAVE_EVERY: Duration = Duration::from_secs(600);

impl Progress {
    /// For a run that may train as long as this.
    pub(super) fn new(session: &Session, budget: Option<Duration>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = terminal && !session.quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Progress {
            bar: ProgressBar::with_draw_target(None, target),
            quiet: session.quiet,
            terminal,
            stop: session.stop.clone(),
            steps: 0,
            budget,
            training: Instant::now(),
            all: None,
            recent: VecDeque::new(),
            mean_loss: None,
            calm: false,
            spoken: Instant::now(),
            saved: Instant::now(),
        }
    }

    /// One line.
    pub(super) fn line(&self, text: &str) {
        if self.quiet {
        } else if self.terminal {
            self.bar.println(&*plain(text));
        } else {
            tell(text);
        }
    }

    /// Rows per second of the last seconds.
    fn rate(&mut self, state: &TrainState) -> f64 {
        let now = Instant::now();
        if self.recent.back().is_none_or(|(then, _)| now - *then >= SAMPLE_EVERY) {
            self.recent.push_back((now, state.rows));
        }
        while self.recent.len() > 2 && self.recent.front().is_some_and(|(then, _)| now - *then > RECENT) {
            self.recent.pop_front();
        }
        let (then, rows) = self.recent[0];
        (state.rows - rows) as f64 / (now - then).as_secs_f64().max(1e-3)
    }

    /// Seconds that training still takes, at most.
    fn left(&self, state: &TrainState, rate: f64) -> f64 {
        let rows_per_step = state.rows as f64 / state.step.max(1) as f64;
        let left = self.steps.saturating_sub(state.step) as f64 * rows_per_step / rate.max(1e-9);
        let budget = self.budget.map(|budget| budget.saturating_sub(self.training.elapsed()).as_secs_f64());
        budget.map_or(left, |budget| left.min(budget))
    }
}

/// What the memory of a plan goes to.
pub(super) fn memory_parts(plan: &Plan) -> String {
    let parts = plan.memory_parts();
    parts.iter().map(|(size, what)| format!("{} {what}", bytes(*size))).collect::<Vec<_>>().join(" + ")
}

impl Observer for Progress {
    fn step(&mut self, state: &TrainState, loss: f64) {
        let smoothed = self.mean_loss.map_or(loss, |mean| mean + 0.02 * (loss - mean));
        self.mean_loss = Some(smoothed);
        self.bar.set_position(state.step);
        if state.step.is_multiple_of(16) {
            let rate = self.rate(state);
            self.bar.set_message(format!("loss {smoothed:.4}  {} rows/s", count(rate as u64)));
        }
        if !self.terminal && self.spoken.elapsed() >= SPEAK_EVERY {
            self.spoken = Instant::now();
            let rate = self.rate(state);
            let left = duration(self.left(state, rate));
            let (step, steps, rate) = (count(state.step), count(self.steps), count(rate as u64));
            self.line(&format!(
                "step {step} of at most {steps}  loss {smoothed:.5}  {rate} rows/s  at most {left} left"
            ));
        }
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        if self.calm {
            return;
        }
        let mut text = format!(
            "epoch {:>6.2}  step {:>7}  train loss {:.5}",
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

    fn stop(&self) -> Stop {
        stop_at(&self.stop)
    }

    fn wall_time(&mut self) -> f64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    }

    fn should_finish(&mut self) -> bool {
        self.budget.is_some_and(|budget| self.training.elapsed() >= budget)
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
            self.training = Instant::now();
            // Another training may have gone before.
            self.recent.clear();
            self.mean_loss = None;
            self.bar.set_length(self.steps);
            self.bar.reset();
        } else {
            self.bar.finish_and_clear();
        }
        if !self.calm {
            self.line(&format!("{name} …"));
        }
    }

    fn baseline(&mut self, steps: u64) {
        (self.steps, self.budget, self.mean_loss) = (steps, None, None);
        self.recent.clear();
        self.bar.set_length(steps);
        self.bar.reset();
        self.line(&format!("the baseline takes at most {} steps", count(steps)));
    }

    fn planned(&mut self, plan: &Plan) {
        self.steps = plan.steps;
        if self.calm {
            return;
        }
        let [train, validation, test]: [String; 3] = plan.rows.map(count).into();
        self.line(&format!("plan: {train} training, {validation} validation, {test} test rows"));
        if plan.steps > 0 && plan.batch_size as u64 > plan.epoch_rows {
            self.line(&format!(
                "note: a batch of {} rows is more than there are to train on: each step takes all {train}, \
                 an epoch is one step; smaller batches (--batch-size) learn more from them",
                count(plan.batch_size as u64)
            ));
        }
        let rows: usize = plan.tables.iter().map(|(_, rows, _)| rows).sum();
        let (dense, tables) = (count(plan.dense_parameters as u64), count(plan.table_parameters as u64));
        let shape = format!("{} tables of {} rows in all", plan.tables.len(), count(rows as u64));
        self.line(&format!("plan: {shape}; {tables} parameters in tables, {dense} outside"));
        self.line(&format!(
            "plan: {} of memory ({}), {} on disk",
            bytes(plan.memory_bytes()),
            memory_parts(plan),
            bytes(plan.disk_bytes)
        ));
    }
}

impl FoldsObserver for Progress {
    fn fold(&mut self, fold: u64, folds: u64) {
        self.calm = true;
        self.line(&format!("fold {} of {folds} …", fold + 1));
    }

    fn measured(&mut self, _: &Folded) {
        self.calm = false;
    }
}

impl ChoiceObserver for Progress {
    fn candidate(&mut self, index: usize, of: usize, name: &str) {
        self.calm = true;
        // What is left of the time is shared by those that are left.
        let all = *self.all.get_or_insert((Instant::now(), self.budget));
        self.budget = all.1.map(|budget| budget.saturating_sub(all.0.elapsed()) / (of - index) as u32);
        self.line(&format!("[{}/{of}] {name} …", index + 1));
    }

    fn chosen(&mut self, choice: &Choice) {
        self.calm = false;
        self.line(&format!("the {} validation rows choose {}", count(choice.rows), choice.winner));
    }
}
