//! How a model is trained: a regression to its optimum, everything else in steps.
use crate::checkpoint_store::CheckpointStore;
use crate::config::{DataConfig, Loading};
use crate::error::Result;
use crate::learner::Learner;
use crate::observer::Observer;
use crate::regression::{self, Regression};
use crate::run::EncodedParts;
use crate::step_plan::StepPlan;
use crate::train_config::{OutputBias, Solver, TrainConfig};
use crate::train_state::TrainState;
use crate::trainer::Trainer;
use dlrm_data::batch::Layout;
use dlrm_data::schema::Task;
use dlrm_models::ModelConfig;

impl TrainConfig {
    /// Fills in what depends on the model and the rows, so that what is stored is complete. An epoch has
    /// `rows` rows.
    pub(crate) fn settle(&mut self, model: &ModelConfig, data: &DataConfig, layout: &Layout, rows: u64) {
        let can = matches!(model, ModelConfig::Lr(_))
            && data.loading == Loading::Memory
            && data.negatives.is_none()
            && regression::fits(rows, layout);
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
            let validation = rows.validation();
            return Regression { rows: &rows.train, validation, layout: &rows.layout, task }
                .train(learner, observer);
        }
        if state.is_none() && config.output_bias == OutputBias::LabelMean {
            learner.network_mut().weights_mut().set_output_bias(self.start() as f32);
        }
        let plan = StepPlan::new(config, rows.epoch_rows());
        let trainer =
            Trainer { config, plan, task, validation: rows.validation(), checkpoints: self.checkpoints };
        let mut feed = rows.feed(plan.batch_size, config.seed);
        trainer.run(learner, &mut *feed, state.unwrap_or_default(), observer)
    }

    /// The logit (the rating) of the mean label.
    fn start(&self) -> f64 {
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
