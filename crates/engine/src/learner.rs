//! One training step: shards forward and backward on worker threads, the exchange with other ranks, the
//! optimiser.
//!
//! A batch is cut into shards; lane l sums the gradients of shards l, l + L, … in this order; lanes are
//! summed as a tree. None of it depends on which thread or rank does what, so the bits are the same at any
//! number of both.
use crate::error::{Error, Result};
use crate::exchange::{ShardLoss, exchange, lanes_of_rank};
use crate::network::Network;
use crate::ranks::Ranks;
use crate::workspace::{Parallel, Workspace};
use dlrm_data::Batch;
use dlrm_nn::optimizer::Rates;
use dlrm_nn::{
    Arena, Gradients, Lane, Loss, Mode, Optimizer, PhaseTimes, Rest, ShardGradients, Sharding, Tape,
    TapeTimes, Timing, Weights,
};
use std::ops::Range;
use std::time::Duration;

/// A network in training, on this rank's worker threads.
pub struct Learner {
    replica: Replica,
    pool: rayon::ThreadPool,
}

/// What a rank holds of a network in training: all of it, but it computes its share of the gradients only.
struct Replica {
    network: Network,
    optimizer: Optimizer,
    gradients: Gradients,
    loss: Loss,
    workspace: Workspace,
    ranks: Ranks,
    /// Of the shards of the last batch, in the order of its rows.
    losses: Vec<ShardLoss>,
    correct: f64,
    timing: Timing,
    forward_backward: Duration,
}

/// Where the time of steps went.
#[derive(Debug, Clone, Default)]
pub struct StepTimes {
    /// Wall time of the shards' forward and backward passes.
    pub forward_backward: Duration,
    /// Thread time of their operations.
    pub tape: TapeTimes,
    /// Wall time of the optimiser's phases.
    pub phases: PhaseTimes,
}

impl Learner {
    /// Joins a network and its optimiser, on one rank with `threads` workers.
    ///
    /// # Errors
    /// If the system refuses the worker threads: take fewer.
    pub fn new(
        network: Network,
        optimizer: Optimizer,
        loss: Loss,
        sharding: Sharding,
        threads: usize,
    ) -> Result<Self> {
        let pool = pool(threads)?;
        let gradients = Gradients::new(network.weights(), sharding);
        let replica = Replica {
            network,
            optimizer,
            gradients,
            loss,
            workspace: Workspace::new(),
            ranks: Ranks::default(),
            losses: Vec::new(),
            correct: 0.0,
            timing: Timing::Off,
            forward_backward: Duration::ZERO,
        };
        Ok(Learner { replica, pool })
    }

    /// Shares each step with other ranks. All must hold the same weights and optimiser and step on the same
    /// batches.
    ///
    /// # Errors
    /// If there are more ranks than lanes, which are what they share.
    pub fn with_ranks(mut self, ranks: Ranks) -> Result<Self> {
        let (size, lanes) = (ranks.size(), self.replica.gradients.sharding.lanes);
        if size > lanes {
            let error =
                Error::config("train.lanes", format!("one for each of {size} ranks"), lanes.to_string());
            return Err(error.with_hint("take fewer ranks; more lanes change the last bits of results"));
        }
        self.replica.ranks = ranks;
        Ok(self)
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.replica.network
    }

