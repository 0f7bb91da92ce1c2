//! The native half of the Python package `dlrm`. What a person said arrives as a dictionary of keyword
//! arguments, becomes a request of the engine, and is resolved and executed there; results go back as plain
//! data. Signatures and documentation stand in `dlrm/*.py`.
#![deny(unsafe_code)]

mod arguments;
mod columns;
mod compare;
mod encoding;
mod error;
mod events;
mod explaining;
mod exporting;
mod graph;
mod inspecting;
mod json;
mod model;
mod prepared;
mod preparing;
mod reference;
mod rows;
mod training;
mod watch;
mod words;

use pyo3::prelude::*;

/// The module `dlrm._dlrm`.
#[pymodule]
mod _dlrm {
    #[pymodule_export]
    use super::compare::compare;
    #[pymodule_export]
    use super::encoding::transform;
    #[pymodule_export]
    use super::events::EventFile;
    #[pymodule_export]
    use super::explaining::explain;
    #[pymodule_export]
    use super::exporting::to_onnx;
    #[pymodule_export]
    use super::graph::{graph, tensors};
    #[pymodule_export]
    use super::inspecting::inspect;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::prepared::{Batches, PreparedSet};
    #[pymodule_export]
    use super::preparing::prepare;
    #[pymodule_export]
    use super::reference::from_reference;
    #[pymodule_export]
    use super::rows::Rows;
    #[pymodule_export]
    use super::training::train;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
