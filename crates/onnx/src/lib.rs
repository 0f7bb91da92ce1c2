//! Floor 5 of dlrm: trained models as [ONNX](https://onnx.ai) files.
//!
//! What is written follows from the recorded graph of a forward pass ([`dlrm_nn::Graph`]), so a model kind
//! needs nothing here: `operations` has one function for each operation of the tape. Inputs are encoded
//! rows; `bags` makes pooled vectors of their ids, `head` the prediction of the logit.
//!
//! The file is Protocol Buffers, which [`dlrm_data::protobuf`] writes: four kinds of fields are all that ONNX
//! takes, and tensors go from the tables to the file without a copy.
#![forbid(unsafe_code)]

mod bags;
mod error;
mod export;
mod graph;
mod head;
mod operations;
mod port;
mod tensor;

pub use bags::Bags;
pub use error::{Error, Result};
pub use export::{Export, Options, Placement};
pub use port::{Dim, ElementType, Port};
