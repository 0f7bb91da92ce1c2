//! Gradients of one training step, in a form that cannot express a dense gradient of a table.
use crate::embedding_gradients::{EmbeddingGradients, ShardGradients};
use crate::lane::Lane;
use crate::row_index::RowIndex;
use crate::sharding::Sharding;
use crate::table::Table;
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
        }
    }

    /// Makes room for a batch of `rows` rows.
    pub fn resize(&mut self, rows: usize) {
        let shards = self.sharding.shards(rows);
        self.rows_per_shard = self.sharding.rows_per_shard(rows);
        self.parts = self.sharding.lanes_of(rows);
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

    /// The dense gradient of a range of parameters, chunk by chunk, summed into lane 0 when its turn comes:
    /// who needs it next finds it in the cache.
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
        let (slots, tables) = (weights.slots(), weights.tables());
        index.build(slots.all(), (table, tables[table].rows), batch);
        let dy = self.embedding(slots.width());
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

    pub(crate) fn embedding(&self, width: usize) -> EmbeddingGradients<'_> {
        EmbeddingGradients::new(&self.shards, self.rows_per_shard, width)
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
