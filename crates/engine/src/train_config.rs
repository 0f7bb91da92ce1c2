//! Settings of training, checked before work starts.
use crate::error::{Error, Result};
use crate::predecessor::Predecessor;
use crate::schedule::Schedule;
use crate::train_state::{Ending, Evaluation, TrainState};
use dlrm_data::schema::Task;
use dlrm_metrics::Metric;
use dlrm_nn::{
    DenseOptimizer, L2Rows, Loss, Optimizer, Precision, Sharding, TableOptimizer, TablePrecision, Weights,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Passes over the training rows, at most; by default by their number, see
    /// [`StepPlan`](crate::step_plan::StepPlan).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Steps, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Rows per step, B; by default by the number of rows, see [`StepPlan`](crate::step_plan::StepPlan).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// What is minimised; by default log loss for clicks and squared error for ratings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Optimiser of the dense parameters.
    pub optimizer: DenseOptimizer,
    /// Optimiser of the tables.
    pub table_optimizer: TableOptimizer,
    /// Optimiser of the linear part of a model that has one (such as ftrl for Wide & Deep); by default it
    /// moves like the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_optimizer: Option<TableOptimizer>,
    /// How a regression (the model lr) is trained; by default to its optimum, where nothing is said of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// Rows that the tables' `l2` reaches in a step: touched or all.
    pub l2_rows: L2Rows,
    /// Factor on both learning rates over the steps.
    pub schedule: Schedule,
    /// Reduction of both learning rates after an evaluation without a new best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
    /// Bound of the global norm of all gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Metric of the validation rows that decides which weights are best; by default log loss or RMSE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Metric>,
    /// Which weights are kept: those of the best evaluation, or the last.
    #[serde(skip_serializing_if = "Keep::is_best")]
    pub keep: Keep,
    /// Evaluations in a row without a new best after which training stops; 0 never stops early. One whose log
    /// loss is more than 0.1 above the best counts as four.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// Steps between evaluations, besides those at the end of each epoch; by default long epochs are looked
    /// at several times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<u64>,
    /// Steps between checkpoints, besides those at the end of each epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Where the output's bias starts.
    pub output_bias: OutputBias,
    /// Where the linear part of a model that has one starts.
    pub linear_start: LinearStart,
    /// The model that training goes on from, instead of from initial values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Predecessor>,
    /// Whether the optimiser's state is saved with the model, for training that goes on from it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_optimizer: bool,
    /// Directory for event files that TensorBoard shows. No result depends on it, and no model keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensorboard: Option<PathBuf>,
    /// Seed of initial weights and shuffling.
    pub seed: u64,
    /// What the matrix products of training steps multiply: f32 or bf16. Scores are always computed in f32.
    pub precision: Precision,
    /// How embedding tables are kept, while training and in the saved model: f32, or bf16 or f16 with
    /// stochastic rounding.
    pub table_precision: TablePrecision,
    /// Rows of a shard. Changes the last bits of results, as any order of summation does.
    pub shard_rows: usize,
    /// Partial sums of the gradients, and the most threads that can share a step; by default by the size of
    /// the batch. Changes the last bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<usize>,
}

/// Partial sums of the gradients of a step, within the two bounds: one for each shard. So a large batch feeds
/// many threads, and adding up the sums stays short beside making them. No count of threads goes in: results
/// would depend on it.
const LANES: [usize; 2] = [8, 64];
/// Which weights a training ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those of the best evaluation on the validation rows, where there are any.
    #[default]
    Best,
    /// Those after the last step. If training diverges, those of the best evaluation before.
    Last,
}

impl Keep {
    fn is_best(&self) -> bool {
        *self == Keep::Best
    }
}

/// How weights are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// In steps on batches.
    Steps,
    /// By L-BFGS on all rows in memory, to the optimum: for the convex loss of lr alone.
    Lbfgs,
}

/// Where the output's bias starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputBias {
    /// At the logit of the mean label (the mean of ratings), so that no step is spent on it.
    #[default]
    LabelMean,
    /// Where the model's layers start it.
    Model,
}

/// Where the linear part of a model starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinearStart {
    /// At the optimum of a regression on the same rows, which the rest of the model then adds to; where rows
    /// are too many for that, as [`LinearStart::Model`].
    #[default]
    Regression,
    /// Where the model's layers start it.
    Model,
}

