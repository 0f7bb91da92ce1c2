//! An embedding table.
use crate::param::Role;
use crate::placement::HeldRows;
use crate::table_values::Values;
use dlrm_kernels::Buffer;

/// Rows of an embedding: those that this process holds.
#[derive(Debug, Clone)]
pub struct Table {
    /// Dotted name; also its key in checkpoints.
    pub name: String,
    /// Whether it belongs to the linear part ([`Role::Linear`]) or not ([`Role::Table`]).
    pub role: Role,
    /// R, wherever they are.
    pub rows: usize,
    /// Which of them are here.
    pub held: HeldRows,
    /// D
    pub dim: usize,
    /// [H, D], of the H rows that are held.
    pub values: Values,
    /// `[H]` learned pooling weights.
    pub row_weights: Option<Buffer>,
    /// Their key in checkpoints.
    pub row_weights_name: String,
}

impl Table {
    /// H, the rows that are held here.
    pub fn held_rows(&self) -> usize {
        self.held.count(self.rows)
    }
}
