//! Which files of raw rows a data set was made of, known again by their contents wherever they lie.
use super::sum::{FileSum, Summed};
use crate::error::{Error, Result};
use crate::split::Part;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

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

/// Length and checksum of the file `path`, read piece by piece while `go_on` says so.
///
/// # Errors
/// If it cannot be read; [`Error::Interrupted`] where `go_on` says no.
pub(super) fn sum_while(path: &Path, go_on: &mut dyn FnMut() -> bool) -> Result<FileSum> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (mut sum, mut piece) = (Summed::new(std::io::sink()), vec![0; PIECE]);
    loop {
        if !go_on() {
            return Err(Error::Interrupted);
        }
        let read = match file.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(Error::io("read", path))?,
        };
        if read == 0 {
            return Ok(sum.sum());
        }
        sum.write_all(&piece[..read]).map_err(Error::io("read", path))?;
    }
}

/// The files `paths`, whose rows go to `part`.
///
/// # Errors
/// As [`sum_while`].
pub(super) fn taken(
    paths: Vec<PathBuf>,
    part: Option<Part>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<TakenFile>> {
    let taken = |file: PathBuf| Ok(TakenFile { part, sum: sum_while(&file, go_on)?, file });
    paths.into_iter().map(taken).collect()
}
