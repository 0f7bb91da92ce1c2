//! `dlrm.train`: a run from request to report.
use crate::arguments::Arguments;
use crate::json;
use crate::rows::Rows;
use crate::watch::Watch;
use dlrm_data::rows::OpenRows;
use dlrm_engine::observer::Observer;
use dlrm_engine::rows::GivenRows;
use dlrm_engine::run::Resources;
use dlrm_engine::training::{Training, TrainingObserver};
use dlrm_engine::{Error, RunRequest};
use dlrm_report::{RunCard, kept};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;

/// Rows of Python in the place of files.
#[derive(FromPyObject)]
pub(crate) struct PythonRows<'py> {
    main: PyRef<'py, Rows>,
    validation: Option<PyRef<'py, Rows>>,
    test: Option<PyRef<'py, Rows>>,
}

impl PythonRows<'_> {
    /// As the engine takes them.
    pub(crate) fn given(&self, py: Python<'_>) -> PyResult<GivenRows> {
        let open = |rows: &PyRef<'_, Rows>| Ok::<_, PyErr>(Arc::new(rows.open(py)?) as Arc<dyn OpenRows>);
        Ok(GivenRows {
            main: open(&self.main)?,
            validation: self.validation.as_ref().map(open).transpose()?,
            test: self.test.as_ref().map(open).transpose()?,
        })
    }
}

/// Trains a model in the run directory `out`; what was noticed and the resolved configuration come back.
#[pyfunction]
#[pyo3(signature = (arguments, rows, tell))]
pub(crate) fn train<'py>(
    py: Python<'py>,
    arguments: Bound<'py, PyDict>,
    rows: Option<PythonRows<'py>>,
    tell: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = Arguments(arguments);
    let rows = rows.map(|rows| rows.given(py)).transpose()?;
    let mut watch = Watch::new(tell);
    let request = RunRequest { stop: watch.stop(), ..arguments.request(rows)? };
    let asked = Asked { request, chooses: arguments.chooses()?, folds: arguments.folds()? };
    match py.detach(|| asked.run(&mut watch)) {
        Ok(notes) => json::to_python(py, &serde_json::json!({ "notes": notes })),
        Err(error) => Err(watch.error(py, error)),
    }
}

/// A run with what comes before it.
struct Asked {
    request: RunRequest,
    chooses: bool,
    folds: Option<u64>,
}

impl Asked {
    /// Does it and writes the report; what was noticed before.
    fn run(self, observer: &mut dyn TrainingObserver) -> Result<Vec<String>, Error> {
        let (run, notes) = self.request.resolve()?;
        let notes: Vec<String> = notes.iter().map(|note| crate::words::in_text(&note.to_string())).collect();
        let training = Training { run: run.clone(), chooses: self.chooses, folds: self.folds };
        let mut trained = training.execute(observer)?;
        let card = RunCard::of("dlrm.train".to_owned(), Resources { memory_limit: None, ..run.resources });
        let report = kept::report(&run, &mut trained, card, notes.clone())?;
        let mut outcome = trained.outcome;
        kept::finish(&mut outcome, &report)?;
        match outcome.state.divergence() {
            Some(error) => Err(error),
            None => Ok(notes),
        }
    }
}
