//! One training step: shards forward and backward on worker threads, then the optimiser.
//!
//! A batch is cut into shards; lane l sums the gradients of shards l, l + L, … in this order; lanes are summed
//! as a tree. None of it depends on which thread does what, so the bits are the same at any thread count.
use crate::error::{Error, Result};
use crate::network::Network;
use crate::workspace::{Parallel, Workspace};
use dlrm_data::Batch;
use dlrm_nn::optimizer::Rates;
use dlrm_nn::{
    Arena, Gradients, Lane, Loss, Mode, Optimizer, PhaseTimes, ShardGradients, Sharding, Tape, TapeTimes,
    Timing,
};
use std::ops::Range;
use std::time::Duration;

/// A network in training.
pub struct Learner {
    network: Network,
    optimizer: Optimizer,
    gradients: Gradients,
    loss: Loss,
    pool: rayon::ThreadPool,
    workspace: Workspace,
    timing: Timing,
    forward_backward: Duration,
    correct: f64,
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
    /// Joins a network and its optimiser; `threads` workers.
    ///
    /// # Errors
    /// If the worker threads cannot be started.
    pub fn new(
        network: Network,
        optimizer: Optimizer,
        loss: Loss,
        sharding: Sharding,
        threads: usize,
    ) -> Result<Self> {
        let pool = pool(threads)?;
        let gradients = Gradients::new(network.weights(), sharding);
        Ok(Learner {
            network,
            optimizer,
            gradients,
            loss,
            pool,
            workspace: Workspace::new(),
            timing: Timing::Off,
            forward_backward: Duration::ZERO,
            correct: 0.0,
        })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network, for restoring weights.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The network, at the end of training.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// The optimiser.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The optimiser, for restoring its state.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer {
        &mut self.optimizer
    }

    /// The last step's gradients.
    pub fn gradients(&self) -> &Gradients {
        &self.gradients
    }

    /// Weight of the rows of the last step whose label was the more probable one before the update (their number where rows
    /// carry no weights); for labels of 0 and 1.
    pub fn correct(&self) -> f64 {
        self.correct
    }

    /// The worker threads.
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Takes the times of steps from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> StepTimes {
        self.timing = timing;
        StepTimes {
            forward_backward: std::mem::take(&mut self.forward_backward),
            tape: self.workspace.time(timing),
            phases: self.optimizer.time(timing),
        }
    }

    /// Mean loss of the batch, and its gradients (not yet applied).
    pub fn forward_backward(&mut self, batch: &Batch) -> f64 {
        let Learner { network, optimizer, gradients, loss, pool, workspace, timing, .. } = self;
        let start = timing.start();
        let pass = Pass::after(optimizer.steps(), network, loss, batch);
        let (mean, right) = pass.run(gradients, workspace, Parallel::Pool(pool));
        self.correct = right;
        self.forward_backward += start.map_or(Duration::ZERO, |start| start.elapsed());
        mean
    }

    /// One step on `batch`; returns its mean loss before the update.
    ///
    /// # Errors
    /// If the loss is not finite (then the weights are unchanged).
    pub fn step(&mut self, batch: &Batch, rates: Rates) -> Result<f64> {
        let Learner {
            network,
            optimizer,
            gradients,
            loss,
            pool,
            workspace,
            timing,
            forward_backward,
            correct,
        } = self;
        let pool = &*pool;
        // One entry into the pool for the whole step: waking its threads takes longer than some phases of a small batch.
        pool.install(|| {
            let start = timing.start();
            let pass = Pass::after(optimizer.steps(), network, loss, batch);
            let (loss, right) = pass.run(gradients, workspace, Parallel::Pool(pool));
            *correct = right;
            *forward_backward += start.map_or(Duration::ZERO, |start| start.elapsed());
            if !loss.is_finite() {
                return Err(Error::Diverged { step: optimizer.steps() + 1, loss });
            }
            optimizer.step(network.weights_mut(), gradients, batch, rates);
            Ok(loss)
        })
    }

    /// Logits of `batch`.
    pub fn logits(&mut self, batch: &Batch) -> Vec<f32> {
        let mut logits = vec![0.0; batch.len()];
        self.network.logits(batch, &mut logits, &mut self.workspace, Parallel::Pool(&self.pool));
        logits
    }
}

/// The forward and backward pass of a batch.
struct Pass<'a> {
    network: &'a Network,
    loss: &'a Loss,
    batch: &'a Batch,
    mode: Mode,
}

impl<'a> Pass<'a> {
    /// The pass of the step after `steps` steps.
    fn after(steps: u64, network: &'a Network, loss: &'a Loss, batch: &'a Batch) -> Self {
        let mode = Mode::Training { key: step_key(network.weights().seed(), steps) };
        Pass { network, loss, batch, mode }
    }

    /// Mean loss of the batch, the weight of the rows it gets right, and its gradients.
    fn run(
        &self,
        gradients: &mut Gradients,
        workspace: &mut Workspace,
        parallel: Parallel<'_>,
    ) -> (f64, f64) {
        let (rows, sharding) = (self.batch.len(), gradients.sharding);
        gradients.resize(rows);
        let (used, shard_rows) = (sharding.lanes_of(rows), sharding.rows_per_shard(rows));
        let mut shards: Vec<Vec<_>> = (0..used).map(|_| Vec::new()).collect();
        for (index, shard) in gradients.shards[..sharding.shards(rows)].iter_mut().enumerate() {
            let start = index * shard_rows;
            let range = start.min(rows)..(start + shard_rows).min(rows);
            shards[index % used].push((range, shard, (0.0, 0.0)));
        }
        let lanes = gradients.lanes[..used].iter_mut().zip(&mut shards);
        workspace.each(parallel, lanes, |arena, (lane, shards)| {
            lane.restart();
            let mut gradient = Vec::new();
            for (range, shard, sums) in shards {
                *sums = self.shard(range.clone(), arena, &mut gradient, lane, shard);
            }
            lane.settle(self.network.weights());
        });
        // Shard sums in the order of the rows, whatever lane they were in.
        let sums = (0..sharding.shards(rows)).map(|index| shards[index % used][index / used].2);
        sums.fold((0.0, 0.0), |(loss, right), shard| (loss + shard.0, right + shard.1))
    }

    /// One shard: its part of the mean loss, and the weight of the rows it gets right. `gradient` is memory to work in.
    fn shard(
        &self,
        range: Range<usize>,
        arena: &mut Arena,
        gradient: &mut Vec<f32>,
        lane: &mut Lane,
        shard: &mut ShardGradients,
    ) -> (f64, f64) {
        let Pass { network, loss, batch, mode } = *self;
        let mut tape = Tape::new(network.weights(), batch, range.clone(), arena).with_mode(mode);
        let output = network.model().forward(&mut tape);
        gradient.resize(range.len(), 0.0);
        let weights = batch.weights.as_ref().map(|w| &w[range.clone()]);
        let labels = &batch.labels[range];
        let sums = tape.time_loss(|tape| {
            let outputs = tape.value(output);
            (
                loss.forward_backward(gradient, outputs, labels, weights, batch.len()),
                correct(outputs, labels, weights),
            )
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
/// If the system refuses the threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let built =
        rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("dlrm-{i}")).build();
    built.map_err(|e| Error::Threads { threads, reason: e.to_string() })
}
