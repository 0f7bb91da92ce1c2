//! Checkpoints and best weights of a run that ranks share: the first one keeps them, as one process would,
//! and the others give it what they hold when it asks.
use crate::checkpoint_store::CheckpointStore;
use crate::error::Result;
use crate::learner::Learner;
use crate::train_state::TrainState;
use std::path::PathBuf;

/// Of the first rank, which keeps them in `0`.
pub(crate) struct KeepsForAll<'a>(pub(crate) &'a dyn CheckpointStore);

impl CheckpointStore for KeepsForAll<'_> {
    fn save(&self, learner: &Learner, state: &TrainState) -> Result<Option<PathBuf>> {
        self.0.save(learner, state)
    }

    fn resume(&self, learner: &mut Learner) -> Result<Option<TrainState>> {
        self.0.resume(learner)
    }

    fn save_best(&self, learner: &Learner, step: u64) -> Result<()> {
        self.0.save_best(learner, step)
    }

    fn load_best(&self, learner: &mut Learner, step: u64) -> Result<()> {
        self.0.load_best(learner, step)?;
        agree_on_steps(learner)
    }

    fn release_best(&self) {
        self.0.release_best();
    }
}

/// Of the others.
pub(crate) struct KeptByFirst;

impl CheckpointStore for KeptByFirst {
    fn save(&self, _: &Learner, _: &TrainState) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn resume(&self, _: &mut Learner) -> Result<Option<TrainState>> {
        Ok(None)
    }

    fn save_best(&self, _: &Learner, _: u64) -> Result<()> {
        Ok(())
    }

    /// The first one writes them here meanwhile.
    fn load_best(&self, learner: &mut Learner, _: u64) -> Result<()> {
        agree_on_steps(learner)
    }
}

/// Lets all optimisers have taken as many steps as that of the first rank.
fn agree_on_steps(learner: &mut Learner) -> Result<()> {
    let steps = learner.tell_all(learner.optimizer().steps().to_le_bytes().into())?;
    if let Some(steps) = steps.first().and_then(|steps| steps.first_chunk()) {
        learner.optimizer_mut().set_steps(u64::from_le_bytes(*steps));
    }
    Ok(())
}
