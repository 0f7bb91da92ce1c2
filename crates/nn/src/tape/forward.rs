//! What an operation may read and write while its value is computed.
use super::value::{Recorded, Var};
use crate::packed_matrix::Operands;

/// The values before it, and memory for its own use.
pub(crate) struct Forward<'t> {
    pub(crate) recorded: Recorded<'t>,
    /// Lists of inputs, which operations that read many point into.
    pub(crate) lists: &'t [Var],
    pub(crate) scratch: &'t mut Vec<f32>,
    /// What operations keep for the way back.
    pub(crate) saved: &'t mut Vec<f32>,
    pub(crate) operands: &'t mut Operands,
}

impl<'t> Forward<'t> {
    /// The value of `x`, [S, width].
    pub(crate) fn value(&self, x: Var) -> &'t [f32] {
        self.recorded.value(x)
    }

    /// S
    pub(crate) fn rows(&self) -> usize {
        self.recorded.rows
    }
}
