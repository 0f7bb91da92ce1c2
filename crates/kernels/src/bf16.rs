//! bf16, the upper half of an f32: its eight bits of exponent, seven of its twenty-three bits of mantissa. Numbers are
//! held as `u16`.
use crate::hash;

/// The definitions.
pub mod reference {
    /// The number that `x` stands for.
    #[inline(always)]
    pub fn widen(x: u16) -> f32 {
        f32::from_bits(u32::from(x) << 16)
    }

    /// The nearest bf16, of two as near the even one. What is nearer to 2^128 than to the largest number becomes infinite;
    /// NaN stays NaN.
    #[inline(always)]
    pub fn narrow(x: f32) -> u16 {
        let bits = x.to_bits();
        let half = 0x7FFF + (bits >> 16 & 1);
        (rounded_up(x, half) >> 16) as u16
    }

    /// One of the two neighbours of `x`, the upper one (in size) with the probability that makes the mean `x`, if `random` is any
    /// number below 2^16 with the same probability. What bf16 can represent stays; above its largest number the upper neighbour
    /// is infinite; NaN stays NaN.
    #[inline(always)]
    pub fn narrow_stochastic(x: f32, random: u16) -> u16 {
        (rounded_up(x, u32::from(random)) >> 16) as u16
    }

    /// Bits whose upper half is `x` after adding `by` to the lower half. A carry into the exponent is right: the next number.
    #[inline(always)]
    fn rounded_up(x: f32, by: u32) -> u32 {
        // NaN would carry into the sign; the bit keeps those visible whose payload is in the lower half.
        if x.is_nan() { x.to_bits() | 0x0040_0000 } else { x.to_bits().wrapping_add(by) }
    }
}

/// The nearest bf16 as an f32.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> f32 {
    reference::widen(reference::narrow(x))
}

#[inline(always)]
fn narrow_body<const FMA: bool>(y: &mut [u16], x: &[f32]) {
    assert_eq!(y.len(), x.len(), "one output per input");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = reference::narrow(x);
    }
}

bind! {
    /// y ← the nearest bf16 to x, ties to even.
    pub fn narrow(y: &mut [u16], x: &[f32]) = narrow_body
}

#[inline(always)]
fn widen_body<const FMA: bool>(y: &mut [f32], x: &[u16]) {
    assert_eq!(y.len(), x.len(), "one output per input");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = reference::widen(x);
    }
}

bind! {
    /// y ← x, exactly.
    pub fn widen(y: &mut [f32], x: &[u16]) = widen_body
}

#[inline(always)]
fn round_body<const FMA: bool>(x: &mut [f32]) {
    for x in x {
        *x = nearest(*x);
    }
}

bind! {
    /// x ← the nearest bf16 to x, as an f32.
    pub fn round(x: &mut [f32]) = round_body
}

/// Which way the elements of a row are rounded: a function of (key, row, column) alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise {
    /// Seed, step and table.
    pub key: u64,
    /// Row of the table.
    pub row: u64,
}

impl Noise {
    /// The random bits of one column.
    pub fn of(self, column: usize) -> u16 {
        random(hash::of_row(self.key, self.row), column)
    }
}

#[inline(always)]
fn random(row_key: u64, column: usize) -> u16 {
    (hash::of_element(row_key, column as u64) >> 16) as u16
}

#[inline(always)]
fn narrow_stochastic_body<const FMA: bool>(y: &mut [u16], x: &[f32], noise: Noise) {
    assert_eq!(y.len(), x.len(), "one output per input");
    let row_key = hash::of_row(noise.key, noise.row);
    for (column, (y, &x)) in y.iter_mut().zip(x).enumerate() {
        *y = reference::narrow_stochastic(x, random(row_key, column));
    }
}

bind! {
    /// y ← x rounded up or down at random, so that the mean over many steps is x: a weight kept in bf16 then also moves by updates that
    /// are smaller than its last bit. x is one row.
    pub fn narrow_stochastic(y: &mut [u16], x: &[f32], noise: Noise) = narrow_stochastic_body
}
