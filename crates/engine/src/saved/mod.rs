//! Directories on disk that are whole or absent: written aside, checksummed, synced and renamed.
//!
//! `manifest.json` names the kind and version of the directory and every file's length and xxh3 checksum, and
//! has a checksum of its own. Who reads a directory opens all of its files at once and checks the very bytes
//! that are used, so that a directory that is replaced meanwhile is read as it was or as it is.
mod opened;
mod writer;

pub use opened::verify;
pub(crate) use opened::{Saved, kind_of};
pub use writer::Writer;
pub(crate) use writer::not_ours;

use crate::error::{Error, Result};
use dlrm_data::Hint;
use dlrm_data::durable::aside;
use dlrm_data::error::quoted;
use dlrm_data::sealed::{self, Seal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Version of the layout of saved directories; a program refuses newer ones.
pub const FORMAT_VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// A manifest is much smaller; nothing else is read into memory.
const LONGEST_MANIFEST: u64 = 64 << 20;

/// What a saved directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A finished model.
    Model,
    /// The state of an unfinished training run.
    Checkpoint,
    /// What an unfinished training run was started with.
    Run,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Model => "model",
            Kind::Checkpoint => "checkpoint",
            Kind::Run => "unfinished run",
        }
    }
}

/// Contents of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the directory holds.
    pub kind: Kind,
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of dlrm that wrote it.
    pub dlrm_version: String,
    /// Files by name.
    pub files: BTreeMap<String, FileEntry>,
    /// See [`sealed`]; not there in directories of earlier versions.
    #[serde(default, skip_serializing)]
    checksum: Option<String>,
}

impl Manifest {
    fn new(kind: Kind) -> Self {
        Manifest {
            kind,
            format_version: FORMAT_VERSION,
            dlrm_version: env!("CARGO_PKG_VERSION").to_owned(),
            files: BTreeMap::new(),
            checksum: None,
        }
    }

    /// What tells a saved directory from all others: a hash of the names and checksums of its files.
    pub fn id(&self) -> String {
        let mut hash = Xxh3::new();
        for (name, file) in &self.files {
            hash.update(format!("{name} {} {}\n", file.bytes, file.xxh3).as_bytes());
        }
        hex(&hash)
    }

    /// The text of the file.
    fn to_text(&self) -> String {
        sealed::seal(&serde_json::to_string_pretty(self).expect("a manifest is plain data"))
    }

    /// Reads the manifest `path` of a directory of this kind.
    fn parse(path: &Path, text: &[u8], kind: Kind) -> Result<Self> {
        let version = serde_json::from_slice::<serde_json::Value>(text)
            .ok()
            .and_then(|v| v.get("format_version")?.as_u64());
        if let Some(newer) = version.filter(|&v| v > u64::from(FORMAT_VERSION)) {
            let problem = format!("expected format version {FORMAT_VERSION} or older, found {newer}");
            return Err(
                Error::saved(path, problem).with_hint("it was written by a newer dlrm: update this one")
            );
        }
        let manifest: Manifest = parse(path, text)?;
        if manifest.kind != kind {
            let problem = format!("expected a {}, found a {}", kind.name(), manifest.kind.name());
            return Err(Error::saved(path, problem));
        }
        let seal = sealed::check(text);
        if seal == Seal::Broken || (seal == Seal::Absent && manifest.checksum.is_some()) {
            return Err(damaged(path, "expected the contents of its checksum, found others"));
        }
        match manifest.files.keys().find(|name| name.contains(['/', '\\']) || *name == "..") {
            Some(name) => {
                Err(Error::saved(path, format!("expected plain file names, found {}", quoted(name))))
            }
            None => Ok(manifest),
        }
    }
}

/// Length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// xxh3 (128 bits), hexadecimal.
    pub xxh3: String,
}

impl FileEntry {
    /// Of a file with these contents.
    pub(crate) fn of(contents: &[u8]) -> Self {
        let mut hash = Xxh3::new();
        hash.update(contents);
        FileEntry { bytes: contents.len() as u64, xxh3: hex(&hash) }
    }
}

fn hex(hash: &Xxh3) -> String {
    format!("{:032x}", hash.digest128())
}

/// Where the directory of a model comes from.
pub(crate) fn written_by_training() -> Hint {
    Hint::from("give the directory that `dlrm train ").name("run.out").say("` wrote")
}

/// The error of a file that is not what was written.
pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Error {
    let hint = "the file was changed or damaged: restore it from a copy, or train again";
    Error::saved(path, problem).with_hint(hint)
}

