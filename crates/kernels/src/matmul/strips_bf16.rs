//! The left operand rounded to bf16, packed for the tiles.
use super::bf16::{Form, join, pair, two_rows};
use super::operands::View;
use super::strips::Strips;
use crate::bf16;
use crate::isa::Isa;
use crate::simd::Simd;

impl Strips {
    /// Of A [m, k] rounded to bf16, for this instruction set.
    ///
    /// # Panics
    /// As [`Strips::new`].
    pub fn of_bf16(isa: Isa, m: usize, k: usize) -> Self {
        Strips::new(isa, m, Form::of(isa).steps(k))
    }

    /// Rounds and packs `a` [m, k], whose columns are contiguous, into memory of that many floats.
    ///
    /// # Panics
    /// As [`Strips::pack`], or if the strips are not those of such an A.
    pub fn pack_bf16(self, isa: Isa, a: View<'_>, k: usize, out: &mut [f32]) {
        let form = Form::of(isa);
        assert_eq!(self.k, form.steps(k), "strips of another A");
        match form {
            Form::Singles => {
                self.pack(a, out);
                bf16::round(isa, &mut out[..self.floats()]);
            }
            Form::Pairs => {
                assert!(
                    a.holds(self.m, k) && a.row == 1,
                    "columns of A [{}, {k}] one behind the other",
                    self.m
                );
                pair_strips(isa, &mut out[..self.floats()], self, a, k);
            }
        }
    }
}

#[inline(always)]
fn pair_strips_body(_: impl Simd, mut out: &mut [f32], shape: Strips, a: View<'_>, k: usize) {
    for strip in 0..shape.count() {
        let rows = shape.rows(strip..strip + 1);
        let (own, after) = std::mem::take(&mut out).split_at_mut(rows.len() * shape.k);
        out = after;
        // Of few heights, each of them known: a loop over so few numbers is not worth its beginning and end.
        match rows.len() {
            14 => pair_strip::<14>(own, a, rows.start, k),
            13 => pair_strip::<13>(own, a, rows.start, k),
            12 => pair_strip::<12>(own, a, rows.start, k),
            height => {
                for (step, out) in own.chunks_exact_mut(height).enumerate() {
                    let (first, second) = two_rows(a.transposed(), step, k, rows.start, height);
                    join(out, first, second);
                }
            }
        }
    }
}

/// A strip of H rows of A, from row `first` on.
#[inline(always)]
fn pair_strip<const H: usize>(strip: &mut [f32], a: View<'_>, first: usize, k: usize) {
    for (step, out) in strip.as_chunks_mut::<H>().0.iter_mut().enumerate() {
        let column = |at: usize| -> [f32; H] {
            *a.data[at * a.column + first..].first_chunk().expect("the rows of a strip")
        };
        let (even, odd) = (column(2 * step), if 2 * step + 1 < k { column(2 * step + 1) } else { [0.0; H] });
        *out = std::array::from_fn(|i| pair(even[i], odd[i]));
    }
}

bind! {
    /// All strips of A, whose columns are contiguous.
    fn pair_strips(out: &mut [f32], shape: Strips, a: View<'_>, k: usize) = pair_strips_body
}
