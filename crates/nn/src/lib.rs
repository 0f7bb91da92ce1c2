//! Floor 2 of dlrm: a tape of layer-sized operations, weights, gradients and optimisers.
//!
//! A model's `forward` records operations on a [`Tape`] for one shard of a batch; [`Tape::backward`] walks
//! them back. Weights never change in either; every update goes through [`Optimizer::step`].
//!
//! Shape legend: B rows of a batch, S rows of a shard, n dense inputs, F features, D embedding dim.
#![forbid(unsafe_code)]

mod among;
mod builder;
mod dense_step;
mod embedding_gradients;
mod error;
mod gathered_vectors;
mod gradients;
mod graph;
pub mod init;
mod kept_operands;
mod lane;
mod lane_tree;
mod local_tables;
mod loss;
mod mode;
mod names;
pub mod optimizer;
mod packed_matrix;
mod param;
mod placement;
mod profile;
mod row_index;
mod sharding;
mod slot;
mod slots;
mod squares;
mod table;
mod table_memory;
mod table_step;
mod table_store;
mod table_values;
mod tape;
mod weight_gradient;
mod weights;

pub use among::Among;
pub use builder::{Bias, Builder, TableSpec};
pub use dlrm_kernels::half::{Numbers, NumbersMut};
pub use dlrm_kernels::{Isa, activation::Activation, dot_interaction::Pairs, quotient_remainder::Combine};
pub use embedding_gradients::{EmbeddingGradients, ShardGradients};
pub use error::{Error, Result};
pub use gathered_vectors::GatheredVectors;
pub use gradients::{Gradients, RowGradients};
pub use graph::{Attribute, Cost, EMBEDDINGS, Graph, GraphNode};
pub use lane::Lane;
pub use lane_tree::holding;
pub use local_tables::LocalTables;
pub use loss::Loss;
pub use mode::Mode;
pub use optimizer::{DenseOptimizer, L2Rows, Optimizer, StateOf, TableOptimizer};
pub use packed_matrix::Precision;
pub use param::{Param, ParamId, Role};
pub use placement::{HeldRows, Holder, Placement};
pub use profile::{Phase, PhaseTimes, TapeTimes, Timing};
pub use row_index::RowIndex;
pub use sharding::Sharding;
pub use slot::{QuotientRemainder, RowMap, Slot, SlotRows, SlotSpec, SlotTable};
pub use slots::{GroupId, Slots};
pub use squares::TableSquares;
pub use table::Table;
pub use table_memory::TableMemory;
pub use table_step::TableStep;
pub use table_store::TableStore;
pub use table_values::{TablePrecision, Values};
pub use tape::{Arena, Context, Linear, SharedInputs, Tape, Var};
pub use weight_gradient::WeightGradient;
pub use weights::Weights;
