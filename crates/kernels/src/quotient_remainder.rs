//! Compositional embeddings (Shi et al. 2019, arXiv:1909.02107, section 4): the vector of an id is combined
//! from row id / c of one table and row id % c of a second one with c rows, so R ids need ⌈R / c⌉ + c rows.
//!
//! quotient is [⌈R / c⌉, L], remainder [c, M]; L = M = D, or L + M = D where the parts are concatenated. Ids
//! are combined first and pooled then. (The reference DLRM pools both tables and combines the sums, which for
//! products and bags of several ids is another model.)
use crate::embedding::{AHEAD, BagsView, Pool, Use};
use crate::prefetch::prefetch;
use crate::simd::Simd;
use crate::strided::Strided;

/// How the two rows of an id become its vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// q ⊙ r
    Multiply,
    /// q + r
    Add,
    /// q and r side by side.
    Concat,
}

impl Combine {
    /// Widths (L, M) of the rows of the tables of quotients and of remainders for vectors of width `dim`.
    pub fn widths(self, dim: usize) -> (usize, usize) {
        match self {
            Combine::Multiply | Combine::Add => (dim, dim),
            Combine::Concat => (dim - dim / 2, dim / 2),
        }
    }
}

/// The two tables of a feature.
#[derive(Debug, Clone, Copy)]
pub struct TablePair<'a, T = f32> {
    /// [⌈R / c⌉, L]
    pub quotient: &'a [T],
    /// [c, M]
    pub remainder: &'a [T],
    /// c
    pub collisions: u32,
    /// What is done with their rows.
    pub combine: Combine,
}

impl<'a, T> TablePair<'a, T> {
    /// The two rows of an id whose vector is `dim` wide.
    #[inline(always)]
    fn rows(&self, id: u32, dim: usize) -> (&'a [T], &'a [T]) {
        let (left, right) = self.combine.widths(dim);
        let (quotient, remainder) = ((id / self.collisions) as usize, (id % self.collisions) as usize);
        (&self.quotient[quotient * left..][..left], &self.remainder[remainder * right..][..right])
    }
}

/// The definition.
pub mod reference {
    use super::{BagsView, Combine, Pool, TablePair};
    use crate::Real;

    /// Factor of use `e` in a bag of `len` ids.
    fn scale<T: Real>(pool: Pool<'_>, e: usize, len: usize) -> T {
        T::of(match pool {
            Pool::Sum => 1.0,
            Pool::Mean => 1.0 / len as f64,
            Pool::Weighted(weights) => f64::from(weights[e]),
            Pool::Learned(_) => unreachable!("a combined row has no weight of its own"),
        })
    }

    /// `y[b]` = pooled vectors of bag b.
    pub fn forward<T: Real>(
        y: &mut [T],
        pair: TablePair<'_, T>,
        dim: usize,
        bags: BagsView<'_>,
        pool: Pool<'_>,
    ) {
        for (b, y) in y.chunks_exact_mut(dim).enumerate() {
            y.fill(T::default());
            let range = bags.offsets[b] as usize..bags.offsets[b + 1] as usize;
            for e in range.clone() {
                let (q, r) = pair.rows(bags.ids[e], dim);
                let scale = scale::<T>(pool, e, range.len());
                for (d, y) in y.iter_mut().enumerate() {
                    *y += scale
                        * match pair.combine {
                            Combine::Multiply => q[d] * r[d],
                            Combine::Add => q[d] + r[d],
                            Combine::Concat if d < q.len() => q[d],
                            Combine::Concat => r[d - q.len()],
                        };
                }
            }
        }
    }

