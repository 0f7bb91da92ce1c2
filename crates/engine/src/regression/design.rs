//! Encoded rows as the matrix X of a regression: a column per dense input, one per table row, and ones.
use dlrm_data::Batch;
use dlrm_data::batch::{Bags, Layout};
use dlrm_data::schema::Pooling;
use rayon::prelude::*;
use std::ops::Range;

/// Parts of the rows whose sums are added in order, so that no bit depends on the number of threads; one more
/// where there are two blocks.
pub(super) const PARTS: usize = 8;

/// X [N, P], P = dense inputs, then the rows of each feature's table, then the intercept.
pub(super) struct Design<'a> {
    blocks: Vec<Block<'a>>,
    /// Dense values of a row.
    dense: usize,
    /// Which of them are inputs; the columns of the others are zero.
    inputs: Vec<usize>,
    /// P
    pub(super) columns: usize,
    pool: &'a rayon::ThreadPool,
}

/// Rows of X that lie behind one another.
struct Block<'a> {
    rows: &'a Batch,
    features: Vec<Columns<'a>>,
    /// The first of them in X.
    first: usize,
}

/// Rows of one block, as they are counted in it.
struct Part<'b, 'a> {
    block: &'b Block<'a>,
    rows: Range<usize>,
}

impl Part<'_, '_> {
    /// As they are counted in X.
    fn range(&self) -> Range<usize> {
        self.block.first + self.rows.start..self.block.first + self.rows.end
    }
}

/// Of a number that has bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slopes {
    /// Its bins are inputs too.
    Many,
    /// It is one input.
    One,
}

/// The columns of a feature.
struct Columns<'a> {
    bags: &'a Bags,
    /// Whether a bag's ids share the weight 1.
    mean: bool,
    /// Whether every bag is one id of weight 1.
    one_hot: bool,
    /// The column of its table's first row.
    first: usize,
}

impl<'a> Columns<'a> {
    fn new(bags: &'a Bags, mean: bool, first: usize) -> Self {
        let single = bags.offsets.iter().enumerate().all(|(b, &offset)| offset as usize == b);
        Columns { bags, mean, one_hot: single && (mean || bags.weights.is_none()), first }
    }

    /// Calls `entry(row, column, x)` for every entry of these rows.
    fn entries(&self, rows: Range<usize>, mut entry: impl FnMut(usize, usize, f64)) {
        let column = |id: u32| self.first + id as usize;
        if self.one_hot {
            return rows.clone().zip(&self.bags.ids[rows]).for_each(|(b, &id)| entry(b, column(id), 1.0));
        }
        for b in rows {
            let range = self.bags.offsets[b] as usize..self.bags.offsets[b + 1] as usize;
            let share = 1.0 / range.len().max(1) as f64;
            for place in range {
                let x = match &self.bags.weights {
                    _ if self.mean => share,
                    Some(weights) => f64::from(weights[place]),
                    None => 1.0,
                };
                entry(b, column(self.bags.ids[place]), x);
            }
        }
    }
}

impl<'a> Design<'a> {
    /// Of blocks of encoded rows; `pool` goes through them.
    pub(super) fn new(
        blocks: &[&'a Batch],
        layout: &Layout,
        slopes: Slopes,
        pool: &'a rayon::ThreadPool,
    ) -> Self {
        let places = places(layout);
        let mut first = 0;
        let block = |rows: &&'a Batch| {
            let features = layout.features.iter().zip(&rows.bags).map(|(feature, bags)| {
                Columns::new(bags, feature.pooling == Some(Pooling::Mean), places[feature.table].start)
            });
            let block = Block { rows, features: features.collect(), first };
            first += rows.len();
            block
        };
        let blocks = blocks.iter().map(block).collect();
        let columns = columns(layout) + 1;
        let one = |j: &usize| slopes == Slopes::Many || layout.bins.binary_search(j).is_err();
        let inputs = (0..layout.dense.len()).filter(one).collect();
        Design { blocks, dense: layout.dense.len(), inputs, columns, pool }
    }

    fn parts(&self) -> Vec<Part<'_, 'a>> {
        let rows: usize = self.blocks.iter().map(|block| block.rows.len()).sum();
        let size = rows.div_ceil(PARTS).max(1);
        let mut parts = Vec::with_capacity(PARTS + self.blocks.len());
        for block in &self.blocks {
            let n = block.rows.len();
            parts
                .extend((0..n).step_by(size).map(|start| Part { block, rows: start..(start + size).min(n) }));
        }
        parts
    }

