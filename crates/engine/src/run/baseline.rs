//! The regression that every model is compared with.
use super::outcome::Scoring;
use super::rows::EncodedParts;
use super::scoring::scoring;
use super::{Run, RunObserver};
use crate::checkpoint_store::InMemory;
use crate::error::Result;
use crate::observer::Observer;
use crate::fit::Fit;
use crate::train_config::{Solver, TrainConfig};
use crate::train_state::Ending;
use dlrm_data::schema::Task;
use dlrm_models::{LrConfig, ModelConfig};
use dlrm_nn::{DenseOptimizer, TableOptimizer};

/// Passes over rows that are too many for its optimum.
const PASSES: u64 = 2;

/// Passes on warnings and the wish to stop, and nothing else.
struct StopOnly<'a>(&'a mut dyn RunObserver);

impl Observer for StopOnly<'_> {
    fn warned(&mut self, warning: &str) {
        self.0.warned(warning);
    }

    fn should_stop(&mut self) -> bool {
        self.0.should_stop()
    }
}

impl Run {
    /// Logistic (linear) regression on the same rows, trained to its own best.
    pub(super) fn baseline(
        &self,
        rows: &EncodedParts<'_>,
        task: Task,
        observer: &mut dyn RunObserver,
    ) -> Result<Scoring> {
        let (lr, beta1, beta2, eps, l2) = (5e-3, 0.9, 0.999, 1e-8, 0.0);
        let own = &self.config.train;
        let mut config = TrainConfig {
            seed: own.seed,
            shard_rows: own.shard_rows,
            lanes: own.lanes,
            ..TrainConfig::default()
        };
        config.resolve(task);
        let (model, rows_of_epoch) = (ModelConfig::Lr(LrConfig {}), rows.epoch_rows());
        config.settle(&model, &self.config.data, &rows.layout, rows_of_epoch);
        if config.solver == Some(Solver::Steps) {
            // Too many rows for its optimum: a bounded number of passes in the steps that suit it.
            config.epochs = Some(PASSES);
            config.optimizer = DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 };
            config.table_optimizer = TableOptimizer::AdamLazy { lr, beta1, beta2, eps, l2 };
        }
        let mut learner = self.learner(&model, &config, &rows.layout)?;
        let fit = Fit { config: &config, rows, task, checkpoints: &InMemory::default() };
        let state = fit.run(&mut learner, None, &mut StopOnly(observer))?;
        let name = if task == Task::Binary { "logistic regression" } else { "linear regression" };
        let converged = Some(state.ending == Some(Ending::Converged));
        Ok(Scoring { converged, ..scoring(&mut learner, name.into(), &rows.parts) })
    }
}