/// Reduction of the learning rates where training stands still.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plateau {
    /// Factor at each evaluation without a new best.
    pub factor: f64,
    /// Learning rates are not reduced below this.
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
    /// The learning rate after so many reductions.
    fn rate(&self, rate: f64, reductions: u32) -> f64 {
        (rate * self.factor.powi(reductions as i32)).max(self.min_lr.min(rate))
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        let (beta1, beta2, eps, l2) = (0.9, 0.999, 1e-8, 0.0);
        TrainConfig {
            epochs: None,
            max_steps: None,
            batch_size: None,
            loss: None,
            optimizer: DenseOptimizer::Adam { lr: 1e-3, beta1, beta2, eps, l2 },
            // Rare rows need larger steps than frequent ones, which Adagrad gives them.
            table_optimizer: TableOptimizer::Adagrad {
                lr: 0.05,
                eps: 1e-10,
                initial_accumulator: 1e-5,
                l2: 1e-5,
            },
            linear_optimizer: None,
            solver: None,
            l2_rows: L2Rows::Touched,
            schedule: Schedule::Constant,
            plateau: None,
            clip_norm: None,
            monitor: None,
            keep: Keep::Best,
            patience: None,
            evaluate_every: None,
            checkpoint_every: None,
            output_bias: OutputBias::LabelMean,
            linear_start: LinearStart::Regression,
            from: None,
            keep_optimizer: false,
            tensorboard: None,
            seed: 0,
            precision: Precision::F32,
            table_precision: TablePrecision::F32,
            shard_rows: 128,
            lanes: None,
        }
    }
}

impl TrainConfig {
    /// Fills in what depends on the task, so that what is stored is complete.
    pub fn resolve(&mut self, task: Task) {
        let loss = if task == Task::Binary { Loss::default() } else { Loss::Mse };
        self.loss.get_or_insert(loss);
        self.monitor.get_or_insert(Metric::usual(task));
    }

    /// Contradictions that can be seen before work starts.
    ///
    /// # Errors
    /// The first one found, with the key to change.
    pub fn check(&self, task: Task) -> Result<()> {
        self.check_sizes()?;
        self.check_optimizers()?;
        self.schedule.check()?;
        self.check_loss_weight()?;
        self.check_rates()?;
        self.check_task(task)
    }

    fn check_sizes(&self) -> Result<()> {
        let sizes = [
            ("batch_size", self.batch_size.unwrap_or(1)),
            ("shard_rows", self.shard_rows),
            ("lanes", self.lanes.unwrap_or(1)),
            ("epochs", self.epochs.unwrap_or(1) as usize),
            ("max_steps", self.max_steps.unwrap_or(1) as usize),
        ];
        match sizes.into_iter().find(|(_, size)| *size == 0) {
            Some((what, _)) => Err(Error::config(format!("train.{what}"), "at least 1", "0")),
            None => Ok(()),
        }
    }

