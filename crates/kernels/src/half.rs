//! Tables of 16-bit numbers: bf16 or f16 (IEEE 754 binary16, five bits of exponent and ten of mantissa), held as `u16`.
//!
//! A step moves a weight by less than the distance of two such numbers most of the time, so rounding to the nearest would
//! lose most steps. Stochastic rounding takes one of the two neighbours, with the probability that makes the result right in
//! expectation (Gupta et al. 2015, arXiv:1502.02551, section 3.1).
use crate::buffer::Number;
use crate::copy::copy;
use crate::hash;
use std::ops::Range;

/// The definitions.
pub mod reference {
    use crate::bf16::reference as bf16;

    /// Distance of the exponents of f32 and f16, as a number's bits show it.
    const REBIAS: u32 = 112 << 23;
    /// The smallest normal f16, 2^-14, as bits.
    const NORMAL: u32 = 113 << 23;
    /// f16's infinity.
    const INFINITE: u32 = 0x7C00;

    /// The number that `x` stands for in bf16.
    pub use bf16::{narrow as nearest_bf16, widen as widen_bf16};

    /// One of the two bf16 around `x`, the nearer the likelier, as the low 16 of random bits decide. Infinite and NaN stay so.
    #[inline(always)]
    pub fn stochastic_bf16(x: f32, random: u32) -> u16 {
        let bits = x.to_bits();
        let rounded = if x.is_nan() { bits | 0x0040_0000 } else { bits.wrapping_add(random & 0xFFFF) };
        (rounded >> 16) as u16
    }

    /// The number that `x` stands for in f16.
    #[inline(always)]
    pub fn widen_f16(x: u16) -> f32 {
        let (sign, rest) = (u32::from(x & 0x8000) << 16, u32::from(x & 0x7FFF));
        // Selected, not branched to, so that rows are widened by vectors; subnormal numbers by way of integers, for those of
        // f32 would be slow.
        let tiny = (rest as i32 as f32 * (1.0 / 16_777_216.0)).to_bits();
        let normal = (rest << 13) + REBIAS;
        let special = (rest << 13) | 0x7F80_0000;
        let size = if rest < 0x0400 { tiny } else { normal };
        f32::from_bits(sign | if rest >= INFINITE { special } else { size })
    }

    /// The nearest f16, of two as near the even one; from 65520 on infinite. NaN stays NaN.
    #[inline(always)]
    pub fn nearest_f16(x: f32) -> u16 {
        let size = x.to_bits() & 0x7FFF_FFFF;
        // Of numbers from 1/2 to 1 the last bit is worth 2^-24, as of subnormal f16: the addition rounds.
        let tiny = (f32::from_bits(size) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        narrow_f16(x, tiny, 0x0FFF + (size >> 13 & 1))
    }

    /// One of the two f16 around `x`, the nearer the likelier, as the low 13 of random bits decide. Infinite and NaN stay so.
    #[inline(always)]
    pub fn stochastic_f16(x: f32, random: u32) -> u16 {
        let random = random & 0x1FFF;
        // Moved by less than half a step of subnormal f16, 2^-24, at random; that is the last bit of numbers from 1/2 to 1, so
        // the addition of 3/4 rounds. (To cut an integer would take a checked conversion, which is slow.)
        let shift = (random as i32 as f32 + 0.5) * 2f32.powi(-37) - 2f32.powi(-25);
        let tiny = (f32::from_bits(x.to_bits() & 0x7FFF_FFFF) + shift + 0.75)
            .to_bits()
            .wrapping_sub(0.75f32.to_bits());
        narrow_f16(x, tiny, random)
    }

    /// `tiny` if `x` is smaller than normal f16 are; else `x` enlarged by `add`, in units of the last bit of an f32, and cut.
    #[inline(always)]
    fn narrow_f16(x: f32, tiny: u32, add: u32) -> u16 {
        let (bits, size) = (x.to_bits(), x.to_bits() & 0x7FFF_FFFF);
        let normal = (size.wrapping_sub(REBIAS).wrapping_add(add) >> 13).min(INFINITE);
        let finite = if size < NORMAL { tiny } else { normal };
        let special = if x.is_nan() { INFINITE | 0x0200 } else { INFINITE };
        // From 2^16 on everything is infinite; the difference of exponents would not fit.
        let narrow = if size >= 143 << 23 { special } else { finite };
        ((bits >> 16 & 0x8000) | narrow) as u16
    }
}

/// An encoding of numbers in memory.
pub(crate) trait Encoding {
    /// What is stored.
    type Bits: Number;
    /// The number that is meant.
    fn widen(bits: Self::Bits) -> f32;
    /// The numbers of a run, inside a vector instruction set where `FMA` says so.
    #[inline(always)]
    fn widen_run<const FMA: bool>(bits: &[Self::Bits; RUN]) -> [f32; RUN] {
        bits.map(Self::widen)
    }
}

/// Numbers that are widened at once.
pub(crate) const RUN: usize = 16;

pub(crate) struct F32;
pub(crate) struct Bf16;
pub(crate) struct F16;

impl Encoding for F32 {
    type Bits = f32;
    #[inline(always)]
    fn widen(bits: f32) -> f32 {
        bits
    }
}

impl Encoding for Bf16 {
    type Bits = u16;
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        reference::widen_bf16(bits)
    }
}

impl Encoding for F16 {
    type Bits = u16;
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        reference::widen_f16(bits)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn widen_run<const FMA: bool>(bits: &[u16; RUN]) -> [f32; RUN] {
        use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
        if !FMA {
            return bits.map(Self::widen);
        }
        let mut numbers = [0.0; RUN];
        for (to, from) in numbers.as_chunks_mut::<8>().0.iter_mut().zip(bits.as_chunks::<8>().0) {
            // SAFETY: both are eight numbers long; bodies that are told of FMA run where the instructions of AVX2 and F16C are
            // (`bind!`).
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast())))
            };
        }
        numbers
    }
}