    /// What `of` makes of each part of the rows, in their order.
    pub(super) fn of_parts<T: Send>(&self, of: impl Fn(Range<usize>) -> T + Sync + Send) -> Vec<T> {
        self.pool.install(|| self.parts().into_par_iter().map(|part| of(part.range())).collect())
    }

    /// X w → [N]
    pub(super) fn margins(&self, w: &[f64], out: &mut [f64]) {
        let mut rest = out;
        let mut work = Vec::new();
        for part in self.parts() {
            let (own, others) = rest.split_at_mut(part.rows.len());
            work.push((part, own));
            rest = others;
        }
        let one = |(Part { block, rows }, out): (Part<'_, '_>, &mut [f64])| {
            for (b, z) in rows.clone().zip(out.iter_mut()) {
                let dense = &block.rows.dense[b * self.dense..][..self.dense];
                let sum = match self.inputs.len() == self.dense {
                    true => product(dense, &w[..self.dense]),
                    false => self.inputs.iter().map(|&j| f64::from(dense[j]) * w[j]).sum(),
                };
                *z = w[self.columns - 1] + sum;
            }
            for feature in &block.features {
                feature.entries(rows.clone(), |b, column, x| out[b - rows.start] += x * w[column]);
            }
        };
        self.pool.install(|| work.into_par_iter().for_each(one));
    }

    /// Xᵀ r → [P], each entry of X through `of` first.
    fn summed(&self, r: &[f64], of: impl Fn(f64) -> f64 + Sync + Send) -> Vec<f64> {
        let sum = |Part { block, rows }: Part<'_, '_>| {
            let mut sum = vec![0.0; self.columns];
            let r = &r[block.first..];
            for b in rows.clone() {
                let r = r[b];
                let dense = &block.rows.dense[b * self.dense..][..self.dense];
                match self.inputs.len() == self.dense {
                    true => sum.iter_mut().zip(dense).for_each(|(sum, &x)| *sum += r * of(f64::from(x))),
                    false => self.inputs.iter().for_each(|&j| sum[j] += r * of(f64::from(dense[j]))),
                }
                sum[self.columns - 1] += r;
            }
            for feature in &block.features {
                feature.entries(rows.clone(), |b, column, x| sum[column] += r[b] * of(x));
            }
            sum
        };
        let sums: Vec<_> = self.pool.install(|| self.parts().into_par_iter().map(sum).collect());
        sums.into_iter()
            .reduce(|mut total, part| {
                total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
                total
            })
            .unwrap_or_else(|| vec![0.0; self.columns])
    }

    /// Xᵀ r → [P]
    pub(super) fn transposed(&self, r: &[f64]) -> Vec<f64> {
        self.summed(r, |x| x)
    }

    /// The diagonal of Xᵀ diag(h) X → [P]
    pub(super) fn diagonal(&self, h: &[f64]) -> Vec<f64> {
        self.summed(h, |x| x * x)
    }
}

/// Sums that do not wait for one another.
const SUMS: usize = 8;

/// x·w
fn product(x: &[f32], w: &[f64]) -> f64 {
    let (xs, ws) = (x.chunks_exact(SUMS), w.chunks_exact(SUMS));
    let rest = xs.remainder().iter().zip(ws.remainder()).map(|(&x, w)| f64::from(x) * w).sum::<f64>();
    let mut sums = [0.0; SUMS];
    for (x, w) in xs.zip(ws) {
        sums.iter_mut().zip(x).zip(w).for_each(|((sum, &x), w)| *sum += f64::from(x) * w);
    }
    sums.into_iter().sum::<f64>() + rest
}

/// The columns but the intercept.
pub(super) fn columns(layout: &Layout) -> usize {
    places(layout).last().map_or(layout.dense.len(), |last| last.end)
}

/// The columns of each table of the layout.
pub(super) fn places(layout: &Layout) -> Vec<Range<usize>> {
    let mut end = layout.dense.len();
    let mut place = |rows: usize| {
        let start = end;
        end += rows;
        start..end
    };
    layout.tables.iter().map(|table| place(table.rows)).collect()
}
