//! `dlrm.prepare`: rows encoded once, on disk, trained from often.
use crate::arguments::Arguments;
use crate::json;
use crate::training::PythonRows;
use crate::watch::Watch;
use crate::words;
use dlrm_data::prepared::{Limits, PrepareObserver, Start};
use dlrm_engine::observer::Observer;
use dlrm_engine::run::RunObserver;
use dlrm_engine::{Error, RunRequest, preparation};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};

impl PrepareObserver for Watch {
    fn stage(&mut self, name: &str) {
        RunObserver::stage(self, name);
    }

    fn rows(&mut self, _: u64) -> bool {
        !self.should_stop()
    }
}

/// Prepares rows of Python, else the files of the arguments, in the directory `out`; its manifest comes back.
#[pyfunction]
#[pyo3(signature = (arguments, rows, tell))]
pub(crate) fn prepare<'py>(
    py: Python<'py>,
    arguments: Bound<'py, PyDict>,
    rows: Option<PythonRows<'py>>,
    tell: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = Arguments(arguments);
    let rows = rows.map(|rows| rows.given(py)).transpose()?;
    let mut watch = Watch::new(tell);
    let request = RunRequest { stop: watch.stop(), ..arguments.request(rows)? };
    let start = if arguments.switch("overwrite")? { Start::Overwrite } else { Start::Fresh };
    match py.detach(|| run(&request, start, &mut watch)) {
        Ok(made) => json::to_python(py, &made),
        Err(error) => Err(watch.error(py, error)),
    }
}

fn run(request: &RunRequest, start: Start, watch: &mut Watch) -> Result<Value, Error> {
    let mut notes = Vec::new();
    let config = request.configuration(&mut notes)?;
    let out = request.out.clone().unwrap_or_default();
    let limits = Limits::of_memory(request.resources.memory_limit)?;
    let (rows, reading) = (request.rows.as_ref(), (request.resources.threads, &watch.stop()));
    let made = preparation::prepare((&config, rows), &out, (limits, start), reading, watch)?;
    let notes: Vec<String> = notes.iter().map(|note| words::in_text(&note.to_string())).collect();
    Ok(json!({"manifest": made.manifest(), "notes": notes}))
}
