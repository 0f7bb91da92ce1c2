//! Floor 1 of dlrm: a tape of layer-sized operations, weights, gradients and optimisers.
//!
//! A model's `forward` records operations on a [`Tape`] for one shard of a batch; [`Tape::backward`] walks
//! them back. Weights never change in either; every update goes through [`Optimizer::step`].
//!
//! Shape legend: B rows of a batch, S rows of a shard, n dense inputs, F features, D embedding dim.
#![forbid(unsafe_code)]

pub mod builder;
pub mod cost;
pub mod error;
pub mod gradients;
pub mod init;
mod layer;
pub mod loss;
pub mod optimizer;
pub mod profile;
pub mod row_index;
pub mod slot;
pub mod storage;
pub mod tape;
mod update;
pub mod weights;

pub use builder::{Activation, Bias, Builder, Linear, Mlp};
pub use dlrm_kernels::half::{Numbers, NumbersMut};
pub use dlrm_kernels::{
    Isa, activation::Activation as Curve, dot_interaction::Pairs, quotient_remainder::Combine,
};
pub use error::{Error, Result};
pub use gradients::{Gradients, Shape};
pub use layer::Precision;
pub use loss::Loss;
pub use optimizer::{DenseOptimizer, L2Rows, Optimizer, TableOptimizer};
pub use profile::{Phase, PhaseTimes, TapeTimes, Timing};
pub use row_index::RowIndex;
pub use slot::{Part, QuotientRemainder, RowMap, RowSource, Slot, SlotSpec};
pub use storage::{Storage, Values};
pub use tape::{Arena, Mode, Tape, Var};
pub use weights::{GroupId, LINEAR, ParamId, TableId, Weights};
