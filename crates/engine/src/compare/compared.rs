//! A finished comparison.
use super::measured::{Diverged, Measured};
use super::statistics;
use dlrm_data::schema::Task;
use dlrm_data::split::Parts;
use dlrm_metrics::Metric;
use serde::Serialize;

/// A finished comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Rows of (train, validation, test).
    pub rows: Parts<u64>,
    /// Task of the labels.
    pub task: Task,
    /// The metric that models are ranked by.
    pub metric: Metric,
    /// Number of seeds.
    pub seeds: u64,
    /// Best first.
    pub models: Vec<Measured>,
    /// Models that are left out, for one of their runs diverged.
    pub diverged: Vec<Diverged>,
}

impl Compared {
    /// What tables show: the metric that models are ranked by, and the other that matters.
    pub fn metrics(&self) -> [Metric; 2] {
        match self.metric {
            Metric::NdcgAt10 => [Metric::NdcgAt10, Metric::HitRateAt10],
            Metric::Rmse => [Metric::Rmse, Metric::Mae],
            _ => [Metric::Auc, Metric::LogLoss],
        }
    }

    /// The model that the validation rows choose.
    pub fn best(&self) -> &Measured {
        &self.models[statistics::best(&self.models, self.metric)]
    }
}
