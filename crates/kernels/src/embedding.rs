//! Embedding bags: rows of a table, pooled.
//!
//! table is [R, D]; the bag of row b is `ids[offsets[b]..offsets[b + 1]]`; y is [B, D] written at a stride.
use crate::copy::copy;
use crate::half::Numbers;
use crate::number_format::{Bf16, F16, F32, NumberFormat};
use crate::prefetch::prefetch;
use crate::simd::{RUN, Simd};
use crate::strided::Strided;
use std::ops::Range;

/// How a bag becomes one vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pool<'a> {
    /// Σ e
    Sum,
    /// Σ e / len (zero for an empty bag)
    Mean,
    /// Σ w_i e_i with one weight per id of the batch
    Weighted(&'a [f32]),
    /// `Σ r[id] e[id]` with one learned weight per table row
    Learned(&'a [f32]),
}

/// A table of R rows.
#[derive(Debug, Clone, Copy)]
pub struct TableView<'a> {
    /// [R, D]
    pub values: Numbers<'a>,
    /// D
    pub dim: usize,
}

/// The ids of one feature, bag by bag.
#[derive(Debug, Clone, Copy)]
pub struct BagsView<'a> {
    /// Row numbers.
    pub ids: &'a [u32],
    /// B + 1 positions in `ids`.
    pub offsets: &'a [u32],
}

/// The definition.
pub mod reference {
    use super::{BagsView, Pool};
    use crate::Real;

    /// `y[b]` = pooled rows of bag b.
    pub fn forward<T: Real>(y: &mut [T], table: &[T], dim: usize, bags: BagsView<'_>, pool: Pool<'_>) {
        for (b, y) in y.chunks_exact_mut(dim).enumerate() {
            y.fill(T::default());
            let range = bags.offsets[b] as usize..bags.offsets[b + 1] as usize;
            for e in range.clone() {
                let id = bags.ids[e] as usize;
                let scale = T::of(match pool {
                    Pool::Sum => 1.0,
                    Pool::Mean => 1.0 / range.len() as f64,
                    Pool::Weighted(weights) => f64::from(weights[e]),
                    Pool::Learned(rows) => f64::from(rows[id]),
                });
                for (y, &x) in y.iter_mut().zip(&table[id * dim..]) {
                    *y += scale * x;
                }
            }
        }
    }

    /// `dtable[id] += scale · dy[b]` for every id of bag b.
    pub fn backward<T: Real>(dtable: &mut [T], dy: &[T], dim: usize, bags: BagsView<'_>, pool: Pool<'_>) {
        for (b, dy) in dy.chunks_exact(dim).enumerate() {
            let range = bags.offsets[b] as usize..bags.offsets[b + 1] as usize;
            for e in range.clone() {
                let id = bags.ids[e] as usize;
                let scale = T::of(match pool {
                    Pool::Sum => 1.0,
                    Pool::Mean => 1.0 / range.len() as f64,
                    Pool::Weighted(weights) => f64::from(weights[e]),
                    Pool::Learned(rows) => f64::from(rows[id]),
                });
                for (d, &dy) in dtable[id * dim..(id + 1) * dim].iter_mut().zip(dy) {
                    *d += scale * dy;
                }
            }
        }
    }
}

/// How many ids ahead a row is fetched: far enough to hide a miss to memory, near enough to stay cached.
pub(crate) const AHEAD: usize = 16;

#[inline(always)]
fn forward_body(simd: impl Simd, y: Strided<'_>, table: TableView<'_>, bags: BagsView<'_>, pool: Pool<'_>) {
    match table.values {
        Numbers::F32(values) => forward_of::<F32>(simd, y, (values, table.dim), bags, pool),
        Numbers::Bf16(values) => forward_of::<Bf16>(simd, y, (values, table.dim), bags, pool),
        Numbers::F16(values) => forward_of::<F16>(simd, y, (values, table.dim), bags, pool),
    }
}

