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
//! | `metrics` | all metrics of one model on one set of rows |
//! | `auc` | ranking and exact AUC |
//! | `interval`, `delong`, `bootstrap`, `normal` | intervals |
//! | `paired` | intervals by metric, differences of two models |
//! | `calibration` | bins of equal mass |
//! | `groups` | ranking within groups of rows |
//! | `curves` | ROC points, histograms |
//! | `slices` | groups of rows where the model is worst |
//! | `student` | quantiles for intervals of few values |
#![forbid(unsafe_code)]

pub mod auc;
pub mod bootstrap;
pub mod calibration;
pub mod curves;
pub mod delong;
mod error;
pub mod groups;
mod interval;
mod kind;
mod metrics;
pub mod normal;
mod paired;
mod scored;
pub mod slices;
pub mod student;
mod sum;

pub use auc::Ranking;
pub use bootstrap::Bootstrap;
pub use error::{Error, Result};
pub use interval::Interval;
pub use kind::Metric;
pub use metrics::Metrics;
pub use paired::{Difference, difference, interval};
pub use scored::Scored;
