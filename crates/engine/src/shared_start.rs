//! Where a run that ranks share goes on: the first one reads what was saved and sends it to the others, which
//! need not see its directory.
use crate::checkpoint_store::CheckpointStore;
use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::ranks::Ranks;
use crate::tensors::{self, Tensor};
use crate::train_state::TrainState;
use dlrm_nn::{Numbers, NumbersMut, Weights};
use std::path::Path;

/// What errors call the message.
const MESSAGE: &str = "what the first rank has sent";

/// Restores what was saved last, on every rank; `wanted` is what the first one knows, and the others learn.
///
/// # Errors
/// As [`CheckpointStore::resume`], or if the first rank has left.
pub(crate) fn resume(
    ranks: &Ranks,
    wanted: bool,
    (store, learner): (&dyn CheckpointStore, &mut Learner),
) -> Result<Option<TrainState>> {
    if ranks.size() == 1 {
        return if wanted { store.resume(learner) } else { Ok(None) };
    }
    if ranks.is_first() {
        let state = if wanted { store.resume(learner)? } else { None };
        let message = state.as_ref().map(|state| message(state, store, learner)).transpose()?;
        ranks.all_gather(message.unwrap_or_default())?;
        return Ok(state);
    }
    let all = ranks.all_gather(Vec::new())?;
    let mut rest = &all[0][..];
    if rest.is_empty() {
        return Ok(None);
    }
    let state: TrainState = serde_json::from_slice(part(&mut rest)?).map_err(|e| broken(&e.to_string()))?;
    let (now, best) = (part(&mut rest)?, part(&mut rest)?);
    if let Some(own) = state.best {
        fill(learner.network_mut().weights_mut(), best)?;
        store.save_best(learner, own.step)?;
    }
    fill(learner.network_mut().weights_mut(), now)?;
    let mut arrays = named(learner);
    let names: Vec<String> = arrays.drain(..).map(|(name, ..)| name).collect();
    let values = learner.optimizer_mut().tensors_mut();
    let mut arrays: Vec<_> =
        names.into_iter().zip(values).map(|(name, v)| (name, vec![v.len()], NumbersMut::F32(v))).collect();
    let optimizer = part(&mut rest)?;
    tensors::read(&mut &optimizer[..], optimizer.len() as u64, Path::new(MESSAGE), &mut arrays)?;
    learner.optimizer_mut().set_steps(state.step);
    Ok(Some(state))
}

/// The position, the weights, those of the best evaluation and the optimiser's state.
fn message(state: &TrainState, store: &dyn CheckpointStore, learner: &mut Learner) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    put(&mut message, &serde_json::to_vec(state).expect("a state is plain data"));
    let weights = written(&learner.network().weights().tensors())?;
    put(&mut message, &weights);
    match state.best {
        Some(best) if best.step != state.step => {
            store.load_best(learner, best.step)?;
            put(&mut message, &written(&learner.network().weights().tensors())?);
            // The position again, for which it may have been more than weights.
            store.resume(learner)?;
        }
        _ => put(&mut message, &weights),
    }
    put(&mut message, &written(&named(learner))?);
    Ok(message)
}

/// The state of the optimiser, by name.
fn named(learner: &Learner) -> Vec<Tensor<'_>> {
    let arrays = learner.optimizer().tensors(learner.network().weights());
    arrays.into_iter().map(|(name, values)| (name, vec![values.len()], Numbers::F32(values))).collect()
}

fn written(tensors: &[Tensor<'_>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tensors::write(&mut bytes, tensors, None).map_err(|e| broken(&e.to_string()))?;
    Ok(bytes)
}

fn fill(weights: &mut Weights, bytes: &[u8]) -> Result<()> {
    tensors::read(&mut &bytes[..], bytes.len() as u64, Path::new(MESSAGE), &mut weights.tensors_mut())?;
    weights.repack();
    Ok(())
}

/// Adds a part behind its length.
fn put(message: &mut Vec<u8>, part: &[u8]) {
    message.extend_from_slice(&(part.len() as u64).to_le_bytes());
    message.extend_from_slice(part);
}

/// Takes the next part off the front.
fn part<'m>(rest: &mut &'m [u8]) -> Result<&'m [u8]> {
    let cut = |rest: &'m [u8]| {
        let (length, rest) = rest.split_first_chunk::<8>()?;
        rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
    };
    let (part, left) = cut(rest).ok_or_else(|| broken("too few bytes"))?;
    *rest = left;
    Ok(part)
}

fn broken(found: &str) -> Error {
    Error::saved(Path::new(MESSAGE), format!("expected a checkpoint, found {found}"))
}
