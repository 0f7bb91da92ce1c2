//! How well encoded values were known.
use serde::{Deserialize, Serialize};

/// How often a column's values were missing or unknown to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EncodedCounts {
    /// Values, a missing field counting as one.
    pub values: u64,
    /// Missing fields.
    pub missing: u64,
    /// Values mapped to *unseen*; `None` for an encoding that does not know what it has seen.
    pub unseen: Option<u64>,
}

impl EncodedCounts {
    /// Share of the values that were unseen, where that is known.
    pub fn unseen_rate(&self) -> Option<f64> {
        self.unseen.map(|unseen| unseen as f64 / self.values.max(1) as f64)
    }

    /// The counts of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let unseen = match (self.unseen, other.unseen) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let (values, missing) =
            (self.values.saturating_add(other.values), self.missing.saturating_add(other.missing));
        EncodedCounts { values, missing, unseen }
    }

    /// Share of the values that were missing.
    pub fn missing_rate(&self) -> f64 {
        self.missing as f64 / self.values.max(1) as f64
    }
}
