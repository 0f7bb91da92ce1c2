//! The product of operands rounded to bf16, summed in f32.
//!
//! With AVX-512 BF16 (`vdpbf16ps`) a step of k takes two numbers: both operands are packed as pairs (k, k +
//! 1), a pair in the 32 bits of one f32 of a [`Buffer`], and the tiles are those of the f32 product over a
//! vector whose multiply-add takes pairs. On other CPUs widening pairs would cost more than the
//! multiply-adds, so the rounded operands stay f32 and the f32 product takes them.
//!
//! For one instruction set, the bits of an element depend on its row of A and its column of B alone. Between
//! instruction sets: the product of two bf16 numbers is exact in f32, so without `vdpbf16ps` all give the
//! bits of the same chain (unless a product underflows). `vdpbf16ps` adds in another order and takes
//! subnormal numbers as zero.
use super::operands::{Epilogue, View, tile_rows};
use super::packed::{Packed, PackedView, Panel, Panels, transpose};
use super::product::{check, part, run};
use super::strips::StripsView;
use super::tile::{Call, Rows, tiles_of};
use crate::bf16::{self, reference::nearest};
use crate::buffer::Buffer;
use crate::isa::Isa;
use crate::simd::Simd;
use crate::strided::Strided;
use std::ops::Range;

/// How an operand lies in memory, in steps of k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// One number rounded to bf16, as an f32.
    #[default]
    Singles,
    /// Two bf16 numbers, the first in the lower half; k is padded with a zero.
    Pairs,
}

impl Form {
    pub(super) fn of(isa: Isa) -> Self {
        if isa.has_bf16() { Form::Pairs } else { Form::Singles }
    }

    pub(super) fn steps(self, k: usize) -> usize {
        match self {
            Form::Singles => k,
            Form::Pairs => k.div_ceil(2),
        }
    }
}

/// A[M, K] rounded to bf16, in the order of the view it comes from. Scratch to be filled again and again.
#[derive(Debug, Clone, Default)]
pub struct RowsBf16 {
    data: Buffer,
    m: usize,
    k: usize,
    form: Form,
    /// Distance between rows.
    row: usize,
    /// Distance between steps of k.
    step: usize,
}

impl RowsBf16 {
    /// Rounds `a` [m, k], reusing the memory where it suffices. Fast where rows or columns are contiguous.
    ///
    /// # Panics
    /// If `a` is smaller.
    pub fn pack(&mut self, isa: Isa, a: View<'_>, m: usize, k: usize) {
        assert!(a.holds(m, k), "A is smaller than {m} x {k}");
        let form = Form::of(isa);
        let steps = form.steps(k);
        let by_columns = a.row == 1 && a.column != 1;
        let (lines, length) = if by_columns { (steps, m) } else { (m, steps) };
        // An odd number of cache lines: at a power of two, the lines of a tile would fall into the same few
        // sets of the cache.
        let stride = length.checked_next_multiple_of(16).map(|whole| whole | 16);
        let stride = stride.expect("the size of A overflows");
        let len = lines.checked_mul(stride).expect("the size of A overflows");
        if self.data.len() < len {
            self.data = Buffer::hot(len);
        }
        let (row, step) = if by_columns { (1, stride) } else { (stride, 1) };
        (self.m, self.k, self.form, self.row, self.step) = (m, k, form, row, step);
        if m == 0 || k == 0 {
            return;
        }
        let out = &mut self.data[..len];
        match (form, by_columns) {
            (Form::Pairs, true) => pair_columns(isa, out, stride, a, (m, k)),
            (Form::Pairs, false) => pair_rows(isa, out, stride, a, (m, k)),
            (Form::Singles, true) => round_rows(isa, out, stride, a.transposed(), (k, m)),
            (Form::Singles, false) => round_rows(isa, out, stride, a, (m, k)),
        }
    }
}

/// B[K, N] rounded to bf16, in the panels of [`Packed`].
#[derive(Debug, Clone, Default)]
pub struct PackedBf16 {
    panels: Packed,
    k: usize,
    form: Form,
}

impl PackedBf16 {
    /// Rounds and packs `b` [k, n], reusing the memory where it suffices.
    ///
    /// # Panics
    /// If `b` is smaller.
    pub fn pack(&mut self, isa: Isa, b: View<'_>, k: usize, n: usize) {
        self.panels(isa, b, k, n).for_each(|panel| panel.pack());
    }

    /// The panels of `b` [k, n] for several threads to round and pack, every one of them; memory is reused
    /// where it suffices.
    ///
    /// # Panics
    /// If `b` is smaller.
    pub fn panels<'a>(
        &'a mut self,
        isa: Isa,
        b: View<'a>,
        k: usize,
        n: usize,
    ) -> impl Iterator<Item = PanelBf16<'a>> {
        let form = Form::of(isa);
        self.panels.resize(isa, form.steps(k), n);
        (self.k, self.form) = (k, form);
        self.panels.shape().each_bf16(isa, b, k, self.panels.floats())
    }
}

/// A panel to be rounded and packed.
#[derive(Debug)]
pub struct PanelBf16<'a> {
    panel: Panel<'a>,
    k: usize,
}

