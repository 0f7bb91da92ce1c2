//! Directories on disk that are whole or absent: written aside, checksummed, synced and renamed.
//!
//! `manifest.json` names the kind and version of the directory and every file's length and xxh3 checksum.
use crate::error::{Error, Result};
use dlrm_data::Hint;
use dlrm_data::durable::{remove_directory, sync, sync_directory, write_atomically};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Version of the layout of saved directories; a program refuses newer ones.
pub const FORMAT_VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";

/// What a saved directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A finished model.
    Model,
    /// The state of an unfinished training run.
    Checkpoint,
}

/// Contents of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What the directory holds.
    pub kind: Kind,
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of dlrm that wrote it.
    pub dlrm_version: String,
    /// Files by name.
    pub files: BTreeMap<String, FileEntry>,
}

impl Manifest {
    /// What tells a saved directory from all others: a hash of the names and checksums of its files.
    pub fn id(&self) -> String {
        let mut hash = Xxh3::new();
        for (name, file) in &self.files {
            hash.update(format!("{name} {} {}\n", file.bytes, file.xxh3).as_bytes());
        }
        format!("{:032x}", hash.digest128())
    }
}

/// Length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// xxh3 (128 bits), hexadecimal.
    pub xxh3: String,
}

/// A directory being written beside its final place.
pub struct Writer {
    aside: PathBuf,
    place: PathBuf,
    manifest: Manifest,
}

impl Writer {
    /// Starts writing what will become `place`; leftovers of an interrupted attempt are removed.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(place: &Path, kind: Kind) -> Result<Self> {
        let aside = sibling(place, "partial");
        remove_directory(&aside)?;
        fs::create_dir_all(&aside).map_err(Error::io("create", &aside))?;
        let manifest = Manifest {
            kind,
            format_version: FORMAT_VERSION,
            dlrm_version: env!("CARGO_PKG_VERSION").to_owned(),
            files: BTreeMap::new(),
        };
        Ok(Writer { aside, place: place.to_owned(), manifest })
    }

    /// Adds a file with these contents.
    ///
    /// # Errors
    /// If it cannot be written, say for want of space.
    pub fn file(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.file_with(name, |path| {
            let mut file = File::create(path).map_err(Error::io("create", path))?;
            file.write_all(contents).map_err(Error::io("write", path))
        })
    }

    /// Adds a file that `write` makes at the given path.
    ///
    /// # Errors
    /// What `write` returns, or if the file cannot be read back and synced.
    pub fn file_with(&mut self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let path = self.aside.join(name);
        write(&path)?;
        sync(&path)?;
        self.manifest.files.insert(name.to_owned(), entry(&path)?);
        Ok(())
    }

    /// Puts the finished directory in its place, replacing an older one.
    ///
    /// # Errors
    /// If a file cannot be written or renamed; the older directory is then still there.
    pub fn finish(self) -> Result<()> {
        let path = self.aside.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&self.manifest).expect("a manifest is plain data");
        fs::write(&path, text).map_err(Error::io("write", &path))?;
        sync(&path)?;
        sync_directory(&self.aside)?;
        let old = sibling(&self.place, "old");
        remove_directory(&old)?;
        if self.place.exists() {
            fs::rename(&self.place, &old).map_err(Error::io("rename", &self.place))?;
        }
        fs::rename(&self.aside, &self.place).map_err(Error::io("rename", &self.aside))?;
        if let Some(parent) = self.place.parent() {
            sync_directory(parent)?;
        }
        Ok(remove_directory(&old)?)
    }
}

impl Drop for Writer {
    /// Clears up after an attempt that failed; a directory that was put in place is no longer aside.
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next attempt clears up too.
        let _ = fs::remove_dir_all(&self.aside);
    }
}

/// Reads the manifest of `dir` and checks every file against it.
///
/// # Errors
/// A missing, truncated, altered or newer directory, saying which file and what is wrong.
pub fn verify(dir: &Path, kind: Kind) -> Result<Manifest> {
    let manifest = manifest(dir, kind)?;
    for (file, expected) in &manifest.files {
        verify_file(dir, file, expected)?;
    }
    Ok(manifest)
}

