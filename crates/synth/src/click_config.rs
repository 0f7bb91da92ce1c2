//! What the click simulator simulates.
use serde::{Deserialize, Serialize};

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClickConfig {
    /// Number of rows of the whole log; [`rows`](crate::ClickSimulator::rows) gives any part of it.
    pub rows: u64,
    /// Seed of the data-generating process and of the rows.
    pub seed: u64,
    /// Number of users (at least 1).
    pub users: usize,
    /// Number of items (at least 1).
    pub items: usize,
    /// Mean probability of a click, in 0..1.
    pub click_rate: f64,
    /// Standard deviation that the interactions give to the logit.
    pub interaction_strength: f64,
}

impl Default for ClickConfig {
    fn default() -> Self {
        ClickConfig {
            rows: 500_000,
            seed: 1,
            users: 300,
            items: 200,
            click_rate: 0.25,
            interaction_strength: 1.6,
        }
    }
}
