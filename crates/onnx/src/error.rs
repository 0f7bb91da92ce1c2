//! Errors of an export.
use std::path::PathBuf;

/// Result of an export.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation that has no ONNX form here.
    #[error("operation of the model: expected one that ONNX export knows, found \"{operation}\"")]
    Operation {
        /// Its name in the graph.
        operation: String,
    },
    /// A file whose name its companion cannot state.
    #[error("name of the ONNX file: expected UTF-8, found {path:?}")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] dlrm_data::Error),
}
