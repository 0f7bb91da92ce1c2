//! The product of f32 operands.
use super::operands::{Epilogue, View, panel_width, tile_rows};
use super::packed::{Packed, PackedView};
use super::strips::StripsView;
use super::tile::{self, Call, Rows, tiles, tiles_of};
use crate::isa::{Isa, Level};
use crate::simd::Scalar;
use crate::strided::Strided;
use std::ops::Range;

/// c[m, n] ← a[m, k] · b.
///
/// # Panics
/// If a slice is smaller than the shapes say, or `b` was packed for another instruction set.
pub fn matmul(isa: Isa, c: Strided<'_>, m: usize, a: View<'_>, b: &Packed, epilogue: Epilogue<'_>) {
    let b = b.view();
    product(isa, c, m, a, (b, epilogue), Part::whole(b));
}

/// The rows of a run of strips and the columns of a run of panels of a[m, k] · b, in `c`. The bits are those
/// of [`matmul`].
///
/// # Panics
/// If `c` is smaller, a and b do not fit each other, were packed for another instruction set or have no such
/// strips and panels, or with a bias.
pub fn matmul_part(
    isa: Isa,
    c: Strided<'_>,
    a: (StripsView<'_>, Range<usize>),
    b: (PackedView<'_>, Range<usize>),
    epilogue: Epilogue<'_>,
) {
    // SAFETY: the call holds what it says.
    unsafe { run(isa, part(isa, c, a, b, epilogue)) }
}

/// The checked arguments of a part of a product.
pub(super) fn part<'a>(
    isa: Isa,
    c: Strided<'_>,
    (a, strips): (StripsView<'_>, Range<usize>),
    (b, panels): (PackedView<'a>, Range<usize>),
    epilogue: Epilogue<'a>,
) -> Call<'a> {
    let shape = a.shape;
    assert_eq!((shape.k, shape.most), (b.shape.k, tile_rows(isa.level())), "A does not fit B");
    check(isa, (&c, shape.rows(strips.clone()).len()), (b, &panels), epilogue);
    let Strided { data, stride } = c;
    // A has these strips, which are tiles of this level, C their rows and the columns of the panels of B,
    // which are as high as A is wide.
    Call {
        c: data.as_mut_ptr(),
        stride,
        m: shape.m,
        a: Rows::Strips { first: a.data.as_ptr(), steps: shape.k },
        tiles: strips,
        b,
        steps: 0..shape.k,
        sums: std::ptr::null(),
        panels,
        epilogue,
    }
}

/// The sums of the first columns of A, which all rows of a product have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct CommonSums {
    columns: usize,
    /// Of each column of B, padded to whole panels.
    sums: Vec<f32>,
    isa: Isa,
}

impl CommonSums {
    /// Of rows that begin with `a`.
    ///
    /// # Panics
    /// If `a` is longer than B is high, or `b` was packed for another instruction set.
    pub fn new(isa: Isa, a: &[f32], b: &Packed) -> Self {
        let (b, shape) = (b.view(), b.shape());
        assert!(a.len() <= shape.k, "{} columns of {}", a.len(), shape.k);
        let mut sums = vec![0.0; shape.n.next_multiple_of(shape.panel)];
        let (a, row) = (View::of(a, a.len()), Strided::new(&mut sums[..shape.n], shape.n));
        let columns = a.row;
        product(isa, row, 1, a, (b, Epilogue::Set), Part { steps: 0..columns, ..Part::whole(b) });
        CommonSums { columns, sums, isa }
    }

    /// Columns of A that they sum over.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// [`matmul`] where all rows of A begin with the same columns, whose sums are known; what A holds there is
/// not looked at. The bits are those of [`matmul`], for a sum is one chain over k.
///
/// # Panics
/// As [`matmul`], or if the sums are those of another B.
pub fn matmul_after(
    isa: Isa,
    c: Strided<'_>,
    m: usize,
    a: View<'_>,
    (b, common): (&Packed, &CommonSums),
    epilogue: Epilogue<'_>,
) {
    let CommonSums { columns, sums, isa: of } = common;
    let (b, shape) = (b.view(), b.shape());
    let whole = shape.n.next_multiple_of(shape.panel);
    assert!(*columns <= shape.k && sums.len() == whole && *of == isa, "sums of another product");
    let part = Part { steps: *columns..shape.k, sums: sums.as_ptr(), ..Part::whole(b) };
    product(isa, c, m, a, (b, epilogue), part);
}

/// What is computed of a product.
struct Part {
    /// Steps of k.
    steps: Range<usize>,
    /// What the sums begin with: null, or whole panels of B.
    sums: *const f32,
    panels: Range<usize>,
}

impl Part {
    fn whole(b: PackedView<'_>) -> Self {
        Part { steps: 0..b.shape.k, sums: std::ptr::null(), panels: 0..b.shape.count() }
    }
}

/// A part of the product; its steps lie within B.
fn product(
    isa: Isa,
    c: Strided<'_>,
    m: usize,
    a: View<'_>,
    (b, epilogue): (PackedView<'_>, Epilogue<'_>),
    Part { steps, sums, panels }: Part,
) {
    assert!(a.holds(m, steps.end), "A is smaller than {m} x {}", steps.end);
    check(isa, (&c, m), (b, &panels), epilogue);
    let Strided { data, stride } = c;
    let call = Call {
        c: data.as_mut_ptr(),
        stride,
        m,
        // Nothing is read of an A without steps, wherever this points.
        a: Rows::Strided {
            first: a.data.as_ptr().wrapping_add(steps.start * a.column),
            row: a.row,
            column: a.column,
        },
        tiles: 0..tiles_of(m, tile_rows(isa.level())),
        b,
        steps,
        sums,
        panels,
        epilogue,
    };
    // SAFETY: the shapes were asserted above; sums are null or whole panels, as the callers in this file see
    // to, and steps lie within B.
    unsafe { run(isa, call) }
}

/// Asserts what a call promises of C, B and the bias.
pub(super) fn check(
    isa: Isa,
    (c, m): (&Strided<'_>, usize),
    (b, panels): (PackedView<'_>, &Range<usize>),
    epilogue: Epilogue<'_>,
) {
    let shape = b.shape;
    assert!(panels.start <= panels.end && panels.end <= shape.count(), "panels {panels:?} of {shape:?}");
    let columns = shape.columns(panels.clone()).len();
    assert!(
        View::of(c.data, c.stride).holds(m, columns) && (columns <= c.stride || m <= 1),
        "C is smaller than {m} x {columns}"
    );
    assert_eq!(shape.panel, panel_width(isa.level()), "B was packed for another instruction set");
    if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = epilogue {
        assert_eq!((bias.len(), panels.clone()), (shape.n, 0..shape.count()), "one bias per column");
    }
}

/// # Safety
/// The shapes in `call` hold.
pub(super) unsafe fn run(isa: Isa, call: Call<'_>) {
    // SAFETY: the caller's promise; an Isa of a level exists only where the CPU has it.
    unsafe {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => tile::x86::avx512(call),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => tile::x86::avx2(call),
            _ => tiles(Scalar, call),
        }
    }
}