    fn check_optimizers(&self) -> Result<()> {
        let named = |what: &'static str| {
            move |e: dlrm_nn::Error| Error::config(format!("train.{what}.{}", e.what), e.expected, e.found)
        };
        self.optimizer.check().map_err(named("optimizer"))?;
        self.table_optimizer.check().map_err(named("table_optimizer"))?;
        self.linear_optimizer.map_or(Ok(()), |linear| linear.check()).map_err(named("linear_optimizer"))
    }

    fn check_loss_weight(&self) -> Result<()> {
        match self.loss {
            Some(Loss::Bce { positive_weight: weight }) if !(weight > 0.0 && weight.is_finite()) => {
                Err(Error::config("train.loss.positive_weight", "a positive number", weight.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Learning rates, their reduction and the bound of the gradients.
    fn check_rates(&self) -> Result<()> {
        let linear = self.linear_optimizer.map(|linear| ("linear_optimizer.lr", linear.lr()));
        let rates =
            [("optimizer.lr", self.optimizer.lr()), ("table_optimizer.lr", self.table_optimizer.lr())];
        for (what, lr) in rates.into_iter().chain(linear) {
            if !(lr.is_finite() && lr >= 0.0) {
                let expected = "a finite number, at least 0";
                return Err(Error::config(format!("train.{what}"), expected, lr.to_string()));
            }
        }
        let fits = |p: &Plateau| p.factor > 0.0 && p.factor < 1.0 && p.min_lr >= 0.0 && p.min_gain >= 0.0;
        if let Some(plateau) = self.plateau.filter(|plateau| !fits(plateau)) {
            let expected = "a factor between 0 and 1, min_lr and min_gain of at least 0";
            return Err(Error::config("train.plateau", expected, format!("{plateau:?}")));
        }
        if let Some(clip) = self.clip_norm.filter(|clip| !(clip.is_finite() && *clip > 0.0)) {
            return Err(Error::config("train.clip_norm", "a positive number", clip.to_string()));
        }
        Ok(())
    }

    /// Loss and monitored metric fit the labels.
    fn check_task(&self, task: Task) -> Result<()> {
        let fits = |loss: &Loss| match task {
            Task::Binary => !matches!(loss, Loss::Mse),
            Task::Rating => !matches!(loss, Loss::Bce { .. } | Loss::MseOfProbability),
        };
        if let Some(loss) = self.loss.filter(|loss| !fits(loss)) {
            let expected = match task {
                Task::Binary => "bce or mse_of_probability for a binary label",
                Task::Rating => "mse for ratings",
            };
            return Err(Error::config("train.loss", expected, format!("{loss:?}")));
        }
        if let Some(monitor) = self.monitor
            && matches!(monitor, Metric::Rmse | Metric::Mae) != (task == Task::Rating)
        {
            let expected = match task {
                Task::Binary => "log_loss, auc, accuracy, …",
                Task::Rating => "rmse or mae",
            };
            return Err(Error::config("train.monitor", expected, monitor.name()));
        }
        Ok(())
    }

    /// Whether the linear part starts at the optimum of a regression: that of log loss (squared error) is of
    /// use for these losses alone.
    pub(crate) fn starts_from_regression(&self) -> bool {
        let usual = |loss| matches!(loss, Loss::Mse) || loss == Loss::default();
        self.from.is_none() && self.linear_start == LinearStart::Regression && self.loss.is_none_or(usual)
    }

    /// The learning rate of step `step` (the first is 1), of this base rate, after so many reductions.
    pub(crate) fn rate(&self, base: f64, step: u64, reductions: u32) -> f64 {
        let rate = self.schedule.rate(base, step);
        self.plateau.map_or(rate, |plateau| plateau.rate(rate, reductions))
    }

    /// The optimiser of `weights`, at its start.
    pub fn optimizer_of(&self, weights: &Weights) -> Optimizer {
        let optimizer = Optimizer::new(weights, self.optimizer, self.table_optimizer, self.clip_norm)
            .with_l2_rows(self.l2_rows);
        optimizer.with_linear(weights, self.linear_optimizer)
    }

    /// Refuses what belongs to one training where several are made.
    pub(crate) fn check_several(&self, work: &str) -> Result<()> {
        match &self.tensorboard {
            Some(_) => Err(Error::config("train.tensorboard", "a run of one model", work)
                .with_hint("leave it out, or train the models one by one")),
            None => Ok(()),
        }
    }

    /// The evaluation of the weights that training has kept, if there was one of them.
    pub fn kept<'a>(&self, state: &'a TrainState) -> Option<&'a Evaluation> {
        let at = |step: u64| state.history.iter().find(|evaluation| evaluation.step == step);
        if self.keeps_last(state) { at(state.step) } else { state.best.and_then(|best| at(best.step)) }
    }

    /// Whether training has kept the weights after its last step: those of a run that diverged are worth
    /// nothing.
    pub fn keeps_last(&self, state: &TrainState) -> bool {
        self.keep == Keep::Last && state.ending != Some(Ending::Diverged)
    }

    /// Whether there is a state of an optimiser to be saved.
    pub(crate) fn keeps_optimizer(&self) -> bool {
        self.keep_optimizer && self.solver != Some(Solver::Lbfgs)
    }

    /// Partial sums of the gradients of batches of so many rows.
    pub(crate) fn lanes_for(&self, batch_size: usize) -> usize {
        self.lanes.unwrap_or_else(|| (batch_size / self.shard_rows.max(1)).clamp(LANES[0], LANES[1]))
    }

    /// How batches are cut.
    pub fn sharding(&self) -> Sharding {
        Sharding { shard_rows: self.shard_rows, lanes: self.lanes_for(self.batch_size.unwrap_or(1)) }
    }
}
