//! How a synthesised trace treats ids that have not come yet.

/// Whether new ids are favoured until all have come, and held back afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// As they are in the trace.
    None,
    /// The paper's adjusted distribution.
    NewIds,
}
