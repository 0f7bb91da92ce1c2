//! bf16, the upper half of an f32: its eight bits of exponent, seven of its twenty-three bits of mantissa.
//! Numbers are held as `u16`.
use crate::simd::Simd;

/// The definitions.
pub mod reference {
    /// The number that `x` stands for.
    #[inline(always)]
    pub fn widen(x: u16) -> f32 {
        f32::from_bits(u32::from(x) << 16)
    }

    /// The nearest bf16, of two as near the even one. What is nearer to 2^128 than to the largest number
    /// becomes infinite; NaN stays NaN.
    #[inline(always)]
    pub fn nearest(x: f32) -> u16 {
        let bits = x.to_bits();
        let half = 0x7FFF + (bits >> 16 & 1);
        // A carry into the exponent is right: the next number. NaN would carry into the sign; the bit keeps
        // those visible whose payload is in the lower half.
        let rounded = if x.is_nan() { bits | 0x0040_0000 } else { bits.wrapping_add(half) };
        (rounded >> 16) as u16
    }

    /// One of the two bf16 around `x`, the nearer the likelier, as the low 16 of random bits decide. Infinite
    /// and NaN stay so.
    #[inline(always)]
    pub fn stochastic(x: f32, random: u32) -> u16 {
        let bits = x.to_bits();
        let rounded = if x.is_nan() { bits | 0x0040_0000 } else { bits.wrapping_add(random & 0xFFFF) };
        (rounded >> 16) as u16
    }
}

/// The nearest bf16 as an f32.
#[inline(always)]
pub(crate) fn rounded(x: f32) -> f32 {
    reference::widen(reference::nearest(x))
}

#[inline(always)]
fn round_body(_: impl Simd, x: &mut [f32]) {
    for x in x {
        *x = rounded(*x);
    }
}

bind! {
    /// x ← the nearest bf16 to x, as an f32.
    pub fn round(x: &mut [f32]) = round_body
}
