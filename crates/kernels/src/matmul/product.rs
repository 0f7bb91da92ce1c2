//! The product of f32 operands.
use super::operands::{Epilogue, View, panel_width};
use super::packed::Packed;
use super::tile::{self, Call, tiles};
use crate::isa::{Isa, Level};
use crate::simd::Scalar;
use crate::strided::Strided;
use std::ops::Range;

/// c[m, n] ← a[m, k] · b.
///
/// # Panics
/// If a slice is smaller than the shapes say, or `b` was packed for another instruction set.
pub fn matmul(isa: Isa, c: Strided<'_>, m: usize, a: View<'_>, b: &Packed, epilogue: Epilogue<'_>) {
    product(isa, c, m, a, (b, epilogue), (0..b.k, std::ptr::null()));
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
        assert!(a.len() <= b.k, "{} columns of {}", a.len(), b.k);
        let mut sums = vec![0.0; b.n.next_multiple_of(b.panel)];
        let (a, row) = (View::of(a, a.len()), Strided::new(&mut sums[..b.n], b.n));
        let columns = a.row;
        product(isa, row, 1, a, (b, Epilogue::Set), (0..columns, std::ptr::null()));
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
    let whole = b.n.next_multiple_of(b.panel);
    assert!(*columns <= b.k && sums.len() == whole && *of == isa, "sums of another product");
    product(isa, c, m, a, (b, epilogue), (*columns..b.k, sums.as_ptr()));
}

/// `steps` of the product, from `sums` on.
fn product(
    isa: Isa,
    c: Strided<'_>,
    m: usize,
    a: View<'_>,
    (b, epilogue): (&Packed, Epilogue<'_>),
    (steps, sums): (Range<usize>, *const f32),
) {
    assert!(a.holds(m, steps.end), "A is smaller than {m} x {}", steps.end);
    check(isa, &c, m, b, epilogue);
    let Strided { data, stride } = c;
    let call = Call {
        c: data.as_mut_ptr(),
        stride,
        m,
        // Nothing is read of an A without steps, wherever this points.
        a: a.data.as_ptr().wrapping_add(steps.start * a.column),
        a_row: a.row,
        a_column: a.column,
        b,
        steps,
        sums,
        epilogue,
    };
    // SAFETY: the shapes were asserted above; sums are null or whole panels, as the callers in this file see
    // to, and steps lie within B.
    unsafe { run(isa, call) }
}

/// Asserts what a call promises of C, B and the bias.
pub(super) fn check(isa: Isa, c: &Strided<'_>, m: usize, b: &Packed, epilogue: Epilogue<'_>) {
    assert!(
        View::of(c.data, c.stride).holds(m, b.n) && (b.n <= c.stride || m <= 1),
        "C is smaller than {m} x {}",
        b.n
    );
    assert_eq!(b.panel, panel_width(isa.level()), "B was packed for another instruction set");
    if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = epilogue {
        assert_eq!(bias.len(), b.n, "one bias per column");
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
