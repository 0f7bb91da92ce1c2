//! Gradients of pooled embeddings, by shard and over the batch.
use crate::kept_operands::KeptOperands;
use crate::slot::SlotSpec;
use crate::slots::{GroupId, Slots};

/// What one shard leaves: gradients of its embedding outputs, and what the gradients of large weights are
/// computed from.
#[derive(Debug, Default)]
pub struct ShardGradients {
    /// Of each part of each slot, one after the other: [S, D]. An update of a table then finds all that it
    /// needs close together, and so does who sends it elsewhere.
    dy: Vec<f32>,
    /// S
    rows: usize,
    /// Groups whose columns hold nothing of this step yet.
    fresh: Vec<bool>,
    pub(crate) operands: KeptOperands,
}

impl ShardGradients {
    /// Forgets the last step; room for `rows` rows.
    pub(crate) fn start(&mut self, slots: &Slots, rows: usize) {
        self.rows = rows;
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
        for part in slots.of(group).iter().flat_map(SlotSpec::parts) {
            let own = part.start - columns.start..part.end - columns.start;
            let own = dy.chunks_exact(columns.len()).map(|dy| &dy[own.clone()]);
            let into = &mut self.dy[part.start * self.rows..part.end * self.rows];
            let rows = into.chunks_exact_mut(part.len()).zip(own);
            if fresh {
                rows.for_each(|(into, dy)| into.copy_from_slice(dy));
            } else {
                rows.for_each(|(into, dy)| into.iter_mut().zip(dy).for_each(|(into, &dy)| *into += dy));
            }
        }
    }

    /// The gradients of a slot's vectors: [S, D], or that of each of its parts.
    pub(crate) fn of_slot(&self, slot: &SlotSpec) -> &[f32] {
        &self.dy[slot.column * self.rows..][..slot.dim * self.rows]
    }

    /// As [`ShardGradients::of_slot`], to be written.
    pub(crate) fn of_slot_mut(&mut self, slot: &SlotSpec) -> &mut [f32] {
        &mut self.dy[slot.column * self.rows..][..slot.dim * self.rows]
    }

    /// Zeroes what the output does not depend on.
    pub(crate) fn settle(&mut self, slots: &Slots) {
        for group in (0..self.fresh.len()).filter(|&group| self.fresh[group]) {
            let columns = slots.columns(GroupId(group as u32));
            if !columns.is_empty() {
                self.dy[columns.start * self.rows..columns.end * self.rows].fill(0.0);
            }
        }
    }
}

/// The gradients of the pooled vectors of the whole batch: what an update of tables starts from.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingGradients<'a> {
    shards: &'a [ShardGradients],
    shard_rows: usize,
}

impl<'a> EmbeddingGradients<'a> {
    /// From shards of `shard_rows` rows (the last may have fewer).
    pub(crate) fn new(shards: &'a [ShardGradients], shard_rows: usize) -> Self {
        EmbeddingGradients { shards, shard_rows }
    }

    /// Gradient of the pooled vector of batch row `b` in the part of a slot that begins at `column`.
    pub(crate) fn row(&self, b: usize, column: usize, dim: usize) -> &'a [f32] {
        let shard = &self.shards[b / self.shard_rows];
        let start = column * shard.rows + (b % self.shard_rows) * dim;
        &shard.dy[start..start + dim]
    }
}
