//! How long the stages of a run took, for its report alone.
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// A timed part of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What was done.
    pub name: String,
    /// Wall-clock time.
    pub seconds: f64,
    /// Rows that went through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// Measures one stage after the other.
pub(super) struct Clock {
    last: Instant,
    pub(super) stages: Vec<Stage>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock { last: Instant::now(), stages: Vec::new() }
    }

    /// Ends a stage that began where the one before ended.
    pub(super) fn lap(&mut self, name: &str, rows: Option<u64>) {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.stages.push(Stage { name: name.into(), seconds, rows });
        self.last = now;
    }
}
