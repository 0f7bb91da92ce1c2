//! Many training steps: epochs, evaluation, early stopping, best weights, checkpoints.
//!
//! The whole position of a run is its [`State`] with weights and optimiser; nothing depends on the clock or on
//! the number of threads, so a run that was interrupted and resumed ends in the same bits as one that was not.
use crate::checkpoint::Checkpoints;
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::schedule::Schedule;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_metrics::{Metric, Metrics, Ranking, Scored};
use dlrm_nn::optimizer::Rates;
use dlrm_nn::{
    DenseOptimizer, L2Rows, Loss, Optimizer, Precision, Sharding, TableOptimizer, TablePrecision, Weights,
};
use serde::{Deserialize, Serialize};

/// Settings of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training rows, at most.
    pub epochs: u64,
    /// Rows per step, B.
    pub batch_size: usize,
    /// What is minimised; by default log loss for clicks and squared error for ratings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Optimiser of the dense parameters.
    pub optimizer: DenseOptimizer,
    /// Optimiser of the tables.
    pub table_optimizer: TableOptimizer,
    /// Optimiser of the linear part of a model that has one (such as ftrl for Wide & Deep); by default it moves like the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_optimizer: Option<TableOptimizer>,
    /// Rows that the tables' `l2` reaches in a step: touched or all.
    pub l2_rows: L2Rows,
    /// Factor on both learning rates over the steps.
    pub schedule: Schedule,
    /// Cut of both learning rates after an evaluation without a new best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
    /// Bound of the global norm of all gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Metric of the validation rows that decides which weights are best; by default log loss or RMSE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Metric>,
    /// Evaluations in a row without a new best after which training stops; 0 never stops early.
    pub patience: u64,
    /// Steps between evaluations, besides those at the end of each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<u64>,
    /// Steps between checkpoints, besides those at the end of each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Seed of initial weights and shuffling.
    pub seed: u64,
    /// What the matrix products of training steps multiply: f32 or bf16. Scores are always computed in f32.
    pub precision: Precision,
    /// How embedding tables are kept, while training and in the saved model: f32, or bf16 or f16 with stochastic rounding.
    pub table_precision: TablePrecision,
    /// Rows of a shard. Changes the last bits of results, as any order of summation does.
    pub shard_rows: usize,
    /// Partial sums of the gradients, and the most threads that can share a step. Changes the last bits.
    pub lanes: usize,
}

/// Cut of the learning rates where training stands still.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plateau {
    /// Factor at each evaluation without a new best.
    pub factor: f64,
    /// Learning rates are not cut below this.
    pub min_lr: f64,
    /// The least gain that counts as a new best.
    pub min_gain: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Plateau { factor: 0.1, min_lr: 1e-6, min_gain: 1e-6 }
    }
}

impl Plateau {
    fn rate(&self, rate: f64, cuts: u32) -> f64 {
        (rate * self.factor.powi(cuts as i32)).max(self.min_lr.min(rate))
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        let (beta1, beta2, eps, l2) = (0.9, 0.999, 1e-8, 0.0);
        TrainConfig {
            epochs: 10,
            batch_size: 512,
            loss: None,
            optimizer: DenseOptimizer::Adam { lr: 1e-3, beta1, beta2, eps, l2 },
            // Rare rows need larger steps than frequent ones, which Adagrad gives them.
            table_optimizer: TableOptimizer::Adagrad {
                lr: 0.05,
                eps: 1e-10,
                initial_accumulator: 0.0,
                l2: 1e-5,
            },
            linear_optimizer: None,
            l2_rows: L2Rows::Touched,
            schedule: Schedule::Constant,
            plateau: None,
            clip_norm: None,
            monitor: None,
            patience: 2,
            evaluate_every: None,
            checkpoint_every: None,
            seed: 0,
            precision: Precision::F32,
            table_precision: TablePrecision::F32,
            shard_rows: 128,
            lanes: 8,
        }
    }
}

impl TrainConfig {
    /// Fills in what depends on the task, so that what is stored is complete.
    pub fn resolve(&mut self, task: Task) {
        let (loss, metric) = match task {
            Task::Binary => (Loss::default(), Metric::LogLoss),
            Task::Rating => (Loss::Mse, Metric::Rmse),
        };
        self.loss.get_or_insert(loss);
        self.monitor.get_or_insert(metric);
    }