    /// The network, for restoring weights.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.replica.network
    }

    /// The network and its optimiser, at the end of training.
    pub fn into_parts(self) -> (Network, Optimizer) {
        (self.replica.network, self.replica.optimizer)
    }

    /// The optimiser.
    pub fn optimizer(&self) -> &Optimizer {
        &self.replica.optimizer
    }

    /// The optimiser, for restoring its state.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer {
        &mut self.replica.optimizer
    }

    /// The weights beside the optimiser, for restoring its state.
    pub(crate) fn weights_and_optimizer_mut(&mut self) -> (&Weights, &mut Optimizer) {
        (self.replica.network.weights(), &mut self.replica.optimizer)
    }

    /// The last step's gradients.
    pub fn gradients(&self) -> &Gradients {
        &self.replica.gradients
    }

    /// Weight of the rows of the last step whose label was the more probable one before the update (their
    /// number where rows carry no weights); for labels of 0 and 1.
    pub fn correct(&self) -> f64 {
        self.replica.correct
    }

    /// The worker threads.
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Takes the times of steps from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> StepTimes {
        let replica = &mut self.replica;
        replica.timing = timing;
        StepTimes {
            forward_backward: std::mem::take(&mut replica.forward_backward),
            tape: replica.workspace.time(timing),
            phases: replica.optimizer.time(timing),
        }
    }

    /// Mean loss of the batch, and its gradients (not yet applied).
    ///
    /// # Errors
    /// If the first of several ranks has left.
    pub fn forward_backward(&mut self, batch: &Batch) -> Result<f64> {
        let Learner { replica, pool } = self;
        pool.install(|| {
            replica.forward_backward(batch, pool);
            replica.exchange(batch)
        })
    }

    /// One step on `batch`; returns its mean loss before the update.
    ///
    /// # Errors
    /// If the loss is not finite (then the weights are unchanged), or the first of several ranks has left.
    pub fn step(&mut self, batch: &Batch, rates: Rates) -> Result<f64> {
        let Learner { replica, pool } = self;
        // One entry into the pool for the whole step: waking its threads takes longer than some phases of a
        // small batch.
        pool.install(|| {
            replica.forward_backward(batch, pool);
            let loss = replica.exchange(batch)?;
            replica.apply(loss, batch, rates)?;
            Ok(loss)
        })
    }

    /// Logits of `batch`.
    pub fn logits(&mut self, batch: &Batch) -> Vec<f32> {
        let Learner { replica: Replica { network, workspace, .. }, pool } = self;
        let mut logits = vec![0.0; batch.len()];
        network.logits(batch, &mut logits, workspace, Parallel::Pool(pool));
        logits
    }
}

impl Replica {
    /// Gradients and losses of this rank's shards. Uses the current rayon pool.
    fn forward_backward(&mut self, batch: &Batch, pool: &rayon::ThreadPool) {
        let start = self.timing.start();
        let (rows, sharding) = (batch.len(), self.gradients.sharding);
        let own = lanes_of_rank(&self.ranks, sharding, rows);
        let Replica { network, gradients, workspace, losses, loss, .. } = self;
        let mode = Mode::Training { key: step_key(network.weights().seed(), self.optimizer.steps()) };
        let pass = Pass { network, loss, batch, mode };
        // Ranks send each other what lanes have summed.
        let rest = if self.ranks.size() == 1 { Rest::Computed } else { Rest::None };
        gradients.resize(network.weights(), rows, rest);
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
        let threads = pool.current_num_threads();
        let rest = gradients.rest(network.weights().isa(), rows, threads).into_iter();
        workspace.each(Parallel::Pool(pool), rest, Arena::compute);
        self.forward_backward += start.map_or(Duration::ZERO, |start| start.elapsed());
    }

    /// Completes gradients and losses by those of other ranks; returns the mean loss of the batch.
    fn exchange(&mut self, batch: &Batch) -> Result<f64> {
        let Replica { network, gradients, ranks, losses, .. } = self;
        exchange(ranks, network.weights().slots(), gradients, losses, batch.len())?;
        // In the order of the rows, whatever lane or rank they were in.
        let sum = |(loss, correct), shard: &ShardLoss| (loss + shard.loss, correct + shard.correct);
        let (loss, correct) = self.losses.iter().fold((0.0, 0.0), sum);
        self.correct = correct;
        Ok(loss)
    }

    /// Updates the weights. Uses the current rayon pool.
    fn apply(&mut self, loss: f64, batch: &Batch, rates: Rates) -> Result<()> {
        let Replica { network, optimizer, gradients, .. } = self;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: optimizer.steps() + 1, loss });
        }
        optimizer.step(network.weights_mut(), gradients, batch, rates);
        Ok(())
    }
}

/// What the shards of a step share.
struct Pass<'a> {
    network: &'a Network,
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
        let Pass { network, loss, batch, mode } = *self;
        let mut tape = Tape::new(network.weights(), batch, range.clone(), arena).with_mode(mode);
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

/// A pool of `threads` workers.
///
/// # Errors
/// If the system refuses the threads: take fewer.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let built =
        rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("dlrm-{i}")).build();
    built.map_err(|e| Error::Threads { threads, reason: e.to_string() })
}
