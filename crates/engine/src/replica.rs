//! One training step of a rank: its shards forward and backward, what it tells the others, the optimiser.
use crate::answer::answer;
use crate::arriving::Arriving;
use crate::error::{Error, Result};
use crate::exchange::{self, Lanes, ShardLoss, Step, lanes_of_rank, rows_of_part};
use crate::network::{Network, runs};
use crate::ranks::Ranks;
use crate::workspace::{Parallel, Workspace};
use dlrm_cluster::Ticket;
use dlrm_data::Batch;
use dlrm_nn::optimizer::Rates;
use dlrm_nn::{
    Among, Arena, GatheredVectors, Gradients, Lane, Loss, Mode, Optimizer, Placement, ShardGradients,
    TableSquares, TableStore, Tape, Timing,
};
use std::ops::Range;
use std::time::Duration;

/// What a rank holds of a network in training: its share of the tables, and all dense weights, of whose
/// gradients it computes its share.
pub(crate) struct Replica {
    pub(crate) network: Network,
    pub(crate) optimizer: Optimizer,
    pub(crate) gradients: Gradients,
    pub(crate) loss: Loss,
    pub(crate) workspace: Workspace,
    pub(crate) ranks: Ranks,
    /// Whether the ranks do the same from call to call. Where they do not, the first one works and asks, and
    /// the others answer.
    pub(crate) together: bool,
    /// Of the shards of the last batch, in the order of its rows.
    pub(crate) losses: Vec<ShardLoss>,
    pub(crate) correct: f64,
    pub(crate) timing: Timing,
    pub(crate) forward_backward: Duration,
}

/// Rows that a rank scores at a time where ranks share them.
const ROWS_SHARED: usize = 4096;

impl Replica {
    /// Gradients and losses of this rank's shards. Uses the current rayon pool.
    pub(crate) fn forward_backward(&mut self, batch: &Batch, pool: &rayon::ThreadPool) -> Result<()> {
        let start = self.timing.start();
        let (rows, sharding) = (batch.len(), self.gradients.sharding);
        let part =
            |part: Lanes| move |rank: usize, ranks: &Ranks| rows_of_part(part, rank, ranks, sharding, rows);
        let messages = self.swap_vectors(batch, part(Lanes::First))?;
        // The first rank asks nothing in the middle of a step.
        let later = self.vectors(batch, part(Lanes::Others)).and_then(|parts| self.ranks.start(parts));
        let own = lanes_of_rank(&self.ranks, sharding, rows);
        let Replica { network, gradients, workspace, losses, loss, ranks, .. } = self;
        let (network, ranks) = (&*network, &*ranks);
        let mode = Mode::Training { key: step_key(network.weights().seed(), self.optimizer.steps()) };
        let own_rows = |of: Lanes| part(of)(ranks.rank(), ranks);
        let arriving = messages.zip(later).map(|(messages, ticket)| {
            let first = gathered(network, batch, own_rows(Lanes::First), messages);
            let of = (network.weights().local(), batch, ranks);
            Arriving::new(of, first, (ticket, own_rows(Lanes::Others).collect()))
        });
        let store =
            arriving.as_ref().map_or(network.weights().store(), |arriving| arriving as &dyn TableStore);
        let pass = Pass { network, store, loss, batch, mode };
        gradients.resize(network.weights(), rows, own.clone());
        losses.clear();
        losses.resize(sharding.shards(rows), ShardLoss::default());
        let mut shards: Vec<Vec<_>> = own.clone().map(|_| Vec::new()).collect();
        for (index, shard) in gradients.shards.iter_mut().zip(losses).enumerate() {
            let lane = sharding.lane_of(index, rows);
            if own.contains(&lane) {
                shards[lane - own.start].push((sharding.rows_of(index, rows), shard));
            }
        }
        let lanes = gradients.lanes[own].iter_mut().zip(shards);
        workspace.each(Parallel::Pool(pool), lanes, |arena, (lane, shards)| {
            lane.restart();
            let mut gradient = Vec::new();
            for (range, (shard, loss)) in shards {
                *loss = pass.shard(range, arena, &mut gradient, lane, shard);
            }
            lane.settle(network.weights());
        });
        ranks.have_read(arriving.map_or(Vec::new(), Arriving::into_messages));
        let threads = pool.current_num_threads();
        let rest = gradients.rest(network.weights().isa(), rows, threads).into_iter();
        workspace.each(Parallel::Pool(pool), rest, Arena::compute);
        self.forward_backward += start.map_or(Duration::ZERO, |start| start.elapsed());
        Ok(())
    }

