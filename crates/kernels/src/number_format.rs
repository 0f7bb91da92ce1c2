//! Encodings of numbers in memory.
use crate::buffer::Number;
use crate::simd::{RUN, Simd};
use crate::{bf16, f16};

/// An encoding of numbers in memory.
pub(crate) trait NumberFormat {
    /// What is stored.
    type Bits: Number;
    /// The number that is meant.
    fn widen(bits: Self::Bits) -> f32;
    /// The numbers of a run.
    #[inline(always)]
    fn widen_run(_: impl Simd, bits: &[Self::Bits; RUN]) -> [f32; RUN] {
        bits.map(Self::widen)
    }
}

pub(crate) struct F32;
pub(crate) struct Bf16;
pub(crate) struct F16;

impl NumberFormat for F32 {
    type Bits = f32;
    #[inline(always)]
    fn widen(bits: f32) -> f32 {
        bits
    }
}

impl NumberFormat for Bf16 {
    type Bits = u16;
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        bf16::reference::widen(bits)
    }
}

impl NumberFormat for F16 {
    type Bits = u16;
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        f16::reference::widen(bits)
    }

    #[inline(always)]
    fn widen_run(simd: impl Simd, bits: &[u16; RUN]) -> [f32; RUN] {
        simd.widen_f16(bits)
    }
}
