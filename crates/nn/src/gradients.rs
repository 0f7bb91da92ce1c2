//! Gradients of one training step, in a form that cannot express a dense gradient of a table.
use crate::row_index::RowIndex;
use crate::weights::{ParamId, Table, Weights};
use dlrm_data::Batch;
use dlrm_kernels::{Buffer, elementwise};

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
    /// Number of shards of `rows` rows.
    pub fn shards(&self, rows: usize) -> usize {
        rows.div_ceil(self.shard_rows)
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
        Lane { dense: Buffer::zeroed(weights.dense.len()), fresh: vec![true; weights.params.len()] }
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
    pub(crate) fn slots<const N: usize>(&mut self, weights: &Weights, params: [ParamId; N]) -> [&mut [f32]; N] {
        let ranges = params.map(|param| {
            let range = weights.params[param.0 as usize].range.clone();
            if self.take_fresh(param.0 as usize) {
                self.dense[range.clone()].fill(0.0);
            }
            range
        });
        self.dense.get_disjoint_mut(ranges).expect("parameters lie apart")
    }

    /// Zeroes what no shard touched.
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
}

impl Gradients {
    /// For a model's weights.
    pub fn new(weights: &Weights, shape: Shape) -> Self {
        assert!(shape.shard_rows > 0 && shape.lanes > 0, "a batch is cut into shards of at least one row");
        Gradients { shape, lanes: (0..shape.lanes).map(|_| Lane::new(weights)).collect(), shards: Vec::new(), rows_per_shard: 1 }
    }

    /// Makes room for a batch of `rows` rows.
    pub fn resize(&mut self, rows: usize) {
        let shards = self.shape.shards(rows);
        self.rows_per_shard = self.shape.rows_per_shard(rows);
        if self.shards.len() < shards {
            self.shards.resize_with(shards, ShardGradients::default);
        }
    }

    /// The summed dense gradient (after the step's reduction).
    pub fn dense(&self) -> &[f32] {
        &self.lanes[0].dense
    }

    /// The summed gradients of the rows of `table` that `batch` touched, materialised (the optimiser sums
    /// each row on the fly instead).
    pub fn rows_of(&self, weights: &Weights, table: usize, batch: &Batch) -> RowGradients {
        let mut index = RowIndex::default();
        index.build(weights, table, batch);
        let dy = self.embedding(weights.embedding_width());
        index.multiply(weights, dy);
        let Table { dim, values, row_weights, .. } = &weights.tables[table];
        let mut all = RowGradients { dim: *dim, rows: index.rows().to_vec(), values: Vec::new(), row_weights: Vec::new() };
        let (mut plain, mut learned) = (vec![0.0; *dim], vec![0.0; *dim]);
        for (i, &id) in index.rows().iter().enumerate() {
            index.sum(weights.isa(), i, dy, &mut plain, &mut learned);
            if let Some(row_weights) = row_weights {
                let row = &values[id as usize * dim..][..*dim];
                all.row_weights.push(learned.iter().zip(row).map(|(d, e)| d * e).sum());
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
