//! The gradient of a large weight, computed once per batch when all shards are done.
//!
//! Summed shard by shard, the gradient of a weight is read and written once for each of them and once more
//! for each lane: a matrix that no near cache holds. Here threads share its rows instead. A block goes
//! through the shards of each lane, and lanes are folded by the tree that [`crate::Gradients`] folds them by,
//! while all that is summed stays in the second-level cache. Every sum is the same, so no bit differs.
use crate::embedding_gradients::ShardGradients;
use crate::kept_operands::OuterProduct;
use crate::packed_matrix::Precision;
use crate::param::ParamId;
use dlrm_kernels::matmul::{Epilogue, Panels, Strips, matmul_part, matmul_part_bf16};
use dlrm_kernels::{Buffer, Isa, Strided, elementwise};
use std::ops::Range;

/// Strips of rows that are computed together, where few threads share them.
const STRIPS: usize = 16;
/// Panels of columns that are computed together.
const PANELS: usize = 4;

/// Numbers of a weight below which its gradient stays in a near cache while shards are summed.
const LARGE: usize = 100_000;

/// Whether the gradient of a weight [N, K] is better computed after all shards of a batch of `rows` rows,
/// which `lanes` lanes sum: what has to be kept for it, `rows` rows of N and K numbers, is then not more than
/// what the lanes would write and read again.
pub(crate) fn is_worth_postponing((n, k): (usize, usize), rows: usize, lanes: usize) -> bool {
    let (kept, summed) = (rows.saturating_mul(n.saturating_add(k)), n.saturating_mul(k));
    rows > 0 && lanes > 1 && summed >= LARGE && kept <= summed.saturating_mul(lanes)
}

/// Some rows of the gradient of a weight W [N, K], to be computed.
#[derive(Debug)]
pub struct WeightGradient<'g> {
    pub(crate) isa: Isa,
    pub(crate) precision: Precision,
    pub(crate) weight: ParamId,
    /// K
    pub(crate) columns: usize,
    /// The strips of rows of W that they are.
    pub(crate) strips: Range<usize>,
    /// [rows, K]
    pub(crate) out: &'g mut [f32],
    /// Of the batch, in order.
    pub(crate) shards: &'g [ShardGradients],
    /// Lanes of the batch.
    pub(crate) lanes: usize,
    /// Those of them that are summed: a branch of their tree.
    pub(crate) run: Range<usize>,
}

/// Columns of the gradient that are computed together.
struct Block {
    panels: Range<usize>,
    /// Columns of these panels.
    width: usize,
}

