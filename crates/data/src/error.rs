//! Errors of the data floor. Each says which input, where, what was expected, what was found and,
//! where there is one, what to do about it.
pub use crate::hint::{Hint, HintPart, keys_in_text};
pub use crate::io_hint::io_hint;
pub use crate::spelling::{nearest, quoted};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// Result of the data floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in an input: file, line (or row for binary formats) and field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Path as the user gave it.
    pub file: String,
    /// 1-based line of a text file, 1-based row of a binary one.
    pub line: u64,
    /// 1-based field number and its name where known.
    pub column: Option<(usize, String)>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.column {
            Some((number, name)) if name.is_empty() => write!(f, ":{number}"),
            Some((number, name)) => write!(f, ":{number} (column \"{name}\")"),
            None => Ok(()),
        }
    }
}

/// A row that cannot be used. Recoverable: the reader stands at the next row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// Where.
    pub position: Position,
    /// What should have stood there.
    pub expected: String,
    /// What stood there (shortened).
    pub found: String,
    /// What to do about it, where something can be said.
    pub hint: Option<Hint>,
    /// The row itself (shortened), as far as it was read.
    pub text: String,
}

impl BadRow {
    /// Longest text of a row that is kept, in bytes.
    const LONGEST: usize = 1024;

    /// Keeps the row's text, unless it is known better already.
    pub fn keep(&mut self, text: &str) {
        if self.text.is_empty() {
            let end = text.floor_char_boundary(Self::LONGEST);
            self.text = text[..end].to_owned();
            if end < text.len() {
                self.text.push('…');
            }
        }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.position, self.expected, self.found)
    }
}

/// Error of the data floor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One row is malformed; the next one can be read.
    #[error("{0}")]
    Row(Box<BadRow>),
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted, e.g. "open".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
        /// What to do.
        hint: Option<Hint>,
    },
    /// The user wants to stop.
    #[error("interrupted")]
    Interrupted,
    /// An input as a whole is not what it should be (empty, no header, unknown column, wrong format).
    #[error("{input}: expected {expected}, found {found}")]
    Input {
        /// File, column or option at fault.
        input: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: Option<Hint>,
    },
    /// What was asked for does not go with what there is (an output directory that is taken, a limit that
    /// leaves no room); nothing is wrong with the rows.
    #[error("{setting}: expected {expected}, found {found}")]
    Setting {
        /// What was set.
        setting: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        hint: Option<Hint>,
    },
}

impl Error {
    /// An [`Error::Io`] for use in `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| {
            let hint = io_hint(action, &path, &source);
            Error::Io { action, path, source, hint }
        }
    }

    /// An [`Error::Input`].
    pub fn input(input: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error::Input { input: input.into(), expected: expected.into(), found: found.into(), hint: None }
    }

    /// An [`Error::Setting`].
    pub(crate) fn setting(setting: String, expected: impl Into<String>, found: String) -> Self {
        Error::Setting { setting, expected: expected.into(), found, hint: None }
    }

    /// The error of an input with these columns that holds no row.
    pub fn no_rows(input: impl Into<String>, columns: &[String]) -> Self {
        let found = format!("none below the names of the columns, {}", columns.join(", "));
        let hint = Hint::from("if the first line is a row and names no columns, say so with ");
        Error::input(input, "at least one row", found)
            .with_hint(hint.set("input.header", "absent").say("; otherwise write rows below it"))
    }

    /// The error of a file without contents, which should hold `expected`.
    pub fn empty_file(file: impl Into<String>, expected: &str) -> Self {
        Error::input(file, expected, "an empty file").with_hint(
            "see whether the program that wrote it came to its end without an error, or name another file",
        )
    }

    /// An [`Error::Row`].
    pub fn row(position: Position, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Error::Row(Box::new(BadRow {
            position,
            expected: expected.into(),
            found: found.into(),
            hint: None,
            text: String::new(),
        }))
    }

    /// This error with a hint, where its kind has room for one.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<Hint>) -> Self {
        match &mut self {
            Error::Row(bad) => bad.hint = Some(text.into()),
            Error::Input { hint, .. } | Error::Io { hint, .. } | Error::Setting { hint, .. } => {
                *hint = Some(text.into());
            }
            Error::Interrupted => {}
        }
        self
    }

    /// This error about an input that is part of a larger one: the name of the whole is put before.
    #[must_use]
    pub fn within(mut self, whole: &str) -> Self {
        if let Error::Input { input, .. } = &mut self {
            if input == "input" {
                whole.clone_into(input);
            } else if !input.starts_with(whole) {
                *input = format!("{whole}: {input}");
            }
        }
        self
    }

    /// What the user can do, where something can be said.
    pub fn hint(&self) -> Option<&Hint> {
        match self {
            Error::Row(bad) => bad.hint.as_ref(),
            Error::Input { hint, .. } | Error::Io { hint, .. } | Error::Setting { hint, .. } => hint.as_ref(),
            Error::Interrupted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_named_once() {
        let within = |input: &str| Error::input(input, "a", "b").within("x.csv").to_string();
        assert_eq!(within("input"), "x.csv: expected a, found b");
        assert_eq!(within("label"), "x.csv: label: expected a, found b");
        assert_eq!(within("x.csv:1"), "x.csv:1: expected a, found b");
    }

    #[test]
    fn positions_read_like_compiler_messages() {
        let at = Position { file: "a.csv".into(), line: 7, column: Some((3, "age".into())) };
        assert_eq!(
            Error::row(at, "a number", "\"x\"").to_string(),
            "a.csv:7:3 (column \"age\"): expected a number, found \"x\""
        );
    }
}
