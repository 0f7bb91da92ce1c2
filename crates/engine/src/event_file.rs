//! Event files, as TensorBoard reads them: records framed as in TFRecord files, each an `Event` message
//! (tensorflow/core/util/event.proto). Records are written whole, one after the other, and what is written is
//! read while more follows.
//!
//! A record is the length of its data (u64), the masked CRC-32C of these eight bytes, the data, and theirs.
use crate::error::{Error, Result};
use dlrm_data::protobuf::Message;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What the first event of a file says.
const VERSION: &str = "brain.Event:2";
/// How names of event files begin.
const PREFIX: &str = "events.out.tfevents.";

/// A new event file. Times are seconds since 1970 by the caller's clock.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
    /// Whether it says anything yet.
    empty: bool,
}

impl EventFile {
    /// Begins a file in the directory `dir`, which is made if it is not there. Others that are there stay:
    /// TensorBoard reads all of them, in the order of their names.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn create(dir: &Path, wall_time: f64) -> Result<Self> {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let (file, path) = (0u32..)
            .map(|number| dir.join(format!("{PREFIX}{:010}.dlrm.{number}", wall_time.max(0.0) as u64)))
            .find_map(|path| match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                opened => Some(opened.map(|file| (file, path.clone())).map_err(Error::io("create", &path))),
            })
            .expect("some number is free")?;
        let mut events = EventFile { file, path, empty: true };
        events.append(&event(wall_time, 0).text(3, VERSION))?;
        events.empty = true;
        Ok(events)
    }

    /// Says that training begins with this step, here or anew: what was said of it and of later ones in
    /// earlier files of the directory no longer counts.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn start(&mut self, wall_time: f64, step: u64) -> Result<()> {
        self.append(&event(wall_time, step).message(7, Message::new().int(1, 1)))
    }

    /// Appends numbers of a step, by their tags.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars<T: AsRef<str>>(&mut self, wall_time: f64, step: u64, scalars: &[(T, f64)]) -> Result<()> {
        let scalar = |(tag, value): &(T, f64)| Message::new().text(1, tag.as_ref()).float(2, *value as f32);
        let summary = Message::new().messages(1, scalars.iter().map(scalar));
        self.append(&event(wall_time, step).message(5, summary))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, event: &Message<'_>) -> Result<()> {
        let mut data = Vec::with_capacity(event.len());
        event.write(&mut data).expect("memory takes all");
        self.empty = false;
        self.file.write_all(&record(&data)).map_err(Error::io("write", &self.path))
    }
}

/// A file that says nothing is not left behind.
impl Drop for EventFile {
    fn drop(&mut self) {
        if self.empty {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a directory holds event files.
pub(crate) fn are_in(dir: &Path) -> bool {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(PREFIX))
}

fn event(wall_time: f64, step: u64) -> Message<'static> {
    Message::new().double(1, wall_time).int(2, step as i64)
}

fn record(data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(len);
    record.extend(masked(crc32c(&len)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// So that a checksum of data that hold checksums is none of theirs.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: events are short and seldom.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of the algorithm.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn records_are_framed() {
        let mut data = Vec::new();
        event(0.0, 0).text(3, VERSION).write(&mut data).expect("memory");
        let record = record(&data);
        assert_eq!(record[..8], (data.len() as u64).to_le_bytes());
        assert_eq!(record[12..12 + data.len()], data);
        let checksum = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(checksum(8), masked(crc32c(&record[..8])));
        assert_eq!(checksum(12 + data.len()), masked(crc32c(&data)));
        assert_eq!(record.len(), data.len() + 16);
        // (0x8a9136aa >> 15 | 0x8a9136aa << 17) + 0xa282ead8
        assert_eq!(masked(0x8a91_36aa), 0x0fd7_fffa);
    }

    #[test]
    fn files_of_one_second_have_names_of_their_own_and_empty_ones_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("a/b");
        assert!(!are_in(&place));
        let mut first = EventFile::create(&place, 12.5).expect("a file");
        first.scalars(13.0, 4, &[("loss", 0.5)]).expect("written");
        let second = EventFile::create(&place, 12.9).expect("another one");
        assert_ne!(first.path(), second.path());
        let (kept, gone) = (first.path().to_owned(), second.path().to_owned());
        drop((first, second));
        assert!(kept.exists() && !gone.exists() && are_in(&place));
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("taken");
        fs::write(&place, "mine").expect("a file");
        let error = EventFile::create(&place, 0.0).expect_err("no directory").to_string();
        assert!(error.contains("taken"), "{error}");
    }
}
