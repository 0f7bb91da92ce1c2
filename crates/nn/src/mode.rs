//! What a forward pass is for.

/// Whether dropout drops and batch normalisation measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// No randomness; running statistics.
    #[default]
    Inference,
    /// Dropout by a key that is new in each step; statistics of the shard.
    Training {
        /// Seeds the step's dropout.
        key: u64,
    },
}
