//! Gradients of pooled embeddings, by shard and over the batch.
use crate::kept_operands::KeptOperands;
use crate::slots::{GroupId, Slots};

/// What one shard leaves: gradients of its embedding outputs, [S, sum of slot widths], and what the
/// gradients of large weights are computed from.
#[derive(Debug, Default)]
pub struct ShardGradients {
    pub(crate) dy: Vec<f32>,
    /// Groups whose columns hold nothing of this step yet.
    fresh: Vec<bool>,
    pub(crate) operands: KeptOperands,
}

impl ShardGradients {
    /// Forgets the last step; room for `rows` rows.
    pub(crate) fn start(&mut self, slots: &Slots, rows: usize) {
        self.dy.resize(rows * slots.width(), 0.0);
        self.fresh.clear();
        self.fresh.resize(slots.groups(), true);
        self.operands.clear();
    }

    /// Adds the gradient of a group's pooled vectors, dy [S, width]. The first one overwrites.
    pub(crate) fn add(&mut self, slots: &Slots, group: GroupId, dy: &[f32]) {
        let columns = slots.columns(group);
        if columns.is_empty() {
            return;
        }
        let fresh = std::mem::replace(&mut self.fresh[group.0 as usize], false);
        let rows = self.dy.chunks_exact_mut(slots.width()).zip(dy.chunks_exact(columns.len()));
        if fresh {
            rows.for_each(|(into, dy)| into[columns.clone()].copy_from_slice(dy));
        } else {
            rows.for_each(|(into, dy)| {
                into[columns.clone()].iter_mut().zip(dy).for_each(|(into, &dy)| *into += dy)
            });
        }
    }

    /// Zeroes what the output does not depend on.
    pub(crate) fn settle(&mut self, slots: &Slots) {
        for group in (0..self.fresh.len()).filter(|&group| self.fresh[group]) {
            let columns = slots.columns(GroupId(group as u32));
            if !columns.is_empty() {
                self.dy.chunks_exact_mut(slots.width()).for_each(|dy| dy[columns.clone()].fill(0.0));
            }
        }
    }
}

/// The gradients of the pooled vectors of the whole batch: what an update of tables starts from.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingGradients<'a> {
    shards: &'a [ShardGradients],
    shard_rows: usize,
    width: usize,
}

impl<'a> EmbeddingGradients<'a> {
    /// From shards of `shard_rows` rows (the last may have fewer) of `width` columns.
    pub(crate) fn new(shards: &'a [ShardGradients], shard_rows: usize, width: usize) -> Self {
        EmbeddingGradients { shards, shard_rows, width }
    }

    /// Gradient of the pooled vector of batch row `b` at `column`.
    pub(crate) fn row(&self, b: usize, column: usize, dim: usize) -> &'a [f32] {
        let start = (b % self.shard_rows) * self.width + column;
        &self.shards[b / self.shard_rows].dy[start..start + dim]
    }
}
