//! Errors of the metrics: predictions or labels that cannot be scored.

/// Result of the metrics.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why rows cannot be scored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is nothing to score.
    #[error("metrics: expected at least one row of positive weight, found none")]
    Empty,
    /// More rows than the ranking can number.
    #[error("metrics: expected at most {} rows, found {found}", u32::MAX)]
    TooManyRows {
        /// Number of rows.
        found: usize,
    },
    /// Two inputs that should run side by side do not.
    #[error("metrics: expected {expected} {what}, one per row, found {found}")]
    Length {
        /// Which input.
        what: &'static str,
        /// Number of rows.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A value that no metric can use.
    #[error("metrics: {what} of row {row} (counted from 0): expected {expected}, found {found}")]
    Value {
        /// Which input.
        what: &'static str,
        /// 0-based row.
        row: usize,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: f32,
    },
    /// Two models were scored on different rows, so they cannot be compared in pairs.
    #[error("metrics: expected two models scored on the same rows, found {found}")]
    Unpaired {
        /// How they differ.
        found: String,
    },
    /// A name that is no metric.
    #[error("expected a metric ({known}), found {found}")]
    UnknownMetric {
        /// What was given, quoted.
        found: String,
        /// Every metric's name.
        known: String,
        /// The nearest one.
        nearest: Option<&'static str>,
    },
}

impl Error {
    /// What the user can do, where something can be said.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Value { what: "prediction", .. } => {
                Some("training has diverged: lower the learning rate or clip gradients".into())
            }
            Error::Value { what: "label", .. } => {
                Some("give a label rule such as \"rating >= 4\", or train for the rating task".into())
            }
            Error::UnknownMetric { nearest: Some(near), .. } => Some(format!("did you mean \"{near}\"?")),
            _ => None,
        }
    }
}
