//! Gradients of one training step, in a form that cannot express a dense gradient of a table.
use crate::row_index::RowIndex;
use crate::weights::{GroupId, ParamId, Table, Weights};
use dlrm_data::Batch;
use dlrm_kernels::{Buffer, Isa, elementwise};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a shard below which another thread's help costs more than it brings: each shard goes over the gradient of
/// every dense weight.
const SMALL_SHARD: usize = 64;

/// How a batch is cut. Part of the numerics (sums are ordered by it), so it belongs to the configuration
/// and never depends on the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Most rows of a shard, S.
    pub shard_rows: usize,
    /// Number of partial sums of the dense gradients; also the most threads that can share a step.
    pub lanes: usize,
}

impl Shape {
    /// Number of shards of `rows` rows: small batches are cut finer, so that lanes (and threads) share them.
    pub fn shards(&self, rows: usize) -> usize {
        rows.div_ceil(self.shard_rows).max(self.lanes.min(rows / SMALL_SHARD))
    }

    /// Number of lanes that a batch of `rows` rows uses.
    pub fn lanes_of(&self, rows: usize) -> usize {
        self.shards(rows).clamp(1, self.lanes)
    }

    /// Rows of each shard of `rows` rows (the last may have fewer): as even as can be, so that no shard is too
    /// small for its statistics.
    pub fn rows_per_shard(&self, rows: usize) -> usize {
        rows.div_ceil(self.shards(rows).max(1)).max(1)
    }

    /// The shards of a lane, in the order in which it sums them.
    pub fn shards_of(&self, lane: usize, rows: usize) -> impl Iterator<Item = usize> + use<> {
        (lane..self.shards(rows)).step_by(self.lanes)
    }
}

/// One partial sum of the dense gradients. A parameter's first contribution overwrites, so lanes need no
/// clearing between steps.
#[derive(Debug)]
pub struct Lane {
    pub(crate) dense: Buffer,
    fresh: Vec<bool>,
}

impl Lane {
    fn new(weights: &Weights) -> Self {
        Lane { dense: Buffer::hot(weights.dense.len()), fresh: vec![true; weights.params.len()] }
    }

    /// Forgets the last step.
    pub fn restart(&mut self) {
        self.fresh.fill(true);
    }

    /// Whether this is the parameter's first contribution in this step.
    pub(crate) fn take_fresh(&mut self, param: usize) -> bool {
        std::mem::replace(&mut self.fresh[param], false)
    }

    /// The sum of a parameter's gradient so far in this step.
    pub(crate) fn slot(&mut self, weights: &Weights, param: ParamId) -> &mut [f32] {
        let [slot] = self.slots(weights, [param]);
        slot
    }

    /// The same for several different parameters at once.
    pub(crate) fn slots<const N: usize>(
        &mut self,
        weights: &Weights,
        params: [ParamId; N],
    ) -> [&mut [f32]; N] {
        let ranges = params.map(|param| {
            let range = weights.params[param.0 as usize].range.clone();
            if self.take_fresh(param.0 as usize) {
                self.dense[range.clone()].fill(0.0);
            }
            range
        });
        self.dense.get_disjoint_mut(ranges).expect("parameters lie apart")
    }

    /// Zeroes what no shard touched; the end of the lane's part of a step.
    pub fn settle(&mut self, weights: &Weights) {
        for (param, fresh) in weights.params.iter().zip(&self.fresh) {
            if *fresh {
                self.dense[param.range.clone()].fill(0.0);
            }
        }
    }
}

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

/// Gradients of the embedding outputs of one shard: [S, sum of slot widths].
#[derive(Debug, Default)]
pub struct ShardGradients {
    pub(crate) dy: Vec<f32>,
    /// Groups whose columns hold nothing of this step yet.
    fresh: Vec<bool>,
}

impl ShardGradients {
    /// Forgets the last step; room for `rows` rows.
    pub(crate) fn start(&mut self, weights: &Weights, rows: usize) {
        self.dy.resize(rows * weights.embedding_width(), 0.0);
        self.fresh.clear();
        self.fresh.resize(weights.groups.len(), true);
    }

    /// Adds the gradient of a group's pooled vectors, dy [S, width]. The first one overwrites.
    pub(crate) fn add(&mut self, weights: &Weights, group: GroupId, dy: &[f32]) {
        let columns = columns_of(weights, group.0 as usize);
        if columns.is_empty() {
            return;
        }
        let fresh = std::mem::replace(&mut self.fresh[group.0 as usize], false);
        let rows = self.dy.chunks_exact_mut(weights.embedding_width()).zip(dy.chunks_exact(columns.len()));
        if fresh {
            rows.for_each(|(into, dy)| into[columns.clone()].copy_from_slice(dy));
        } else {
            rows.for_each(|(into, dy)| {
                into[columns.clone()].iter_mut().zip(dy).for_each(|(into, &dy)| *into += dy)
            });
        }
    }