/// Numbers as they are kept.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// In 32 bits.
    F32(&'a [f32]),
    /// As bf16.
    Bf16(&'a [u16]),
    /// As f16.
    F16(&'a [u16]),
}

/// The same for writing.
#[derive(Debug)]
pub enum NumbersMut<'a> {
    /// In 32 bits.
    F32(&'a mut [f32]),
    /// As bf16.
    Bf16(&'a mut [u16]),
    /// As f16.
    F16(&'a mut [u16]),
}

impl<'a> Numbers<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Numbers::F32(x) => x.len(),
            Numbers::Bf16(x) | Numbers::F16(x) => x.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number `i`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, i: usize) -> f32 {
        match self {
            Numbers::F32(x) => x[i],
            Numbers::Bf16(x) => reference::widen_bf16(x[i]),
            Numbers::F16(x) => reference::widen_f16(x[i]),
        }
    }

    /// The numbers themselves, where they are kept in 32 bits.
    ///
    /// # Panics
    /// If they are kept in 16.
    pub fn f32(self) -> &'a [f32] {
        match self {
            Numbers::F32(x) => x,
            Numbers::Bf16(_) | Numbers::F16(_) => panic!("numbers of 16 bits have no f32 to show"),
        }
    }

    /// All in order.
    pub fn iter(self) -> impl Iterator<Item = f32> + 'a {
        (0..self.len()).map(move |i| self.get(i))
    }

    /// Those of a range.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn slice(&self, range: Range<usize>) -> Numbers<'a> {
        match *self {
            Numbers::F32(x) => Numbers::F32(&x[range]),
            Numbers::Bf16(x) => Numbers::Bf16(&x[range]),
            Numbers::F16(x) => Numbers::F16(&x[range]),
        }
    }
}

impl<'a> NumbersMut<'a> {
    /// The same for reading.
    pub fn view(&self) -> Numbers<'_> {
        match self {
            NumbersMut::F32(x) => Numbers::F32(x),
            NumbersMut::Bf16(x) => Numbers::Bf16(x),
            NumbersMut::F16(x) => Numbers::F16(x),
        }
    }

    /// Those of a range.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn slice(&mut self, range: Range<usize>) -> NumbersMut<'_> {
        match self {
            NumbersMut::F32(x) => NumbersMut::F32(&mut x[range]),
            NumbersMut::Bf16(x) => NumbersMut::Bf16(&mut x[range]),
            NumbersMut::F16(x) => NumbersMut::F16(&mut x[range]),
        }
    }

    /// The first `len` and the others.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn split_at(self, len: usize) -> (NumbersMut<'a>, NumbersMut<'a>) {
        fn both<'a, T>(
            x: &'a mut [T],
            len: usize,
            of: fn(&'a mut [T]) -> NumbersMut<'a>,
        ) -> (NumbersMut<'a>, NumbersMut<'a>) {
            let (left, right) = x.split_at_mut(len);
            (of(left), of(right))
        }
        match self {
            NumbersMut::F32(x) => both(x, len, NumbersMut::F32),
            NumbersMut::Bf16(x) => both(x, len, NumbersMut::Bf16),
            NumbersMut::F16(x) => both(x, len, NumbersMut::F16),
        }
    }

    /// The nearest to those of `from`.
    ///
    /// # Panics
    /// If their number differs.
    pub fn set(&mut self, from: &[f32]) {
        assert_eq!(self.view().len(), from.len(), "as many numbers as there is room for");
        match self {
            NumbersMut::F32(x) => x.copy_from_slice(from),
            NumbersMut::Bf16(x) => {
                x.iter_mut().zip(from).for_each(|(to, &x)| *to = reference::nearest_bf16(x))
            }
            NumbersMut::F16(x) => x.iter_mut().zip(from).for_each(|(to, &x)| *to = reference::nearest_f16(x)),
        }
    }
}

#[inline(always)]
fn widen_body<const FMA: bool>(to: &mut [f32], from: Numbers<'_>) {
    assert_eq!(to.len(), from.len(), "as much room as there are numbers");
    match from {
        Numbers::F32(x) => to.copy_from_slice(x),
        Numbers::Bf16(x) => copy::<FMA, Bf16>(to, x),
        Numbers::F16(x) => copy::<FMA, F16>(to, x),
    }
}

bind! {
    /// to ← from
    ///
    /// # Panics
    /// If their lengths differ.
    pub fn widen(to: &mut [f32], from: Numbers<'_>) = widen_body
}

#[inline(always)]
fn round_body<const FMA: bool>(to: NumbersMut<'_>, from: &[f32], key: u64, row: u64) {
    assert_eq!(to.view().len(), from.len(), "as much room as there are numbers");
    let row_key = hash::of_row(key, row);
    let random = |i: usize| hash::of_element(row_key, i as u64);
    match to {
        NumbersMut::F32(to) => to.copy_from_slice(from),
        NumbersMut::Bf16(to) => {
            to.iter_mut()
                .zip(from)
                .enumerate()
                .for_each(|(i, (to, &x))| *to = reference::stochastic_bf16(x, random(i)));
        }
        NumbersMut::F16(to) => {
            to.iter_mut()
                .zip(from)
                .enumerate()
                .for_each(|(i, (to, &x))| *to = reference::stochastic_f16(x, random(i)));
        }
    }
}

bind! {
    /// to ← from, each rounded to one of its two neighbours by random bits that (key, row, column) decides.
    ///
    /// # Panics
    /// If their lengths differ.
    pub fn round(to: NumbersMut<'_>, from: &[f32], key: u64, row: u64) = round_body
}
