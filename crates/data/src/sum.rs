//! Lengths and checksums of files.
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Digits of a checksum in the name of a file.
pub(crate) const DIGITS: usize = 16;

/// Length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// Length in bytes.
    pub bytes: u64,
    /// xxh3 (128 bits), hexadecimal.
    pub xxh3: String,
}

impl FileSum {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        FileSum { bytes: bytes.len() as u64, xxh3: format!("{:032x}", xxh3_128(bytes)) }
    }

    /// The beginning of the checksum, which names a file among those of one data set.
    pub(crate) fn short(&self) -> &str {
        &self.xxh3[..DIGITS]
    }
}

/// Length and checksum of the file `path`, read piece by piece while `go_on` says so.
///
/// # Errors
/// If it cannot be read; [`Error::Interrupted`] where `go_on` says no.
pub(crate) fn sum_while(path: &Path, go_on: &mut dyn FnMut() -> bool) -> Result<FileSum> {
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

/// Length and checksum of the file `path`.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn sum_of(path: &Path) -> Result<FileSum> {
    sum_while(path, &mut || true)
}

/// Counts and sums up what it writes.
pub(crate) struct Summed<W> {
    out: W,
    hash: Xxh3,
    bytes: u64,
}

impl<W> Summed<W> {
    pub(crate) fn new(out: W) -> Self {
        Summed { out, hash: Xxh3::new(), bytes: 0 }
    }

    pub(crate) fn sum(&self) -> FileSum {
        FileSum { bytes: self.bytes, xxh3: format!("{:032x}", self.hash.digest128()) }
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
