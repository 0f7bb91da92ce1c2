//! Calibration: a rising map of logits, fitted on the validation rows after training, that makes predicted
//! probabilities those that are observed. Ranking does not change, and [`crate::Network::logits`] applies the
//! map, so scores are the same bits wherever they are computed.
//!
//! * `fit`: Platt scaling, temperature, isotonic regression.
//! * `map`: what was fitted, as applied and stored.
//! * `choose`: which of them is kept, if any: what improves the cross-fitted log loss beyond chance.
mod choose;
mod fit;
mod map;
mod of_run;

pub use choose::{Choice, Rows, choose};
pub use fit::{Points, fit};
pub use map::{CalibrationMap, Knot};
pub(crate) use of_run::calibrate;
pub use of_run::{CalibrationRecord, PartQuality, Quality};

use serde::{Deserialize, Serialize};

/// Key `calibration` of a run's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// Whichever method improves most; none where negatives are drawn, whose number means nothing.
    #[default]
    Auto,
    /// Scores stay as they are.
    None,
    /// Platt scaling, if it improves.
    Platt,
    /// Temperature scaling, if it improves.
    Temperature,
    /// Isotonic regression, if it improves.
    Isotonic,
}

impl Calibration {
    /// What is tried, the simplest first.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Calibration::Auto => &[Method::Temperature, Method::Platt, Method::Isotonic],
            Calibration::None => &[],
            Calibration::Platt => &[Method::Platt],
            Calibration::Temperature => &[Method::Temperature],
            Calibration::Isotonic => &[Method::Isotonic],
        }
    }
}

/// A family of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// a z
    Temperature,
    /// a z + b
    Platt,
    /// A rising line through few points.
    Isotonic,
}

impl Method {
    /// Its name in configurations and in running text.
    pub fn name(self) -> &'static str {
        match self {
            Method::Temperature => "temperature",
            Method::Platt => "platt",
            Method::Isotonic => "isotonic",
        }
    }
}
