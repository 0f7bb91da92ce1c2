//! How a model is trained: a regression to its optimum, everything else in steps.
use crate::checkpoint_store::CheckpointStore;
use crate::config::DataConfig;
use crate::error::Result;
use crate::learner::Learner;
use crate::observer::Observer;
use crate::regression::{self, Regression, Solved};
use crate::run::EncodedParts;
use crate::step_plan::StepPlan;
use crate::train_config::{LinearStart, OutputBias, Solver, TrainConfig};
use crate::train_state::TrainState;
use crate::trainer::Trainer;
use dlrm_data::batch::Layout;
use dlrm_data::schema::Task;
use dlrm_models::ModelConfig;

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
        if solver == Solver::Steps {
            self.complete(rows);
        }
    }
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
    /// Where checkpoints and best weights go.
    pub(crate) checkpoints: &'a dyn CheckpointStore,
}

impl Fit<'_> {
    /// Trains `learner` from `state` on, or from the start, and leaves the best weights in it.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub(crate) fn run(
        &self,
        learner: &mut Learner,
        state: Option<TrainState>,
        observer: &mut dyn Observer,
    ) -> Result<TrainState> {
        let (config, rows, task) = (self.config, self.rows, self.task);
        if config.solver == Some(Solver::Lbfgs) {
            return Ok(regression(rows, task).train(learner, observer)?.state);
        }
        let start = if state.is_none() { self.start(learner)? } else { None };
        let plan = StepPlan::new(config, rows.epoch_rows());
        let (validation, checkpoints) = (rows.validation(), self.checkpoints);
        let trainer = Trainer { config, plan, task, validation, checkpoints };
        let mut feed = rows.feed(plan.batch_size, config.seed);
        let mut state = state.unwrap_or_default();
        if let Some(loss) = start {
            trainer.evaluate_start(learner, &mut state, loss, observer)?;
        }
        trainer.run(learner, &mut *feed, state, observer)
    }

    /// Puts the weights where training starts; the mean training loss there, if it is known.
    fn start(&self, learner: &mut Learner) -> Result<Option<f64>> {
        let weights = learner.network_mut().weights_mut();
        if let Some(solved) = self.regression.filter(|_| self.config.linear_start == LinearStart::Regression)
            && solved.start(&self.rows.layout, weights)?
        {
            return Ok(Some(solved.loss));
        }
        if self.config.output_bias == OutputBias::LabelMean {
            weights.set_output_bias(self.label_mean() as f32);
        }
        Ok(None)
    }

    /// The logit (the rating) of the mean label.
    fn label_mean(&self) -> f64 {
        let mean = self.rows.mean_label();
        match self.task {
            Task::Binary => {
                let p = mean.clamp(1e-6, 1.0 - 1e-6);
                (p / (1.0 - p)).ln()
            }
            Task::Rating => mean,
        }
    }
}

/// The regression on the rows of a run.
pub(crate) fn regression<'a>(rows: &'a EncodedParts<'_>, task: Task) -> Regression<'a> {
    Regression { rows: &rows.train, validation: rows.validation(), layout: &rows.layout, task }
}
