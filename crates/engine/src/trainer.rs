//! Many training steps: epochs, evaluation, early stopping, best weights, checkpoints.
//!
//! The whole position of a run is its [`TrainState`] with weights and optimiser; nothing depends on the clock
//! or on the number of threads, so a run that was interrupted and resumed ends in the same bits as one that
//! was not.
use crate::checkpoint_store::CheckpointStore;
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::observer::{Observer, Standing};
use crate::step_plan::StepPlan;
use crate::train_config::{Keep, TrainConfig};
use crate::train_state::{Best, Ending, Evaluation, TrainState};
use crate::training_rows::TrainingRows;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_metrics::{Metric, Metrics, Ranking, Scored};
use dlrm_nn::optimizer::Rates;

/// A log loss above the best one by such a part of it is not noise of few rows: the model has begun to learn
/// its rows by heart. An evaluation that finds it counts as several.
const FAR: f64 = 0.2;
/// What is taken for that distance where the best one is small, and where it is large.
const FAR_RANGE: [f64; 2] = [0.02, 0.1];
const FAR_COUNTS: u64 = 4;

/// A mean loss that has grown by this factor since the first step will not come back.
const GROWN: f64 = 10.0;

/// Everything a run needs besides the learner and its rows.
pub struct Trainer<'a> {
    /// Settings.
    pub config: &'a TrainConfig,
    /// How long it goes on and how often it is looked at.
    pub plan: StepPlan,
    /// Task of the labels.
    pub task: Task,
    /// Validation rows, if any; without them the last weights are kept.
    pub validation: Option<&'a Batch>,
    /// Learning rate of the linear part, in the place of its optimiser's.
    pub linear_rate: Option<f64>,
    /// Where checkpoints and best weights go.
    pub checkpoints: &'a dyn CheckpointStore,
}