/// The manifest of a directory of this kind.
fn manifest(dir: &Path, kind: Kind) -> Result<Manifest> {
    let path = dir.join(MANIFEST);
    if !path.exists() {
        return Err(no_manifest(dir, kind));
    }
    let text = read(&path)?;
    let version = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|v| v.get("format_version")?.as_u64());
    if let Some(newer) = version.filter(|&v| v > u64::from(FORMAT_VERSION)) {
        let problem = format!("expected format version {FORMAT_VERSION} or older, found {newer}");
        return Err(Error::saved(path, problem).with_hint("it was written by a newer dlrm: update this one"));
    }
    let manifest: Manifest = parse(&path, &text)?;
    if manifest.kind != kind {
        return Err(Error::saved(
            path,
            format!("expected a {}, found a {}", name(kind), name(manifest.kind)),
        ));
    }
    Ok(manifest)
}

fn no_manifest(dir: &Path, kind: Kind) -> Error {
    let interrupted = sibling(dir, "old");
    let hint = if interrupted.exists() {
        let (from, to) = (interrupted.display(), dir.display());
        Hint::from(format!("an update was interrupted: rename {from} to {to} to go back to the older one"))
    } else {
        written_by_training()
    };
    Error::saved(dir, format!("expected a saved {} with {MANIFEST}, found none", name(kind))).with_hint(hint)
}

/// Where the directory of a model comes from.
pub(crate) fn written_by_training() -> Hint {
    Hint::from("give the directory that `dlrm train ").name("run.out").say("` wrote")
}

fn verify_file(dir: &Path, file: &str, expected: &FileEntry) -> Result<()> {
    if file.contains(['/', '\\']) || file == ".." {
        let problem = format!("expected plain file names, found {}", dlrm_data::error::quoted(file));
        return Err(Error::saved(dir.join(MANIFEST), problem));
    }
    let path = dir.join(file);
    let found = entry(&path)?;
    if found.bytes != expected.bytes {
        let problem = format!("expected {} bytes, found {}", expected.bytes, found.bytes);
        return Err(Error::saved(path, problem)
            .with_hint("the file was cut or changed: restore it from a copy, or train again"));
    }
    if found.xxh3 != expected.xxh3 {
        let problem = format!("expected checksum {}, found {}", expected.xxh3, found.xxh3);
        return Err(Error::saved(path, problem)
            .with_hint("the file was changed or damaged: restore it from a copy, or train again"));
    }
    Ok(())
}

/// Writes a value beside a model, whole or not at all.
///
/// # Errors
/// If the file system refuses.
pub(crate) fn write_beside<T: serde::Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("what stands beside a model is plain data");
    Ok(write_atomically(path, text.as_bytes())?)
}

/// Reads what [`write_beside`] has written, `what`; `None` where there is none.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(crate) fn read_beside<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<Option<T>> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
        Ok(text) => {
            let problem = |e| Error::saved(path, format!("expected {what}: {e}"));
            serde_json::from_str(&text).map(Some).map_err(problem)
        }
    }
}

/// Reads and parses a JSON file of a saved directory.
///
/// # Errors
/// If it cannot be read or is not what it should be.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, &read(path)?)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
        .map_err(|e| Error::saved(path, format!("expected valid contents, found: {e}")))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("read", path))
}

fn entry(path: &Path) -> Result<FileEntry> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; 1 << 20]);
    loop {
        let n = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok(FileEntry { bytes, xxh3: format!("{:032x}", hash.digest128()) });
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "model",
        Kind::Checkpoint => "checkpoint",
    }
}

/// `.name.suffix` beside `place`.
fn sibling(place: &Path, suffix: &str) -> PathBuf {
    let own = place.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    place.with_file_name(format!(".{own}.{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(place: &Path, text: &str) {
        let mut writer = Writer::new(place, Kind::Model).unwrap();
        writer.file("a.txt", text.as_bytes()).unwrap();
        writer.finish().unwrap();
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
        assert!(verify(&place, Kind::Model).unwrap_err().to_string().contains("checksum"));
        fs::write(place.join("a.txt"), "tw").unwrap();
        assert!(verify(&place, Kind::Model).unwrap_err().to_string().contains("expected 3 bytes, found 2"));
        fs::remove_file(place.join("a.txt")).unwrap();
        assert!(verify(&place, Kind::Model).unwrap_err().to_string().contains("a.txt"));
        fs::write(place.join(MANIFEST), r#"{"format_version": 99, "anything": true}"#).unwrap();
        assert!(verify(&place, Kind::Model).unwrap_err().to_string().contains("found 99"));
        fs::write(place.join(MANIFEST), "{").unwrap();
        assert!(verify(&place, Kind::Model).is_err());
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
}
