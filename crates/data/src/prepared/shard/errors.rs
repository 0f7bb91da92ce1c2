//! What can be wrong with a file of rows.
use crate::error::Error;
use arrow_schema::ArrowError;
use std::io::ErrorKind;
use std::path::Path;

/// The error of a file that cannot be opened.
pub(super) fn gone(path: &Path, error: std::io::Error) -> Error {
    let is_gone = error.kind() == ErrorKind::NotFound;
    let error = Error::io("open", path)(error);
    if is_gone { error.with_hint("was the data set replaced meanwhile? Then start again") } else { error }
}

/// The error of more values than an offset can tell apart.
pub(super) fn too_many(input: &str, expected: &str) -> Error {
    Error::input(input, expected, "more")
}

pub(super) fn torn(path: &Path, expected: &str, found: &str) -> Error {
    let error = Error::input(path.display().to_string(), expected, found);
    error.with_hint("the file is torn or was changed: prepare the data set anew")
}

pub(crate) fn into_io(error: ArrowError) -> std::io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => std::io::Error::other(other),
    }
}
