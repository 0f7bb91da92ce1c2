//! The regression that every model is compared with.
use super::outcome::Scoring;
use super::rows::EncodedParts;
use super::scoring::scoring;
use super::{Run, RunObserver};
use crate::checkpoint_store::InMemory;
use crate::error::Result;
use crate::observer::Observer;
use crate::train_config::TrainConfig;
use crate::train_state::TrainState;
use crate::trainer::Trainer;
use dlrm_data::schema::Task;
use dlrm_models::{LrConfig, ModelConfig};
use dlrm_nn::{DenseOptimizer, TableOptimizer};

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
        let validation = rows.validation();
        let config = TrainConfig {
            // Without validation rows nothing says when to stop, so the baseline gets the model's epochs.
            epochs: if validation.is_none() { own.epochs } else { own.epochs.max(50) },
            optimizer: DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 },
            table_optimizer: TableOptimizer::AdamLazy { lr, beta1, beta2, eps, l2 },
            linear_optimizer: None,
            schedule: Default::default(),
            plateau: None,
            patience: own.patience.max(2),
            checkpoint_every: None,
            ..own.clone()
        };
        let mut learner = self.learner(&ModelConfig::Lr(LrConfig {}), &config, &rows.layout)?;
        let trainer = Trainer { config: &config, task, validation, checkpoints: &InMemory::default() };
        let mut feed = rows.feed(own.batch_size, own.seed);
        trainer.run(&mut learner, &mut *feed, TrainState::default(), &mut StopOnly(observer))?;
        let name = if task == Task::Binary { "logistic regression" } else { "linear regression" };
        Ok(scoring(&mut learner, name.into(), &rows.parts))
    }
}
