//! What ranks tell each other in a step, so that each ends as one process would.
//!
//! Rank r of R holds its share of the tables and computes the shards of a contiguous run of the L lanes,
//! r·L/R .. (r+1)·L/R; those that a small batch does not use are absent. Each has the ids of its own tables
//! for the whole batch, so it knows which rows of them the others need. In a step they exchange:
//!
//! 1. pooled vectors: from who holds a table, to who computes a shard; those of each rank's first lanes, and
//!    then, while these are computed, those of its others;
//! 2. gradients of pooled vectors, back to who holds the tables; dense gradients of lanes, summed as far as a
//!    run goes, to who updates them; and, to all, losses by shard.
//!
//! Then each updates its share of the dense parameters and sends them to all, which goes on while tables are
//! updated. Where the norm of all gradients is bounded, each has all that are dense, and updates all.
//!
//! Whoever adds, in the loss and in the optimiser, does it in the order of one process, which is fixed by
//! shards and lanes alone.
use crate::error::{Error, Result};
use crate::ranks::Ranks;
use dlrm_data::Batch;
use dlrm_nn::{Gradients, Isa, LocalTables, Sharding};
use rayon::prelude::*;
use std::ops::Range;

/// What a shard adds to the loss of its step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ShardLoss {
    /// Share of the batch's mean loss.
    pub loss: f64,
    /// Weight of the rows whose label was the more probable one.
    pub correct: f64,
}

/// Refuses more ranks than lanes, which are what they share.
///
/// # Errors
/// That.
pub(crate) fn check_lanes(ranks: usize, lanes: usize) -> Result<()> {
    if ranks <= lanes {
        return Ok(());
    }
    let error = Error::config("train.lanes", format!("one for each of {ranks} ranks"), lanes.to_string());
    Err(error.with_hint("take fewer ranks; more lanes change the last bits of results"))
}

/// The lanes that a rank computes in a batch of `rows` rows.
pub(crate) fn lanes_of_rank(ranks: &Ranks, sharding: Sharding, rows: usize) -> Range<usize> {
    lanes(ranks.rank(), ranks.size(), sharding, rows)
}

/// Those of a rank of `size`.
pub(crate) fn lanes(rank: usize, size: usize, sharding: Sharding, rows: usize) -> Range<usize> {
    let first = |rank: usize| (rank * sharding.lanes / size).min(sharding.lanes_of(rows));
    first(rank)..first(rank + 1)
}

/// The shards of a rank in a batch of `rows` rows.
pub(crate) fn shards(
    rank: usize,
    size: usize,
    sharding: Sharding,
    rows: usize,
) -> impl Iterator<Item = usize> + use<> {
    let lanes = lanes(rank, size, sharding, rows);
    (0..sharding.shards(rows)).filter(move |&shard| lanes.contains(&sharding.lane_of(shard, rows)))
}

/// The rows of a rank in a batch of `rows` rows: of one shard after the other.
pub(crate) fn rows_of_rank(
    rank: usize,
    ranks: &Ranks,
    sharding: Sharding,
    rows: usize,
) -> impl Iterator<Item = Range<usize>> + use<> {
    shards(rank, ranks.size(), sharding, rows).map(move |shard| sharding.rows_of(shard, rows))
}

/// The rows of the first lanes of a rank, or of its others, as [`rows_of_rank`].
pub(crate) fn rows_of_part(
    part: Lanes,
    rank: usize,
    ranks: &Ranks,
    sharding: Sharding,
    rows: usize,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let own = lanes(rank, ranks.size(), sharding, rows);
    // Few: nothing is computed while their vectors are on their way.
    let first = own.start + own.len().div_ceil(4);
    let part = if part == Lanes::First { own.start..first } else { first..own.end };
    let shards = shards(rank, ranks.size(), sharding, rows);
    shards
        .filter(move |&shard| part.contains(&sharding.lane_of(shard, rows)))
        .map(move |shard| sharding.rows_of(shard, rows))
}

/// Which lanes of a rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// Those whose vectors come first.
    First,
    /// All others.
    Others,
}

/// What is held here of the pooled vectors of rows that each other rank needs, by rank. Uses the current
/// rayon pool.
pub(crate) fn vectors(
    tables: &LocalTables,
    batch: &Batch,
    needed: impl Iterator<Item = (usize, Range<usize>)>,
    ranks: &Ranks,
) -> Vec<Vec<u8>> {
    let (own, size) = (ranks.rank(), ranks.size());
    let needed: Vec<(usize, Range<usize>)> = needed.filter(|(rank, _)| *rank != own).collect();
    // Enough where no rows travel one by one.
    let reserved = |rank: usize| {
        let rows = needed.iter().filter(|(to, _)| *to == rank).map(|(_, rows)| rows.len());
        ranks.message(4 * rows.sum::<usize>() * tables.width_of(own))
    };
    let mut parts: Vec<Vec<u8>> = (0..size).map(reserved).collect();
    if rayon::current_num_threads() == 1 {
        needed.into_iter().for_each(|(rank, rows)| tables.write_vectors(batch, rows, &mut parts[rank]));
        return parts;
    }
    let write = |(rank, rows): &(usize, Range<usize>)| {
        let mut out = Vec::new();
        tables.write_vectors(batch, rows.clone(), &mut out);
        (*rank, out)
    };
    let written: Vec<(usize, Vec<u8>)> = needed.par_iter().map(write).collect();
    written.into_iter().for_each(|(rank, part)| parts[rank].extend_from_slice(&part));
    parts
}

