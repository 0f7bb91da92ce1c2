//! Gradients of one training step, in a form that cannot express a dense gradient of a table.
use crate::embedding_gradients::{EmbeddingGradients, ShardGradients};
use crate::lane::Lane;
use crate::lane_tree;
use crate::packed_matrix::Precision;
use crate::param::ParamId;
use crate::row_index::RowIndex;
use crate::sharding::Sharding;
use crate::table::Table;
use crate::weight_gradient::{self, WeightGradient};
use crate::weights::Weights;
use dlrm_data::Batch;
use dlrm_kernels::{Isa, elementwise};
use rayon::prelude::*;
use std::ops::Range;

/// Gradients of a table: the touched rows only.
#[derive(Debug, Clone, PartialEq)]
pub struct RowGradients {
    /// D
    pub dim: usize,
    /// Touched rows, unique and ascending.
    pub rows: Vec<u32>,
    /// [rows, D]
    pub values: Vec<f32>,
    /// Gradients of the learned pooling weights of these rows, if the table has any.
    pub row_weights: Vec<f32>,
}

/// Gradients of one step.
#[derive(Debug)]
pub struct Gradients {
    /// How the batch was cut.
    pub sharding: Sharding,
    /// Partial sums of the dense gradients.
    pub lanes: Vec<Lane>,
    /// Embedding gradients by shard.
    pub shards: Vec<ShardGradients>,
    /// Rows per shard of the current batch.
    rows_per_shard: usize,
    /// Lanes that hold a part of the dense gradient: those of the batch, one when they are summed.
    parts: usize,
    /// Those of them whose part is in that of another lane.
    joined: Vec<usize>,
    /// Weights whose gradients are computed when all shards are done, in the order of their places.
    postponed: Vec<Postponed>,
    /// The lanes of which they are computed.
    run: Range<usize>,
    /// What their products multiply.
    precision: Precision,
}

/// A weight whose gradient is computed when all shards are done.
#[derive(Debug, Clone)]
struct Postponed {
    weight: ParamId,
    range: Range<usize>,
    /// K
    columns: usize,
}

impl Gradients {
    /// For a model's weights.
    pub fn new(weights: &Weights, sharding: Sharding) -> Self {
        assert!(
            sharding.shard_rows > 0 && sharding.lanes > 0,
            "a batch is cut into shards of at least one row"
        );
        Gradients {
            sharding,
            lanes: (0..sharding.lanes).map(|_| Lane::new(weights)).collect(),
            shards: Vec::new(),
            rows_per_shard: 1,
            parts: 1,
            joined: Vec::new(),
            postponed: Vec::new(),
            run: 0..0,
            precision: Precision::F32,
        }
    }

    /// Makes room for a batch of `rows` rows, of which this process computes a run of lanes (none: 0..0). The
    /// gradients of large weights are better computed after all its shards: [`Gradients::rest`] is to be
    /// computed then.
    pub fn resize(&mut self, weights: &Weights, rows: usize, run: Range<usize>) {
        let shards = self.sharding.shards(rows);
        self.rows_per_shard = self.sharding.rows_per_shard(rows);
        self.parts = self.sharding.lanes_of(rows);
        self.joined.clear();
        if self.shards.len() < shards {
            self.shards.resize_with(shards, ShardGradients::default);
        }
        // What is folded ends in one lane.
        self.run = if self.holding(run.clone()).len() == 1 { run } else { 0..0 };
        self.postponed = self.worth_postponing(weights, rows);
        self.precision = weights.precision();
        for lane in &mut self.lanes {
            lane.postpone(self.postponed.iter().map(|postponed| postponed.weight));
        }
    }

