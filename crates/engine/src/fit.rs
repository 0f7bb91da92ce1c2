//! How a model is trained: a regression to its optimum, everything else in steps.
use crate::checkpoint_store::CheckpointStore;
use crate::config::DataConfig;
use crate::error::Result;
use crate::learner::Learner;
use crate::observer::Observer;
use crate::regression::{self, Refit, Regression, Solved, neutral_score};
use crate::run::EncodedParts;
use crate::step_plan::StepPlan;
use crate::train_config::{Keep, OutputBias, Solver, TrainConfig};
use crate::train_state::{Best, Ending, TrainState};
use crate::trainer::{Trainer, score};
use dlrm_data::Batch;
use dlrm_data::batch::Layout;
use dlrm_data::schema::Task;
use dlrm_metrics::{Metric, Scored};
use dlrm_models::ModelConfig;
use dlrm_nn::{Builder, TableOptimizer};

/// Of a linear part that starts at an optimum.
const FOLLOWING: TableOptimizer =
    TableOptimizer::Adagrad { lr: 0.005, eps: 1e-10, initial_accumulator: 0.0, l2: 0.0 };

/// The least gain on a regression that is worth a larger model, as a share of its loss: a smaller one may be
/// beyond chance, but it is none that anybody could use.
const WORTH: f64 = 5e-4;

/// And beyond chance: so many standard errors of the mean difference in loss. The second attempt, with as
/// many chances again, has to gain one more.
const STANDARD_ERRORS: f64 = 2.0;

/// Rows whose loss tells how well a model does that training goes on from.
const ROWS_OF_A_LOSS: usize = 1 << 14;

impl TrainConfig {
    /// Fills in what depends on the model and the rows, so that what is stored is complete. An epoch has
    /// `rows` rows.
    pub(crate) fn settle(&mut self, model: &ModelConfig, data: &DataConfig, layout: &Layout, rows: u64) {
        let can = matches!(model, ModelConfig::Lr(_)) && regression::can(data, layout, rows);
        let solver = match self.solver {
            Some(Solver::Lbfgs) if can => Solver::Lbfgs,
            None if can && regression::is_free(self) => Solver::Lbfgs,
            _ => Solver::Steps,
        };
        self.solver = Some(solver);
        let starts = can_start(model) && self.starts_from_regression();
        if starts
            && regression::can(data, layout, rows)
            && solver == Solver::Steps
            && self.linear_optimizer.is_none()
            && has_linear_part(model, layout)
        {
            // It is at an optimum already: the rest of the model moves, it follows.
            self.linear_optimizer = Some(FOLLOWING);
        }
        if solver == Solver::Steps {
            self.complete(rows);
        }
        self.lanes.get_or_insert(self.sharding().lanes);
    }
}

/// Whether a model can start from the regression: one that is trained in steps, as was asked for, starts by
/// itself.
pub(crate) fn can_start(model: &ModelConfig) -> bool {
    !matches!(model, ModelConfig::Lr(_))
}

fn has_linear_part(model: &ModelConfig, layout: &Layout) -> bool {
    let mut builder = Builder::new(layout);
    model.build(&mut builder).is_ok() && builder.has_linear_part()
}

/// What is trained on, and towards what.
pub(crate) struct Fit<'a> {
    /// Complete settings.
    pub(crate) config: &'a TrainConfig,
    /// The rows.
    pub(crate) rows: &'a EncodedParts<'a>,
    /// Task of the labels.
    pub(crate) task: Task,
    /// The regression on these rows, where it has been solved.
    pub(crate) regression: Option<&'a Solved>,
    /// The model at its start.
    pub(crate) fresh: &'a dyn Fn() -> Result<Learner>,
    /// Where checkpoints and best weights go.
    pub(crate) checkpoints: &'a dyn CheckpointStore,
}

