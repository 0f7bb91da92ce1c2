//! A saved model, loaded.
use crate::arguments::Arguments;
use crate::error;
use crate::rows::Rows;
use dlrm_data::parse::Labels;
use dlrm_data::rows::OpenRows;
use dlrm_engine::run::Resources;
use dlrm_engine::{Error, InputScorer, Parallel, Predictor, Workspace, learner};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;

/// Rows scored at a time.
const CHUNK: usize = 16_384;

/// A model that scores raw rows.
#[pyclass(module = "dlrm._dlrm", frozen)]
pub(crate) struct Model {
    predictor: Predictor,
}

/// What is asked of each row.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Prediction,
    Logit,
}

impl Model {
    /// Opens the rows of Python, or else the files of the arguments.
    fn rows(
        &self,
        py: Python<'_>,
        arguments: &Arguments<'_>,
        rows: Option<&Rows>,
    ) -> PyResult<Box<dyn OpenRows>> {
        if let Some(rows) = rows {
            return Ok(Box::new(rows.open(py)?));
        }
        let needed = self.predictor.encoder().schema().inputs();
        let input = arguments.input()?.for_model(&self.predictor.config().input, &needed);
        Ok(Box::new(input.map_err(|error| error::of(py, error))?))
    }

    /// Scores all rows.
    fn score(
        &self,
        rows: &dyn OpenRows,
        wanted: Wanted,
        (max_bad_rows, resources): (u64, Resources),
    ) -> Result<Vec<u8>, Error> {
        let pool = learner::pool(resources.threads)?;
        let mut scorer = InputScorer::open(&self.predictor, rows, Labels::Ignored, max_bad_rows)?;
        let (mut workspace, mut logits, mut scores) = (Workspace::new(), Vec::new(), Vec::new());
        while !scorer.is_done() {
            if Python::attach(|py| py.check_signals()).is_err() {
                return Err(Error::Interrupted { step: 0, checkpoint: None });
            }
            scorer.score(CHUNK, &mut workspace, Parallel::Pool(&pool), &mut logits)?;
            for (row, &skipped) in scorer.skipped_before().iter().enumerate() {
                // A malformed row keeps its place.
                (0..skipped).for_each(|_| scores.extend(f64::NAN.to_le_bytes()));
                let Some(&logit) = logits.get(row) else { continue };
                let score = match wanted {
                    Wanted::Prediction => self.predictor.prediction(logit),
                    Wanted::Logit => f64::from(logit),
                };
                scores.extend(score.to_le_bytes());
            }
        }
        Ok(scores)
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
    #[pyo3(signature = (arguments, rows, logits))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        arguments: Bound<'py, PyDict>,
        rows: Option<PyRef<'py, Rows>>,
        logits: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let arguments = Arguments(arguments);
        let rows = self.rows(py, &arguments, rows.as_deref())?;
        let limits = (arguments.max_bad_rows()?.unwrap_or(0), arguments.resources()?);
        let wanted = if logits { Wanted::Logit } else { Wanted::Prediction };
        let scores = py.detach(|| self.score(&*rows, wanted, limits));
        scores.map(|scores| PyBytes::new(py, &scores)).map_err(|error| error::of(py, error))
    }

    /// Kind of the model.
    #[getter]
    fn kind(&self) -> &str {
        self.predictor.config().model.kind()
    }

    /// Whether predictions are probabilities, and no ratings.
    #[getter]
    fn is_binary(&self) -> bool {
        self.predictor.task() == dlrm_data::schema::Task::Binary
    }
}
