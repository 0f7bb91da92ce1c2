//! Floor 3 of dlrm: one file per model. A model declares its parameters in `build` and is a short straight
//! line of layers in `forward`; it sees no slice, file, mode or thread.
#![forbid(unsafe_code)]

mod compression;
mod config;
mod cross;
mod dcn;
mod dcn_v2;
mod deep_config;
mod deepfm;
mod dlrm;
mod dnn;
mod features;
mod ffm;
mod field_vectors;
mod fm;
mod input_vectors;
mod joined_input;
mod linear_part;
mod lr;
mod mf;
mod mlp;
mod model;
mod ncf;
mod wide_deep;
mod xdeepfm;

pub use compression::{MixedDimsConfig, QuotientRemainderConfig, TableForm};
pub use config::*;
pub use cross::{Cross, CrossKind, CrossShape};
pub use dlrm::Interaction;
pub use features::{uncrossed, user_and_item};
pub use field_vectors::{FieldVectors, VectorOptions};
pub use input_vectors::InputVectors;
pub use joined_input::JoinedInput;
pub use linear_part::{LinearBias, LinearInputs, LinearPart};
pub use mlp::{Mlp, MlpHead, MlpOptions, Norm};
pub use model::{About, Model};
