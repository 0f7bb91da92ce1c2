//! Small files of text that people write, read as a whole.
use crate::error::{Error, Result};
use std::io::ErrorKind;
use std::path::Path;

/// The text of a file.
///
/// # Errors
/// If it cannot be read, or is no text in UTF-8.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            let error = Error::input(path.display().to_string(), "text in UTF-8", "other bytes");
            error.with_hint("save it as UTF-8")
        }
        _ => Error::io("read", path)(error),
    })
}
