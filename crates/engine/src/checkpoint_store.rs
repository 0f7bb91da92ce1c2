//! Where a trainer keeps its position and its best weights.
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::train_state::TrainState;
use dlrm_nn::Weights;
use std::cell::RefCell;
use std::path::PathBuf;

/// Keeps the position of a run and its best weights.
pub trait CheckpointStore {
    /// Keeps weights, optimiser and position; returns where, if a later run can resume from there.
    ///
    /// # Errors
    /// If they cannot be written; what was kept before is then untouched.
    fn save(&self, learner: &Learner, state: &TrainState) -> Result<Option<PathBuf>>;

    /// Restores what was saved last and returns the position; nothing happens if nothing was.
    ///
    /// # Errors
    /// If it is damaged, or of another model or optimiser than the learner's.
    fn resume(&self, learner: &mut Learner) -> Result<Option<TrainState>>;

    /// Keeps the weights as the best so far, those of step `step`.
    ///
    /// # Errors
    /// If they cannot be written; the best before them are then untouched.
    fn save_best(&self, learner: &Learner, step: u64) -> Result<()>;

    /// Restores the best weights, those of step `step`.
    ///
    /// # Errors
    /// If they are damaged or missing.
    fn load_best(&self, learner: &mut Learner, step: u64) -> Result<()>;

    /// The best weights are not asked for any more: a copy of them is kept in memory no longer.
    fn release_best(&self) {}
}

/// Keeps the best weights in memory and nothing beyond the run.
#[derive(Debug, Default)]
pub struct InMemory {
    best: RefCell<Option<(u64, Weights)>>,
}

impl CheckpointStore for InMemory {
    fn save(&self, _learner: &Learner, _state: &TrainState) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn resume(&self, _learner: &mut Learner) -> Result<Option<TrainState>> {
        Ok(None)
    }

    fn save_best(&self, learner: &Learner, step: u64) -> Result<()> {
        let mut best = self.best.borrow_mut();
        // Those before them go first: there would be three copies of the weights for a while.
        *best = None;
        *best = Some((step, learner.network().weights().clone()));
        Ok(())
    }

    fn load_best(&self, learner: &mut Learner, step: u64) -> Result<()> {
        let best = self.best.take().filter(|(of, _)| *of == step);
        let none = || Error::config("best weights", format!("those of step {step} in memory"), "none");
        let (_, weights) = best.ok_or_else(none)?;
        *learner.network_mut().weights_mut() = weights;
        Ok(())
    }

    fn release_best(&self) {
        self.best.take();
    }
}
