//! Errors as Python's exceptions: the same sentence and hint, in the words of arguments.
use crate::words;
use dlrm_engine::Error;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use std::io::ErrorKind;

/// An exception of the class `name` of `dlrm.errors`.
pub(crate) fn exception(py: Python<'_>, name: &str, message: &str, hint: Option<&str>) -> PyErr {
    let made = || py.import("dlrm.errors")?.getattr(name)?.call1((message, hint));
    match made() {
        Ok(made) => PyErr::from_value(made),
        Err(error) => error,
    }
}

/// Of an argument that is not what it should be.
pub(crate) fn argument(
    py: Python<'_>,
    name: &str,
    expected: &str,
    found: &Bound<'_, PyAny>,
    hint: &str,
) -> PyErr {
    let found = described(found);
    exception(py, "ArgumentError", &format!("{name}: expected {expected}, found {found}"), Some(hint))
}

/// A value as messages show it.
pub(crate) fn described(value: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 60;
    let Ok(text) = value.repr() else { return "something without a text form".to_owned() };
    let text = text.to_string_lossy().into_owned();
    if text.chars().count() <= LONGEST && !text.contains('\n') {
        return text;
    }
    value.get_type().name().map_or(text, |name| format!("a {name}"))
}

/// The exception of an error of the engine.
pub(crate) fn of(py: Python<'_>, error: impl Into<Error>) -> PyErr {
    let error = error.into();
    let message = match &error {
        Error::Interrupted { step, checkpoint: Some(path) } => {
            let path = path.display();
            return PyKeyboardInterrupt::new_err(format!(
                "after step {step}; saved in {path}: go on with resume=True"
            ));
        }
        Error::Interrupted { checkpoint: None, .. } | Error::Data(dlrm_data::Error::Interrupted) => {
            return PyKeyboardInterrupt::new_err("before all was done; nothing was saved");
        }
        Error::Config { what, expected, found, .. } => {
            format!("{}: expected {expected}, found {found}", words::of_key(what))
        }
        other => other.to_string(),
    };
    let hint = error.hint().as_ref().map(words::of_hint);
    exception(py, class(&error), &words::in_text(&message), hint.as_deref())
}

/// The class of an error.
fn class(error: &Error) -> &'static str {
    let of_io = |source: &std::io::Error| match source.kind() {
        ErrorKind::NotFound => "MissingFileError",
        _ => "FileError",
    };
    match error {
        Error::Data(dlrm_data::Error::Io { source, .. }) | Error::Io { source, .. } => of_io(source),
        Error::Data(dlrm_data::Error::Setting { .. }) | Error::Model(_) | Error::Config { .. } => {
            "ArgumentError"
        }
        Error::Data(_) | Error::Metrics(_) => "DataError",
        Error::Saved { path, .. } if !path.exists() => "MissingModelError",
        Error::Saved { .. } => "ModelError",
        Error::Memory { .. } => "OutOfMemoryError",
        Error::Threads { .. } => "ThreadsError",
        Error::Diverged { .. } => "DivergedError",
        Error::Interrupted { .. } | Error::Assisted | Error::Rank { .. } => "Error",
    }
}
