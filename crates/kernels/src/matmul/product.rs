//! The product of f32 operands.
use super::operands::{Epilogue, View, panel_width};
use super::packed::Packed;
use super::tile::{self, Call, tiles};
use crate::isa::{Isa, Level};
use crate::simd::Scalar;
use crate::strided::Strided;

/// c[m, n] ← a[m, k] · b.
///
/// # Panics
/// If a slice is smaller than the shapes say, or `b` was packed for another instruction set.
pub fn matmul(isa: Isa, c: Strided<'_>, m: usize, a: View<'_>, b: &Packed, epilogue: Epilogue<'_>) {
    assert!(a.holds(m, b.k), "A is smaller than {m} x {}", b.k);
    check(isa, &c, m, b, epilogue);
    let Strided { data, stride } = c;
    let call = Call {
        c: data.as_mut_ptr(),
        stride,
        m,
        a: a.data.as_ptr(),
        a_row: a.row,
        a_column: a.column,
        b,
        epilogue,
    };
    // SAFETY: the shapes were asserted above.
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