impl<'g> WeightGradient<'g> {
    /// Those of a weight with `columns` columns, in parts for so many threads. `out` is all of it.
    pub(crate) fn cut(
        (isa, precision): (Isa, Precision),
        (weight, columns): (ParamId, usize),
        mut out: &'g mut [f32],
        (shards, lanes, run): (&'g [ShardGradients], usize, Range<usize>),
        threads: usize,
    ) -> impl Iterator<Item = Self> {
        // Long runs of strips share what they read; many of them are shared evenly.
        let most = (STRIPS * 2 / threads.max(1)).clamp(STRIPS / 4, STRIPS);
        let shape = Strips::new(isa, out.len() / columns, 1);
        let runs = shape.count().div_ceil(most);
        (0..runs).map(move |number| {
            let strips = number * shape.count() / runs..(number + 1) * shape.count() / runs;
            let (own, rest) =
                std::mem::take(&mut out).split_at_mut(shape.rows(strips.clone()).len() * columns);
            out = rest;
            WeightGradient {
                isa,
                precision,
                weight,
                columns,
                strips,
                out: own,
                shards,
                lanes,
                run: run.clone(),
            }
        })
    }

    /// The number of a node whose weight it is.
    pub(crate) fn node(&self) -> Option<usize> {
        self.shards[self.run.start].operands.node(self.weight)
    }

    /// Multiply-adds for each row of the batch.
    pub(crate) fn cost(&self) -> usize {
        self.out.len()
    }

    /// Computes them; `memory` is for use again.
    pub(crate) fn compute(self, memory: &mut Buffer) {
        if self.node().is_none() {
            return self.out.fill(0.0); // The output does not depend on it.
        }
        let panels = Panels::new(self.isa, 1, self.columns);
        let rows = self.out.len() / self.columns;
        for start in (0..panels.count()).step_by(PANELS) {
            let own = start..(start + PANELS).min(panels.count());
            let columns = panels.columns(own.clone());
            let block = Block { panels: own, width: columns.len() };
            let len = rows * columns.len();
            // As many sums wait for their turn as a number of lanes has digits.
            memory.grow(len * (self.run.len().ilog2() as usize + 2));
            let mut sums: Vec<&mut [f32]> = memory.chunks_exact_mut(len).collect();
            (0..self.run.len()).for_each(|lane| self.add_lane(lane, &block, &mut sums));
            let waiting = self.run.len().count_ones() as usize;
            fold(self.isa, &mut sums[..waiting], waiting - 1);
            for (out, sum) in self.out.chunks_exact_mut(self.columns).zip(sums[0].chunks_exact(columns.len()))
            {
                out[columns.clone()].copy_from_slice(sum);
            }
        }
    }

    /// Puts what a lane of the run sums behind the sums that wait, and adds up those that are complete: as
    /// many lanes as a power of two.
    fn add_lane(&self, lane: usize, block: &Block, sums: &mut [&mut [f32]]) {
        let (waiting, complete) = (lane.count_ones() as usize, lane.trailing_ones() as usize);
        let mut own = self.shards[self.run.start + lane..].iter().step_by(self.lanes);
        match (own.len(), own.next()) {
            // The first addition happens where the sum is computed.
            (1, Some(shard)) if complete > 0 && shard.operands.is_single(self.weight) => {
                self.add_shard(shard, block, sums[waiting - 1], Epilogue::Add);
                fold(self.isa, &mut sums[..waiting], complete - 1);
            }
            (_, first) => {
                let mut epilogue = Epilogue::Set;
                for shard in first.into_iter().chain(own) {
                    epilogue = self.add_shard(shard, block, sums[waiting], epilogue);
                }
                fold(self.isa, &mut sums[..=waiting], complete);
            }
        }
    }

    /// Adds what a shard contributes to a sum, or begins it; returns how it goes on.
    fn add_shard<'e>(
        &self,
        shard: &ShardGradients,
        Block { panels, width }: &Block,
        sum: &mut [f32],
        mut epilogue: Epilogue<'e>,
    ) -> Epilogue<'e> {
        for OuterProduct { dy, x } in shard.operands.of(self.weight) {
            let sum = Strided::new(&mut *sum, *width);
            let (dy, x) = ((dy, self.strips.clone()), (x, panels.clone()));
            match self.precision {
                Precision::F32 => matmul_part(self.isa, sum, dy, x, epilogue),
                Precision::Bf16 => matmul_part_bf16(self.isa, sum, dy, x, epilogue),
            }
            epilogue = Epilogue::Add;
        }
        epilogue
    }
}

