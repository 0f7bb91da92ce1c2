//! Checkpoints of the reference implementation, whose tensors Python has read, as model directories.
use crate::arguments::Arguments;
use crate::error;
use dlrm_engine::Error;
use dlrm_engine::reference::{self, ReferenceShape, ReferenceTensor};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;

/// Writes the model of these tensors (name, type, shape) in the directory `out` of the arguments. `read`
/// gives numbers of a tensor, float32 as bytes, from a place on: `read(name, place, count)`.
#[pyfunction]
pub(crate) fn from_reference(
    py: Python<'_>,
    tensors: Vec<(String, String, Vec<usize>)>,
    arguments: Bound<'_, PyDict>,
    read: Py<PyAny>,
) -> PyResult<()> {
    let arguments = Arguments(arguments);
    let raised = |error| error::of(py, error);
    let tensors = tensors.into_iter().map(|(name, dtype, shape)| ReferenceTensor { name, dtype, shape });
    let shape = ReferenceShape::of(&tensors.collect::<Vec<_>>(), arguments.interaction()?).map_err(raised)?;
    let columns = arguments.reference_columns((shape.dense, shape.rows.len()))?;
    let (isa, out) = (arguments.resources()?.isa, arguments.out()?.unwrap_or_default());
    let mut failed = None;
    let saved = py.detach(|| {
        reference::save(&shape, &columns, &out, isa, &mut |name, place, values| {
            let numbers = Python::attach(|py| -> PyResult<PyBackedBytes> {
                py.check_signals()?;
                let numbers: PyBackedBytes = read.bind(py).call1((name, place, values.len()))?.extract()?;
                match numbers.len() == size_of_val(values) {
                    true => Ok(numbers),
                    false => Err(PyValueError::new_err(format!("{name}: {} bytes", numbers.len()))),
                }
            });
            // Whatever Python raised is what it gets to see.
            let numbers = numbers.map_err(|error| {
                failed = Some(error);
                Error::Interrupted { step: 0, checkpoint: None }
            })?;
            for (value, bytes) in values.iter_mut().zip(numbers.as_chunks().0) {
                *value = f32::from_le_bytes(*bytes);
            }
            Ok(())
        })
    });
    match (saved, failed) {
        (_, Some(error)) => Err(error),
        (saved, None) => saved.map_err(raised),
    }
}