    /// Contradictions that can be seen before work starts.
    ///
    /// # Errors
    /// The first one found.
    pub fn check(&self, task: Task) -> Result<()> {
        let positive = |what: &str, value: usize| {
            if value == 0 { Err(Error::config(format!("train.{what}"), "at least 1", "0")) } else { Ok(()) }
        };
        positive("batch_size", self.batch_size)?;
        positive("shard_rows", self.shard_rows)?;
        positive("lanes", self.lanes)?;
        positive("epochs", self.epochs as usize)?;
        let named = |what: &'static str| {
            move |e: dlrm_nn::Error| Error::config(format!("train.{what}.{}", e.what), e.expected, e.found)
        };
        self.optimizer.check().map_err(named("optimizer"))?;
        self.table_optimizer.check().map_err(named("table_optimizer"))?;
        if let Some(linear) = self.linear_optimizer {
            linear.check().map_err(named("linear_optimizer"))?;
        }
        self.schedule.check()?;
        if let Some(Loss::Bce { positive_weight: weight }) = self.loss
            && !(weight > 0.0 && weight.is_finite())
        {
            return Err(Error::config("train.loss.positive_weight", "a positive number", weight.to_string()));
        }
        let linear = self.linear_optimizer.map(|linear| ("linear_optimizer.lr", linear.lr()));
        let rates =
            [("optimizer.lr", self.optimizer.lr()), ("table_optimizer.lr", self.table_optimizer.lr())];
        for (what, lr) in rates.into_iter().chain(linear) {
            if !(lr.is_finite() && lr >= 0.0) {
                return Err(Error::config(
                    format!("train.{what}"),
                    "a finite number, at least 0",
                    lr.to_string(),
                ));
            }
        }
        if let Some(plateau) = self
            .plateau
            .filter(|p| !(p.factor > 0.0 && p.factor < 1.0 && p.min_lr >= 0.0 && p.min_gain >= 0.0))
        {
            let expected = "a factor between 0 and 1, min_lr and min_gain of at least 0";
            return Err(Error::config("train.plateau", expected, format!("{plateau:?}")));
        }
        if let Some(clip) = self.clip_norm.filter(|clip| !(clip.is_finite() && *clip > 0.0)) {
            return Err(Error::config("train.clip_norm", "a positive number", clip.to_string()));
        }
        let fits = match task {
            Task::Binary => !matches!(self.loss, Some(Loss::Mse)),
            Task::Rating => !matches!(self.loss, Some(Loss::Bce { .. } | Loss::MseOfProbability)),
        };
        if !fits {
            let expected = if task == Task::Binary {
                "bce or mse_of_probability for a binary label"
            } else {
                "mse for ratings"
            };
            return Err(Error::config(
                "train.loss",
                expected,
                format!("{:?}", self.loss.expect("checked above")),
            ));
        }
        if let Some(monitor) = self.monitor
            && matches!(monitor, Metric::Rmse | Metric::Mae) != (task == Task::Rating)
        {
            let expected = if task == Task::Binary { "log_loss, auc, accuracy, …" } else { "rmse or mae" };
            return Err(Error::config("train.monitor", expected, monitor.name()));
        }
        Ok(())
    }

    /// The optimiser of `weights`, at its start.
    pub fn optimizer_of(&self, weights: &Weights) -> Optimizer {
        let optimizer = Optimizer::new(weights, self.optimizer, self.table_optimizer, self.clip_norm)
            .with_l2_rows(self.l2_rows);
        optimizer.with_linear(weights, self.linear_optimizer)
    }

    /// How batches are cut.
    pub fn sharding(&self) -> Sharding {
        Sharding { shard_rows: self.shard_rows, lanes: self.lanes }
    }
}

/// Training rows, epoch after epoch.
pub trait TrainingRows: Send {
    /// Starts epoch `epoch` (the first is 0) after its first `skip` batches; `false` if `stop` has said so meanwhile.
    ///
    /// # Errors
    /// As the data behind it.
    fn start(&mut self, epoch: u64, skip: u64, stop: &mut dyn FnMut() -> bool) -> Result<bool>;

    /// Refills `out`; `false` at the end of the epoch.
    ///
    /// # Errors
    /// As the data behind it.
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool>;

    /// Batches of an epoch, where that is known.
    fn batches(&self) -> Option<u64> {
        None
    }

    /// The next thing that went wrong without harm to the rows.
    fn take_warning(&mut self) -> Option<String> {
        None
    }
}