impl PanelBf16<'_> {
    /// Rounds and packs it.
    pub fn pack(self) {
        let PanelBf16 { panel, k } = self;
        let isa = panel.isa;
        match Form::of(isa) {
            Form::Singles => bf16::round(isa, panel.packed()),
            Form::Pairs => {
                panel.fill(|b, out, columns| pair_panel(isa, out, b, (k, columns)));
            }
        }
    }
}

/// c[m, n] ← a[m, k] · b[k, n].
///
/// # Panics
/// If `c` is smaller than the shapes say, or `a` and `b` do not fit each other or were packed for another
/// instruction set.
pub fn matmul_bf16(isa: Isa, c: Strided<'_>, a: &RowsBf16, b: &PackedBf16, epilogue: Epilogue<'_>) {
    assert_eq!(a.k, b.k, "columns of A, rows of B");
    assert_eq!(
        (a.form, b.form),
        (Form::of(isa), Form::of(isa)),
        "A or B was packed for another instruction set"
    );
    let panels = 0..b.panels.shape().count();
    check(isa, (&c, a.m), (b.panels.view(), &panels), epilogue);
    let Strided { data, stride } = c;
    let call = Call {
        c: data.as_mut_ptr(),
        stride,
        m: a.m,
        a: Rows::Strided { first: a.data.as_ptr(), row: a.row, column: a.step },
        tiles: 0..tiles_of(a.m, tile_rows(isa.level())),
        b: b.panels.view(),
        steps: 0..b.panels.shape().k,
        sums: std::ptr::null(),
        panels,
        epilogue,
    };
    // SAFETY: `check` asserted the shapes of C and B, `pack` laid out m rows of as many steps as B has.
    unsafe { run_bf16(isa, call) }
}

/// The rows of a run of strips and the columns of a run of panels of a[m, k] · b, both packed by `pack_bf16`
/// for this instruction set, in `c`. The bits are those of [`matmul_bf16`].
///
/// # Panics
/// As [`super::matmul_part`].
pub fn matmul_part_bf16(
    isa: Isa,
    c: Strided<'_>,
    a: (StripsView<'_>, Range<usize>),
    b: (PackedView<'_>, Range<usize>),
    epilogue: Epilogue<'_>,
) {
    // SAFETY: the call holds what it says.
    unsafe { run_bf16(isa, part(isa, c, a, b, epilogue)) }
}

/// # Safety
/// The shapes in `call` hold.
unsafe fn run_bf16(isa: Isa, call: Call<'_>) {
    // SAFETY: the caller's promise; an Isa with bf16 exists only where the CPU has its instructions.
    unsafe {
        match Form::of(isa) {
            #[cfg(target_arch = "x86_64")]
            Form::Pairs => super::tile::x86::avx512bf16(call),
            _ => run(isa, call),
        }
    }
}

impl Panels {
    /// Of B [k, n] rounded to bf16, for this instruction set.
    ///
    /// # Panics
    /// As [`Panels::new`].
    pub fn of_bf16(isa: Isa, k: usize, n: usize) -> Self {
        Panels::new(isa, Form::of(isa).steps(k), n)
    }

    /// Rounds and packs `b` [k, n] into memory of that many floats.
    ///
    /// # Panics
    /// If `b` or `out` is smaller, or the panels are not those of such a B.
    pub fn pack_bf16(self, isa: Isa, b: View<'_>, k: usize, out: &mut [f32]) {
        self.each_bf16(isa, b, k, out).for_each(|panel| panel.pack());
    }

    fn each_bf16<'a>(
        self,
        isa: Isa,
        b: View<'a>,
        k: usize,
        out: &'a mut [f32],
    ) -> impl Iterator<Item = PanelBf16<'a>> {
        assert!(b.holds(k, self.n), "B is smaller than {k} x {}", self.n);
        assert_eq!(self.k, Form::of(isa).steps(k), "panels of another B");
        self.each(isa, b, out).map(move |panel| PanelBf16 { panel, k })
    }
}

/// Two numbers as bf16 in the bits of one f32 (which is only moved, never computed with).
#[inline(always)]
pub(super) fn pair(first: f32, second: f32) -> f32 {
    f32::from_bits(u32::from(nearest(first)) | u32::from(nearest(second)) << 16)
}

/// `out[j] = (first[j], second[j])`, or (first[j], 0) behind the last row of an odd k.
#[inline(always)]
pub(super) fn join(out: &mut [f32], first: &[f32], second: Option<&[f32]>) {
    match second {
        Some(second) => {
            for ((out, &first), &second) in out.iter_mut().zip(first).zip(second) {
                *out = pair(first, second);
            }
        }
        None => {
            for (out, &first) in out.iter_mut().zip(first) {
                *out = pair(first, 0.0);
            }
        }
    }
}

