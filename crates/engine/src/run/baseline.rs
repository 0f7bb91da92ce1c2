//! The regression that every model is compared with.
use super::outcome::Scoring;
use super::rows::EncodedParts;
use super::{Run, RunObserver};
use crate::checkpoint_store::InMemory;
use crate::error::Result;
use crate::fit::{Fit, regression};
use crate::learner::Learner;
use crate::network::Values;
use crate::observer::StopOnly;
use crate::regression::Solved;
use crate::step_plan::StepPlan;
use crate::train_config::{Solver, TrainConfig};
use crate::train_state::{Ending, TrainState};
use crate::trained::Trained;
use dlrm_data::schema::Task;
use dlrm_models::{LrConfig, ModelConfig};
use dlrm_nn::{DenseOptimizer, Placement, TableOptimizer};

/// Passes over rows that are too many for its optimum.
const PASSES: u64 = 2;

/// The regression that a run's model is compared with, and may start from.
pub(super) struct Reference {
    learner: Learner,
    pub(super) solved: Option<Solved>,
    converged: bool,
}

impl Run {
    /// Logistic (linear) regression on the same rows: its optimum, or where rows are too many for that, what
    /// a bounded number of passes makes of it.
    pub(super) fn reference(
        &self,
        rows: &EncodedParts<'_>,
        task: Task,
        observer: &mut dyn RunObserver,
    ) -> Result<Reference> {
        let (lr, beta1, beta2, eps, l2) = (5e-3, 0.9, 0.999, 1e-8, 0.0);
        let own = &self.config.train;
        let (seed, shard_rows, lanes) = (own.seed, own.shard_rows, own.lanes);
        let mut config = TrainConfig { seed, shard_rows, lanes, ..TrainConfig::default() };
        config.resolve(task);
        let model = ModelConfig::Lr(LrConfig {});
        config.settle(&model, &self.config.data, &rows.layout, rows.epoch_rows());
        let steps = config.solver == Some(Solver::Steps);
        if steps {
            config.epochs = Some(PASSES);
            config.optimizer = DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 };
            config.table_optimizer = TableOptimizer::AdamLazy { lr, beta1, beta2, eps, l2 };
        }
        let mut learner =
            self.learner(Values::Drawn, (&model, &config), (&rows.layout, Placement::default()))?;
        if !steps {
            let solved = regression(rows, task).train(&mut learner, &mut StopOnly(observer))?;
            let converged = solved.state.ending == Some(Ending::Converged);
            return Ok(Reference { learner, solved: Some(solved), converged });
        }
        observer.baseline(StepPlan::new(&config, rows.epoch_rows()).steps(rows.epoch_rows()));
        let fresh = || self.learner(Values::Drawn, (&model, &config), (&rows.layout, Placement::default()));
        let checkpoints = &InMemory::default();
        let fit = Fit { config: &config, rows, task, regression: None, fresh: &fresh, checkpoints };
        fit.run(&mut learner, None, observer)?;
        Ok(Reference { learner, solved: None, converged: false })
    }
}

impl Reference {
    /// What it scores.
    ///
    /// # Errors
    /// If its tables are not those of the rows.
    pub(super) fn scoring(self, task: Task, rows: &EncodedParts<'_>) -> Result<Scoring> {
        let name = if task == Task::Binary { "logistic regression" } else { "linear regression" };
        let refit = self.solved.and_then(|solved| solved.refit);
        let mut trained = Trained { learner: self.learner, state: TrainState::default(), refit };
        let logits = trained.logits(rows)?;
        let parameters = Some(trained.parameters());
        Ok(Scoring { name: name.into(), parameters, converged: Some(self.converged), logits })
    }
}
