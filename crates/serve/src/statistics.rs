//! Counts by model, as the statistics extension of the Open Inference Protocol gives them.
use crate::work::Times;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Requests and their time in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    pub(crate) ns: u64,
}

impl Sum {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.ns += time.as_nanos() as u64;
    }
}

/// Of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct OfModel {
    /// Milliseconds since 1970 of the last answer.
    pub(crate) last: u64,
    /// Rows.
    pub(crate) rows: u64,
    pub(crate) success: Sum,
    pub(crate) fail: Sum,
    pub(crate) queue: Sum,
    pub(crate) encode: Sum,
    pub(crate) score: Sum,
}

/// Of all models by name.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    models: Mutex<BTreeMap<String, OfModel>>,
}

impl Statistics {
    /// An answer for so many rows.
    pub(crate) fn add(&self, model: &str, rows: usize, took: Duration, times: Times) {
        self.change(model, |of| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            of.last = now.as_millis() as u64;
            of.rows += rows as u64;
            of.success.add(took);
            of.queue.add(times.queue);
            of.encode.add(times.encode);
            of.score.add(times.score);
        });
    }

    /// A refusal.
    pub(crate) fn add_failed(&self, model: &str, took: Duration) {
        self.change(model, |of| of.fail.add(took));
    }

    pub(crate) fn of(&self, model: &str) -> OfModel {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(model).copied().unwrap_or_default()
    }

    fn change(&self, model: &str, change: impl FnOnce(&mut OfModel)) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        match models.get_mut(model) {
            Some(of) => change(of),
            None => change(models.entry(model.to_owned()).or_default()),
        }
    }
}