    /// Zeroes what the output does not depend on.
    pub(crate) fn settle(&mut self, weights: &Weights) {
        for group in (0..self.fresh.len()).filter(|&group| self.fresh[group]) {
            let columns = columns_of(weights, group);
            if !columns.is_empty() {
                self.dy
                    .chunks_exact_mut(weights.embedding_width())
                    .for_each(|dy| dy[columns.clone()].fill(0.0));
            }
        }
    }
}

/// The columns of a group in a row of embedding gradients: its slots are neighbours.
fn columns_of(weights: &Weights, group: usize) -> Range<usize> {
    match &weights.slots[weights.groups[group].clone()] {
        [] => 0..0,
        [only] => only.column..only.column + only.dim,
        [first, .., last] => first.column..last.column + last.dim,
    }
}

/// Gradients of one step.
#[derive(Debug)]
pub struct Gradients {
    /// How the batch was cut.
    pub shape: Shape,
    /// Partial sums of the dense gradients.
    pub lanes: Vec<Lane>,
    /// Embedding gradients by shard.
    pub shards: Vec<ShardGradients>,
    /// Rows per shard of the current batch.
    rows_per_shard: usize,
    /// Lanes that hold a part of the dense gradient: those of the batch, one when they are summed.
    parts: usize,
}

impl Gradients {
    /// For a model's weights.
    pub fn new(weights: &Weights, shape: Shape) -> Self {
        assert!(shape.shard_rows > 0 && shape.lanes > 0, "a batch is cut into shards of at least one row");
        Gradients {
            shape,
            lanes: (0..shape.lanes).map(|_| Lane::new(weights)).collect(),
            shards: Vec::new(),
            rows_per_shard: 1,
            parts: 1,
        }
    }

    /// Makes room for a batch of `rows` rows.
    pub fn resize(&mut self, rows: usize) {
        let shards = self.shape.shards(rows);
        self.rows_per_shard = self.shape.rows_per_shard(rows);
        self.parts = self.shape.lanes_of(rows);
        if self.shards.len() < shards {
            self.shards.resize_with(shards, ShardGradients::default);
        }
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

    /// The dense gradient of a range of parameters, chunk by chunk, summed into lane 0 when its turn comes: who needs it
    /// next finds it in the cache.
    pub(crate) fn sums(
        &mut self,
        isa: Isa,
        range: Range<usize>,
    ) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        let mut chunks: Vec<Vec<&mut [f32]>> =
            (0..range.len().div_ceil(CHUNK)).map(|_| Vec::with_capacity(self.parts)).collect();
        for lane in &mut self.lanes[..self.parts] {
            chunks
                .iter_mut()
                .zip(lane.dense[range.clone()].chunks_mut(CHUNK))
                .for_each(|(parts, own)| parts.push(own));
        }
        chunks.into_par_iter().map(move |mut parts| {
            sum_parts(isa, &mut parts);
            parts.swap_remove(0)
        })
    }

    /// The summed gradients of the rows of `table` that `batch` touched, materialised (the optimiser sums
    /// each row on the fly instead).
    pub fn rows_of(&self, weights: &Weights, table: usize, batch: &Batch) -> RowGradients {
        let mut index = RowIndex::default();
        index.build(&weights.slots, (table, weights.tables[table].rows), batch);
        let dy = self.embedding(weights.embedding_width());
        index.multiply(weights, dy);
        let Table { dim, values, row_weights, .. } = &weights.tables[table];
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

    pub(crate) fn embedding(&self, width: usize) -> EmbeddingGradients<'_> {
        EmbeddingGradients { shards: &self.shards, shard_rows: self.rows_per_shard, width }
    }
}

/// Floats of a dense parameter range that one task handles.
pub(crate) const CHUNK: usize = 1 << 14;

/// Sums all parts into the first as a fixed tree: (0+1)+(2+3) and so on.
fn sum_parts(isa: Isa, parts: &mut [&mut [f32]]) {
    let mut width = 1;
    while width < parts.len() {
        for pair in parts.chunks_mut(2 * width) {
            if let (left, [right, ..]) = pair.split_at_mut(width.min(pair.len())) {
                elementwise::add(isa, left[0], right);
            }
        }
        width *= 2;
    }
}

/// Read access to the embedding gradients of the whole batch.
#[derive(Clone, Copy)]
pub(crate) struct EmbeddingGradients<'a> {
    shards: &'a [ShardGradients],
    shard_rows: usize,
    width: usize,
}

impl<'a> EmbeddingGradients<'a> {
    /// Gradient of the pooled vector of batch row `b` at `column`.
    pub(crate) fn row(&self, b: usize, column: usize, dim: usize) -> &'a [f32] {
        let start = (b % self.shard_rows) * self.width + column;
        &self.shards[b / self.shard_rows].dy[start..start + dim]
    }
}
