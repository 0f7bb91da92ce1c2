//! One training step: shards forward and backward on worker threads, the exchange with other ranks, the
//! optimiser.
//!
//! A batch is cut into shards; lane l sums the gradients of shards l, l + L, … in this order; lanes are
//! summed as a tree. None of it depends on which thread or rank does what, so the bits are the same at any
//! number of both.
use crate::elsewhere::Elsewhere;
use crate::error::{Error, Result};
use crate::exchange::check_lanes;
use crate::network::Network;
use crate::ranks::Ranks;
use crate::replica::Replica;
use crate::workspace::{Parallel, Workspace};
use dlrm_data::Batch;
use dlrm_nn::optimizer::Rates;
use dlrm_nn::{Gradients, Loss, Optimizer, PhaseTimes, Sharding, TapeTimes, Timing};
use std::time::Duration;

/// A network in training, on this rank's worker threads.
pub struct Learner {
    replica: Replica,
    pool: rayon::ThreadPool,
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
            together: true,
            losses: Vec::new(),
            correct: 0.0,
            timing: Timing::Off,
            forward_backward: Duration::ZERO,
        };
        Ok(Learner { replica, pool })
    }

    /// Shares each step with other ranks. All must hold the same dense weights and optimiser, each its share
    /// of the same tables, and step on the same batches.
    ///
    /// # Errors
    /// If there are more ranks than lanes, which are what they share.
    ///
    /// # Panics
    /// If the network's tables were placed for others.
    pub fn with_ranks(mut self, ranks: Ranks) -> Result<Self> {
        let placement = self.replica.network.weights().placement();
        let placed = (placement.rank, placement.ranks);
        assert_eq!(placed, (ranks.rank(), ranks.size()), "tables are placed for these ranks");
        check_lanes(ranks.size(), self.replica.gradients.sharding.lanes)?;
        self.replica.network.set_elsewhere(Elsewhere::of(&ranks));
        self.replica.ranks = ranks;
        Ok(self)
    }

    /// The ranks.
    pub(crate) fn ranks(&self) -> &Ranks {
        &self.replica.ranks
    }

    /// The ranks part: from now on the first one works alone, and the others, for which this returns an error
    /// once it has left, answer what it asks.
    ///
    /// # Errors
    /// [`Error::Assisted`] of the others.
    pub(crate) fn part(&mut self) -> Result<()> {
        self.replica.together = false;
        if self.replica.ranks.is_first() { Ok(()) } else { self.wait().and(Err(Error::Assisted)) }
    }

    /// Waits until all ranks are here, and answers the first one meanwhile.
    ///
    /// # Errors
    /// If the first of several ranks has left, or another one cannot go on.
    pub(crate) fn wait(&mut self) -> Result<()> {
        self.tell_all(Vec::new()).map(drop)
    }

    /// Sends `own` to all ranks; what each has sent.
    ///
    /// # Errors
    /// As [`Learner::wait`].
    pub(crate) fn tell_all(&mut self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let parts = vec![own; self.replica.ranks.size()];
        self.replica.swap(parts)
    }

    /// What the first rank decides; `own` is not asked for on others.
    ///
    /// # Errors
    /// As [`Learner::wait`].
    pub(crate) fn decide(&mut self, own: impl FnOnce() -> bool) -> Result<bool> {
        if self.replica.ranks.size() == 1 {
            return Ok(own());
        }
        let own = if self.replica.ranks.is_first() { vec![u8::from(own())] } else { Vec::new() };
        Ok(self.tell_all(own)?[0] == [1])
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

    /// The network beside the optimiser, for restoring its state.
    pub(crate) fn network_and_optimizer_mut(&mut self) -> (&Network, &mut Optimizer) {
        (&self.replica.network, &mut self.replica.optimizer)
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
            replica.forward_backward(batch, pool)?;
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
            replica.forward_backward(batch, pool)?;
            let loss = replica.exchange(batch)?;
            replica.apply(loss, batch, rates)?;
            Ok(loss)
        })
    }

    /// Logits of `batch`, which ranks share until they part.
    ///
    /// # Errors
    /// If the first of several ranks has left.
    pub fn logits(&mut self, batch: &Batch) -> Result<Vec<f32>> {
        let Learner { replica, pool } = self;
        let mut logits = vec![0.0; batch.len()];
        if replica.together && replica.ranks.size() > 1 {
            pool.install(|| replica.share_logits(batch, &mut logits, pool))?;
        } else {
            replica.network.logits(batch, &mut logits, &mut replica.workspace, Parallel::Pool(pool));
        }
        Ok(logits)
    }
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
