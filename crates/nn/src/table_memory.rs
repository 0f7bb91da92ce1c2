//! What an update of tables keeps from step to step.
use crate::row_index::RowIndex;
use dlrm_kernels::Buffer;

/// State arrays of one table (or of its learned pooling weights, a table of width 1).
#[derive(Debug, Default)]
pub(crate) struct TableState {
    pub(crate) values: Vec<Buffer>,
    pub(crate) row_weights: Vec<Buffer>,
}

/// The state of the optimiser for the tables kept here, and the rows that the batch touches.
#[derive(Debug, Default)]
pub struct TableMemory {
    pub(crate) states: Vec<TableState>,
    pub(crate) indices: Vec<RowIndex>,
}
