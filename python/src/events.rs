//! Event files that TensorBoard reads, written by Python.
use crate::error;
use dlrm_engine::event_file;
use pyo3::prelude::*;
use std::path::PathBuf;

/// A new event file in a directory. Times are seconds since 1970 by Python's clock.
#[pyclass(module = "dlrm._dlrm")]
pub(crate) struct EventFile {
    file: event_file::EventFile,
}

#[pymethods]
impl EventFile {
    #[new]
    fn new(py: Python<'_>, dir: PathBuf, wall_time: f64) -> PyResult<Self> {
        let file = event_file::EventFile::create(&dir, wall_time);
        file.map(|file| EventFile { file }).map_err(|error| error::of(py, error))
    }

    /// Training begins with this step, here or anew.
    fn start(&mut self, py: Python<'_>, wall_time: f64, step: u64) -> PyResult<()> {
        self.file.start(wall_time, step).map_err(|error| error::of(py, error))
    }

    /// Numbers of a step, by their tags.
    fn scalars(
        &mut self,
        py: Python<'_>,
        wall_time: f64,
        step: u64,
        scalars: Vec<(String, f64)>,
    ) -> PyResult<()> {
        self.file.scalars(wall_time, step, &scalars).map_err(|error| error::of(py, error))
    }
}
