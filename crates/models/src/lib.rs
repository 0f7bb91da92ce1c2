//! Floor 2 of dlrm: one file per model. A model declares its parameters in `build` and is a short straight line of layers in `forward`;
//! it sees no slice, file, mode or thread.
#![forbid(unsafe_code)]

pub mod common;
pub mod compression;
pub mod config;
pub mod cross;
pub mod dcn;
pub mod dcn_v2;
pub mod deepfm;
pub mod dlrm;
pub mod dnn;
pub mod ffm;
pub mod fm;
pub mod lr;
pub mod mf;
pub mod ncf;
pub mod wide_deep;
pub mod xdeepfm;

pub use compression::{MixedDimsConfig, Operation, QuotientRemainderConfig};
pub use config::{About, Model, ModelConfig};
pub use dlrm::{DlrmConfig, Interaction};
pub use lr::LrConfig;
