//! Bytes that ranks send each other in a step, by what decides them: nothing is measured.
use crate::exchange::{lanes, shards};
use dlrm_nn::{Builder, Holder, Placement, Sharding, SlotSpec, TablePrecision, holding};
use serde::Serialize;
use std::ops::Range;

/// Bytes that one rank sends to all others in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Traffic {
    /// Pooled vectors of the tables that it holds, and rows of those that all hold between them.
    pub vectors: u64,
    /// Gradients of the pooled vectors of its rows.
    pub gradients: u64,
    /// Gradients of dense parameters, to who updates them.
    pub dense: u64,
    /// Dense parameters that it has updated, while tables are.
    pub updated: u64,
    /// Losses, and what ends a message.
    pub rest: u64,
}

impl Traffic {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.vectors + self.gradients + self.dense + self.updated + self.rest
    }
}

/// What of a feature's rows is held by a rank, where a table lies apart.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uses {
    /// Ids.
    pub ids: u64,
    /// Bags that have any of them.
    pub bags: u64,
}

/// What decides the bytes of a step.
pub struct StepShape<'a> {
    /// The model.
    pub model: &'a Builder<'a>,
    /// How its tables are kept.
    pub precision: TablePrecision,
    /// Who holds them.
    pub placement: &'a Placement,
    /// How a batch is cut.
    pub sharding: Sharding,
    /// Its rows, B.
    pub rows: usize,
    /// Whether the norm of all gradients is bounded.
    pub clips: bool,
}

impl StepShape<'_> {
    /// What each rank sends. Of a slot whose table lies apart, `uses` tells what of some rows of the batch is
    /// held by a rank.
    pub fn traffic(&self, uses: &dyn Fn(&SlotSpec, usize, Range<usize>) -> Uses) -> Vec<Traffic> {
        (0..self.placement.ranks).map(|rank| self.of_rank(rank, uses)).collect()
    }

    /// Rows that each rank computes.
    pub fn rows_of_ranks(&self) -> Vec<usize> {
        let size = self.placement.ranks;
        let rows = |rank: usize| {
            let shards = shards(rank, size, self.sharding, self.rows);
            shards.map(|shard| self.sharding.rows_of(shard, self.rows).len()).sum()
        };
        (0..size).map(rows).collect()
    }

    fn of_rank(&self, rank: usize, uses: &dyn Fn(&SlotSpec, usize, Range<usize>) -> Uses) -> Traffic {
        let (size, rows) = (self.placement.ranks, self.rows);
        let others = || (0..size).filter(|&other| other != rank);
        let ranges = |rank: usize| {
            shards(rank, size, self.sharding, rows).map(|shard| self.sharding.rows_of(shard, rows))
        };
        let rows_of = |rank: usize| ranges(rank).map(|range| range.len() as u64).sum::<u64>();
        let mut traffic = Traffic::default();
        for slot in self.model.slots() {
            let vector = 4 * slot.dim as u64;
            match self.holder(slot) {
                Holder::Rank(holder) if holder == rank => {
                    traffic.vectors += others().map(|other| rows_of(other) * vector).sum::<u64>();
                }
                Holder::Rank(_) => traffic.gradients += rows_of(rank) * vector,
                Holder::ByRow => {
                    let pairs = others().flat_map(|other| ranges(other).map(move |rows| (rank, rows)));
                    let ids: u64 = pairs.map(|(rank, rows)| uses(slot, rank, rows).ids).sum();
                    traffic.vectors += ids * self.row_bytes(slot);
                    let pairs = others().flat_map(|other| ranges(rank).map(move |rows| (other, rows)));
                    traffic.gradients +=
                        vector * pairs.map(|(other, rows)| uses(slot, other, rows).bags).sum::<u64>();
                }
            }
        }
        let (trained, all) = self.model.dense_len();
        let held = holding(lanes(rank, size, self.sharding, rows), self.sharding.lanes_of(rows)).len() as u64;
        let own = |rank: usize| self.placement.dense_of(rank, trained).len();
        let wanted = |other: usize| if self.clips { all } else { own(other) + (all - trained) };
        traffic.dense = others().map(|other| held * 4 * wanted(other) as u64).sum();
        let losses = 16 * ranges(rank).count() as u64;
        // Vectors twice and gradients, then either squares of tables or the parameters that were updated.
        traffic.rest = (size as u64 - 1) * (losses + 4);
        if self.clips {
            traffic.rest += (size as u64 - 1) * 16 * self.model.tables().len() as u64;
        } else {
            traffic.updated = (size as u64 - 1) * 4 * own(rank) as u64;
        }
        traffic
    }

    fn holder(&self, slot: &SlotSpec) -> Holder {
        let table = slot.tables().next().map_or(0, |own| own.table);
        self.placement.holders.get(table).copied().unwrap_or(Holder::Rank(self.placement.rank))
    }

    fn row_bytes(&self, slot: &SlotSpec) -> u64 {
        let table = slot.tables().next().map(|own| &self.model.tables()[own.table]);
        table.map_or(0, |table| table.row_bytes(self.precision, slot.pooling) as u64)
    }
}
