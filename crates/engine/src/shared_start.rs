//! Where a run that ranks share goes on: the first one reads what was saved and sends the others what they
//! hold of it, who need not see its directory.
use crate::checkpoint_store::CheckpointStore;
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::train_state::TrainState;
use std::path::Path;

/// Restores what was saved last, on every rank; `wanted` is agreed on.
///
/// # Errors
/// As [`CheckpointStore::resume`], or if the first rank has left.
pub(crate) fn resume(
    wanted: bool,
    (store, learner): (&dyn CheckpointStore, &mut Learner),
) -> Result<Option<TrainState>> {
    if !wanted {
        return Ok(None);
    }
    if learner.ranks().is_first() {
        let state = store.resume(learner)?;
        if learner.ranks().size() > 1 {
            let mut message = learner.optimizer().steps().to_le_bytes().to_vec();
            message.extend(serde_json::to_vec(&state).expect("a state is plain data"));
            learner.tell_all(message)?;
        }
        return Ok(state);
    }
    // Weights and the optimiser's state come as answers to the first rank, until it tells the position.
    let told = learner.tell_all(Vec::new())?;
    let broken = || {
        Error::saved(Path::new("what the first rank has sent"), "expected a position, found another message")
    };
    let (steps, state) = told.first().and_then(|told| told.split_first_chunk()).ok_or_else(broken)?;
    learner.optimizer_mut().set_steps(u64::from_le_bytes(*steps));
    serde_json::from_slice(state).map_err(|_| broken())
}