/// Adds the last sum to the one before it, so many times.
fn fold(isa: Isa, sums: &mut [&mut [f32]], times: usize) {
    for last in (sums.len() - times..sums.len()).rev() {
        let (before, [last, ..]) = sums.split_at_mut(last) else { unreachable!("a sum to add") };
        elementwise::add(isa, before[before.len() - 1], last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradients::Gradients;
    use crate::lane_tree::holding;
    use crate::mode::Mode;
    use crate::sharding::Sharding;
    use crate::table_values::TablePrecision;
    use crate::tape::{Arena, Linear, Tape};
    use crate::weights::Weights;
    use crate::{Activation, Bias, Builder};
    use dlrm_data::Batch;
    use dlrm_data::batch::Layout;

    /// Layers of which two are large; the second is used twice.
    fn layers(isa: Isa, inputs: usize) -> (Weights, [Linear; 3]) {
        let layout = Layout { dense: (0..inputs).map(|i| i.to_string()).collect(), ..Layout::default() };
        let mut builder = Builder::new(&layout);
        let mut layer = |name: &str, inputs, outputs| {
            builder.linear(name, inputs, outputs, Activation::Tanh, Bias::Reference).expect("a layer")
        };
        let layers = [layer("a", inputs, 320), layer("b", 320, 320), layer("c", 320, 1)];
        (builder.finish(1, isa, TablePrecision::F32), layers)
    }

    fn batch(rows: usize, inputs: usize) -> Batch {
        let dense = (0..rows * inputs).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.4).collect();
        Batch { dense, labels: vec![0.0; rows], ..Batch::default() }
    }

    /// Of all lanes; what belongs to `run` is computed in the end, if it is worth it.
    fn gradient(
        (isa, precision): (Isa, Precision),
        rows: usize,
        sharding: Sharding,
        run: Range<usize>,
        threads: usize,
    ) -> Vec<f32> {
        let inputs = 331;
        let ((weights, layers), batch) = (layers(isa, inputs), batch(rows, inputs));
        let weights = weights.with_precision(precision);
        let [mut own, mut others] = [(), ()].map(|()| Gradients::new(&weights, sharding));
        let mut arena = Arena::default();
        // The second step finds what the first has left.
        for _ in 0..2 {
            own.resize(&weights, rows, run.clone());
            others.resize(&weights, rows, 0..0);
            own.lanes.iter_mut().chain(&mut others.lanes).for_each(crate::Lane::restart);
            for index in 0..sharding.shards(rows) {
                let range = sharding.rows_of(index, rows);
                let dy: Vec<f32> = range.clone().map(|row| (row % 5) as f32 - 2.1).collect();
                let mut tape =
                    Tape::new(&weights, &batch, range, &mut arena).with_mode(Mode::Training { key: 0 });
                let [a, b, c] = layers;
                let x = tape.dense();
                let x = a.forward(&mut tape, x);
                let x = b.forward(&mut tape, x);
                let x = b.forward(&mut tape, x);
                let y = c.forward(&mut tape, x);
                let lane = sharding.lane_of(index, rows);
                let into = if run.contains(&lane) { &mut own } else { &mut others };
                tape.backward(y, &dy, &mut into.lanes[lane], &mut into.shards[index]);
            }
            let parts = own.rest(isa, rows, threads);
            assert_eq!(parts.is_empty(), run.len() < 2);
            parts.into_iter().for_each(|part| arena.compute(part));
        }
        if run.len() < sharding.lanes_of(rows) {
            own.join_lanes(isa, run.clone());
            for lane in (0..sharding.lanes_of(rows)).filter(|lane| !run.contains(lane)) {
                own.lanes[lane].dense.clone_from(&others.lanes[lane].dense);
            }
            own.set_joined([run].into_iter());
        }
        own.reduce(isa);
        own.dense().to_vec()
    }

    /// Whatever is left until the end, of all lanes or of a branch of their tree, and however many threads
    /// share it, no bit differs.
    #[test]
    fn what_is_left_has_the_bits_of_the_lanes() {
        let f32 = Isa::available().map(|isa| (isa, Precision::F32));
        let bf16 = [Isa::detect(), Isa::detect().without_bf16()].map(|isa| (isa, Precision::Bf16));
        for of in f32.chain(bf16) {
            for (lanes, rows) in [(1, 40), (2, 70), (3, 90), (5, 97), (7, 130), (8, 330), (16, 203)] {
                let sharding = Sharding { shard_rows: 13, lanes };
                let summed = gradient(of, rows, sharding, 0..0, 1);
                let branches = [0..lanes, 0..lanes.next_power_of_two() / 2, lanes / 4 * 2..lanes];
                for run in branches.into_iter().filter(|run| holding(run.clone(), lanes).len() == 1) {
                    for threads in [1, 16] {
                        let left = gradient(of, rows, sharding, run.clone(), threads);
                        assert!(summed == left, "{of:?}, {run:?} of {lanes}, {rows} rows, {threads} threads");
                    }
                }
                assert!(summed.iter().any(|&g| g != 0.0));
            }
        }
    }

    #[test]
    fn small_weights_and_long_batches_are_summed_at_once() {
        assert!(is_worth_postponing((512, 367), 2048, 16));
        for (shape, rows, lanes) in [((64, 256), 2048, 16), ((512, 367), 64, 1), ((512, 367), 16_384, 64)] {
            assert!(!is_worth_postponing(shape, rows, lanes), "{shape:?} {rows} {lanes}");
        }
        assert!(!is_worth_postponing((usize::MAX, usize::MAX), usize::MAX, 0));
    }
}
