//! How a batch is cut into shards, and shards into lanes.
use std::ops::Range;

/// Rows of a shard below which another thread's help costs more than it brings: each shard goes over the
/// gradient of every dense weight.
const SMALL_SHARD: usize = 64;

/// How a batch is cut. Part of the numerics (sums are ordered by it), so it belongs to the configuration
/// and never depends on the number of threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharding {
    /// Most rows of a shard, S.
    pub shard_rows: usize,
    /// Number of partial sums of the dense gradients; also the most threads that can share a step.
    pub lanes: usize,
}

impl Sharding {
    /// Number of shards of `rows` rows: small batches are cut finer, so that lanes (and threads) share them.
    pub fn shards(&self, rows: usize) -> usize {
        rows.div_ceil(self.shard_rows).max(self.lanes.min(rows / SMALL_SHARD))
    }

    /// Number of lanes that a batch of `rows` rows uses.
    pub fn lanes_of(&self, rows: usize) -> usize {
        self.shards(rows).clamp(1, self.lanes)
    }

    /// Rows of each shard of `rows` rows (the last may have fewer): as even as can be, so that no shard is
    /// too small for its statistics.
    pub fn rows_per_shard(&self, rows: usize) -> usize {
        rows.div_ceil(self.shards(rows).max(1)).max(1)
    }

    /// The rows of shard `shard` of a batch of `rows` rows.
    pub fn rows_of(&self, shard: usize, rows: usize) -> Range<usize> {
        let start = shard * self.rows_per_shard(rows);
        start.min(rows)..(start + self.rows_per_shard(rows)).min(rows)
    }

    /// The lane that sums the gradients of shard `shard`, after those of its shards before.
    pub fn lane_of(&self, shard: usize, rows: usize) -> usize {
        shard % self.lanes_of(rows)
    }
}
