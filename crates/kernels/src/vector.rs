//! Vector registers of each instruction set, one interface over all.
use crate::simd::Scalar;

/// Registers of floats. `self` is the token of an instruction set ([`crate::simd`]): proof that the CPU has
/// it.
pub(crate) trait Vector: Copy {
    /// What a register holds.
    type Register: Copy;
    /// Floats of a register.
    const LANES: usize;
    /// Rows of A per tile of a matrix product, so that `2 · MR` accumulators, two columns and a broadcast fit
    /// the registers.
    const MR: usize;

    /// x in every lane.
    fn splat(self, x: f32) -> Self::Register;

    /// # Safety
    /// At `from` are [`Vector::LANES`] floats to read.
    unsafe fn load(self, from: *const f32) -> Self::Register;

    /// # Safety
    /// At `to` is room for [`Vector::LANES`] floats.
    unsafe fn store(self, to: *mut f32, x: Self::Register);

    /// a · b + c; where lanes are pairs of numbers, the sum of both products + c.
    fn fma(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;

    /// a + b
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;

    /// The larger, or `b` if either is NaN.
    fn max(self, a: Self::Register, b: Self::Register) -> Self::Register;
}

/// Four floats, which any compiler turns into its baseline vectors.
impl Vector for Scalar {
    type Register = [f32; 4];
    const LANES: usize = 4;
    const MR: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> [f32; 4] {
        // SAFETY: the caller hands four floats.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: [f32; 4]) {
        // SAFETY: the caller hands room for four floats.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(x) }
    }

    #[inline(always)]
    fn fma(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn max(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use crate::simd::{Avx2, Avx512, Avx512Bf16};
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($token:ty, $register:ty, $lanes:literal, $rows:literal,
         $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $max:ident) => {
            impl Vector for $token {
                type Register = $register;
                const LANES: usize = $lanes;
                const MR: usize = $rows;
                #[inline(always)]
                fn splat(self, x: f32) -> $register {
                    // SAFETY: `self` is proof of the instructions (so below).
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(self, from: *const f32) -> $register {
                    // SAFETY: and the caller hands enough floats.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32, x: $register) {
                    // SAFETY: and the caller hands enough room.
                    unsafe { $store(to, x) }
                }
                #[inline(always)]
                fn fma(self, a: $register, b: $register, c: $register) -> $register {
                    // SAFETY: `self` is proof of the instructions.
                    unsafe { $fma(a, b, c) }
                }
                #[inline(always)]
                fn add(self, a: $register, b: $register) -> $register {
                    // SAFETY: as above.
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn max(self, a: $register, b: $register) -> $register {
                    // SAFETY: as above.
                    unsafe { $max(a, b) }
                }
            }
        };
    }
    vector!(
        Avx2,
        __m256,
        8,
        6,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_max_ps
    );
    vector!(
        Avx512,
        __m512,
        16,
        14,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_max_ps
    );
    vector!(
        Avx512Bf16,
        __m512,
        16,
        14,
        splat_pair,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        dot_pairs,
        _mm512_add_ps,
        _mm512_max_ps
    );

    /// A pair of bf16 numbers, in the bits of one f32, in every lane.
    ///
    /// # Safety
    /// The CPU has AVX-512 F.
    #[inline(always)]
    unsafe fn splat_pair(x: f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(x.to_bits().cast_signed())) }
    }

    /// Lanes of a and b are pairs of bf16 numbers, lanes of c are f32.
    ///
    /// # Safety
    /// The CPU has AVX-512 BF16 and F.
    #[inline(always)]
    unsafe fn dot_pairs(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller's promise; a register of pairs is one of 32 bf16 numbers.
        unsafe {
            _mm512_dpbf16_ps(
                c,
                std::mem::transmute::<__m512, __m512bh>(a),
                std::mem::transmute::<__m512, __m512bh>(b),
            )
        }
    }
}