impl Fit<'_> {
    /// Trains `learner` from `state` on, or from the start, and leaves the best weights in it. Where these
    /// are the regression's, it comes with them as it is on the validation rows too.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub(crate) fn run(
        &self,
        learner: &mut Learner,
        state: Option<TrainState>,
        observer: &mut dyn Observer,
    ) -> Result<(TrainState, Option<Refit>)> {
        if self.config.solver == Some(Solver::Lbfgs) {
            let solved = regression(self.rows, self.task).train(learner, observer)?;
            return Ok((solved.state, solved.refit));
        }
        let state = self.steps(learner, state, observer)?;
        let kept = self.regression.filter(|_| self.is_regression(&state));
        Ok((state, kept.and_then(|solved| solved.refit.clone())))
    }

    /// Trains in steps.
    fn steps(
        &self,
        learner: &mut Learner,
        state: Option<TrainState>,
        observer: &mut dyn Observer,
    ) -> Result<TrainState> {
        let fresh = state.is_none();
        let mut state = state.unwrap_or_default();
        if state.attempt == 0 {
            let loss = if fresh { self.start(learner)? } else { None };
            if let Some(loss) = loss {
                self.trainer(None).evaluate_start(learner, &mut state, loss, observer)?;
            }
            state = self.attempt(learner, state, observer)?;
            if !self.gained_nothing(&state) {
                return Ok(state);
            }
            state = self.start_again(learner, &state)?;
        }
        self.attempt(learner, state, observer)
    }

    fn trainer(&self, linear_rate: Option<f64>) -> Trainer<'_> {
        let plan = StepPlan::new(self.config, self.rows.epoch_rows());
        let (config, task, validation) = (self.config, self.task, self.rows.validation());
        Trainer { config, plan, task, validation, linear_rate, checkpoints: self.checkpoints }
    }

    /// Trains from `state` to the end.
    fn attempt(
        &self,
        learner: &mut Learner,
        state: TrainState,
        observer: &mut dyn Observer,
    ) -> Result<TrainState> {
        let follows = self.config.linear_optimizer == Some(FOLLOWING);
        let trainer =
            self.trainer((state.attempt > 0 && follows).then_some(self.config.table_optimizer.lr()));
        let mut feed =
            self.rows.feed(trainer.plan.batch_size, self.config.seed, learner.network().weights().local());
        let mut state = trainer.run(learner, &mut *feed, state, observer)?;
        if self.config.from.is_none() && self.config.keep == Keep::Best {
            self.keep_what_pays(learner, &mut state)?;
        }
        Ok(state)
    }

    /// Whether training started from the regression and ended there.
    fn gained_nothing(&self, state: &TrainState) -> bool {
        let usual = matches!(state.ending, Some(Ending::Patience | Ending::Epochs));
        usual && self.is_regression(state)
    }

    /// Whether the weights that are kept are those of the regression.
    fn is_regression(&self, state: &TrainState) -> bool {
        let started = state.history.first().is_some_and(|first| first.step == 0);
        // Where the last weights are asked for, they are those of the last attempt.
        let own = self.config.starts_from_regression() && self.config.keep == Keep::Best;
        let own = own && self.regression.is_some();
        started && own && state.best.is_some_and(|best| best.step == 0)
    }

    /// Puts the weights where the model itself starts: what a regression has learned by heart of each id can
    /// be in the way of what pairs of them tell.
    fn start_again(&self, learner: &mut Learner, state: &TrainState) -> Result<TrainState> {
        *learner = (self.fresh)()?;
        learner
            .network_mut()
            .weights_mut()
            .set_output_bias(neutral_score(self.rows.mean_label(), self.task) as f32);
        let (attempt, step, rows) = (state.attempt + 1, state.step, state.rows);
        let history = state.history[..1].to_vec();
        Ok(TrainState { attempt, step, rows, history, ..TrainState::default() })
    }

    /// Goes back to the regression that training started from, unless the validation rows say that what was
    /// added to it is worth something: by more than two standard errors of their mean difference in loss (the
    /// rule of Breiman et al. 1984 asks for one), for the best of many evaluations on few rows is better by
    /// luck too, and by a share of that loss.
    fn keep_what_pays(&self, learner: &mut Learner, state: &mut TrainState) -> Result<()> {
        let first = state.history.first().filter(|first| first.step == 0);
        let (Some(first), Some(solved), Some(rows)) = (first, self.regression, self.rows.validation()) else {
            return Ok(());
        };
        let usual = Metric::usual(self.task);
        let start = first.validation.as_ref().and_then(|metrics| usual.of(metrics));
        let (Some(value), true) = (start, self.config.monitor.is_none_or(|monitor| monitor == usual)) else {
            return Ok(());
        };
        if state.best.is_none_or(|best| best.step == 0) {
            return Ok(());
        }
        let trained = learner.logits(rows)?;
        let mut regression = (self.fresh)()?;
        solved.start(&self.rows.layout, regression.network_mut().weights_mut())?;
        let before = regression.logits(rows)?;
        let before = Scored::of_batch(self.task, &before, rows)?;
        let (gain, error) = Scored::of_batch(self.task, &trained, rows)?.gain_over(&before)?;
        let loss = if self.task == Task::Binary { value } else { value * value };
        let errors = STANDARD_ERRORS + f64::from(state.attempt);
        if gain <= (errors * error).max(WORTH * loss) {
            *learner = regression;
            state.best = Some(Best { step: 0, value });
        }
        Ok(())
    }

    /// Puts the weights where training starts; the mean training loss there, if it is known.
    fn start(&self, learner: &mut Learner) -> Result<Option<f64>> {
        if self.config.from.is_some() {
            return self.loss(learner).map(Some);
        }
        let weights = learner.network_mut().weights_mut();
        if let Some(solved) = self.regression.filter(|_| self.config.starts_from_regression())
            && solved.start(&self.rows.layout, weights)?
        {
            return Ok(Some(solved.loss));
        }
        if self.config.output_bias == OutputBias::LabelMean {
            weights.set_output_bias(neutral_score(self.rows.mean_label(), self.task) as f32);
        }
        Ok(None)
    }

    /// The mean loss of the first training rows.
    fn loss(&self, learner: &mut Learner) -> Result<f64> {
        let mut rows =
            self.rows.feed(ROWS_OF_A_LOSS / 4, self.config.seed, learner.network().weights().local());
        let (mut batch, mut sum, mut weight) = (Batch::default(), 0.0, 0.0);
        rows.start(0, 0, &mut || false)?;
        while weight < ROWS_OF_A_LOSS as f64 && rows.next_batch(&mut batch)? {
            let metrics = score(learner, &batch, self.task)?;
            let own = metrics.log_loss.or(metrics.rmse.map(|rmse| rmse * rmse));
            sum += own.unwrap_or(0.0) * batch.len() as f64;
            weight += batch.len() as f64;
        }
        Ok(sum / f64::max(weight, 1.0))
    }
}

/// The regression on the rows of a run.
pub(crate) fn regression<'a>(rows: &'a EncodedParts<'_>, task: Task) -> Regression<'a> {
    let (validation, layout, refits) = (rows.validation(), &rows.layout, rows.refits());
    Regression { rows: &rows.train, validation, layout, task, refits }
}