/// What the gradients of a step lie in.
pub(crate) struct Step<'a> {
    pub(crate) tables: &'a LocalTables,
    pub(crate) gradients: &'a mut Gradients,
    pub(crate) losses: &'a mut [ShardLoss],
    /// The rows that they are of.
    pub(crate) batch: &'a Batch,
    /// Of dense parameters: those that are trained, and all.
    pub(crate) dense: (usize, usize),
    /// Whether every rank needs all their gradients.
    pub(crate) clips: bool,
}

impl Step<'_> {
    /// What this rank has computed, for each rank. Uses the current rayon pool.
    pub(crate) fn write(&mut self, ranks: &Ranks, isa: Isa) -> Vec<Vec<u8>> {
        let (size, sharding, rows) = (ranks.size(), self.gradients.sharding, self.batch.len());
        let own = lanes_of_rank(ranks, sharding, rows);
        self.gradients.join_lanes(isa, own.clone());
        let mut losses = Vec::new();
        for shard in shards(ranks.rank(), size, sharding, rows) {
            let ShardLoss { loss, correct } = self.losses[shard];
            losses.extend_from_slice(bytemuck::cast_slice(&[loss, correct]));
        }
        let holding = self.gradients.holding(own);
        let own_rows: usize = rows_of_rank(ranks.rank(), ranks, sharding, rows).map(|rows| rows.len()).sum();
        let message = |rank: usize| {
            let mut message = Vec::new();
            if rank != ranks.rank() {
                let dense: usize = self.dense_for(rank).map(|range| range.len()).iter().sum();
                let numbers = own_rows * self.tables.width_of(rank) + holding.len() * dense;
                message = ranks.message(4 * numbers + losses.len());
                for shard in shards(ranks.rank(), size, sharding, rows) {
                    let of = (self.batch, sharding.rows_of(shard, rows));
                    self.tables.write_gradients(&self.gradients.shards[shard], of, rank, &mut message);
                }
                message.extend_from_slice(&losses);
                for &lane in &holding {
                    let values = self.gradients.lanes[lane].values();
                    for range in self.dense_for(rank) {
                        message.extend_from_slice(bytemuck::cast_slice(&values[range]));
                    }
                }
            }
            message
        };
        (0..size).into_par_iter().map(message).collect()
    }

    /// The dense parameters whose gradients a rank needs: those that it updates, and statistics.
    fn dense_for(&self, rank: usize) -> [Range<usize>; 2] {
        let (trained, all) = self.dense;
        let own = if self.clips { 0..trained } else { self.tables.placement().dense_of(rank, trained) };
        [own, trained..all]
    }

    /// Completes gradients and losses by what each rank has written.
    ///
    /// # Panics
    /// If that is of another step.
    pub(crate) fn read(&mut self, ranks: &Ranks, messages: &[Vec<u8>]) {
        let (size, sharding, rows) = (ranks.size(), self.gradients.sharding, self.batch.len());
        for (rank, message) in messages.iter().enumerate().filter(|(rank, _)| *rank != ranks.rank()) {
            let mut rest = &message[..];
            for shard in shards(rank, size, sharding, rows) {
                let of = (self.batch, sharding.rows_of(shard, rows));
                let into = &mut self.gradients.shards[shard];
                self.tables.read_gradients(&mut rest, into, of).expect("ranks run one program on one batch");
            }
            for shard in shards(rank, size, sharding, rows) {
                let mut pair = [0.0f64; 2];
                fill(bytemuck::cast_slice_mut(&mut pair), &mut rest);
                self.losses[shard] = ShardLoss { loss: pair[0], correct: pair[1] };
            }
            for lane in self.gradients.holding(lanes(rank, size, sharding, rows)) {
                for range in self.dense_for(ranks.rank()) {
                    let values = &mut self.gradients.lanes[lane].values_mut()[range];
                    fill(bytemuck::cast_slice_mut(values), &mut rest);
                }
            }
            assert!(
                rest.is_empty(),
                "rank {rank} sent {} bytes too many: is its program another?",
                rest.len()
            );
        }
        self.gradients.set_joined((0..size).map(|rank| lanes(rank, size, sharding, rows)));
    }
}

/// Cuts as many bytes off the front of `rest` as fill `into`.
fn fill(into: &mut [u8], rest: &mut &[u8]) {
    let (front, back) = rest.split_at_checked(into.len()).expect("ranks run one program on one batch");
    into.copy_from_slice(front);
    *rest = back;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_the_lanes_in_runs() {
        for lanes_in_all in 1..12 {
            let sharding = Sharding { shard_rows: 4, lanes: lanes_in_all };
            for (rows, size) in (0..200).flat_map(|rows| (1..=lanes_in_all).map(move |size| (rows, size))) {
                let mut next = 0;
                for rank in 0..size {
                    let own = lanes(rank, size, sharding, rows);
                    assert_eq!(own.start, next);
                    next = own.end;
                }
                assert_eq!(next, sharding.lanes_of(rows), "{sharding:?}, {rows} rows, {size} ranks");
            }
        }
    }
}
