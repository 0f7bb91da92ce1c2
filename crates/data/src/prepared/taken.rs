//! Which files of raw rows a data set was made of, known again by their contents wherever they lie.
use crate::error::Result;
use crate::split::Part;
use crate::sum::{FileSum, sum_while};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A file whose rows are in a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenFile {
    /// Where it lay.
    pub file: PathBuf,
    /// The part that all of its rows went to; `None` where they were split.
    pub part: Option<Part>,
    /// Its length and checksum.
    pub sum: FileSum,
}

/// The files `paths`, whose rows go to `part`.
///
/// # Errors
/// A file that cannot be read; [`Error::Interrupted`](crate::Error::Interrupted) where `go_on` says no.
pub(super) fn taken(
    paths: Vec<PathBuf>,
    part: Option<Part>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<TakenFile>> {
    let taken = |file: PathBuf| Ok(TakenFile { part, sum: sum_while(&file, go_on)?, file });
    paths.into_iter().map(taken).collect()
}