impl Trainer<'_> {
    /// Trains from `state` to the end and leaves the weights that are kept in `learner`.
    ///
    /// # Errors
    /// If rows cannot be read, a checkpoint cannot be written or the loss diverges; [`Error::Interrupted`] if
    /// the observer wants to stop, after a last checkpoint.
    pub fn run(
        &self,
        learner: &mut Learner,
        rows: &mut dyn TrainingRows,
        mut state: TrainState,
        observer: &mut dyn Observer,
    ) -> Result<TrainState> {
        state.ending = state.ending.or(self.ending(&state));
        while state.ending.is_none() {
            if !rows.start(state.epoch, state.batch, &mut || observer.should_stop())? {
                let checkpoint = self.checkpoints.save(learner, &state)?;
                return Err(Error::Interrupted { step: state.step, checkpoint });
            }
            match (self.epoch(learner, rows, &mut state, observer), state.best) {
                // What was learned until the best evaluation is not lost.
                (Err(Error::Diverged { loss, .. }), Some(_)) => {
                    (state.ending, state.broken_loss) = (Some(Ending::Diverged), Some(loss));
                }
                (Err(error), _) => return Err(error),
                (Ok(()), _) => state.ending = state.ending.or(self.ending(&state)),
            }
            while let Some(warning) = rows.take_warning() {
                observer.warned(&warning);
            }
            // Also at the very end: what follows training may fail or be interrupted too.
            self.pause(learner, &state, Saving::Now, observer)?;
        }
        let kept = self.config.keep == Keep::Best || state.ending == Some(Ending::Diverged);
        match state.best.filter(|best| kept && best.step != state.step) {
            Some(best) => self.checkpoints.load_best(learner, best.step)?,
            None => self.checkpoints.release_best(),
        }
        Ok(state)
    }

    /// Evaluates weights that are worth something before the first step; `train_loss` is theirs.
    pub(crate) fn evaluate_start(
        &self,
        learner: &mut Learner,
        state: &mut TrainState,
        train_loss: f64,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        (state.loss_sum, state.loss_weight) = (train_loss, 1.0);
        self.evaluate(learner, state, None, observer)
    }

    /// The rest of an epoch that has been started, or its part until training ends, and its evaluation.
    fn epoch(
        &self,
        learner: &mut Learner,
        rows: &mut dyn TrainingRows,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let whole = self.steps(learner, rows, state, observer)?;
        if state.step == 0 {
            return Err(Error::config("training rows", "at least one", "none")
                .with_hint("check the split and the filters of the input"));
        }
        if self.out_of_patience(state) {
            return Ok(());
        }
        if whole {
            (state.epoch, state.batch) = (state.epoch + 1, 0);
        }
        // The last step may just have been evaluated.
        if state.history.last().is_none_or(|evaluation| evaluation.step != state.step) {
            self.evaluate(learner, state, rows.batches(), observer)?;
        }
        Ok(())
    }

    /// The steps of an epoch; whether it came to its end.
    fn steps(
        &self,
        learner: &mut Learner,
        rows: &mut dyn TrainingRows,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let mut batch = Batch::default();
        while rows.next_batch(&mut batch)? {
            self.step(learner, &batch, state, observer)?;
            let due = |every: Option<u64>| every.is_some_and(|n| n > 0 && state.step.is_multiple_of(n));
            let (evaluate, save) = (due(self.plan.evaluate_every), due(self.config.checkpoint_every));
            if evaluate {
                self.evaluate(learner, state, rows.batches(), observer)?;
                if self.out_of_patience(state) {
                    return Ok(false);
                }
            }
            if self.plan.max_steps.is_some_and(|most| state.step >= most) {
                return Ok(false);
            }
            if learner.decide(|| observer.should_finish())? {
                state.ending = Some(Ending::Budget);
                return Ok(false);
            }
            let saving = if save || observer.should_save() { Saving::Now } else { Saving::IfStopping };
            self.pause(learner, state, saving, observer)?;
        }
        Ok(true)
    }

    fn ending(&self, state: &TrainState) -> Option<Ending> {
        if self.out_of_patience(state) {
            Some(Ending::Patience)
        } else if self.plan.max_steps.is_some_and(|most| state.step >= most) {
            Some(Ending::Steps)
        } else if state.epoch >= self.plan.epochs {
            Some(Ending::Epochs)
        } else {
            None
        }
    }

    fn out_of_patience(&self, state: &TrainState) -> bool {
        self.plan.patience > 0 && state.evaluations_without_improvement >= self.plan.patience
    }

    fn step(
        &self,
        learner: &mut Learner,
        batch: &Batch,
        state: &mut TrainState,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let base = learner.optimizer().base_rates();
        let rate = |base| self.config.rate(base, state.step + 1, state.lr_reductions);
        let rates = Rates {
            dense: rate(base.dense),
            tables: rate(base.tables),
            linear: rate(self.linear_rate.unwrap_or(base.linear)),
        };
        let loss = learner.step(batch, rates)?;
        state.step += 1;
        state.batch += 1;
        state.rows += batch.len() as u64;
        state.first_loss.get_or_insert(loss);
        state.loss_sum += loss * batch.len() as f64;
        state.loss_weight +=
            batch.weights.as_ref().map_or(batch.len() as f64, |w| w.iter().map(|&w| f64::from(w)).sum());
        state.correct += learner.correct();
        observer.step(state, loss);
        Ok(())
    }

    /// Measures the validation rows and keeps the weights if they are the best so far. `batches` make an
    /// epoch, where that is known.
    fn evaluate(
        &self,
        learner: &mut Learner,
        state: &mut TrainState,
        batches: Option<u64>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let mean = |sum: f64| if state.loss_weight > 0.0 { sum / state.loss_weight } else { 0.0 };
        let (train_loss, accuracy) = (mean(state.loss_sum), mean(state.correct));
        if state.first_loss.is_some_and(|first| train_loss > GROWN * (first + 1.0)) {
            return Err(Error::Diverged { step: state.step, loss: train_loss });
        }
        let validation = self.validation.map(|batch| score(learner, batch, self.task)).transpose()?;
        let value = validation.as_ref().and_then(|metrics| self.monitor().of(metrics));
        let standing = value.map_or(Standing::NotBest, |value| self.standing(state, value));
        match (standing, value) {
            (Standing::Best, Some(value)) => {
                state.best = Some(Best { step: state.step, value });
                state.evaluations_without_improvement = 0;
                self.checkpoints.save_best(learner, state.step)?;
            }
            (_, Some(value)) => {
                state.evaluations_without_improvement += self.weight_of(state, value);
                state.lr_reductions += u32::from(self.config.plateau.is_some());
            }
            (_, None) => {}
        }
        let part = batches.map_or(0.0, |batches| state.batch as f64 / batches.max(1) as f64);
        let evaluation = Evaluation {
            step: state.step,
            epoch: state.epoch as f64 + part,
            train_loss,
            train_accuracy: (self.task == Task::Binary).then_some(accuracy),
            validation,
        };
        (state.loss_sum, state.loss_weight, state.correct) = (0.0, 0.0, 0.0);
        observer.evaluated(&evaluation, standing);
        state.history.push(evaluation);
        Ok(())
    }

    /// How a value of the monitored metric compares with the best so far.
    fn standing(&self, state: &TrainState, value: f64) -> Standing {
        let least = self.config.plateau.map_or(0.0, |plateau| plateau.min_gain);
        let least_known = self.least_known_loss();
        let gain = |best: f64| {
            if self.monitor().higher_is_better() { value - best } else { best - value.max(least_known) }
        };
        if state.best.is_none_or(|best| gain(best.value) > least) {
            Standing::Best
        } else {
            Standing::NotBest
        }
    }

    /// The log loss below which the validation rows tell nothing: n rows that are all right still leave a
    /// chance of 1 / (n + 2) that the next is wrong (Laplace's rule of succession). A model that gets surer
    /// than that is better by none of them.
    fn least_known_loss(&self) -> f64 {
        match self.validation {
            Some(rows) if self.monitor() == Metric::LogLoss => 1.0 / (rows.len() as f64 + 2.0),
            _ => 0.0,
        }
    }

    /// As how many evaluations without a new best one counts that found `value`.
    fn weight_of(&self, state: &TrainState, value: f64) -> u64 {
        let is_loss = self.monitor() == Metric::LogLoss;
        let [least, most] = FAR_RANGE;
        let far = |best: f64| best + (FAR * best).clamp(least, most);
        let is_far = is_loss && state.best.is_some_and(|best| value > far(best.value));
        if is_far { FAR_COUNTS } else { 1 }
    }

    fn monitor(&self) -> Metric {
        self.config.monitor.unwrap_or(Metric::usual(self.task))
    }

    /// Saves a checkpoint if one is due or the run is to stop.
    fn pause(
        &self,
        learner: &Learner,
        state: &TrainState,
        saving: Saving,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let stop = observer.should_stop();
        let save = stop || saving == Saving::Now;
        let checkpoint = if save { self.checkpoints.save(learner, state)? } else { None };
        if stop { Err(Error::Interrupted { step: state.step, checkpoint }) } else { Ok(()) }
    }
}

/// When a checkpoint is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saving {
    Now,
    IfStopping,
}

/// Metrics of `learner` on `batch`.
///
/// # Errors
/// If a score is not finite.
pub fn score(learner: &mut Learner, batch: &Batch, task: Task) -> Result<Metrics> {
    let logits = learner.logits(batch)?;
    if let Some(&broken) = logits.iter().find(|logit| !logit.is_finite()) {
        return Err(Error::Diverged { step: learner.optimizer().steps(), loss: f64::from(broken) });
    }
    let rows = Scored::of_batch(task, &logits, batch)?;
    Ok(Metrics::of(&rows, &Ranking::new(&rows)))
}