#[inline(always)]
fn forward_of<E: NumberFormat>(
    simd: impl Simd,
    mut y: Strided<'_>,
    (table, dim): (&[E::Bits], usize),
    bags: BagsView<'_>,
    pool: Pool<'_>,
) {
    let row = |id: u32| &table[id as usize * dim..][..dim];
    for (b, offsets) in bags.offsets.windows(2).enumerate() {
        let y = y.row(b, dim);
        let (start, end) = (offsets[0] as usize, offsets[1] as usize);
        if end == start + 1 && matches!(pool, Pool::Sum | Pool::Mean) {
            // One-hot, the usual case: a copy.
            if let Some(&ahead) = bags.ids.get(start + AHEAD) {
                prefetch(row(ahead));
            }
            copy::<E>(simd, y, row(bags.ids[start]));
            continue;
        }
        // Widths that fit the registers stay there for a whole bag.
        match dim {
            16 => sum_rows::<E, 1>(simd, y, table, bags.ids, start..end, pool),
            32 => sum_rows::<E, 2>(simd, y, table, bags.ids, start..end, pool),
            64 => sum_rows::<E, 4>(simd, y, table, bags.ids, start..end, pool),
            _ => {
                y.fill(0.0);
                for e in start..end {
                    let (scale, row) = scaled_row::<E>((table, dim), bags.ids, e, pool);
                    add_row::<E>(simd, y, scale, row);
                }
            }
        }
        if pool == Pool::Mean && end > start {
            let scale = 1.0 / (end - start) as f32;
            y.iter_mut().for_each(|y| *y *= scale);
        }
    }
}

/// The row of id `e` and its factor; a later row is fetched meanwhile.
#[inline(always)]
fn scaled_row<'a, E: NumberFormat>(
    (table, dim): (&'a [E::Bits], usize),
    ids: &[u32],
    e: usize,
    pool: Pool<'_>,
) -> (f32, &'a [E::Bits]) {
    let row = |id: u32| &table[id as usize * dim..][..dim];
    // Rows of one cache line are used up faster.
    if let Some(&ahead) = ids.get(e + if size_of::<E::Bits>() * dim <= 64 { 2 * AHEAD } else { AHEAD }) {
        prefetch(row(ahead));
    }
    let id = ids[e];
    let scale = match pool {
        Pool::Sum | Pool::Mean => 1.0,
        Pool::Weighted(weights) => weights[e],
        Pool::Learned(rows) => rows[id as usize],
    };
    (scale, row(id))
}

/// y = Σ scale · row of the rows of a bag, N runs wide.
#[inline(always)]
fn sum_rows<E: NumberFormat, const N: usize>(
    simd: impl Simd,
    y: &mut [f32],
    table: &[E::Bits],
    ids: &[u32],
    bag: Range<usize>,
    pool: Pool<'_>,
) {
    let mut sum = [[0.0; RUN]; N];
    for e in bag {
        let (scale, row) = scaled_row::<E>((table, N * RUN), ids, e, pool);
        for (sum, row) in sum.iter_mut().zip(row.as_chunks().0) {
            let x = E::widen_run(simd, row);
            for (sum, x) in sum.iter_mut().zip(x) {
                *sum = simd.fma(scale, x, *sum);
            }
        }
    }
    y.copy_from_slice(sum.as_flattened());
}

/// y += scale · row
#[inline(always)]
fn add_row<E: NumberFormat>(simd: impl Simd, y: &mut [f32], scale: f32, row: &[E::Bits]) {
    let (y, y_rest) = y.as_chunks_mut::<RUN>();
    let (row, row_rest) = row.as_chunks::<RUN>();
    for (y, x) in y.iter_mut().zip(row) {
        let x = E::widen_run(simd, x);
        for (y, x) in y.iter_mut().zip(x) {
            *y = simd.fma(scale, x, *y);
        }
    }
    for (y, &x) in y_rest.iter_mut().zip(row_rest) {
        *y = simd.fma(scale, E::widen(x), *y);
    }
}

bind! {
    /// The first D floats of row b of `y` ← the pooled rows of bag b.
    ///
    /// # Panics
    /// If an id is beyond the table or `y` too short.
    pub fn forward(y: Strided<'_>, table: TableView<'_>, bags: BagsView<'_>, pool: Pool<'_>) = forward_body
}

/// One place where a table row was used: the output row and the factor its gradient carries.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// dy of the bag, `[D]`.
    pub dy: &'a [f32],
    /// Factor of the pooling: 1, 1/len or the data's weight.
    pub scale: f32,
}

#[inline(always)]
fn add_use_body(simd: impl Simd, sum: &mut [f32], at: Use<'_>) {
    assert_eq!(sum.len(), at.dy.len(), "one gradient per column");
    for (sum, &dy) in sum.iter_mut().zip(at.dy) {
        *sum = simd.fma(at.scale, dy, *sum);
    }
}

bind! {
    /// sum += scale · dy, both `[D]`.
    ///
    /// # Panics
    /// If they differ in length.
    pub fn add_use(sum: &mut [f32], at: Use<'_>) = add_use_body
}