/// Parses JSON that was read from `path`.
fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
        .map_err(|e| Error::saved(path, format!("expected valid contents, found: {e}")))
}

/// Where a directory stands for a moment while it is replaced.
pub(crate) fn set_aside(place: &Path) -> PathBuf {
    aside(place, "old")
}

/// Whether `dir` says of itself that it is a saved directory of this kind, whatever its version and state.
fn claims(dir: &Path, kind: Kind) -> Option<serde_json::Value> {
    let manifest = fs::read(dir.join(MANIFEST)).ok()?;
    let found: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    let own = serde_json::to_value(kind).expect("a word");
    (found.get("kind") == Some(&own) && found.get("files").is_some()).then_some(found)
}

/// What of the directory `dir` is not ours, as the manifest of a saved directory of this kind has it: the
/// directory itself, or an entry of it. None if it is not there or all of it is.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn foreign(dir: &Path, kind: Kind) -> Result<Option<PathBuf>> {
    let names = match names(dir)? {
        Names::None => return Ok(None),
        Names::NoDirectory => return Ok(Some(dir.to_owned())),
        Names::Of(names) => names,
    };
    let Some(manifest) = claims(dir, kind) else { return Ok(Some(dir.to_owned())) };
    let listed = |name: &String| name == MANIFEST || manifest["files"].get(name).is_some();
    Ok(names.into_iter().find(|name| !listed(name)).map(|name| dir.join(name)))
}

/// What a directory holds.
pub(crate) enum Names {
    /// There is none.
    None,
    /// What has its name is something else.
    NoDirectory,
    /// These entries.
    Of(Vec<String>),
}

/// The names in a directory.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn names(dir: &Path) -> Result<Names> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Names::None),
        // Or what should hold it is none.
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Ok(if dir.exists() { Names::NoDirectory } else { Names::None });
        }
        other => other.map_err(Error::io("read", dir))?,
    };
    let names = entries.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
    Ok(Names::Of(names.collect::<std::io::Result<_>>().map_err(Error::io("read", dir))?))
}

