//! Floor 2 of dlrm: one file per model. A model declares its parameters in `build` and is a short straight line of layers in `forward`;
//! it sees no slice, file, mode or thread.
#![forbid(unsafe_code)]

pub mod config;
pub mod dlrm;
pub mod lr;

pub use config::{Model, ModelConfig};
pub use dlrm::{DlrmConfig, Interaction};
pub use lr::LrConfig;