    /// Adds the gradients of both tables, (quotient, remainder).
    pub fn backward<T: Real>(
        (dq, dr): (&mut [T], &mut [T]),
        dy: &[T],
        pair: TablePair<'_, T>,
        dim: usize,
        (bags, pool): (BagsView<'_>, Pool<'_>),
    ) {
        let (left, right) = pair.combine.widths(dim);
        for (b, dy) in dy.chunks_exact(dim).enumerate() {
            let range = bags.offsets[b] as usize..bags.offsets[b + 1] as usize;
            for e in range.clone() {
                let (q, r) = pair.rows(bags.ids[e], dim);
                let scale = scale::<T>(pool, e, range.len());
                let dq = &mut dq[(bags.ids[e] / pair.collisions) as usize * left..][..left];
                let dr = &mut dr[(bags.ids[e] % pair.collisions) as usize * right..][..right];
                for (d, &dy) in dy.iter().enumerate() {
                    match pair.combine {
                        Combine::Multiply => {
                            dq[d] += scale * dy * r[d];
                            dr[d] += scale * dy * q[d];
                        }
                        Combine::Add => {
                            dq[d] += scale * dy;
                            dr[d] += scale * dy;
                        }
                        Combine::Concat if d < left => dq[d] += scale * dy,
                        Combine::Concat => dr[d - left] += scale * dy,
                    }
                }
            }
        }
    }
}

/// y += scale · vector
#[inline(always)]
fn add_vector(simd: impl Simd, y: &mut [f32], scale: f32, (q, r): (&[f32], &[f32]), combine: Combine) {
    match combine {
        Combine::Multiply => {
            for ((y, &q), &r) in y.iter_mut().zip(q).zip(r) {
                *y = simd.fma(scale * q, r, *y);
            }
        }
        Combine::Add => {
            for ((y, &q), &r) in y.iter_mut().zip(q).zip(r) {
                *y = simd.fma(scale, q + r, *y);
            }
        }
        Combine::Concat => {
            let (left, right) = y.split_at_mut(q.len());
            for (y, &x) in left.iter_mut().zip(q) {
                *y = simd.fma(scale, x, *y);
            }
            for (y, &x) in right.iter_mut().zip(r) {
                *y = simd.fma(scale, x, *y);
            }
        }
    }
}

#[inline(always)]
fn forward_body(
    simd: impl Simd,
    mut y: Strided<'_>,
    pair: TablePair<'_>,
    dim: usize,
    bags: BagsView<'_>,
    pool: Pool<'_>,
) {
    assert!(!matches!(pool, Pool::Learned(_)), "a combined row has no weight of its own");
    for (b, offsets) in bags.offsets.windows(2).enumerate() {
        let y = y.row(b, dim);
        let (start, end) = (offsets[0] as usize, offsets[1] as usize);
        y.fill(0.0);
        for e in start..end {
            // The few rows of the remainders stay in cache by themselves.
            if let Some(&ahead) = bags.ids.get(e + AHEAD) {
                prefetch(pair.rows(ahead, dim).0);
            }
            let scale = if let Pool::Weighted(weights) = pool { weights[e] } else { 1.0 };
            add_vector(simd, y, scale, pair.rows(bags.ids[e], dim), pair.combine);
        }
        if pool == Pool::Mean && end > start {
            let scale = 1.0 / (end - start) as f32;
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

bind! {
    /// The first D floats of row b of `y` ← the pooled vectors of bag b; D is `dim`.
    ///
    /// # Panics
    /// If an id is beyond the tables, `y` too short or the pooling learned.
    pub fn forward(y: Strided<'_>, pair: TablePair<'_>, dim: usize, bags: BagsView<'_>, pool: Pool<'_>)
        = forward_body
}

#[inline(always)]
fn add_product_body(simd: impl Simd, sum: &mut [f32], at: Use<'_>, factor: &[f32]) {
    assert_eq!((sum.len(), sum.len()), (at.dy.len(), factor.len()), "one gradient and one factor per column");
    for ((sum, &dy), &factor) in sum.iter_mut().zip(at.dy).zip(factor) {
        *sum = simd.fma(at.scale * dy, factor, *sum);
    }
}

bind! {
    /// sum += scale · dy ⊙ factor, all `[D]`: one use of a row that was multiplied by `factor`.
    ///
    /// # Panics
    /// If they differ in length.
    pub fn add_product(sum: &mut [f32], at: Use<'_>, factor: &[f32]) = add_product_body
}
