//! Tables of 16-bit numbers: bf16 or f16 (IEEE 754 binary16, five bits of exponent and ten of mantissa), held
//! as `u16`.
//!
//! A step moves a weight by less than the distance of two such numbers most of the time, so rounding to the
//! nearest would lose most steps. Stochastic rounding takes one of the two neighbours, with the probability
//! that makes the result right in expectation (Gupta et al. 2015, arXiv:1502.02551, section 3.1).
use crate::copy::copy;
use crate::number_format::{Bf16, F16};
use crate::simd::Simd;
use crate::{bf16, f16, hash};
use std::ops::Range;

/// Numbers as they are kept, to read.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// In 32 bits.
    F32(&'a [f32]),
    /// As bf16.
    Bf16(&'a [u16]),
    /// As f16.
    F16(&'a [u16]),
}

/// Numbers as they are kept, to write to.
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

    /// Number `i`, widened.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, i: usize) -> f32 {
        match self {
            Numbers::F32(x) => x[i],
            Numbers::Bf16(x) => bf16::reference::widen(x[i]),
            Numbers::F16(x) => f16::reference::widen(x[i]),
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

    /// All in order, widened.
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
    /// Its numbers, to read.
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

    /// Sets each to the nearest of its format to that of `from`.
    ///
    /// # Panics
    /// If their number differs.
    pub fn set(&mut self, from: &[f32]) {
        assert_eq!(self.view().len(), from.len(), "as many numbers as there is room for");
        match self {
            NumbersMut::F32(x) => x.copy_from_slice(from),
            NumbersMut::Bf16(x) => {
                x.iter_mut().zip(from).for_each(|(to, &x)| *to = bf16::reference::nearest(x))
            }
            NumbersMut::F16(x) => {
                x.iter_mut().zip(from).for_each(|(to, &x)| *to = f16::reference::nearest(x))
            }
        }
    }
}

#[inline(always)]
fn widen_body(simd: impl Simd, to: &mut [f32], from: Numbers<'_>) {
    assert_eq!(to.len(), from.len(), "as much room as there are numbers");
    match from {
        Numbers::F32(x) => to.copy_from_slice(x),
        Numbers::Bf16(x) => copy::<Bf16>(simd, to, x),
        Numbers::F16(x) => copy::<F16>(simd, to, x),
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
fn round_body(_: impl Simd, to: NumbersMut<'_>, from: &[f32], key: u64, row: u64) {
    assert_eq!(to.view().len(), from.len(), "as much room as there are numbers");
    let row_key = hash::of_row(key, row);
    let random = |i: usize| hash::of_element(row_key, i as u64);
    match to {
        NumbersMut::F32(to) => to.copy_from_slice(from),
        NumbersMut::Bf16(to) => {
            to.iter_mut()
                .zip(from)
                .enumerate()
                .for_each(|(i, (to, &x))| *to = bf16::reference::stochastic(x, random(i)));
        }
        NumbersMut::F16(to) => {
            to.iter_mut()
                .zip(from)
                .enumerate()
                .for_each(|(i, (to, &x))| *to = f16::reference::stochastic(x, random(i)));
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
