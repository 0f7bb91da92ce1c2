//! `dlrm.compare`: several models on the same rows.
use crate::arguments::Arguments;
use crate::json;
use crate::training::PythonRows;
use crate::watch::Watch;
use crate::words;
use dlrm_data::rows::OpenRows;
use dlrm_engine::compare::{CompareDir, CompareRequest};
use dlrm_engine::folds::{FOLDS_FILE, FoldedCompare};
use dlrm_engine::observer::Observer;
use dlrm_engine::{Error, RunRequest};
use dlrm_report::{compare_page, folds_page};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What pages say that they were made by.
const COMMAND: &str = "dlrm.compare";

/// Compares models in the directory `out`; figures, page and what was noticed come back.
#[pyfunction]
pub(crate) fn compare<'py>(
    py: Python<'py>,
    arguments: Bound<'py, PyDict>,
    rows: Option<PythonRows<'py>>,
    tell: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = Arguments(arguments);
    let rows = rows.map(|rows| rows.given(py)).transpose()?;
    let common = arguments.request(rows)?;
    let (folds, mut watch) = (arguments.folds()?, Watch::new(tell));
    let asked = Asked {
        out: common.out.clone().unwrap_or_default(),
        overwrite: arguments.switch("overwrite")?,
        request: CompareRequest {
            common: RunRequest { config: None, stop: watch.stop(), ..common },
            configs: arguments.paths("configs")?,
            models: arguments.models()?,
            seeds: arguments.seeds()?.unwrap_or(if folds.is_some() { 1 } else { 3 }),
        },
        folds,
    };
    match py.detach(|| asked.run(&mut watch)) {
        Ok(found) => json::to_python(py, &found),
        Err(error) => Err(watch.error(py, error)),
    }
}

/// A comparison, and where it goes.
struct Asked {
    request: CompareRequest,
    out: PathBuf,
    overwrite: bool,
    folds: Option<u64>,
}

impl Asked {
    fn run(self, observer: &mut Watch) -> Result<Value, Error> {
        let (compare, notes) = self.request.resolve()?;
        let notes: Vec<String> = notes.iter().map(|note| words::in_text(&note.to_string())).collect();
        let mut dir = CompareDir::open(&self.out, self.overwrite)?;
        let rows = compare.rows.as_ref().map_or_else(|| compare.base.input.name(), |rows| rows.main.name());
        let title = format!("{} models on {rows}", compare.entries.len());
        let (figures, page, file) = match self.folds {
            Some(folds) => {
                let folded = FoldedCompare { compare, folds }.execute_in(Some(&mut dir), observer)?;
                (serde_json::to_value(&folded), folds_page(&folded, &title, COMMAND), FOLDS_FILE)
            }
            None => {
                let compared = compare.execute_in(Some(&mut dir), observer)?;
                (serde_json::to_value(&compared), compare_page(&compared, &title, COMMAND), "compare.json")
            }
        };
        let figures = figures.expect("figures are plain data");
        let text = serde_json::to_string_pretty(&figures).expect("plain data");
        dir.write(file, text.as_bytes())?;
        dir.write("compare.html", page.as_bytes())?;
        dir.finish()?;
        Ok(json!({"figures": figures, "page": page, "notes": notes}))
    }
}