/// One evaluation during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Epochs done, with fraction where the length of an epoch is known.
    pub epoch: f64,
    /// Mean training loss since the last evaluation.
    pub train_loss: f64,
    /// Share of the rows since the last evaluation whose label was the more probable one when they were trained on; for labels of
    /// 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Metrics of the validation rows.
    pub validation: Option<Metrics>,
}

/// The best evaluation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps done then.
    pub step: u64,
    /// The monitored metric.
    pub value: f64,
}

/// Position of a run; with weights and optimiser all that resuming needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Current epoch, from 0.
    pub epoch: u64,
    /// Batches done in it.
    pub batch: u64,
    /// Rows trained on in all.
    pub rows: u64,
    /// Sum of training losses since the last evaluation, weighted by rows.
    pub loss_sum: f64,
    /// Weight of the rows in that sum (their number where they carry none).
    pub loss_weight: f64,
    /// Weight of those whose label was the more probable one.
    #[serde(default)]
    pub correct: f64,
    /// All evaluations.
    pub history: Vec<Point>,
    /// The best one.
    pub best: Option<Best>,
    /// Evaluations since.
    pub stale: u64,
    /// Cuts of the learning rates so far.
    #[serde(default)]
    pub cuts: u32,
}

/// What a run tells the outside, and asks.
pub trait Observer {
    /// After each step.
    fn step(&mut self, _state: &State, _loss: f64) {}
    /// After each evaluation.
    fn evaluated(&mut self, _point: &Point, _is_best: bool) {}
    /// Something went wrong that changes no result.
    fn warned(&mut self, _warning: &str) {}
    /// Whether to save and stop now.
    fn should_stop(&mut self) -> bool {
        false
    }
    /// Whether a checkpoint is due by the caller's clock. No result depends on it.
    fn should_save(&mut self) -> bool {
        false
    }
}

/// An observer that neither looks nor stops.
pub struct Unobserved;
impl Observer for Unobserved {}

/// Everything a run needs besides the learner.
pub struct Trainer<'a> {
    /// Settings.
    pub config: &'a TrainConfig,
    /// Task of the labels.
    pub task: Task,
    /// Validation rows, if any; without them the last weights are kept.
    pub validation: Option<&'a Batch>,
    /// Where checkpoints and best weights go; without it the best weights are kept in memory.
    pub checkpoints: Option<&'a Checkpoints>,
}

