//! What the kernel tests share: numbers, tolerances, and one named test per instruction set.
#![allow(dead_code)] // each test file uses its part

use dlrm_kernels::Isa;
use dlrm_kernels::isa::Level;

/// Defines one test per instruction set from a property `fn(Isa)`; says so where the CPU lacks it.
macro_rules! per_isa {
    ($($property:ident: $scalar:ident, $avx2:ident, $avx512:ident;)*) => {
        $(
            #[test]
            fn $scalar() {
                common::on(dlrm_kernels::isa::Level::Scalar, stringify!($scalar), $property);
            }
            #[test]
            fn $avx2() {
                common::on(dlrm_kernels::isa::Level::Avx2, stringify!($avx2), $property);
            }
            #[test]
            fn $avx512() {
                common::on(dlrm_kernels::isa::Level::Avx512, stringify!($avx512), $property);
            }
        )*
    };
}
pub(crate) use per_isa;

/// Runs `property` at `level`, or says that this CPU cannot.
pub(crate) fn on(level: Level, name: &str, property: fn(Isa)) {
    match Isa::of(level) {
        Some(isa) => property(isa),
        None => println!(
            "skipped: {name} (CPU has no {})",
            if level == Level::Avx512 { "AVX-512" } else { "AVX2" }
        ),
    }
}

/// Numbers in [-1, 1) with full mantissas, so that sums round: a stream decided by `seed` (splitmix64).
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0xD134_2543_DE82_EF95);
    (0..len)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// In f64.
pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Absolute values in f64.
pub(crate) fn sizes(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x).abs()).collect()
}

/// Asserts |got - want| ≤ 1e-5 · size, where `size` is the same definition applied to absolute values,
/// Σ|terms|. That is the scale rounding errors live on: a chain of n ≤ 70 f32 operations errs by at most n ·
/// 2⁻²⁴ · size = 4e-6 · size, while one missing, doubled or misplaced term of average size errs by size / 70.
#[track_caller]
pub(crate) fn close(what: &str, got: &[f32], want: &[f64], size: &[f64]) {
    assert_eq!((got.len(), want.len()), (want.len(), size.len()), "{what}: lengths");
    for (i, ((&got, &want), &size)) in got.iter().zip(want).zip(size).enumerate() {
        let error = (f64::from(got) - want).abs();
        assert!(
            error <= 1e-5 * size,
            "{what} at {i}: {got} is not {want} (off by {error:e}, terms of size {size})"
        );
    }
}

/// Asserts equal bits.
#[track_caller]
pub(crate) fn same_bits(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}: lengths");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{what} at {i}: {a} and {b}");
    }
}

/// Asserts that `gradient` is that of `loss` at `x`, by central differences. The losses used are polynomials
/// of low degree (or linear near x), for which these are exact but for rounding, about 1e-16 · |loss| / h.
#[track_caller]
pub(crate) fn check_gradient(what: &str, x: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{what}: lengths");
    let h = 1e-4;
    let mut moved = x.to_vec();
    for i in 0..x.len() {
        moved[i] = x[i] + h;
        let above = loss(&moved);
        moved[i] = x[i] - h;
        let below = loss(&moved);
        moved[i] = x[i];
        let numeric = (above - below) / (2.0 * h);
        assert!(
            (numeric - gradient[i]).abs() <= 1e-9 * (1.0 + numeric.abs()),
            "{what} at {i}: {numeric} but {}",
            gradient[i]
        );
    }
}

/// Σ a · b
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
