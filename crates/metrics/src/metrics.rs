//! All metrics of one model on one set of rows.
use super::auc::{self, Ranking};
use super::calibration::calibration_error;
use super::groups::{GroupScore, by_group};
use super::scored::entropy;
use super::sum::sum;
use super::{Metric, Result, Scored};
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

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
        let entropy = entropy(base.mean_label);
        let over = |x: f64, by: f64| (by > 0.0).then(|| x / by);
        let groups = by_group(rows).filter(|groups| !groups.is_empty());
        let over_groups =
            |f: fn(&GroupScore) -> f64| groups.as_ref().map(|all| sum(all.iter().map(f)) / all.len() as f64);
        Metrics {
            hit_rate_at_10: over_groups(|group| group.hit),
            ndcg_at_10: over_groups(|group| group.ndcg),
            positives: Some((0..rows.len()).filter(|&row| rows.is_positive(row)).count() as u64),
            log_loss: Some(log_loss),
            auc: auc::auc(rows, ranking),
            accuracy: Some(rows.mean(|row| f64::from(u8::from(rows.is_right(row))))),
            normalized_entropy: over(log_loss, entropy),
            calibration_error: Some(calibration_error(rows, ranking)),
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

impl Metric {
    /// Its value, where these metrics have it (AUC needs both classes, RMSE a rating task).
    pub fn of(self, metrics: &Metrics) -> Option<f64> {
        match self {
            Metric::LogLoss => metrics.log_loss,
            Metric::Auc => metrics.auc,
            Metric::Accuracy => metrics.accuracy,
            Metric::NormalizedEntropy => metrics.normalized_entropy,
            Metric::CalibrationError => metrics.calibration_error,
            Metric::Rmse => metrics.rmse,
            Metric::Mae => metrics.mae,
            Metric::HitRateAt10 => metrics.hit_rate_at_10,
            Metric::NdcgAt10 => metrics.ndcg_at_10,
        }
    }
}
