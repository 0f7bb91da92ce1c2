//! The right operand, packed for the tiles.
use super::operands::{View, panel_width};
use crate::buffer::Buffer;
use crate::copy::copy;
use crate::isa::Isa;
use crate::number_format::F32;
use crate::simd::{RUN, Simd};
use std::ops::Range;

/// B[K, N] in panels of columns: panel p holds, for k = 0.., its columns side by side, zero-padded.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    data: Buffer,
    shape: Panels,
}

/// How B lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Panels {
    /// K, in steps.
    pub(super) k: usize,
    /// N
    pub(super) n: usize,
    /// Columns of a panel.
    pub(super) panel: usize,
}

impl Panels {
    /// Of B [k, n] for this instruction set.
    ///
    /// # Panics
    /// If so many floats do not fit the address space.
    pub fn new(isa: Isa, k: usize, n: usize) -> Self {
        let shape = Panels { k, n, panel: panel_width(isa.level()) };
        let whole = n.checked_next_multiple_of(shape.panel).and_then(|width| width.checked_mul(k));
        whole.expect("the size of B overflows");
        shape
    }

    /// Floats of all panels.
    pub fn floats(self) -> usize {
        self.n.next_multiple_of(self.panel.max(1)) * self.k
    }

    /// Number of panels.
    pub fn count(self) -> usize {
        self.n.div_ceil(self.panel.max(1))
    }

    /// The columns of a run of panels.
    pub fn columns(self, panels: Range<usize>) -> Range<usize> {
        (panels.start * self.panel).min(self.n)..(panels.end * self.panel).min(self.n)
    }

    /// Packs `b` [k, n] into memory of that many floats.
    ///
    /// # Panics
    /// If `b` or `out` is smaller.
    pub fn pack(self, isa: Isa, b: View<'_>, out: &mut [f32]) {
        self.each(isa, b, out).for_each(|panel| panel.pack());
    }

    /// The panels of B, each with its part of `out`.
    pub(super) fn each<'a>(
        self,
        isa: Isa,
        b: View<'a>,
        out: &'a mut [f32],
    ) -> impl Iterator<Item = Panel<'a>> {
        let Panels { k, n, panel: width } = self;
        assert!(b.holds(k, n), "B is smaller than {k} x {n}");
        let panels = out[..self.floats()].chunks_exact_mut((width * k).max(1)).enumerate();
        panels.map(move |(p, out)| Panel {
            isa,
            out,
            width,
            first: p * width,
            columns: width.min(n - p * width),
            b,
        })
    }

    /// Packed floats as the operand that they are.
    ///
    /// # Panics
    /// If `data` is smaller.
    pub fn operand(self, data: &[f32]) -> PackedView<'_> {
        PackedView { data: &data[..self.floats()], shape: self }
    }
}

/// B packed, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub struct PackedView<'a> {
    pub(super) data: &'a [f32],
    pub(super) shape: Panels,
}

impl PackedView<'_> {
    /// How it lies in memory.
    pub fn shape(self) -> Panels {
        self.shape
    }
}

impl Packed {
    /// Packs `b` [k, n], reusing the memory where it suffices.
    ///
    /// # Panics
    /// If `b` is smaller.
    pub fn pack(&mut self, isa: Isa, b: View<'_>, k: usize, n: usize) {
        self.panels(isa, b, k, n).for_each(|panel| panel.pack());
    }

    /// The panels of `b` [k, n] for several threads to pack, every one of them; memory is reused where it
    /// suffices.
    ///
    /// # Panics
    /// If `b` is smaller.
    pub fn panels<'a>(
        &'a mut self,
        isa: Isa,
        b: View<'a>,
        k: usize,
        n: usize,
    ) -> impl Iterator<Item = Panel<'a>> {
        self.resize(isa, k, n);
        self.shape.each(isa, b, &mut self.data)
    }

    /// Makes room for `k` steps of `n` columns, whatever stands there.
    pub(super) fn resize(&mut self, isa: Isa, k: usize, n: usize) {
        self.shape = Panels::new(isa, k, n);
        let len = self.shape.floats();
        if self.data.len() < len {
            self.data = Buffer::hot(len);
        }
    }

    /// The panels, one behind the other.
    pub(super) fn floats(&mut self) -> &mut [f32] {
        &mut self.data[..self.shape.floats()]
    }

    /// How it lies in memory.
    pub(super) fn shape(&self) -> Panels {
        self.shape
    }

    /// The operand.
    pub fn view(&self) -> PackedView<'_> {
        self.shape.operand(&self.data)
    }
}

