//! dlrm: from raw click logs to a trained, evaluated, explained recommendation model.
//!
//! This crate is the front door: it re-exports the floors of the workspace. The `dlrm` command is built on
//! nothing else.
#![forbid(unsafe_code)]

pub use dlrm_bench as bench;
pub use dlrm_cluster as cluster;
pub use dlrm_data as data;
pub use dlrm_engine as engine;
#[cfg(feature = "serve")]
pub use dlrm_features as features;
#[cfg(feature = "fetch")]
pub use dlrm_fetch as fetch;
pub use dlrm_inspect as inspect;
pub use dlrm_kernels as kernels;
pub use dlrm_metrics as metrics;
pub use dlrm_models as models;
#[cfg(feature = "mpi")]
pub use dlrm_mpi as mpi;
pub use dlrm_nn as nn;
pub use dlrm_onnx as onnx;
pub use dlrm_report as report;
#[cfg(feature = "serve")]
pub use dlrm_serve as serve;
pub use dlrm_synth as synth;
