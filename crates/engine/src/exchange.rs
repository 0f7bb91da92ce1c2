//! What ranks tell each other in a step, so that each ends with the gradients of the whole batch.
//!
//! Every rank holds all weights and sees the whole batch. Rank r of R computes the shards of a contiguous run
//! of the L lanes, r·L/R .. (r+1)·L/R; those that a small batch does not use are absent. Then each sends all
//! others the bytes of what it has computed: losses and embedding gradients by shard, dense gradients by
//! lane. Nothing is added up here: whoever adds, in the loss and in the optimiser, does it in the order of
//! one process, which is fixed by shards and lanes alone.
use crate::error::Result;
use crate::ranks::Ranks;
use dlrm_nn::{Gradients, Sharding, Slots};
use std::ops::Range;

/// What a shard adds to the loss of its step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ShardLoss {
    /// Share of the batch's mean loss.
    pub loss: f64,
    /// Weight of the rows whose label was the more probable one.
    pub correct: f64,
}

/// The lanes that a rank computes in a batch of `rows` rows.
pub(crate) fn lanes_of_rank(ranks: &Ranks, sharding: Sharding, rows: usize) -> Range<usize> {
    lanes(ranks.rank(), ranks.size(), sharding, rows)
}

fn lanes(rank: usize, size: usize, sharding: Sharding, rows: usize) -> Range<usize> {
    let first = |rank: usize| (rank * sharding.lanes / size).min(sharding.lanes_of(rows));
    first(rank)..first(rank + 1)
}

/// Completes gradients and losses (by shard) of a batch of `rows` rows, of which this rank has computed its
/// part.
///
/// # Errors
/// If the first rank has left, or another one cannot go on.
pub(crate) fn exchange(
    ranks: &Ranks,
    slots: &Slots,
    gradients: &mut Gradients,
    losses: &mut [ShardLoss],
    rows: usize,
) -> Result<()> {
    let (rank, size) = (ranks.rank(), ranks.size());
    if size == 1 {
        return Ok(());
    }
    let own = encode(gradients, losses, &lanes(rank, size, gradients.sharding, rows), rows);
    for (other, message) in ranks.all_gather(own)?.iter().enumerate().filter(|(r, _)| *r != rank) {
        let lanes = lanes(other, size, gradients.sharding, rows);
        let rest = decode(message, slots, gradients, losses, (lanes, rows));
        assert!(rest.is_empty(), "rank {other} sent {} bytes too many: is its program another?", rest.len());
    }
    Ok(())
}

fn encode(gradients: &Gradients, losses: &[ShardLoss], lanes: &Range<usize>, rows: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for (shard, ShardLoss { loss, correct }) in losses.iter().enumerate() {
        if lanes.contains(&gradients.sharding.lane_of(shard, rows)) {
            message.extend_from_slice(bytemuck::cast_slice(&[*loss, *correct]));
            message.extend_from_slice(bytemuck::cast_slice(gradients.shards[shard].values()));
        }
    }
    for lane in &gradients.lanes[lanes.clone()] {
        message.extend_from_slice(bytemuck::cast_slice(lane.values()));
    }
    message
}

/// Returns the bytes that are left.
fn decode<'m>(
    message: &'m [u8],
    slots: &Slots,
    gradients: &mut Gradients,
    losses: &mut [ShardLoss],
    (lanes, rows): (Range<usize>, usize),
) -> &'m [u8] {
    let mut rest = message;
    let sharding = gradients.sharding;
    for (shard, own) in losses.iter_mut().enumerate() {
        if lanes.contains(&sharding.lane_of(shard, rows)) {
            let mut pair = [0.0f64; 2];
            fill(bytemuck::cast_slice_mut(&mut pair), &mut rest);
            *own = ShardLoss { loss: pair[0], correct: pair[1] };
            let values = gradients.shards[shard].values_mut(slots, sharding.rows_of(shard, rows).len());
            fill(bytemuck::cast_slice_mut(values), &mut rest);
        }
    }
    for lane in &mut gradients.lanes[lanes] {
        fill(bytemuck::cast_slice_mut(lane.values_mut()), &mut rest);
    }
    rest
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
