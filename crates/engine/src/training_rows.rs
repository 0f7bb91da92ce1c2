//! Where training steps get their rows from.
use crate::error::Result;
use dlrm_data::Batch;

/// Training rows, epoch after epoch.
pub trait TrainingRows: Send {
    /// Starts epoch `epoch` (the first is 0) after its first `skip` batches; `false` if `stop` has said so
    /// meanwhile.
    ///
    /// # Errors
    /// If the data behind it cannot be read; the epoch can be started again.
    fn start(&mut self, epoch: u64, skip: u64, stop: &mut dyn FnMut() -> bool) -> Result<bool>;

    /// Refills `out`; `false` at the end of the epoch.
    ///
    /// # Errors
    /// If the data behind it cannot be read or is malformed; the epoch is then lost.
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool>;

    /// Batches of an epoch, where that is known.
    fn batches(&self) -> Option<u64> {
        None
    }

    /// The next thing that went wrong without harm to the rows.
    fn take_warning(&mut self) -> Option<String> {
        None
    }
}
