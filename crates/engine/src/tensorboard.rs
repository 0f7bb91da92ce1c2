//! What TensorBoard shows of a training: the numbers of each evaluation, written to an event file as they
//! come ([`TrainConfig::tensorboard`](crate::train_config::TrainConfig::tensorboard)).
use crate::error::{Error, Result};
use crate::event_file::{self, EventFile};
use crate::observer::{Observer, Standing};
use crate::train_config::TrainConfig;
use crate::train_state::{Evaluation, TrainState};
use dlrm_data::Stop;
use dlrm_metrics::Metric;
use std::path::Path;

/// An event file of a training.
pub(crate) struct TensorBoard {
    file: EventFile,
    /// Whether the directory held no event files before.
    first: bool,
}

impl TensorBoard {
    /// Begins an event file, if the settings name a directory for it.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub(crate) fn begin(config: &TrainConfig, wall_time: f64) -> Result<Option<Self>> {
        config.tensorboard.as_deref().map(|dir| Self::create(dir, wall_time)).transpose()
    }

    /// Refuses a directory that cannot be written to, before the work that is done first.
    ///
    /// # Errors
    /// As [`TensorBoard::begin`].
    pub(crate) fn check(config: &TrainConfig) -> Result<()> {
        Self::begin(config, 0.0).map(drop)
    }

    fn create(dir: &Path, wall_time: f64) -> Result<Self> {
        let first = !event_file::are_in(dir);
        let file = EventFile::create(dir, wall_time).map_err(|error| {
            Error::config("train.tensorboard", "a directory that can be written to", error.to_string())
                .with_hint("name another directory")
        })?;
        Ok(TensorBoard { file, first })
    }

    /// `inner`, and this beside it, after a training that has come so far.
    pub(crate) fn beside<'a>(
        self,
        config: &'a TrainConfig,
        so_far: &[Evaluation],
        inner: &'a mut dyn Observer,
    ) -> impl Observer + 'a {
        let wall_time = inner.wall_time();
        let mut beside =
            Beside { inner, config, file: Some(self.file), begun: false, since: None, last: None };
        // What was trained without it, as candidates are, is told now.
        let untold = if self.first { so_far } else { &[] };
        untold.iter().for_each(|evaluation| beside.tell(evaluation, wall_time));
        beside
    }
}

/// An observer that writes down what it passes on.
struct Beside<'a> {
    inner: &'a mut dyn Observer,
    config: &'a TrainConfig,
    /// Until it cannot be written to.
    file: Option<EventFile>,
    /// Whether the file says where training begins.
    begun: bool,
    /// Rows trained on and the time when training went on after the last evaluation; nothing before the first
    /// step, for a run that is resumed has rows behind it.
    since: Option<(u64, f64)>,
    /// The last step since then.
    last: Option<Step>,
}

/// What is known after a step.
#[derive(Clone, Copy)]
struct Step {
    rows: u64,
    wall_time: f64,
    lr_reductions: u32,
}

impl Beside<'_> {
    /// Writes to the file, and no longer where that fails: training goes on.
    fn write(&mut self, write: impl FnOnce(&mut EventFile) -> Result<()>) {
        if let Some(Err(error)) = self.file.as_mut().map(write) {
            self.file = None;
            self.inner.warned(&format!("{error}; TensorBoard sees no more of this training"));
        }
    }

    fn begin(&mut self, wall_time: f64, step: u64) {
        if !std::mem::replace(&mut self.begun, true) {
            self.write(|file| file.start(wall_time, step));
        }
    }

    fn tell(&mut self, evaluation: &Evaluation, wall_time: f64) {
        let scalars = self.scalars(evaluation);
        self.begin(wall_time, evaluation.step);
        self.write(|file| file.scalars(wall_time, evaluation.step, &scalars));
    }

    fn scalars(&self, evaluation: &Evaluation) -> Vec<(String, f64)> {
        let mut scalars = vec![("train/loss".to_owned(), evaluation.train_loss)];
        scalars.extend(evaluation.train_accuracy.map(|share| ("train/accuracy".to_owned(), share)));
        if let Some(metrics) = &evaluation.validation {
            let value = |metric: Metric| Some((format!("validation/{}", metric.name()), metric.of(metrics)?));
            scalars.extend(Metric::ALL.into_iter().filter_map(value));
        }
        if let Some(last) = self.last {
            let rate = |base| self.config.rate(base, evaluation.step, last.lr_reductions);
            scalars.push(("learning_rate/dense".into(), rate(self.config.optimizer.lr())));
            scalars.push(("learning_rate/tables".into(), rate(self.config.table_optimizer.lr())));
            let (rows, since) = self.since.unwrap_or((last.rows, last.wall_time));
            let seconds = last.wall_time - since;
            if seconds > 0.0 {
                scalars.push(("speed/rows_per_second".into(), (last.rows - rows) as f64 / seconds));
            }
        }
        scalars
    }
}

impl Observer for Beside<'_> {
    fn step(&mut self, state: &TrainState, loss: f64) {
        let wall_time = self.inner.wall_time();
        self.begin(wall_time, state.step);
        self.since.get_or_insert((state.rows, wall_time));
        self.last = Some(Step { rows: state.rows, wall_time, lr_reductions: state.lr_reductions });
        self.inner.step(state, loss);
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        let wall_time = self.inner.wall_time();
        self.tell(evaluation, wall_time);
        self.since = self.last.take().map(|last| (last.rows, wall_time)).or(self.since);
        self.inner.evaluated(evaluation, standing);
    }

    fn warned(&mut self, warning: &str) {
        self.inner.warned(warning);
    }

    fn wall_time(&mut self) -> f64 {
        self.inner.wall_time()
    }

    fn should_stop(&mut self) -> bool {
        self.inner.should_stop()
    }

    fn stop(&self) -> Stop {
        self.inner.stop()
    }

    fn should_finish(&mut self) -> bool {
        self.inner.should_finish()
    }

    fn should_save(&mut self) -> bool {
        self.inner.should_save()
    }
}
