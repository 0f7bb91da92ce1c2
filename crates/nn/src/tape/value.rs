//! Values on a tape and where they lie.

/// A value on the tape: [S, width].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Var(u32);

impl Var {
    /// The value of a node by its number.
    pub(crate) fn of_node(node: usize) -> Self {
        Var(node as u32)
    }

    /// The number of the node that computes it.
    pub(crate) fn node(self) -> usize {
        self.0 as usize
    }
}

/// Where a value and its gradient lie in the memory of the tape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) offset: usize,
    /// Columns.
    pub(crate) width: usize,
    pub(crate) home: Home,
}

/// Whose memory holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// The tape's.
    Tape,
    /// The batch's: its dense inputs, from which nothing learns.
    Batch,
}

/// The values that were recorded so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded<'t> {
    pub(crate) places: &'t [Place],
    pub(crate) values: &'t [f32],
    /// The dense inputs of the rows.
    pub(crate) dense: &'t [f32],
    /// S
    pub(crate) rows: usize,
}

impl<'t> Recorded<'t> {
    /// The value of `x`, [S, width].
    pub(crate) fn value(self, x: Var) -> &'t [f32] {
        let Place { offset, width, home } = self.places[x.node()];
        match home {
            Home::Batch => self.dense,
            Home::Tape => &self.values[offset..][..self.rows * width],
        }
    }

    /// Columns of `x`.
    pub(crate) fn width(self, x: Var) -> usize {
        self.places[x.node()].width
    }
}

/// At least `len` floats of scratch.
pub(crate) fn grown(scratch: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    &mut scratch[..len]
}