    /// Weights whose gradients are better computed after all shards of `rows` rows.
    fn worth_postponing(&self, weights: &Weights, rows: usize) -> Vec<Postponed> {
        let own = (0..self.sharding.shards(rows))
            .filter(|&shard| self.run.contains(&self.sharding.lane_of(shard, rows)));
        let rows = own.map(|shard| self.sharding.rows_of(shard, rows).len()).sum();
        let found = weights.matrices().filter_map(|weight| {
            let param = weights.param(weight);
            let (n, k) = (param.shape[0], param.shape[1]);
            let is_worth = weight_gradient::is_worth_postponing((n, k), rows, self.run.len());
            is_worth.then(|| Postponed { weight, range: param.range.clone(), columns: k })
        });
        let mut found: Vec<Postponed> = found.collect();
        found.sort_unstable_by_key(|postponed| postponed.range.start);
        found
    }

    /// What is left of the gradients of a batch of `rows` rows when all its shards are done, in parts: all of
    /// them are to be computed, by any of so many threads.
    pub fn rest(&mut self, isa: Isa, rows: usize, threads: usize) -> Vec<WeightGradient<'_>> {
        if self.postponed.is_empty() {
            return Vec::new();
        }
        let shards = &self.shards[..self.sharding.shards(rows)];
        let (mut left, mut at) = (&mut self.lanes[self.run.start].dense[..], 0);
        let mut parts = Vec::new();
        for Postponed { weight, range, columns } in &self.postponed {
            let (_, from) = left.split_at_mut(range.start - at);
            let (own, after) = from.split_at_mut(range.len());
            (left, at) = (after, range.end);
            let of = (*weight, *columns);
            parts.extend(WeightGradient::cut(
                (isa, self.precision),
                of,
                own,
                (shards, self.parts, self.run.clone()),
                threads,
            ));
        }
        // The largest first, so that threads end together.
        parts.sort_by_key(|part| std::cmp::Reverse(part.cost()));
        parts
    }

    /// Sums lanes that are in other processes' way: a run of lanes, as far as they are neighbours in the tree
    /// by which all are summed; what was computed when all shards were done is their sum already. Uses the
    /// current rayon pool.
    pub fn join_lanes(&mut self, isa: Isa, run: Range<usize>) {
        let joins = lane_tree::joins(&run, self.parts);
        if joins.is_empty() {
            return;
        }
        let len = self.lanes[0].dense.len();
        let mut chunks: Vec<Vec<&mut [f32]>> = (0..len.div_ceil(CHUNK)).map(|_| Vec::new()).collect();
        for lane in &mut self.lanes[run.clone()] {
            chunks.iter_mut().zip(lane.dense.chunks_mut(CHUNK)).for_each(|(parts, own)| parts.push(own));
        }
        let whole = std::mem::take(&mut self.postponed);
        chunks.into_par_iter().enumerate().for_each(|(number, mut parts)| {
            let chunk = number * CHUNK..((number + 1) * CHUNK).min(len);
            for open in between(chunk.clone(), &whole) {
                let open = open.start - chunk.start..open.end - chunk.start;
                for &(left, right) in &joins {
                    let (front, back) = parts.split_at_mut(right - run.start);
                    elementwise::add(isa, &mut front[left - run.start][open.clone()], &back[0][open.clone()]);
                }
            }
        });
    }

    /// The lanes of this batch are now as they are when each of these runs is joined.
    pub fn set_joined(&mut self, runs: impl Iterator<Item = Range<usize>>) {
        self.joined.clear();
        let right =
            |run: Range<usize>| lane_tree::joins(&run, self.parts).into_iter().map(|(_, right)| right);
        self.joined.extend(runs.flat_map(right));
    }

    /// The lanes of a run that hold something once it is joined.
    pub fn holding(&self, run: Range<usize>) -> Vec<usize> {
        lane_tree::holding(run, self.parts)
    }

    /// The summed dense gradient (after the step).
    pub fn dense(&self) -> &[f32] {
        &self.lanes[0].dense
    }

    /// Sums the lanes for good.
    pub(crate) fn reduce(&mut self, isa: Isa) {
        self.sums(isa, 0..self.lanes[0].dense.len()).for_each(|_| {});
        self.parts = 1;
    }

    /// The dense gradient of a range of parameters, chunk by chunk, summed into lane 0 when its turn comes:
    /// who needs it next finds it in the cache.
    pub(crate) fn sums(
        &mut self,
        isa: Isa,
        range: Range<usize>,
    ) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let mut chunks: Vec<Vec<Option<&mut [f32]>>> =
            (0..range.len().div_ceil(CHUNK)).map(|_| Vec::with_capacity(self.parts)).collect();
        for (number, lane) in self.lanes[..self.parts].iter_mut().enumerate() {
            let holds = !self.joined.contains(&number);
            chunks
                .iter_mut()
                .zip(lane.dense[range.clone()].chunks_mut(CHUNK))
                .for_each(|(parts, own)| parts.push(holds.then_some(own)));
        }
        let whole = &self.postponed;
        let (start, all) = (range.start, range.end);
        chunks.into_par_iter().enumerate().map(move |(chunk, mut parts)| {
            let chunk = start + chunk * CHUNK..(start + (chunk + 1) * CHUNK).min(all);
            for open in between(chunk.clone(), whole) {
                let open = open.start - chunk.start..open.end - chunk.start;
                sum_parts(isa, &mut parts, open);
            }
            parts.swap_remove(0).expect("the first lane holds the sum of all")
        })
    }

    /// The summed gradients of the rows of `table` that `batch` touched, materialised (the optimiser sums
    /// each row on the fly instead).
    pub fn rows_of(&self, weights: &Weights, table: usize, batch: &Batch) -> RowGradients {
        let mut index = RowIndex::default();
        let (slots, tables) = (weights.slots(), weights.tables());
        index.build(slots.all(), (table, &tables[table]), batch);
        let dy = self.embedding();
        index.multiply(weights.isa(), tables, dy);
        let Table { dim, values, row_weights, .. } = &tables[table];
        let mut all = RowGradients {
            dim: *dim,
            rows: index.rows().to_vec(),
            values: Vec::new(),
            row_weights: Vec::new(),
        };
        let (mut plain, mut learned) = (vec![0.0; *dim], vec![0.0; *dim]);
        for (i, &id) in index.rows().iter().enumerate() {
            index.sum(weights.isa(), i, dy, &mut plain, &mut learned);
            if let Some(row_weights) = row_weights {
                let row = values.view().slice(id as usize * dim..(id as usize + 1) * dim);
                all.row_weights.push(learned.iter().zip(row.iter()).map(|(d, e)| d * e).sum());
                elementwise::axpy(weights.isa(), &mut plain, row_weights[id as usize], &learned);
            }
            all.values.extend_from_slice(&plain);
        }
        all
    }

    pub(crate) fn embedding(&self) -> EmbeddingGradients<'_> {
        EmbeddingGradients::new(&self.shards, self.rows_per_shard)
    }
}

