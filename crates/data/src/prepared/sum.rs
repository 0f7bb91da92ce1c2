//! Lengths and checksums of files.
use serde::{Deserialize, Serialize};
use std::io::Write;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Digits of a checksum in the name of a file.
pub(super) const DIGITS: usize = 16;

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
    pub(super) fn short(&self) -> &str {
        &self.xxh3[..DIGITS]
    }
}

/// Counts and sums up what it writes.
pub(super) struct Summed<W> {
    out: W,
    hash: Xxh3,
    bytes: u64,
}

impl<W> Summed<W> {
    pub(super) fn new(out: W) -> Self {
        Summed { out, hash: Xxh3::new(), bytes: 0 }
    }

    pub(super) fn sum(&self) -> FileSum {
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
