//! A saved model, loaded.
use crate::arguments::Arguments;
use crate::error;
use crate::json;
use crate::rows::Rows;
use dlrm_data::Error as DataError;
use dlrm_data::parse::Labels;
use dlrm_data::rows::OpenRows;
use dlrm_data::schema::Task;
use dlrm_engine::run::Resources;
use dlrm_engine::{Error, InputScorer, Parallel, Predictor, Result, Workspace, learner};
use dlrm_report::Evaluation;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Rows scored at a time.
pub(crate) const CHUNK: usize = 16_384;

/// A model that scores raw rows.
#[pyclass(module = "dlrm._dlrm", frozen)]
pub(crate) struct Model {
    predictor: Predictor,
}

/// Rows that a model is asked about, and what may be used for it.
pub(crate) struct Asked {
    rows: Box<dyn OpenRows>,
    max_bad_rows: u64,
    resources: Resources,
}

impl Asked {
    /// The rows of Python, else the files of the arguments.
    pub(crate) fn of(
        py: Python<'_>,
        predictor: &Predictor,
        (arguments, rows): (Bound<'_, PyDict>, Option<&Rows>),
        labels: Labels,
    ) -> PyResult<Self> {
        let arguments = Arguments(arguments);
        let schema = predictor.encoder().schema();
        let needed: Vec<&str> = match labels {
            Labels::Ignored => schema.inputs(),
            // The time is read for splits only.
            _ => schema.columns().filter(|name| schema.time.as_deref() != Some(name)).collect(),
        };
        let rows: Box<dyn OpenRows> = match rows {
            Some(rows) => Box::new(rows.open(py)?),
            None => {
                let input = arguments.input()?.for_model(&predictor.config().input, &needed);
                Box::new(input.map_err(|error| error::of(py, error))?)
            }
        };
        let max_bad_rows = arguments.max_bad_rows()?.unwrap_or(0);
        Ok(Asked { rows, max_bad_rows, resources: arguments.resources()? })
    }

    /// Starts the pass over them.
    pub(crate) fn scorer<'p>(&self, predictor: &'p Predictor, labels: Labels) -> Result<InputScorer<'p>> {
        InputScorer::open(predictor, &*self.rows, labels, self.max_bad_rows)
    }

    /// Threads to work with.
    pub(crate) fn threads(&self) -> usize {
        self.resources.threads
    }

    /// The error of an input without rows.
    pub(crate) fn none(&self, columns: &[String]) -> Error {
        DataError::no_rows(self.rows.name(), columns).into()
    }
}

/// Whether the work may go on: Ctrl-C is looked for.
pub(crate) fn go_on() -> Result<()> {
    Python::attach(|py| py.check_signals()).map_err(|_| Error::Interrupted { step: 0, checkpoint: None })
}

impl Model {
    /// The model.
    pub(crate) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// Scores all rows: predictions or logits, NaN in the place of malformed rows.
    fn score(&self, asked: &Asked, logits_wanted: bool) -> Result<Vec<u8>> {
        let pool = learner::pool(asked.threads())?;
        let mut scorer = asked.scorer(&self.predictor, Labels::Ignored)?;
        let (mut workspace, mut logits, mut scores) = (Workspace::new(), Vec::new(), Vec::new());
        while !scorer.is_done() {
            go_on()?;
            scorer.score(CHUNK, &mut workspace, Parallel::Pool(&pool), &mut logits)?;
            for (row, &skipped) in scorer.skipped_before().iter().enumerate() {
                (0..skipped).for_each(|_| scores.extend(f64::NAN.to_le_bytes()));
                let Some(&logit) = logits.get(row) else { continue };
                let score = if logits_wanted { f64::from(logit) } else { self.predictor.prediction(logit) };
                scores.extend(score.to_le_bytes());
            }
        }
        Ok(scores)
    }

    /// Measures it on rows with labels.
    fn measure(&self, asked: &Asked) -> Result<Value> {
        let pool = learner::pool(asked.threads())?;
        let mut scorer = asked.scorer(&self.predictor, Labels::Required)?;
        let found = Evaluation::of(&self.predictor, &mut scorer, Parallel::Pool(&pool), &mut go_on)?;
        found.map(|found| found.to_json()).ok_or_else(|| asked.none(scorer.columns()))
    }
}

#[pymethods]
impl Model {
    /// Loads a run or model directory.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, arguments: Bound<'_, PyDict>) -> PyResult<Self> {
        let resources = Arguments(arguments).resources()?;
        let loaded = py.detach(|| Predictor::load_within(&path, resources.isa, resources.memory_limit));
        loaded.map(|predictor| Model { predictor }).map_err(|error| error::of(py, error))
    }

    /// Scores rows of Python, else those of files: float64 numbers as bytes, NaN for malformed rows.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        arguments: Bound<'py, PyDict>,
        rows: Option<PyRef<'py, Rows>>,
        logits: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let asked = Asked::of(py, &self.predictor, (arguments, rows.as_deref()), Labels::Ignored)?;
        let scores = py.detach(|| self.score(&asked, logits));
        scores.map(|scores| PyBytes::new(py, &scores)).map_err(|error| error::of(py, error))
    }

    /// Metrics of rows with labels.
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        arguments: Bound<'py, PyDict>,
        rows: Option<PyRef<'py, Rows>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = Asked::of(py, &self.predictor, (arguments, rows.as_deref()), Labels::Required)?;
        let found = py.detach(|| self.measure(&asked)).map_err(|error| error::of(py, error))?;
        json::to_python(py, &found)
    }

    /// What it is: kind, task, id, metrics, configuration, columns.
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let predictor = &self.predictor;
        let (dense, tables) = predictor.network().weights().count();
        let task = if predictor.task() == Task::Binary { "binary" } else { "rating" };
        let about = json!({
            "kind": predictor.config().model.kind(),
            "task": task,
            "id": predictor.manifest().id(),
            "dense_parameters": dense,
            "table_parameters": tables,
            "metrics": predictor.metrics(),
            "calibration": predictor.calibration(),
            "config": predictor.config(),
            "config_toml": predictor.config().to_toml(),
            "layout": predictor.encoder().layout(),
            "inputs": predictor.encoder().schema().inputs(),
        });
        json::to_python(py, &about)
    }
}