/// What of `range` lies outside of all that is postponed, piece by piece.
fn between(range: Range<usize>, postponed: &[Postponed]) -> impl Iterator<Item = Range<usize>> {
    let first = postponed.partition_point(|postponed| postponed.range.end <= range.start);
    let within = postponed[first..].iter().take_while(move |postponed| postponed.range.start < range.end);
    let end = range.end;
    let mut at = range.start;
    let stops = within.map(|postponed| (postponed.range.start, postponed.range.end)).chain([(end, end)]);
    stops.filter_map(move |(stop, next)| {
        let open = at..stop.max(at);
        at = next;
        (!open.is_empty()).then_some(open)
    })
}

/// Floats of a dense parameter range that one task handles.
pub(crate) const CHUNK: usize = 1 << 14;

/// Sums all parts into the first by the tree of lanes; those that are in others already are none.
fn sum_parts(isa: Isa, parts: &mut [Option<&mut [f32]>], range: Range<usize>) {
    for (left, right) in lane_tree::joins(&(0..parts.len()), parts.len()) {
        let (front, back) = parts.split_at_mut(right);
        if let (Some(left), Some(right)) = (&mut front[left], &back[0]) {
            elementwise::add(isa, &mut left[range.clone()], &right[range.clone()]);
        }
    }
}
