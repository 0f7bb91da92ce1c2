//! Models as ONNX files.
use crate::arguments::Arguments;
use crate::error;
use crate::json;
use crate::model::Model;
use dlrm_engine::{Predictor, model_dir};
use dlrm_onnx::{Error, Export, Options};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes the model, which was loaded from `source`; its files, inputs and outputs come back.
#[pyfunction]
pub(crate) fn to_onnx<'py>(
    py: Python<'py>,
    model: PyRef<'py, Model>,
    source: PathBuf,
    path: PathBuf,
    arguments: Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = Arguments(arguments);
    let options = Options { bags: arguments.bags()?, placement: arguments.placement()? };
    let predictor = model.predictor();
    let raised = |error| raised(py, error);
    let export = Export::new(predictor, &path, options).map_err(raised)?;
    let (files, own) = (export.files(), own_files(predictor, &source));
    for (file, _) in &files {
        check(py, file, &own, arguments.switch("overwrite")?)?;
    }
    py.detach(|| export.save(&mut |_| ())).map_err(raised)?;
    let file = |(path, bytes): &(PathBuf, usize)| json!({"path": path, "bytes": bytes});
    let written = json!({
        "files": files.iter().map(file).collect::<Vec<_>>(),
        "inputs": export.inputs(),
        "outputs": export.outputs(),
    });
    json::to_python(py, &written)
}

/// The files that the model was loaded from.
fn own_files(predictor: &Predictor, source: &Path) -> Vec<PathBuf> {
    let dir = model_dir::locate(source);
    predictor.manifest().files.keys().filter_map(|name| fs::canonicalize(dir.join(name)).ok()).collect()
}

/// Refuses to replace a file of the model, or any other without being asked to.
fn check(py: Python<'_>, file: &Path, own: &[PathBuf], overwrite: bool) -> PyResult<()> {
    let Ok(place) = fs::canonicalize(file) else { return Ok(()) };
    let refuse = |expected: &str, hint: &str| {
        let message = format!("path: expected {expected}, found {}", file.display());
        Err(error::exception(py, "ArgumentError", &message, Some(hint)))
    };
    if place.is_dir() {
        return refuse("a file", "name a file in it");
    }
    if own.contains(&place) {
        return refuse("another file than those of the model", "name a new file");
    }
    if place.is_file() && !overwrite {
        return refuse("a new file", "name another file, or replace it with overwrite=True");
    }
    Ok(())
}

fn raised(py: Python<'_>, error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::File(error) => error::of(py, error),
        Error::Name { .. } => error::exception(py, "ArgumentError", &message, Some("name another file")),
        Error::Operation { .. } => error::exception(py, "ModelError", &message, Some("update dlrm")),
    }
}
