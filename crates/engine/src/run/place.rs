//! Where a run works, and what resuming it must find again.
use super::{RunObserver, outcome};
use crate::checkpoint::Checkpoints;
use crate::error::{Error, Result};
use crate::model_dir::ModelContents;
use crate::run_dir::RunDir;
use crate::tensorboard::TensorBoard;
use crate::warm_start::WarmStart;
use dlrm_data::dataset::Fitted;
use dlrm_nn::Placement;

/// What resuming must find again.
pub(super) struct Place {
    pub(super) dir: Option<RunDir>,
    pub(super) checkpoints: Option<Checkpoints>,
    /// The model that training goes on from.
    pub(super) before: Option<WarmStart>,
    /// What TensorBoard reads, until training begins.
    pub(super) board: Option<TensorBoard>,
    /// The fitted encoder as JSON.
    pub(super) encoder: Vec<u8>,
    /// Who holds the tables.
    pub(super) placement: Placement,
    /// What there is to say of resuming.
    pub(super) warning: Option<String>,
}

impl Place {
    /// Saves the model, where there is a run directory.
    pub(super) fn save(
        &mut self,
        contents: &ModelContents<'_>,
        fitted: &Fitted,
        step: u64,
        observer: &mut dyn RunObserver,
    ) -> Result<()> {
        let Some(dir) = &mut self.dir else { return Ok(()) };
        let saved = outcome::save(dir, contents, fitted, &mut || observer.should_stop());
        saved.map_err(|error| stopped_after(error, step, self.checkpoints.as_ref()))
    }
}

/// An interruption after training names the checkpoint at its end.
pub(super) fn stopped_after(error: Error, step: u64, checkpoints: Option<&Checkpoints>) -> Error {
    match error {
        Error::Interrupted { .. } => {
            let checkpoint = checkpoints.and_then(|checkpoints| checkpoints.newest().ok().flatten());
            Error::Interrupted { step, checkpoint }
        }
        other => other,
    }
}