    /// Sends a part to each rank; what each has sent. Answers the first one until it has sent its own.
    pub(crate) fn swap(&mut self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let Replica { network, optimizer, ranks, .. } = self;
        ranks.swap(parts, &mut |question| answer(question, network, optimizer))
    }

    /// Lets ranks have the pooled vectors of the rows that each needs; those of this one, where there are
    /// several.
    fn swap_vectors<R: Iterator<Item = Range<usize>>>(
        &mut self,
        batch: &Batch,
        needs: impl Fn(usize, &Ranks) -> R,
    ) -> Result<Option<Vec<Vec<u8>>>> {
        self.vectors(batch, needs).map(|parts| self.swap(parts)).transpose()
    }

    /// The pooled vectors that are held here of the rows that each rank needs, where there are several.
    fn vectors<R: Iterator<Item = Range<usize>>>(
        &self,
        batch: &Batch,
        needs: impl Fn(usize, &Ranks) -> R,
    ) -> Option<Vec<Vec<u8>>> {
        let (ranks, tables) = (&self.ranks, self.network.weights().local());
        let size = ranks.size();
        let needed = (0..size).flat_map(|rank| needs(rank, ranks).map(move |rows| (rank, rows)));
        (size > 1).then(|| exchange::vectors(tables, batch, needed, ranks))
    }

    /// Scores `batch` together with the other ranks: each some rows at a time.
    pub(crate) fn share_logits(
        &mut self,
        batch: &Batch,
        logits: &mut [f32],
        pool: &rayon::ThreadPool,
    ) -> Result<()> {
        let (rank, size, rows) = (self.ranks.rank(), self.ranks.size(), batch.len());
        for first in (0..rows).step_by(size * ROWS_SHARED) {
            let of = |rank: usize| {
                let start = (first + rank * ROWS_SHARED).min(rows);
                start..(start + ROWS_SHARED).min(rows)
            };
            let messages = self.swap_vectors(batch, |rank, _| runs(of(rank)))?.unwrap_or_default();
            let Replica { network, workspace, .. } = self;
            let store = gathered(network, batch, runs(of(rank)), messages);
            let out = &mut logits[of(rank)];
            network.score_from(&store, None, (batch, of(rank).start, out), workspace, Parallel::Pool(pool));
            let own: Vec<u8> = bytemuck::cast_slice(&logits[of(rank)]).to_vec();
            for (rank, message) in self.swap(vec![own; size])?.iter().enumerate() {
                bytemuck::cast_slice_mut(&mut logits[of(rank)]).copy_from_slice(message);
            }
        }
        Ok(())
    }

    /// Completes gradients and losses by those of other ranks; returns the mean loss of the batch.
    pub(crate) fn exchange(&mut self, batch: &Batch) -> Result<f64> {
        if self.ranks.size() > 1 {
            let clips = self.optimizer.clips();
            let Replica { network, gradients, ranks, losses, .. } = self;
            let dense = network.weights().dense_len();
            let (tables, isa) = (network.weights().local(), network.weights().isa());
            let parts = Step { tables, gradients, losses, batch, dense, clips }.write(ranks, isa);
            // The first rank asks nothing in the middle of a step, and none fails.
            let ticket = ranks.start(parts);
            self.optimizer.index(network.weights(), batch);
            let messages = ticket.map(|ticket| ranks.finish(ticket)).unwrap_or_default();
            Step { tables, gradients, losses, batch, dense, clips }.read(ranks, &messages);
            ranks.have_read(messages);
        }
        // In the order of the rows, whatever lane or rank they were in.
        let sum = |(loss, correct), shard: &ShardLoss| (loss + shard.loss, correct + shard.correct);
        let (loss, correct) = self.losses.iter().fold((0.0, 0.0), sum);
        self.correct = correct;
        Ok(loss)
    }

    /// Updates the weights. Uses the current rayon pool.
    pub(crate) fn apply(&mut self, loss: f64, batch: &Batch, rates: Rates) -> Result<()> {
        let Replica { network, optimizer, gradients, ranks, .. } = self;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: optimizer.steps() + 1, loss });
        }
        if ranks.size() == 1 {
            optimizer.step(network.weights_mut(), gradients, batch, rates);
            return Ok(());
        }
        let placement = network.weights().placement().clone();
        let mut among = AmongRanks { ranks, placement, clips: optimizer.clips(), sent: None, done: Ok(()) };
        optimizer.step_among(network.weights_mut(), gradients, (batch, rates), &mut among);
        among.done
    }
}

