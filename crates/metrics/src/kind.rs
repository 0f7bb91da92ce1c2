//! The names of the metrics.
use super::Error;
use dlrm_data::error::{nearest, quoted};
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A number that says how good predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean negative log likelihood in nats.
    LogLoss,
    /// Area under the ROC curve: the chance that a positive row scores above a negative one.
    Auc,
    /// Share of rows on the right side of probability 0.5.
    Accuracy,
    /// Log loss over the entropy of the mean label: 1 is as good as knowing only the mean.
    NormalizedEntropy,
    /// Expected calibration error over 15 bins of equal mass.
    CalibrationError,
    /// Root mean squared error.
    Rmse,
    /// Mean absolute error.
    Mae,
    /// Share of groups with a positive among the ten rows that score highest (HR@10); see [`super::groups`].
    #[serde(rename = "hit_rate_at_10")]
    HitRateAt10,
    /// Normalised discounted cumulative gain of the ten rows of a group that score highest, mean over groups.
    #[serde(rename = "ndcg_at_10")]
    NdcgAt10,
}

impl Metric {
    /// Every metric, in the order of tables.
    pub const ALL: [Metric; 9] = [
        Metric::LogLoss,
        Metric::Auc,
        Metric::Accuracy,
        Metric::NormalizedEntropy,
        Metric::CalibrationError,
        Metric::Rmse,
        Metric::Mae,
        Metric::HitRateAt10,
        Metric::NdcgAt10,
    ];

    /// What training minimises and evaluations go by unless another metric is asked for.
    pub fn usual(task: Task) -> Self {
        match task {
            Task::Binary => Metric::LogLoss,
            Task::Rating => Metric::Rmse,
        }
    }

    /// The name in configurations and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::LogLoss => "log_loss",
            Metric::Auc => "auc",
            Metric::Accuracy => "accuracy",
            Metric::NormalizedEntropy => "normalized_entropy",
            Metric::CalibrationError => "calibration_error",
            Metric::Rmse => "rmse",
            Metric::Mae => "mae",
            Metric::HitRateAt10 => "hit_rate_at_10",
            Metric::NdcgAt10 => "ndcg_at_10",
        }
    }

    /// The name in running text.
    pub fn title(self) -> &'static str {
        match self {
            Metric::LogLoss => "log loss",
            Metric::Auc => "AUC",
            Metric::Accuracy => "accuracy",
            Metric::NormalizedEntropy => "normalized entropy",
            Metric::CalibrationError => "calibration error",
            Metric::Rmse => "RMSE",
            Metric::Mae => "MAE",
            Metric::HitRateAt10 => "HR@10",
            Metric::NdcgAt10 => "NDCG@10",
        }
    }

    /// Which way is better.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Metric::Auc | Metric::Accuracy) || self.needs_groups()
    }

    /// Whether it is one of ranking within groups.
    pub fn needs_groups(self) -> bool {
        matches!(self, Metric::HitRateAt10 | Metric::NdcgAt10)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let names = || Metric::ALL.into_iter().map(Metric::name);
        Metric::ALL.into_iter().find(|metric| metric.name() == text).ok_or_else(|| Error::UnknownMetric {
            found: quoted(text),
            known: names().collect::<Vec<_>>().join(", "),
            nearest: nearest(text, names()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_in_text_and_json() {
        for metric in Metric::ALL {
            assert_eq!(metric.name().parse::<Metric>().unwrap(), metric);
            let json = serde_json::to_string(&metric).unwrap();
            assert_eq!(json, format!("\"{metric}\""));
        }
    }

    #[test]
    fn a_mistyped_name_gets_the_nearest() {
        let error = "logloss".parse::<Metric>().unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("did you mean \"log_loss\"?"));
        assert!(error.to_string().contains("found \"logloss\""), "{error}");
        assert_eq!("banana".parse::<Metric>().unwrap_err().hint(), None);
    }
}
