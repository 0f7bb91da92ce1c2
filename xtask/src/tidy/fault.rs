//! What a rule finds.
use std::path::{Path, PathBuf};

/// A place that breaks a rule; line 0 stands for a whole file.
pub(super) struct Fault {
    /// The rule in one line, the same words for all its faults.
    pub rule: &'static str,
    /// The file, relative to the root of the repository.
    pub path: PathBuf,
    pub line: usize,
    pub message: String,
}

impl Fault {
    /// A fault at a line of a file.
    pub(super) fn new(rule: &'static str, path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { rule, path: path.to_owned(), line, message: message.into() }
    }
}