/// Rows 2 · step and 2 · step + 1 of a view of `k` rows whose rows are contiguous.
#[inline(always)]
pub(super) fn two_rows(
    b: View<'_>,
    step: usize,
    k: usize,
    first: usize,
    width: usize,
) -> (&[f32], Option<&[f32]>) {
    let row = |row: usize| &b.data[row * b.row + first..][..width];
    (row(2 * step), (2 * step + 1 < k).then(|| row(2 * step + 1)))
}

#[inline(always)]
fn pair_columns_body(_: impl Simd, out: &mut [f32], stride: usize, a: View<'_>, (m, k): (usize, usize)) {
    for (step, out) in out.chunks_exact_mut(stride).enumerate() {
        let (first, second) = two_rows(a.transposed(), step, k, 0, m);
        join(out, first, second);
    }
}

bind! {
    /// A line of `out` per pair of columns of A, which are contiguous.
    fn pair_columns(out: &mut [f32], stride: usize, a: View<'_>, shape: (usize, usize))
        = pair_columns_body
}

#[inline(always)]
fn pair_rows_body(_: impl Simd, out: &mut [f32], stride: usize, a: View<'_>, (_, k): (usize, usize)) {
    for (i, out) in out.chunks_exact_mut(stride).enumerate() {
        let from = &a.data[i * a.row..];
        if a.column == 1 {
            let whole = from[..k].chunks_exact(2);
            if let [last] = whole.remainder() {
                out[k / 2] = pair(*last, 0.0);
            }
            for (out, two) in out.iter_mut().zip(whole) {
                *out = pair(two[0], two[1]);
            }
        } else {
            let at = |p: usize| if p < k { from[p * a.column] } else { 0.0 };
            for (step, out) in out.iter_mut().enumerate().take(k.div_ceil(2)) {
                *out = pair(at(2 * step), at(2 * step + 1));
            }
        }
    }
}

bind! {
    /// A line of `out` per row of A.
    fn pair_rows(out: &mut [f32], stride: usize, a: View<'_>, shape: (usize, usize)) = pair_rows_body
}

#[inline(always)]
fn round_rows_body(_: impl Simd, out: &mut [f32], stride: usize, a: View<'_>, (_, k): (usize, usize)) {
    for (i, out) in out.chunks_exact_mut(stride).enumerate() {
        let from = &a.data[i * a.row..];
        if a.column == 1 {
            for (out, &x) in out.iter_mut().zip(&from[..k]) {
                *out = bf16::rounded(x);
            }
        } else {
            for (p, out) in out.iter_mut().enumerate().take(k) {
                *out = bf16::rounded(from[p * a.column]);
            }
        }
    }
}

bind! {
    /// A line of `out` per row of A, each number an f32.
    fn round_rows(out: &mut [f32], stride: usize, a: View<'_>, shape: (usize, usize)) = round_rows_body
}

/// Columns of a panel of pairs: those of AVX-512, which all CPUs with bf16 instructions have.
const PANEL: usize = 32;

#[inline(always)]
fn pair_panel_body(_: impl Simd, out: &mut [f32], b: View<'_>, (k, width): (usize, usize)) {
    if b.column != 1 {
        return pair_strided(out, b, k, width);
    }
    for (step, out) in out.chunks_exact_mut(PANEL).enumerate() {
        let (even, odd) = two_rows(b, step, k, 0, width);
        join(out, even, odd);
        out[width..].fill(0.0);
    }
}

bind! {
    /// A panel of the first columns of B.
    fn pair_panel(out: &mut [f32], b: View<'_>, shape: (usize, usize)) = pair_panel_body
}

/// Fills a panel from columns that are each (nearly) contiguous: two cache lines of some columns at a time,
/// in blocks that are transposed in registers.
#[inline(always)]
fn pair_strided(panel: &mut [f32], b: View<'_>, k: usize, width: usize) {
    const STEPS: usize = 16;
    const N: usize = 4;
    for (block, out) in panel.chunks_mut(STEPS * PANEL).enumerate() {
        let first = 2 * STEPS * block;
        let (rows, steps) = ((2 * STEPS).min(k - first), out.len() / PANEL);
        let pairs_of = |j: usize| -> [f32; STEPS] {
            if j >= width {
                return [0.0; STEPS];
            }
            let from = &b.data[first * b.row + j * b.column..];
            // Whole blocks are arrays, so that rounding is a few vector instructions and no call of memcpy.
            let column: [f32; 2 * STEPS] = match from.first_chunk() {
                Some(&whole) if b.row == 1 && rows == 2 * STEPS => whole,
                _ => std::array::from_fn(|p| if p < rows { from[p * b.row] } else { 0.0 }),
            };
            std::array::from_fn(|step| pair(column[2 * step], column[2 * step + 1]))
        };
        for j in (0..PANEL).step_by(N) {
            let columns: [[f32; STEPS]; N] = std::array::from_fn(|own| pairs_of(j + own));
            let columns = columns.as_flattened();
            for step in (0..steps / N * N).step_by(N) {
                transpose::<N>(&mut out[step * PANEL + j..], PANEL, &columns[step..], STEPS);
            }
            for step in steps / N * N..steps {
                for own in 0..N {
                    out[step * PANEL + j + own] = columns[own * STEPS + step];
                }
            }
        }
    }
}
