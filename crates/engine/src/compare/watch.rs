//! The clock of one run of a comparison.
use super::CompareObserver;
use crate::observer::{Observer, Standing};
use crate::train_state::{Evaluation, TrainState};
use dlrm_data::Stop;
use std::time::Instant;

/// Clocks a run.
pub(super) struct Watch<'a> {
    pub(super) inner: &'a mut dyn CompareObserver,
    pub(super) start: Instant,
    /// Seconds of evaluations.
    pub(super) evaluating: f64,
    /// When the last step ended.
    pub(super) last_step: f64,
    /// When the best weights were found.
    pub(super) best: f64,
}

impl Observer for Watch<'_> {
    fn step(&mut self, state: &TrainState, loss: f64) {
        self.last_step = self.start.elapsed().as_secs_f64();
        self.inner.step(state, loss);
    }

    fn evaluated(&mut self, evaluation: &Evaluation, standing: Standing) {
        let now = self.start.elapsed().as_secs_f64();
        self.evaluating += now - self.last_step;
        if standing == Standing::Best {
            self.best = now;
        }
        self.inner.evaluated(evaluation, standing);
    }

    fn should_stop(&mut self) -> bool {
        self.inner.should_stop()
    }

    fn stop(&self) -> Stop {
        self.inner.stop()
    }
}
