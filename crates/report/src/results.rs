//! The measured part of a report, and how it is computed from scored rows.
use dlrm_data::schema::Task;
use dlrm_metrics::calibration::{CalibrationBin, calibration_bins};
use dlrm_metrics::curves::{Histogram, RocPoint, histogram, roc};
use dlrm_metrics::{
    Bootstrap, Difference, Interval, Metric, Metrics, Ranking, Result, Scored, difference, interval,
};
use serde::{Deserialize, Serialize};

/// The model or a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Name in running text, e.g. `DLRM` or `logistic regression`.
    pub name: String,
    /// Number of trained parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Of a regression, whether it is at its optimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converged: Option<bool>,
    /// Metrics per part of the rows.
    #[serde(rename = "splits")]
    pub parts: Vec<PartMetrics>,
    /// Curves on the verdict's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
}

impl Candidate {
    /// Its metrics on a part of the rows.
    pub fn on(&self, part: &str) -> Option<&PartMetrics> {
        self.parts.iter().find(|p| p.part == part)
    }
}

/// Metrics on one part of the rows, with intervals where they were computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartMetrics {
    /// `train`, `validation` or `test`.
    #[serde(rename = "split")]
    pub part: String,
    /// Values.
    pub metrics: Metrics,
    /// 95 % intervals.
    #[serde(default)]
    pub intervals: Vec<MetricInterval>,
}

impl PartMetrics {
    /// All metrics of scored rows, and the intervals of those that have one.
    pub fn of(part: &str, rows: &Scored<'_>, ranking: &Ranking<'_>, bootstrap: &Bootstrap) -> Self {
        let intervals = Metric::ALL.into_iter().filter_map(|metric| {
            interval(metric, rows, ranking, bootstrap).map(|interval| MetricInterval { metric, interval })
        });
        PartMetrics { part: part.into(), metrics: Metrics::of(rows, ranking), intervals: intervals.collect() }
    }

    /// The interval of a metric.
    pub fn interval(&self, metric: Metric) -> Option<Interval> {
        self.intervals.iter().find(|i| i.metric == metric).map(|i| i.interval)
    }
}

/// The interval of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricInterval {
    /// Metric.
    pub metric: Metric,
    /// Value with its interval.
    pub interval: Interval,
}

/// Model minus baseline in one metric, on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Name of the baseline.
    pub baseline: String,
    /// `train`, `validation` or `test`.
    #[serde(rename = "split")]
    pub part: String,
    /// Metric.
    pub metric: Metric,
    /// The difference.
    pub difference: Difference,
}

impl Comparison {
    /// Compares in every metric that tells models apart (log loss, AUC and accuracy, or RMSE and MAE).
    ///
    /// # Errors
    /// If the two are not scored on the same rows.
    pub fn all(
        baseline: &str,
        part: &str,
        model: (&Scored<'_>, &Ranking<'_>),
        other: (&Scored<'_>, &Ranking<'_>),
        bootstrap: &Bootstrap,
    ) -> Result<Vec<Self>> {
        let metrics: &[Metric] = match model.0.task() {
            Task::Binary if model.0.groups().is_some() => {
                &[Metric::NdcgAt10, Metric::HitRateAt10, Metric::LogLoss, Metric::Auc]
            }
            Task::Binary => &[Metric::LogLoss, Metric::Auc, Metric::Accuracy],
            Task::Rating => &[Metric::Rmse, Metric::Mae],
        };
        let mut found = Vec::new();
        for &metric in metrics {
            if let Some(difference) = difference(metric, model, other, bootstrap)? {
                found.push(Comparison { baseline: baseline.into(), part: part.into(), metric, difference });
            }
        }
        Ok(found)
    }
}

/// The best that any model could do on the verdict's part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimum {
    /// Log loss of the true probabilities.
    pub log_loss: f64,
    /// AUC of the true probabilities.
    pub auc: f64,
}

/// Curves of one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// ROC curve; empty for ratings.
    #[serde(default)]
    pub roc: Vec<RocPoint>,
    /// Mean label by prediction.
    pub calibration: Vec<CalibrationBin>,
    /// Distribution of predictions.
    pub histogram: Histogram,
}

impl Pictures {
    /// The curves of scored rows.
    pub fn of(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Self {
        let roc = match rows.task() {
            Task::Binary => roc(rows, ranking),
            Task::Rating => Vec::new(),
        };
        Pictures { roc, calibration: calibration_bins(rows, ranking), histogram: histogram(rows) }
    }
}
