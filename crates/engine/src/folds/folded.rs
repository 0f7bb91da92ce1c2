//! Metrics over folds, and how sure one can be of them.
//!
//! The folds test different rows, but what they test was trained on rows that overlap, so their figures are
//! not independent, and the usual variance of a mean is too small. Nadeau and Bengio (2003) correct it:
//! s² (1/K + n_test/n_train) in place of s²/K. Intervals are those of Student's t with K − 1 degrees of
//! freedom.
use crate::error::Result;
use crate::own_files;
use dlrm_data::schema::Task;
use dlrm_data::split::{Part, Parts};
use dlrm_metrics::student::t_95;
use dlrm_metrics::{Interval, Metric, Metrics};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file in a run directory that the figures of its folds are kept in.
pub const FOLDS_FILE: &str = "folds.json";

/// What folds have measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folded {
    /// Number of folds, K.
    pub folds: u64,
    /// Seed that dealt out the rows.
    pub seed: u64,
    /// Task of the labels.
    pub task: Task,
    /// Rows of (train, validation, test), fold by fold.
    pub rows: Vec<Parts<u64>>,
    /// What was measured, the metric that tells models apart first.
    pub metrics: Vec<Metric>,
    /// The candidate that the others are compared with.
    pub reference: usize,
    /// The model and its baselines, or the models of a comparison.
    pub candidates: Vec<FoldedCandidate>,
}

/// What one candidate is worth over the folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldedCandidate {
    /// Name in running text.
    pub name: String,
    /// Its metrics.
    pub values: Vec<OverFolds>,
    /// Its metrics minus those of the reference, fold by fold; of the reference itself, none.
    pub against: Vec<OverFolds>,
}

/// One figure over the folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverFolds {
    /// Of which metric.
    pub metric: Metric,
    /// In each fold; none where it is not defined, such as AUC on rows of one class.
    pub values: Vec<Option<f64>>,
    /// Mean with its 95 % interval, from two values on.
    pub interval: Option<Interval>,
}

/// What was measured on one fold.
pub(super) struct Values {
    pub(super) task: Task,
    pub(super) metrics: Vec<Metric>,
    pub(super) rows: Parts<u64>,
    /// Names, with the metrics of each run.
    pub(super) candidates: Vec<(String, Vec<Metrics>)>,
}

impl Folded {
    /// Of what was measured on each fold; candidate `reference` is what the others are compared with.
    pub(super) fn of(all: &[Values], reference: usize, seed: u64) -> Self {
        let rows: Vec<Parts<u64>> = all.iter().map(|fold| fold.rows).collect();
        let metrics = all[0].metrics.clone();
        let over = |candidate: usize, metric: Metric| -> Vec<Option<f64>> {
            all.iter().map(|fold| mean(&fold.candidates[candidate].1, metric)).collect()
        };
        let candidate = |index: usize| {
            let of = |&metric: &Metric| OverFolds::of(metric, over(index, metric), &rows);
            let against = |&metric: &Metric| {
                let pairs = over(index, metric).into_iter().zip(over(reference, metric));
                OverFolds::of(metric, pairs.map(|(own, other)| Some(own? - other?)).collect(), &rows)
            };
            FoldedCandidate {
                name: all[0].candidates[index].0.clone(),
                values: metrics.iter().map(of).collect(),
                against: metrics.iter().filter(|_| index != reference).map(against).collect(),
            }
        };
        let candidates = (0..all[0].candidates.len()).map(candidate).collect();
        Folded { folds: all.len() as u64, seed, task: all[0].task, rows, metrics, reference, candidates }
    }

    /// The candidate that the others are compared with.
    pub fn reference(&self) -> &FoldedCandidate {
        &self.candidates[self.reference]
    }

    /// As JSON, as it is kept in a file of that name.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("figures are plain data")
    }

    /// What is kept in the run directory `out`, if anything is.
    ///
    /// # Errors
    /// If it cannot be read, or is something else.
    pub fn read(out: &Path) -> Result<Option<Self>> {
        own_files::read_json(out, FOLDS_FILE, "the figures of folds")
    }
}

/// The mean over the runs of a fold.
fn mean(runs: &[Metrics], metric: Metric) -> Option<f64> {
    let values: Option<Vec<f64>> = runs.iter().map(|run| metric.of(run)).collect();
    values.filter(|v| !v.is_empty()).map(|v| v.iter().sum::<f64>() / v.len() as f64)
}

impl OverFolds {
    /// Of a value for each fold.
    fn of(metric: Metric, values: Vec<Option<f64>>, rows: &[Parts<u64>]) -> Self {
        let known: Vec<(f64, &Parts<u64>)> =
            values.iter().zip(rows).filter_map(|(value, rows)| Some(((*value)?, rows))).collect();
        let n = known.len() as f64;
        let interval = (known.len() > 1).then(|| {
            let mean = known.iter().map(|(value, _)| value).sum::<f64>() / n;
            let squares = known.iter().map(|(value, _)| (value - mean).powi(2)).sum::<f64>();
            let ratios = known.iter().map(|(_, rows)| {
                // The validation rows take part in training: they choose when it stops.
                rows[Part::Test] as f64 / (rows[Part::Train] + rows[Part::Validation]).max(1) as f64
            });
            let variance = squares / (n - 1.0) * (1.0 / n + ratios.sum::<f64>() / n);
            let half = t_95(known.len() as u64 - 1) * variance.sqrt();
            Interval { estimate: mean, low: mean - half, high: mean + half }
        });
        OverFolds { metric, values, interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_corrected_for_shared_training_rows() {
        let rows = vec![Parts::from([70, 10, 20]); 5];
        let values = [0.80, 0.82, 0.78, 0.81, 0.79].map(Some).to_vec();
        let found = OverFolds::of(Metric::Auc, values, &rows).interval.expect("five values");
        // s² = 0.00025, 1/K + n_test/n_train = 0.2 + 0.25, t(4) = 2.776.
        let half = 2.776_445 * (0.00025f64 * 0.45).sqrt();
        assert!(
            (found.estimate - 0.80).abs() < 1e-12 && (found.high - 0.80 - half).abs() < 1e-7,
            "{found:?}"
        );
        let one = OverFolds::of(Metric::Auc, vec![Some(0.5), None], &rows[..2]);
        assert!(one.interval.is_none());
    }
}
