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
    /// `[R]` learned pooling weights, checkpoint key [`Table::row_weights_name`].
    pub row_weights: Option<Buffer>,
}

impl Table {
    /// Checkpoint key of the learned pooling weights: `tables.x` has `row_weights.x`.
    pub fn row_weights_name(&self) -> String {
        let own = self.name.split_once('.').map_or(self.name.as_str(), |(_, own)| own);
        format!("row_weights.{own}")
    }
}
