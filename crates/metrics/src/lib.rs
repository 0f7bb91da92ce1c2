//! What predictions are worth, and how sure one can be of it.
//!
//! [`Scored`] holds predictions beside labels, checked; [`Metrics`] are computed from it; intervals
//! come from [`delong`] for AUC and from [`bootstrap`] for everything else, through [`interval`] and
//! [`difference`]. All intervals are 95 % ones and speak of the sampling of the rows alone, not of
//! training again with another seed. Nothing here depends on the number of threads or on the clock.
//!
//! | file | noun |
//! |---|---|
//! | `scored` | checked rows and their losses |
//! | `kind` | names of metrics |
//! | `auc` | ranking and exact AUC |
//! | `delong`, `bootstrap`, `normal` | intervals |
//! | `calibration` | bins of equal mass |
//! | `groups` | ranking within groups of rows |
//! | `curves` | ROC points, histograms |
//! | `slices` | groups of rows where the model is worst |
#![forbid(unsafe_code)]

pub mod auc;
pub mod bootstrap;
pub mod calibration;
pub mod curves;
pub mod delong;
mod error;
pub mod groups;
mod kind;
pub mod normal;
mod scored;
pub mod slices;
mod sum;

pub use auc::Ranking;
pub use bootstrap::Bootstrap;
pub use error::{Error, Result};
use groups::GroupScore;
pub use kind::Metric;
pub use scored::Scored;

use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

/// An estimate with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Best guess.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// All metrics of one model on one set of rows. Those that the task or the rows do not define are
/// absent. Means are weighted where rows carry weights; counts are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Number of rows.
    pub rows: u64,
    /// Mean label.
    pub mean_label: f64,
    /// Mean probability, or mean predicted rating.
    pub mean_prediction: f64,
    /// Number of positive rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positives: Option<u64>,
    /// See [`Metric::LogLoss`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// See [`Metric::Auc`]; absent where a class is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// See [`Metric::Accuracy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// See [`Metric::NormalizedEntropy`]; absent where a class is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized_entropy: Option<f64>,
    /// See [`Metric::CalibrationError`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Mean prediction over mean label: 1 is right on average; absent without positives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_ratio: Option<f64>,
    /// Mean squared error of the probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<f64>,
    /// See [`Metric::Rmse`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// See [`Metric::Mae`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// See [`Metric::HitRateAt10`]; absent where rows have no groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_rate_at_10: Option<f64>,
    /// See [`Metric::NdcgAt10`]; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ndcg_at_10: Option<f64>,
}

impl Metrics {
    /// Metrics of logits against clicks.
    ///
    /// # Errors
    /// As [`Scored::new`].
    pub fn binary(logits: &[f32], labels: &[f32], weights: Option<&[f32]>) -> Result<Self> {
        let rows = Scored::binary(logits, labels, weights)?;
        Ok(Metrics::of(&rows, &Ranking::new(&rows)))
    }

    /// Metrics of predicted against true ratings.
    ///
    /// # Errors
    /// As [`Scored::new`].
    pub fn rating(predictions: &[f32], labels: &[f32], weights: Option<&[f32]>) -> Result<Self> {
        Ok(Metrics::of_ratings(&Scored::rating(predictions, labels, weights)?))
    }

    /// Metrics of checked rows that are already ranked.
    pub fn of(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Self {
        match rows.task() {
            Task::Binary => Metrics::of_clicks(rows, ranking),
            Task::Rating => Metrics::of_ratings(rows),
        }
    }

    fn of_clicks(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Self {
        let base = Metrics::means(rows);
        let log_loss = rows.mean(|row| rows.loss(row));
        let entropy = scored::entropy(base.mean_label);
        let over = |x: f64, by: f64| (by > 0.0).then(|| x / by);
        let groups = groups::by_group(rows).filter(|groups| !groups.is_empty());
        let over_groups = |f: fn(&GroupScore) -> f64| {
            groups.as_ref().map(|all| sum::sum(all.iter().map(f)) / all.len() as f64)
        };
        Metrics {
            hit_rate_at_10: over_groups(|group| group.hit),
            ndcg_at_10: over_groups(|group| group.ndcg),
            positives: Some((0..rows.len()).filter(|&row| rows.is_positive(row)).count() as u64),
            log_loss: Some(log_loss),
            auc: auc::auc(rows, ranking),
            accuracy: Some(rows.mean(|row| f64::from(u8::from(rows.is_right(row))))),
            normalized_entropy: over(log_loss, entropy),
            calibration_error: Some(calibration::calibration_error(rows, ranking)),
            calibration_ratio: over(base.mean_prediction, base.mean_label),
            brier: Some(rows.mean(|row| (rows.prediction(row) - rows.label(row)).powi(2))),
            ..base
        }
    }

    fn of_ratings(rows: &Scored<'_>) -> Self {
        Metrics {
            rmse: Some(rows.mean(|row| rows.loss(row)).sqrt()),
            mae: Some(rows.mean(|row| rows.loss(row).sqrt())),
            ..Metrics::means(rows)
        }
    }

    fn means(rows: &Scored<'_>) -> Self {
        Metrics {
            rows: rows.len() as u64,
            mean_label: rows.mean(|row| rows.label(row)),
            mean_prediction: rows.mean(|row| rows.prediction(row)),
            positives: None,
            log_loss: None,
            auc: None,
            accuracy: None,
            normalized_entropy: None,
            calibration_error: None,
            calibration_ratio: None,
            brier: None,
            rmse: None,
            mae: None,
            hit_rate_at_10: None,
            ndcg_at_10: None,
        }
    }
}

/// 95 % interval of any metric: DeLong's for AUC, else by bootstrap. `None` where it is undefined.
pub fn interval(
    metric: Metric,
    rows: &Scored<'_>,
    ranking: &Ranking<'_>,
    bootstrap: &Bootstrap,
) -> Option<Interval> {
    match (metric, rows.task()) {
        (Metric::Auc, Task::Binary) => delong::auc(rows, ranking).map(|auc| auc.interval),
        (Metric::Auc, Task::Rating) => None,
        _ => bootstrap.interval(metric, rows, ranking),
    }
}

/// A difference between two models on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// First minus second, with its 95 % interval.
    pub interval: Interval,
    /// Two-sided p value of no difference (AUC only, by DeLong).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

/// Metric of `a` minus that of `b` on the same rows, in pairs: sharper than comparing two intervals.
///
/// # Errors
/// If the two are not scored on the same rows.
pub fn difference(
    metric: Metric,
    a: (&Scored<'_>, &Ranking<'_>),
    b: (&Scored<'_>, &Ranking<'_>),
    bootstrap: &Bootstrap,
) -> Result<Option<Difference>> {
    if metric == Metric::Auc && a.0.task() == Task::Binary {
        let found = delong::difference(a, b)?;
        return Ok(found.map(|d| Difference { interval: d.interval, p_value: d.p_value(0.0) }));
    }
    let found = bootstrap.difference(metric, a, b)?;
    Ok(found.map(|interval| Difference { interval, p_value: None }))
}