/// A panel to be packed.
#[derive(Debug)]
pub struct Panel<'a> {
    pub(super) isa: Isa,
    out: &'a mut [f32],
    width: usize,
    /// Its first column of B.
    first: usize,
    /// Its columns; the rest is padding.
    columns: usize,
    b: View<'a>,
}

impl Panel<'_> {
    /// Packs it.
    pub fn pack(self) {
        self.packed();
    }
}

impl<'a> Panel<'a> {
    /// Packs it; what it holds then.
    pub(super) fn packed(self) -> &'a mut [f32] {
        let (isa, width) = (self.isa, self.width);
        self.fill(|b, out, columns| {
            if b.column == 1 {
                pack_rows(isa, out, width, b, columns)
            } else {
                pack_columns(isa, out, width, b, columns)
            }
        })
    }

    /// Lets it be filled from its first columns on, so many; what it holds then.
    pub(super) fn fill(self, fill: impl FnOnce(View<'_>, &mut [f32], usize)) -> &'a mut [f32] {
        let Panel { out, first, columns, b, .. } = self;
        fill(View { data: &b.data[first * b.column..], ..b }, out, columns);
        out
    }
}

bind! {
    /// Fills a panel of rows of `width` from the first `columns` of B, whose rows are contiguous.
    fn pack_rows(out: &mut [f32], width: usize, b: View<'_>, columns: usize) = pack_rows_body
}

bind! {
    /// Fills a panel of rows of `width` from the first `columns` of B of any strides, faster where its
    /// columns are contiguous.
    fn pack_columns(out: &mut [f32], width: usize, b: View<'_>, columns: usize) = pack_columns_body
}

#[inline(always)]
fn pack_rows_body(simd: impl Simd, out: &mut [f32], width: usize, b: View<'_>, columns: usize) {
    for (row, out) in out.chunks_exact_mut(width).enumerate() {
        copy::<F32>(simd, &mut out[..columns], &b.data[row * b.row..][..columns]);
        out[columns..].fill(0.0);
    }
}

/// 16 rows at a time, so that every cache line of a column is read once and whole; in blocks that are
/// transposed in registers.
#[inline(always)]
fn pack_columns_body(_: impl Simd, out: &mut [f32], width: usize, b: View<'_>, columns: usize) {
    const N: usize = 4;
    for (block, out) in out.chunks_mut(RUN * width).enumerate() {
        let (first, rows) = (block * RUN, out.len() / width);
        let (whole_rows, whole_columns) = if b.row == 1 { (rows / N * N, columns / N * N) } else { (0, 0) };
        for j in (0..whole_columns).step_by(N) {
            for r in (0..whole_rows).step_by(N) {
                transpose::<N>(
                    &mut out[r * width + j..],
                    width,
                    &b.data[j * b.column + first + r..],
                    b.column,
                );
            }
        }
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let done = if row < whole_rows { whole_columns } else { 0 };
            for (j, out) in out[..columns].iter_mut().enumerate().skip(done) {
                *out = b.data[j * b.column + (first + row) * b.row];
            }
            out[columns..].fill(0.0);
        }
    }
}

/// out[r, j] = from[j, r] for N rows and columns.
#[inline(always)]
pub(super) fn transpose<const N: usize>(out: &mut [f32], width: usize, from: &[f32], stride: usize) {
    let columns: [[f32; N]; N] =
        std::array::from_fn(|j| *from[j * stride..].first_chunk().expect("a column of the block"));
    for r in 0..N {
        *out[r * width..].first_chunk_mut().expect("a row of the block") = columns.map(|column| column[r]);
    }
}
