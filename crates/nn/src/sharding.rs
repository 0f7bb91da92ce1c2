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
    /// Number of shards of `rows` rows, each of at least one row.
    pub fn shards(&self, rows: usize) -> usize {
        // Not what was wanted: 10,000 rows in 128 shards are 79 each, and 127 of those hold them all.
        rows.div_ceil(self.rows_per_shard(rows))
    }

    /// Number of shards that `rows` rows are worth: small batches are cut finer, so that lanes (and threads)
    /// share them.
    fn wanted(&self, rows: usize) -> usize {
        rows.div_ceil(self.shard_rows).max(self.lanes.min(rows / SMALL_SHARD))
    }

    /// Number of lanes that a batch of `rows` rows uses.
    pub fn lanes_of(&self, rows: usize) -> usize {
        self.shards(rows).clamp(1, self.lanes)
    }

    /// Rows of each shard of `rows` rows (the last may have fewer): as even as can be, so that no shard is
    /// too small for its statistics.
    pub fn rows_per_shard(&self, rows: usize) -> usize {
        rows.div_ceil(self.wanted(rows).max(1)).max(1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shards hold each row once, in order, and none is empty or too large; lanes have one each at least.
    fn check(sharding: Sharding, rows: usize) -> std::result::Result<(), String> {
        let (shards, lanes) = (sharding.shards(rows), sharding.lanes_of(rows));
        let told = |what: &str| Err(format!("{what}: {sharding:?}, {rows} rows, {shards} shards"));
        let mut next = 0;
        for shard in 0..shards {
            let range = sharding.rows_of(shard, rows);
            if range.start != next || range.is_empty() || range.len() > sharding.shard_rows {
                return told(&format!("shard {shard} is {range:?}"));
            }
            next = range.end;
        }
        if next != rows {
            return told("rows are left over");
        }
        let used: std::collections::BTreeSet<usize> =
            (0..shards).map(|shard| sharding.lane_of(shard, rows)).collect();
        if used.len() != lanes.min(shards) || used.last().is_some_and(|&last| last >= sharding.lanes) {
            return told("a lane has nothing to do, or is none");
        }
        Ok(())
    }

    #[test]
    fn no_shard_is_empty() {
        for lanes in 1..=130 {
            for rows in (0..300).chain((300..12_000).step_by(131)).chain([10_000]) {
                for shard_rows in [17, 128, 100_000] {
                    check(Sharding { shard_rows, lanes }, rows).unwrap();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_batch_is_cut(rows in 0usize..100_000, lanes in 1usize..5000, shard_rows in 20usize..5000) {
            prop_assert_eq!(check(Sharding { shard_rows, lanes }, rows), Ok(()));
        }
    }
}
