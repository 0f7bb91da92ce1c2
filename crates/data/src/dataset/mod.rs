//! A data set in memory: surveyed, fitted on the training rows, encoded and split.
//!
//! * `sources`: the raw rows of every part.
//! * `fitting`: the fitted encoder, and what fitting has seen so far.
mod fitting;
mod sources;

use crate::batch::Batch;
use crate::counts::EncodedCounts;
use crate::rows::GoodRow;
use crate::split::{Part, Parts};
pub use fitting::Fitted;
pub(crate) use fitting::{FitWatch, Fitting, Saving, Seen};
use serde::{Deserialize, Serialize};
pub use sources::Sources;

/// How the rows of a part looked to the encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartStats {
    /// Good rows.
    pub rows: u64,
    /// Sum of the labels, weighted where rows carry weights.
    pub label_sum: f64,
    /// Sum of the weights of the rows (their number where they carry none).
    pub weight_sum: f64,
    /// Per categorical column.
    pub counts: Vec<EncodedCounts>,
    /// Hash of the rows' text, where they are not kept; else 0.
    pub text_hash: u64,
}

/// A few rows as text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRows {
    /// Names of the fields.
    pub columns: Vec<String>,
    /// Fields of each row.
    pub rows: Vec<Vec<String>>,
}

/// Encoded rows of each part.
pub struct Dataset {
    /// The rows.
    pub parts: Parts<Batch>,
    /// How they looked.
    pub stats: Parts<PartStats>,
}

impl PartStats {
    /// Takes in a row but for its values.
    pub(crate) fn add(&mut self, row: &GoodRow) {
        let parsed = &row.parsed;
        self.rows += 1;
        self.label_sum += f64::from(parsed.weight) * f64::from(parsed.label);
        self.weight_sum += f64::from(parsed.weight);
    }

    /// Mean label, weighted where rows carry weights.
    pub fn mean_label(&self) -> f64 {
        if self.weight_sum > 0.0 { self.label_sum / self.weight_sum } else { 0.0 }
    }
}

impl Dataset {
    /// Rows of a part.
    pub fn part(&self, part: Part) -> &Batch {
        &self.parts[part]
    }
}
