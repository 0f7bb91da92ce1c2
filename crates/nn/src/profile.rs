//! Where the time of training steps goes, measured only when asked for: results do not depend on it.
use std::time::{Duration, Instant};

/// Whether times are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timing {
    /// No clock is read.
    #[default]
    Off,
    /// Every operation and phase is timed.
    On,
}

impl Timing {
    /// The time now, if it is wanted.
    pub fn start(self) -> Option<Instant> {
        (self == Timing::On).then(Instant::now)
    }
}

/// Thread time of the operations of tapes, summed over all tapes of an arena.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TapeTimes {
    pub(crate) timing: Timing,
    /// Of each node, forward.
    pub forward: Vec<Duration>,
    /// Of each node, backward.
    pub backward: Vec<Duration>,
    /// Of the loss and its gradient.
    pub loss: Duration,
}

impl TapeTimes {
    pub(crate) fn new(timing: Timing) -> Self {
        TapeTimes { timing, ..TapeTimes::default() }
    }

    /// Adds the times of other tapes of the same model.
    pub fn add(&mut self, other: &TapeTimes) {
        for (own, other) in [(&mut self.forward, &other.forward), (&mut self.backward, &other.backward)] {
            other.iter().enumerate().for_each(|(node, &time)| *at(own, node) += time);
        }
        self.loss += other.loss;
    }

    pub(crate) fn end_forward(&mut self, node: usize, start: Option<Instant>) {
        if let Some(start) = start {
            *at(&mut self.forward, node) += start.elapsed();
        }
    }

    pub(crate) fn end_backward(&mut self, node: usize, start: Option<Instant>) {
        if let Some(start) = start {
            *at(&mut self.backward, node) += start.elapsed();
        }
    }
}

fn at(times: &mut Vec<Duration>, node: usize) -> &mut Duration {
    if times.len() <= node {
        times.resize(node + 1, Duration::ZERO);
    }
    &mut times[node]
}

/// A phase of [`crate::Optimizer::step`]; while times are taken, a barrier of the worker threads stands
/// between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Ids of the batch sorted, table by table.
    SortIds,
    /// Sum and norm of the gradients, where they are clipped.
    Clip,
    /// Partial sums of the dense gradients added up and the parameters moved.
    DenseUpdate,
    /// Touched rows summed and moved.
    TableUpdate,
    /// Weight matrices packed for the next step.
    Pack,
}

impl Phase {
    /// All phases, in the order of a step.
    pub const ALL: [Phase; 5] =
        [Phase::SortIds, Phase::Clip, Phase::DenseUpdate, Phase::TableUpdate, Phase::Pack];
}

/// Wall time of the phases of steps, summed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhaseTimes {
    pub(crate) timing: Timing,
    last: Option<Instant>,
    spent: [Duration; Phase::ALL.len()],
}

impl PhaseTimes {
    pub(crate) fn new(timing: Timing) -> Self {
        PhaseTimes { timing, ..PhaseTimes::default() }
    }

    /// Wall time of a phase.
    pub fn of(&self, phase: Phase) -> Duration {
        self.spent[phase as usize]
    }

    pub(crate) fn start(&mut self) {
        self.last = self.timing.start();
    }

    /// Everything since the last call belongs to `phase`.
    pub(crate) fn end(&mut self, phase: Phase) {
        if let Some(last) = self.last {
            let now = Instant::now();
            self.spent[phase as usize] += now - last;
            self.last = Some(now);
        }
    }
}
