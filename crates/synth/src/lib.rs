//! Synthetic data whose truth is known exactly.
//!
//! * [`clicks`]: a click log drawn from a model with true interactions;
//!   [`clicks::ClickSimulator::probability`] is the probability each label was drawn with.
//! * [`criteo`]: the same with the shape of Criteo's logs, at any size, with drift, new ids and noise.
//! * [`random`]: rows without any data-generating process, to load a system with.
//! * [`trace`]: the locality of traces of ids, and traces that have it.
//! * [`writer`]: any such log as files, in parallel.
//! * [`bayes`]: the log loss and AUC that no model can beat on given rows.
#![forbid(unsafe_code)]

pub mod bayes;
pub mod click_config;
pub mod clicks;
pub mod criteo;
mod parquet_rows;
pub mod process;
pub mod random;
pub mod trace;
mod truth;
pub mod writer;

pub use bayes::Bayes;
pub use click_config::ClickConfig;
pub use clicks::{ClickRows, ClickSimulator};