/// Puts back a directory that was set aside when its replacement was interrupted, and removes what a finished
/// replacement has left.
///
/// # Errors
/// If the file system refuses.
pub(crate) fn recover(place: &Path, kind: Kind) -> Result<()> {
    let old = set_aside(place);
    if !place.exists() && claims(&old, kind).is_some() {
        fs::rename(&old, place).map_err(Error::io("rename", &old))?;
    }
    for left in [old, aside(place, "partial")] {
        if foreign(&left, kind)?.is_none() {
            dlrm_data::durable::remove_directory(&left)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(place: &Path, text: &str) {
        let mut writer = Writer::new(place, Kind::Model).unwrap();
        writer.file("a.txt", text.as_bytes()).unwrap();
        writer.finish().unwrap();
    }

    fn refused(place: &Path) -> String {
        verify(place, Kind::Model).unwrap_err().to_string()
    }

    #[test]
    fn whole_directories_verify_and_damaged_ones_say_why() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        write(&place, "one");
        write(&place, "two");
        verify(&place, Kind::Model).unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left aside");
        assert!(verify(&place, Kind::Checkpoint).unwrap_err().to_string().contains("expected a checkpoint"));
        fs::write(place.join("a.txt"), "twp").unwrap();
        assert!(refused(&place).contains("checksum"));
        fs::write(place.join("a.txt"), "tw").unwrap();
        assert!(refused(&place).contains("expected 3 bytes, found 2"));
        fs::remove_file(place.join("a.txt")).unwrap();
        assert!(refused(&place).contains("a.txt"));
        fs::write(place.join(MANIFEST), r#"{"format_version": 99, "anything": true}"#).unwrap();
        assert!(refused(&place).contains("found 99"));
        fs::write(place.join(MANIFEST), "{").unwrap();
        assert!(verify(&place, Kind::Model).is_err());
    }

    #[test]
    fn any_flip_and_any_cut_of_a_manifest_is_refused_and_older_ones_are_read() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        write(&place, "one");
        let path = place.join(MANIFEST);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                fs::write(&path, &flipped).unwrap();
                assert!(verify(&place, Kind::Model).is_err(), "byte {at}, bit {bit}");
            }
            fs::write(&path, &whole[..at]).unwrap();
            assert!(verify(&place, Kind::Model).is_err(), "cut to {at} bytes");
        }
        let mut older: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        older.as_object_mut().unwrap().remove("checksum").expect("a checksum");
        fs::write(&path, older.to_string()).unwrap();
        verify(&place, Kind::Model).unwrap();
    }

    #[test]
    fn an_abandoned_attempt_leaves_the_old_one() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        write(&place, "one");
        let mut writer = Writer::new(&place, Kind::Model).unwrap();
        writer.file("a.txt", b"two").unwrap();
        drop(writer);
        verify(&place, Kind::Model).unwrap();
        assert_eq!(fs::read_to_string(place.join("a.txt")).unwrap(), "one");
    }

    #[test]
    fn an_attempt_that_is_told_to_stop_leaves_the_old_one() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        write(&place, "one");
        for calls in 0..4 {
            let mut left = calls;
            let mut stop = || {
                left -= 1;
                left < 0
            };
            let mut writer = Writer::until(&place, Kind::Model, &mut stop).unwrap();
            let two = vec![b'2'; 20 << 20];
            let stopped = writer.file("a.txt", &two).and_then(|()| writer.finish());
            assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{calls}: {stopped:?}");
            verify(&place, Kind::Model).unwrap();
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left aside");
        }
    }

    #[test]
    fn an_interrupted_replacement_is_named_and_put_back() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        write(&place, "one");
        fs::rename(&place, set_aside(&place)).unwrap();
        let hint = verify(&place, Kind::Model).unwrap_err().hint().unwrap().to_string();
        assert!(hint.contains(".model.old"), "{hint}");
        recover(&place, Kind::Model).unwrap();
        verify(&place, Kind::Model).unwrap();
        // What is not ours stays.
        fs::create_dir(set_aside(&place)).and_then(|()| fs::write(set_aside(&place).join("x"), "")).unwrap();
        recover(&place, Kind::Model).unwrap();
        assert!(set_aside(&place).join("x").exists());
    }

    #[test]
    fn what_is_not_ours_is_named_and_never_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        assert_eq!(foreign(&place, Kind::Model).unwrap(), None);
        fs::create_dir(&place).unwrap();
        assert_eq!(foreign(&place, Kind::Model).unwrap(), Some(place.clone()));
        fs::write(place.join("thesis.txt"), "mine").unwrap();
        let mut writer = Writer::new(&place, Kind::Model).unwrap();
        writer.file("a.txt", b"two").unwrap();
        assert!(writer.finish().is_err());
        assert_eq!(fs::read_to_string(place.join("thesis.txt")).unwrap(), "mine");
        fs::remove_dir_all(&place).unwrap();
        write(&place, "one");
        assert_eq!(foreign(&place, Kind::Model).unwrap(), None);
        fs::write(place.join("thesis.txt"), "mine").unwrap();
        assert_eq!(foreign(&place, Kind::Model).unwrap(), Some(place.join("thesis.txt")));
    }

    #[test]
    fn what_is_no_file_is_refused_by_kind() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        write(&place, "one");
        fs::remove_file(place.join("a.txt")).unwrap();
        fs::create_dir(place.join("a.txt")).unwrap();
        assert!(refused(&place).contains("found a directory"));
        fs::remove_dir(place.join("a.txt")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/dev/zero", place.join("a.txt")).unwrap();
            assert!(refused(&place).contains("found a device"));
        }
    }

    /// One thread replaces the directory again and again while others read it: what they read is one of the
    /// states that it had, and never a mixture.
    #[test]
    fn a_directory_that_is_replaced_is_read_as_it_was_or_as_it_is() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("model");
        let replace = |number: u32| {
            let mut writer = Writer::new(&place, Kind::Model).unwrap();
            ["a", "b", "c", "d"].iter().for_each(|name| {
                let text = number.to_string().repeat(1 + number as usize % 7);
                writer.file(name, text.as_bytes()).unwrap();
            });
            writer.finish().unwrap();
        };
        replace(0);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut reads = 0;
                        while !done.load(std::sync::atomic::Ordering::Relaxed) {
                            let saved = Saved::open(&place, Kind::Model).unwrap();
                            let a = saved.bytes("a").unwrap();
                            for name in ["b", "c", "d"] {
                                assert_eq!(saved.bytes(name).unwrap(), a);
                            }
                            reads += 1;
                        }
                        reads
                    })
                })
                .collect();
            (1..200).for_each(replace);
            // The same two by turns: what is found again may be another that says the same.
            (200..400).for_each(|number| replace(number % 2));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            let reads: u32 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            assert!(reads > 100, "{reads}");
        });
    }
}
