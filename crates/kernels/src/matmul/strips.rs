//! The left operand, packed for the tiles.
use super::operands::{View, tile_rows};
use super::tile::{first_row, tiles_of};
use crate::isa::Isa;
use std::ops::Range;

/// A[M, K] in strips of rows, as high as tiles: strip s holds, for k = 0.., its rows side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strips {
    /// M
    pub(super) m: usize,
    /// K
    pub(super) k: usize,
    /// Most rows of a strip.
    pub(super) most: usize,
}

/// A packed, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub struct StripsView<'a> {
    pub(super) data: &'a [f32],
    pub(super) shape: Strips,
}

impl Strips {
    /// Of A [m, k] for this instruction set.
    ///
    /// # Panics
    /// If so many floats do not fit the address space.
    pub fn new(isa: Isa, m: usize, k: usize) -> Self {
        m.checked_mul(k).expect("the size of A overflows");
        Strips { m, k, most: tile_rows(isa.level()) }
    }

    /// Floats of all strips.
    pub fn floats(self) -> usize {
        self.m * self.k
    }

    /// Number of strips.
    pub fn count(self) -> usize {
        tiles_of(self.m, self.most)
    }

    /// The rows of a run of strips.
    ///
    /// # Panics
    /// If there are no such strips.
    pub fn rows(self, strips: Range<usize>) -> Range<usize> {
        let count = self.count();
        assert!(strips.start <= strips.end && strips.end <= count, "strips {strips:?} of {count}");
        first_row(strips.start, count, self.m)..first_row(strips.end, count, self.m)
    }

    /// Packs `a` [m, k], whose columns are contiguous, into memory of that many floats.
    ///
    /// # Panics
    /// If `a` or `out` is smaller, or a column of `a` is not contiguous.
    pub fn pack(self, a: View<'_>, out: &mut [f32]) {
        let Strips { m, k, .. } = self;
        assert!(a.holds(m, k), "A is smaller than {m} x {k}");
        assert!(a.row == 1, "columns of A one behind the other");
        let mut rest = &mut out[..self.floats()];
        for strip in 0..self.count() {
            let rows = self.rows(strip..strip + 1);
            let (own, after) = rest.split_at_mut(rows.len() * k);
            rest = after;
            let from = &a.data[rows.start..];
            // Of few heights, each of them known: a copy of so few numbers is not worth a call.
            match rows.len() {
                14 => pack_strip::<14>(own, from, a.column),
                13 => pack_strip::<13>(own, from, a.column),
                12 => pack_strip::<12>(own, from, a.column),
                6 => pack_strip::<6>(own, from, a.column),
                5 => pack_strip::<5>(own, from, a.column),
                4 => pack_strip::<4>(own, from, a.column),
                height => {
                    for (out, from) in own.chunks_exact_mut(height).zip(from.chunks(a.column)) {
                        out.copy_from_slice(&from[..height]);
                    }
                }
            }
        }
    }

    /// Packed floats as the operand that they are.
    ///
    /// # Panics
    /// If `data` is smaller.
    pub fn operand(self, data: &[f32]) -> StripsView<'_> {
        StripsView { data: &data[..self.floats()], shape: self }
    }
}

/// A strip of H rows from columns that lie `column` apart.
fn pack_strip<const H: usize>(strip: &mut [f32], from: &[f32], column: usize) {
    for (out, from) in strip.as_chunks_mut::<H>().0.iter_mut().zip(from.chunks(column)) {
        *out = *from.first_chunk().expect("the rows of a strip");
    }
}
