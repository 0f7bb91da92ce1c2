//! Dense parameters: what they are called, what they are for and where they lie.
use std::ops::Range;

/// A dense parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamId(pub(crate) u32);

/// What a parameter or table is for, which decides how it moves. It has nothing to do with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// A weight of a layer: moved by the dense optimiser.
    #[default]
    Dense,
    /// A table's rows: moved by the table optimiser.
    Table,
    /// A dense weight or a table of a linear part, which may have an optimiser of its own.
    Linear,
    /// A running statistic: measured, not optimised.
    Statistic,
}

/// Description of a dense parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Dotted name; also its key in checkpoints.
    pub name: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Place in the flat buffer.
    pub range: Range<usize>,
}

/// The parameters and running statistics of a batch normalisation, each `[N]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchNormParams {
    /// Learned scale.
    pub gamma: ParamId,
    /// Learned shift.
    pub beta: ParamId,
    /// Running mean of the inputs.
    pub mean: ParamId,
    /// Running variance of the inputs.
    pub variance: ParamId,
}
