//! Who watches a run.
use crate::train_state::{Evaluation, TrainState};
use dlrm_data::Stop;

/// How an evaluation compares with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The best so far: its weights are kept.
    Best,
    /// Not better than one before it, or not comparable for want of validation rows.
    NotBest,
}

/// What a run tells the outside, and asks.
pub trait Observer {
    /// After each step, with its mean loss.
    fn step(&mut self, _state: &TrainState, _loss: f64) {}
    /// After each evaluation.
    fn evaluated(&mut self, _evaluation: &Evaluation, _standing: Standing) {}
    /// Something went wrong that changes no result.
    fn warned(&mut self, _warning: &str) {}
    /// Whether to save and stop now.
    fn should_stop(&mut self) -> bool {
        false
    }
    /// What threads that read rows ask instead, before there is anything to save.
    fn stop(&self) -> Stop {
        Stop::default()
    }
    /// Whether the time given to training is up: it then ends as if these had been all its steps.
    fn should_finish(&mut self) -> bool {
        false
    }
    /// Seconds since 1970 by the caller's clock, for what is written down to be looked at. No result depends
    /// on it.
    fn wall_time(&mut self) -> f64 {
        0.0
    }
    /// Whether a checkpoint is due by the caller's clock. No result depends on it.
    fn should_save(&mut self) -> bool {
        false
    }
}

/// Passes on warnings and the wish to stop, and nothing else.
pub(crate) struct StopOnly<'a>(pub(crate) &'a mut dyn Observer);

impl Observer for StopOnly<'_> {
    fn warned(&mut self, warning: &str) {
        self.0.warned(warning);
    }

    fn should_stop(&mut self) -> bool {
        self.0.should_stop()
    }

    fn stop(&self) -> Stop {
        self.0.stop()
    }
}

/// An observer that neither looks nor stops.
pub struct Unobserved;

impl Observer for Unobserved {}
