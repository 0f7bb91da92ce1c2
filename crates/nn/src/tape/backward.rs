//! What the way back through an operation may read and write.
use super::value::{Home, Place, Recorded, Var};
use crate::embedding_gradients::ShardGradients;
use crate::lane::Lane;
use crate::mode::Mode;
use crate::packed_matrix::Operands;
use crate::weights::Weights;
use dlrm_kernels::Isa;

/// The operation's value and gradient, and where the gradients of what it read are added up.
pub(crate) struct Backward<'t> {
    pub(crate) isa: Isa,
    pub(crate) weights: &'t Weights,
    pub(crate) recorded: Recorded<'t>,
    /// The operation's own value, [S, width].
    pub(crate) y: &'t [f32],
    /// The gradient of its value, [S, width]; nobody reads it afterwards.
    pub(crate) dy: &'t mut [f32],
    /// Columns of its value.
    pub(crate) width: usize,
    /// Gradients of the values before it.
    pub(crate) into: InputGradients<'t>,
    /// Gradients of dense parameters.
    pub(crate) lane: &'t mut Lane,
    /// Gradients of pooled embeddings.
    pub(crate) shard: &'t mut ShardGradients,
    pub(crate) lists: &'t [Var],
    pub(crate) scratch: &'t mut Vec<f32>,
    pub(crate) saved: &'t [f32],
    pub(crate) operands: &'t mut Operands,
    pub(crate) at: At,
}

/// Which operation of which pass it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) mode: Mode,
    /// The first row of the shard in the batch.
    pub(crate) first_row: usize,
    /// The number of the node.
    pub(crate) node: usize,
}

impl<'t> Backward<'t> {
    /// The value of `x`, [S, width].
    pub(crate) fn value(&self, x: Var) -> &'t [f32] {
        self.recorded.value(x)
    }

    /// Columns of `x`.
    pub(crate) fn width_of(&self, x: Var) -> usize {
        self.recorded.width(x)
    }

    /// S
    pub(crate) fn rows(&self) -> usize {
        self.recorded.rows
    }
}

/// Whether a gradient is the first one of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// What is there is of an earlier step: overwrite it.
    First,
    /// Add to what is there.
    Add,
}

/// Gradients of the values before an operation.
pub(crate) struct InputGradients<'t> {
    pub(crate) places: &'t [Place],
    pub(crate) gradients: &'t mut [f32],
    /// Whether the gradient of a node holds anything yet.
    pub(crate) touched: &'t mut [bool],
    /// S
    pub(crate) rows: usize,
}

impl InputGradients<'_> {
    /// The gradient of `x` so far, to be added to; none for the dense inputs, which nothing learns from.
    pub(crate) fn add_to(&mut self, x: Var) -> Option<&mut [f32]> {
        let (dx, write) = self.write_to(x)?;
        if write == Write::First {
            dx.fill(0.0);
        }
        Some(dx)
    }

    /// The gradient of `x` so far, and whether it is to be overwritten; none for the dense inputs.
    pub(crate) fn write_to(&mut self, x: Var) -> Option<(&mut [f32], Write)> {
        let Place { offset, width, home } = self.places[x.node()];
        let touched = std::mem::replace(&mut self.touched[x.node()], true);
        let write = if touched { Write::Add } else { Write::First };
        (home == Home::Tape).then(|| (&mut self.gradients[offset..][..self.rows * width], write))
    }

    /// Adds `dy` to the gradient of `x`.
    pub(crate) fn add(&mut self, isa: Isa, x: Var, dy: &[f32]) {
        match self.write_to(x) {
            Some((dx, Write::First)) => dx.copy_from_slice(dy),
            Some((dx, Write::Add)) => dlrm_kernels::elementwise::add(isa, dx, dy),
            None => {}
        }
    }
}
