//! An embedding table.
use crate::param::Role;
use crate::table_values::Values;
use dlrm_kernels::Buffer;

/// Rows of an embedding.
#[derive(Debug, Clone)]
pub struct Table {
    /// Dotted name; also its key in checkpoints.
    pub name: String,
    /// Whether it belongs to the linear part ([`Role::Linear`]) or not ([`Role::Table`]).
    pub role: Role,
    /// R
    pub rows: usize,
    /// D
    pub dim: usize,
    /// [R, D]
    pub values: Values,
    /// `[R]` learned pooling weights.
    pub row_weights: Option<Buffer>,
    /// Their key in checkpoints.
    pub row_weights_name: String,
}
