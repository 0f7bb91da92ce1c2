//! Proof, as a type, of the instructions that a kernel body may use.
//!
//! A body is generic over [`Simd`] and takes a token of it. A token of wide instructions can only be made
//! inside a function compiled for them, which safe code cannot call from anywhere else, so whoever holds one
//! may run them. Tokens have no size: they vanish from the compiled code.
use crate::f16;

/// Numbers that are widened at once.
pub(crate) const RUN: usize = 16;

mod sealed {
    pub(crate) trait Sealed {}
}

/// What a kernel body computes with.
pub(crate) trait Simd: Copy + sealed::Sealed {
    /// Whether there are registers for several independent chains of multiply-adds.
    const WIDE: bool;

    /// a · b + c, fused where that is one instruction (elsewhere `mul_add` would be a slow library call).
    fn fma(self, a: f32, b: f32, c: f32) -> f32;

    /// The numbers that a run of f16 stands for.
    fn widen_f16(self, bits: &[u16; RUN]) -> [f32; RUN];
}

/// What every CPU has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl sealed::Sealed for Scalar {}

impl Simd for Scalar {
    const WIDE: bool = false;

    #[inline(always)]
    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    #[inline(always)]
    fn widen_f16(self, bits: &[u16; RUN]) -> [f32; RUN] {
        bits.map(f16::reference::widen)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Bf16};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{RUN, Simd, sealed::Sealed};
    use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};

    /// Proof of AVX2, FMA and F16C.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        /// Safe to call only where the caller was compiled for the same instructions.
        #[target_feature(enable = "avx2,fma,f16c")]
        #[inline]
        pub(crate) fn new() -> Self {
            Avx2(())
        }
    }

    impl Sealed for Avx2 {}

    impl Simd for Avx2 {
        const WIDE: bool = true;

        #[inline(always)]
        fn fma(self, a: f32, b: f32, c: f32) -> f32 {
            a.mul_add(b, c)
        }

        #[inline(always)]
        fn widen_f16(self, bits: &[u16; RUN]) -> [f32; RUN] {
            let mut numbers = [0.0; RUN];
            for (to, from) in numbers.as_chunks_mut::<8>().0.iter_mut().zip(bits.as_chunks::<8>().0) {
                // SAFETY: both are eight numbers long; `self` is proof of AVX2 and F16C.
                unsafe {
                    _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast())))
                };
            }
            numbers
        }
    }

    /// Proof of AVX-512 F, VL, DQ and BW.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        /// Safe to call only where the caller was compiled for the same instructions.
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
        #[inline]
        pub(crate) fn new() -> Self {
            Avx512(())
        }
    }

    /// Proof of AVX-512 BF16, and of AVX-512 F, VL, DQ and BW.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Avx512Bf16(());

    impl Avx512Bf16 {
        /// Safe to call only where the caller was compiled for the same instructions.
        #[target_feature(enable = "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw")]
        #[inline]
        pub(crate) fn new() -> Self {
            Avx512Bf16(())
        }
    }
}