impl Trainer<'_> {
    /// Trains from `state` to the end and leaves the best weights in `learner`.
    ///
    /// # Errors
    /// As the data, the file system, a diverging loss, or [`Error::Interrupted`] after a last checkpoint.
    pub fn run(
        &self,
        learner: &mut Learner,
        rows: &mut dyn TrainingRows,
        mut state: State,
        observer: &mut dyn Observer,
    ) -> Result<State> {
        let mut batch = Batch::default();
        let mut kept: Option<Weights> = None;
        let batches = rows.batches();
        while !self.finished(&state) {
            if !rows.start(state.epoch, state.batch, &mut || observer.should_stop())? {
                let checkpoint =
                    self.checkpoints.map(|checkpoints| checkpoints.save(learner, &state)).transpose()?;
                return Err(Error::Interrupted { step: state.step, checkpoint });
            }
            while rows.next_batch(&mut batch)? {
                self.step(learner, &batch, &mut state, observer)?;
                if self.config.evaluate_every.is_some_and(|n| n > 0 && state.step.is_multiple_of(n)) {
                    self.evaluate(learner, &mut state, (&mut kept, batches), observer)?;
                    if self.stale(&state) {
                        break;
                    }
                }
                let due = self.config.checkpoint_every.is_some_and(|n| n > 0 && state.step.is_multiple_of(n));
                let due = due || observer.should_save();
                self.pause(learner, &state, due, observer)?;
            }
            while let Some(warning) = rows.take_warning() {
                observer.warned(&warning);
            }
            if state.step == 0 {
                return Err(Error::config("training rows", "at least one", "none")
                    .with_hint("check the split and the filters of the input"));
            }
            if !self.stale(&state) {
                (state.epoch, state.batch) = (state.epoch + 1, 0);
                // The epoch's last step may just have been evaluated.
                if state.history.last().is_none_or(|point| point.step != state.step) {
                    self.evaluate(learner, &mut state, (&mut kept, batches), observer)?;
                }
            }
            // Also at the very end: what follows training may fail or be interrupted too.
            self.pause(learner, &state, true, observer)?;
        }
        self.restore_best(learner, &state, kept)?;
        Ok(state)
    }

    fn finished(&self, state: &State) -> bool {
        state.epoch >= self.config.epochs || self.stale(state)
    }

    fn stale(&self, state: &State) -> bool {
        self.config.patience > 0 && state.stale >= self.config.patience
    }

    fn step(
        &self,
        learner: &mut Learner,
        batch: &Batch,
        state: &mut State,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let base = learner.optimizer().base_rates();
        let rate = |base| {
            let rate = self.config.schedule.rate(base, state.step + 1);
            self.config.plateau.map_or(rate, |plateau| plateau.rate(rate, state.cuts))
        };
        let loss = learner.step(
            batch,
            Rates { dense: rate(base.dense), tables: rate(base.tables), linear: rate(base.linear) },
        )?;
        state.step += 1;
        state.batch += 1;
        state.rows += batch.len() as u64;
        state.loss_sum += loss * batch.len() as f64;
        state.loss_weight +=
            batch.weights.as_ref().map_or(batch.len() as f64, |w| w.iter().map(|&w| f64::from(w)).sum());
        state.correct += learner.correct();
        observer.step(state, loss);
        Ok(())
    }

    fn evaluate(
        &self,
        learner: &mut Learner,
        state: &mut State,
        (kept, batches): (&mut Option<Weights>, Option<u64>),
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let validation = self.validation.map(|batch| score(learner, batch, self.task)).transpose()?;
        let value = validation.as_ref().and_then(|m| self.monitor().of(m));
        let least = self.config.plateau.map_or(0.0, |plateau| plateau.min_gain);
        let better = |best: Best, value: f64| {
            let gain =
                if self.monitor().higher_is_better() { value - best.value } else { best.value - value };
            gain > least
        };
        let is_best = value.is_some_and(|value| state.best.is_none_or(|best| better(best, value)));
        if let (true, Some(value)) = (is_best, value) {
            state.best = Some(Best { step: state.step, value });
            state.stale = 0;
            match self.checkpoints {
                Some(checkpoints) => checkpoints.save_best(learner, state.step)?,
                None => *kept = Some(learner.network().weights().clone()),
            }
        } else if value.is_some() {
            state.stale += 1;
            state.cuts += u32::from(self.config.plateau.is_some());
        }
        let part = batches.map_or(0.0, |batches| state.batch as f64 / batches.max(1) as f64);
        let mean = |sum: f64| if state.loss_weight > 0.0 { sum / state.loss_weight } else { 0.0 };
        let train_accuracy = (self.task == Task::Binary).then(|| mean(state.correct));
        let point = Point {
            step: state.step,
            epoch: state.epoch as f64 + part,
            train_loss: mean(state.loss_sum),
            train_accuracy,
            validation,
        };
        (state.loss_sum, state.loss_weight, state.correct) = (0.0, 0.0, 0.0);
        observer.evaluated(&point, is_best);
        state.history.push(point);
        Ok(())
    }

    fn monitor(&self) -> Metric {
        self.config.monitor.unwrap_or(if self.task == Task::Binary { Metric::LogLoss } else { Metric::Rmse })
    }

    /// Saves a checkpoint if one is due or the run is to stop.
    fn pause(&self, learner: &Learner, state: &State, due: bool, observer: &mut dyn Observer) -> Result<()> {
        let stop = observer.should_stop();
        let checkpoint = match self.checkpoints.filter(|_| due || stop) {
            Some(checkpoints) => Some(checkpoints.save(learner, state)?),
            None => None,
        };
        if stop { Err(Error::Interrupted { step: state.step, checkpoint }) } else { Ok(()) }
    }

    fn restore_best(&self, learner: &mut Learner, state: &State, kept: Option<Weights>) -> Result<()> {
        match (state.best, self.checkpoints, kept) {
            (Some(best), _, _) if best.step == state.step => Ok(()),
            (Some(best), Some(checkpoints), _) => checkpoints.load_best(learner, best.step),
            (_, _, Some(weights)) => {
                *learner.network_mut().weights_mut() = weights;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Metrics of `learner` on `batch`.
///
/// # Errors
/// If a score is not finite.
pub fn score(learner: &mut Learner, batch: &Batch, task: Task) -> Result<Metrics> {
    let logits = learner.logits(batch);
    if let Some(&broken) = logits.iter().find(|logit| !logit.is_finite()) {
        return Err(Error::Diverged { step: learner.optimizer().steps(), loss: f64::from(broken) });
    }
    let rows = Scored::of_batch(task, &logits, batch)?;
    Ok(Metrics::of(&rows, &Ranking::new(&rows)))
}
