//! What a product reads besides packed operands, and what becomes of its elements.
use crate::isa::Level;
use crate::simd::Scalar;
use crate::vector::Vector;

/// A matrix seen through strides: element (i, k) is `data[i * row + k * column]`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub column: usize,
}

impl<'a> View<'a> {
    /// Row-major with `columns` columns.
    pub fn of(data: &'a [f32], columns: usize) -> Self {
        View { data, row: columns, column: 1 }
    }

    /// The transpose.
    pub fn transposed(self) -> Self {
        View { data: self.data, row: self.column, column: self.row }
    }

    pub(super) fn holds(&self, rows: usize, columns: usize) -> bool {
        // Checked, because unsafe code relies on the answer and strides may be anything.
        let last = || (rows - 1).checked_mul(self.row)?.checked_add((columns - 1).checked_mul(self.column)?);
        rows == 0 || columns == 0 || last().is_some_and(|last| last < self.data.len())
    }
}

/// What happens to a finished element.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a> {
    /// c = product
    Set,
    /// c += product
    Add,
    /// `c = product + bias[j]`
    Bias(&'a [f32]),
    /// `c = max(product + bias[j], 0)`
    BiasRelu(&'a [f32]),
}

/// Columns of a panel of B.
pub(super) const fn panel_width(level: Level) -> usize {
    match level {
        Level::Scalar => 2 * Scalar::LANES,
        Level::Avx2 => 16,
        Level::Avx512 => 32,
    }
}

/// Most rows of a tile.
pub(super) const fn tile_rows(level: Level) -> usize {
    match level {
        Level::Scalar => Scalar::MR,
        Level::Avx2 => 6,
        Level::Avx512 => 14,
    }
}
