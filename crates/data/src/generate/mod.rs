//! Synthetic data whose truth is known exactly.
//!
//! * [`clicks`]: a click log drawn from a model with true interactions; [`clicks::ClickSimulator::probability`]
//!   is the probability each label was drawn with.
//! * [`bayes`]: the log loss and AUC that no model can beat on given rows.

pub mod bayes;
pub mod clicks;
mod random;
mod truth;

pub use bayes::Bayes;
pub use clicks::{ClickConfig, ClickRows, ClickSimulator};