/// The other ranks, while weights are updated.
struct AmongRanks<'a> {
    ranks: &'a Ranks,
    placement: Placement,
    clips: bool,
    /// Dense parameters that are on their way.
    sent: Option<Ticket>,
    done: Result<()>,
}

impl Among for AmongRanks<'_> {
    fn is_alone(&self) -> bool {
        false
    }

    fn own(&self, trained: usize) -> Range<usize> {
        if self.clips { 0..trained } else { self.placement.dense_of(self.ranks.rank(), trained) }
    }

    fn squares(&mut self, mut own: Vec<TableSquares>) -> Vec<TableSquares> {
        let mut message = Vec::new();
        own.iter().for_each(|squares| squares.write(&mut message));
        // The first rank asks nothing in the middle of a step.
        match self.ranks.all_gather(message) {
            Ok(all) => {
                let others = all.iter().enumerate().filter(|(rank, _)| *rank != self.ranks.rank());
                for (_, message) in others {
                    let mut rest = &message[..];
                    own.iter_mut().for_each(|squares| {
                        let read = TableSquares::read(&mut rest);
                        squares.join(read.expect("ranks run one program on one batch"));
                    });
                }
            }
            Err(error) => self.done = Err(error),
        }
        own
    }

    fn send(&mut self, trained: &[f32]) {
        if !self.clips {
            let own: &[u8] = bytemuck::cast_slice(&trained[self.own(trained.len())]);
            let to = |rank| {
                let mut message = Vec::new();
                if rank != self.ranks.rank() {
                    message = self.ranks.message(own.len());
                    message.extend_from_slice(own);
                }
                message
            };
            self.sent = self.ranks.start((0..self.ranks.size()).map(to).collect());
        }
    }

    fn receive(&mut self, trained: &mut [f32]) {
        let Some(ticket) = self.sent.take() else { return };
        let messages = self.ranks.finish(ticket);
        for (rank, part) in messages.iter().enumerate() {
            if rank != self.ranks.rank() {
                let own = self.placement.dense_of(rank, trained.len());
                bytemuck::cast_slice_mut(&mut trained[own]).copy_from_slice(part);
            }
        }
        self.ranks.have_read(messages);
    }
}

/// The pooled vectors of `rows`, as the ranks have sent them.
fn gathered<'a>(
    network: &'a Network,
    batch: &Batch,
    rows: impl Iterator<Item = Range<usize>>,
    messages: Vec<Vec<u8>>,
) -> GatheredVectors<'a> {
    GatheredVectors::new(network.weights().local(), batch, rows, messages)
        .expect("ranks run one program on one batch")
}

/// What the shards of a step share.
struct Pass<'a> {
    network: &'a Network,
    store: &'a dyn TableStore,
    loss: &'a Loss,
    batch: &'a Batch,
    mode: Mode,
}

impl Pass<'_> {
    /// Forward and backward over the rows of a shard: adds to its lane and overwrites its embedding
    /// gradients. `gradient` is for use again.
    fn shard(
        &self,
        range: Range<usize>,
        arena: &mut Arena,
        gradient: &mut Vec<f32>,
        lane: &mut Lane,
        shard: &mut ShardGradients,
    ) -> ShardLoss {
        let Pass { network, store, loss, batch, mode } = *self;
        let mut tape =
            Tape::new(network.weights(), batch, range.clone(), arena).with_store(store).with_mode(mode);
        let output = network.model().forward(&mut tape);
        gradient.resize(range.len(), 0.0);
        let weights = batch.weights.as_ref().map(|w| &w[range.clone()]);
        let labels = &batch.labels[range];
        let sums = tape.time_loss(|tape| {
            let outputs = tape.value(output);
            let loss = loss.forward_backward(gradient, outputs, labels, weights, batch.len());
            ShardLoss { loss, correct: correct(outputs, labels, weights) }
        });
        tape.backward(output, gradient, lane, shard);
        sums
    }
}

/// Weight of the rows whose logit has the sign of their label.
fn correct(logits: &[f32], labels: &[f32], weights: Option<&[f32]>) -> f64 {
    let right = logits.iter().zip(labels).map(|(&logit, &label)| (logit > 0.0) == (label > 0.5));
    match weights {
        None => right.filter(|&right| right).count() as f64,
        Some(weights) => {
            right.zip(weights).map(|(right, &weight)| if right { f64::from(weight) } else { 0.0 }).sum()
        }
    }
}

/// Key of the dropout of the step after `steps` steps.
fn step_key(seed: u64, steps: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&steps.to_le_bytes(), seed)
}
