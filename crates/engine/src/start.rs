//! Where a run starts.

/// Where a run starts, and what its directory may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the beginning, in a directory that holds no other run.
    #[default]
    Fresh,
    /// At the beginning, replacing what the directory holds.
    Overwrite,
    /// At the beginning of a run that nobody will resume, as in a temporary directory: checkpoints are kept
    /// in memory, which waits for no disk.
    Once,
    /// At the newest checkpoint.
    Resume,
    /// Where the run that the directory holds was interrupted: at its newest checkpoint, or at its beginning
    /// if it had none yet.
    GoOn,
}

impl Start {
    /// Whether it is that of a run that was begun before.
    pub(crate) fn goes_on(self) -> bool {
        matches!(self, Start::Resume | Start::GoOn)
    }
}
