//! A saved directory that is being read.
use super::{FileEntry, Kind, LONGEST_MANIFEST, MANIFEST, Manifest, damaged, hex, parse, set_aside};
use crate::error::{Error, Result};
use crate::tensors::{self, Described, Notes, TensorMut};
use dlrm_data::Hint;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use xxhash_rust::xxh3::Xxh3;

/// Attempts to open a directory that is replaced meanwhile, and what lies between them.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes that are read and hashed at a time.
const PIECE: usize = 1 << 20;

/// A saved directory whose files are open: whatever becomes of their names, they stay those of its manifest.
pub(crate) struct Saved {
    dir: PathBuf,
    manifest: Manifest,
    files: BTreeMap<String, File>,
    /// Files whose contents have been checked.
    checked: RefCell<BTreeSet<String>>,
}

impl Saved {
    /// Opens the manifest of `dir` and all files that it names.
    ///
    /// # Errors
    /// A missing, newer or other directory, a missing file or one of another length, saying which and what is
    /// wrong. Contents are checked when they are read.
    pub(crate) fn open(dir: &Path, kind: Kind) -> Result<Self> {
        for attempt in 0.. {
            let written = manifest_written(dir);
            let found = read_manifest(dir, kind);
            // Some systems cannot replace a directory at once; on others the one before, which this may have
            // been on the way into, is emptied when the new one is there.
            let replaced = || (set_aside(dir).exists() && !dir.exists()) || read_manifest(dir, kind).is_ok();
            if found.is_err() && attempt < ATTEMPTS && replaced() {
                std::thread::sleep(PAUSE);
                continue;
            }
            let text = found?;
            let opened = Manifest::parse(&dir.join(MANIFEST), &text, kind)
                .and_then(|manifest| Saved::of(dir.to_owned(), manifest));
            // Another that says the same may have come after one that does not.
            if read_manifest(dir, kind).is_ok_and(|now| now == text) && manifest_written(dir) == written {
                return opened;
            }
            if attempt >= ATTEMPTS {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        let problem =
            format!("expected a {} that stays, found one that is replaced again and again", kind.name());
        Err(Error::saved(dir, problem).with_hint("try again when the run that writes it is done"))
    }

    fn of(dir: PathBuf, manifest: Manifest) -> Result<Self> {
        let mut files = BTreeMap::new();
        for (name, expected) in &manifest.files {
            let path = dir.join(name);
            let (file, bytes) = regular(&path)?;
            if bytes != expected.bytes {
                let problem = format!("expected {} bytes, found {bytes}", expected.bytes);
                return Err(Error::saved(path, problem)
                    .with_hint("the file was cut or changed: restore it from a copy, or train again"));
            }
            files.insert(name.clone(), file);
        }
        Ok(Saved { dir, manifest, files, checked: RefCell::default() })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// The place of a file, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The contents of a file, checked.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or is not what was written.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let mut contents = self.contents(name)?;
        let mut bytes = Vec::with_capacity(contents.left as usize);
        contents.read_to_end(&mut bytes).map_err(Error::io("read", &self.path(name)))?;
        self.check(name, contents)?;
        Ok(bytes)
    }

    /// The contents of a file of text, checked.
    ///
    /// # Errors
    /// As [`Saved::bytes`], or if they are no text.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        String::from_utf8(self.bytes(name)?)
            .map_err(|e| Error::saved(self.path(name), format!("expected UTF-8, found {e}")))
    }

    /// The contents of a JSON file, checked.
    ///
    /// # Errors
    /// As [`Saved::bytes`], or if they are something else.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        parse(&self.path(name), &self.bytes(name)?)
    }

    /// Fills `tensors` from a file that must hold exactly these names and shapes, checked; its notes.
    ///
    /// # Errors
    /// As [`Saved::bytes`], or if it holds others.
    pub(crate) fn tensors(&self, name: &str, tensors: &mut [TensorMut<'_>]) -> Result<Notes> {
        let mut contents = self.contents(name)?;
        let length = contents.left;
        let read = tensors::read(&mut contents, length, &self.path(name), tensors);
        // That a file is damaged says more than what came of it.
        self.check(name, contents)?;
        read
    }

    /// As [`Saved::tensors`], of tensors whose bytes `take` reads when their turn comes.
    ///
    /// # Errors
    /// As [`Saved::tensors`], or what `take` refuses.
    pub(crate) fn described(
        &self,
        name: &str,
        tensors: &[Described],
        take: &mut dyn FnMut(usize, &mut dyn Read) -> Result<()>,
    ) -> Result<Notes> {
        let mut contents = self.contents(name)?;
        let length = contents.left;
        let read = tensors::read_described(&mut contents, (length, &self.path(name)), tensors, take);
        self.check(name, contents)?;
        read
    }

    /// What a file of tensors says that it holds, before anything else of it is read.
    ///
    /// # Errors
    /// If it says nothing of the kind.
    pub(crate) fn tensor_header(&self, name: &str) -> Result<tensors::Header> {
        let mut contents = self.contents(name)?;
        let length = contents.left;
        tensors::header(&mut contents, length, &self.path(name))
    }

    /// Checks the files that have not been read.
    ///
    /// # Errors
    /// If one is not what was written.
    pub(crate) fn check_rest(&self) -> Result<()> {
        for name in self.files.keys() {
            if !self.checked.borrow().contains(name) {
                self.check(name, self.contents(name)?)?;
            }
        }
        Ok(())
    }

    fn contents(&self, name: &str) -> Result<Contents<'_>> {
        let (Some(mut file), Some(entry)) = (self.files.get(name), self.manifest.files.get(name)) else {
            let problem = format!("expected a file {name} in the manifest, found none");
            return Err(Error::saved(&self.dir, problem));
        };
        file.rewind().map_err(Error::io("read", &self.path(name)))?;
        Ok(Contents { file, hash: Xxh3::new(), left: entry.bytes })
    }

    /// Reads what is left of a file and compares its checksum.
    fn check(&self, name: &str, mut contents: Contents<'_>) -> Result<()> {
        let path = self.path(name);
        io::copy(&mut contents, &mut io::sink()).map_err(Error::io("read", &path))?;
        let FileEntry { bytes, xxh3 } = &self.manifest.files[name];
        if contents.left > 0 {
            let found = bytes - contents.left;
            return Err(damaged(&path, format!("expected {bytes} bytes, found {found}")));
        }
        let found = hex(&contents.hash);
        if found != *xxh3 {
            return Err(damaged(&path, format!("expected checksum {xxh3}, found {found}")));
        }
        self.checked.borrow_mut().insert(name.to_owned());
        Ok(())
    }
}

/// A file that is hashed as it is read.
struct Contents<'a> {
    file: &'a File,
    hash: Xxh3,
    /// Bytes of it that have not been read.
    left: u64,
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(PIECE).min(usize::try_from(self.left).unwrap_or(PIECE));
        let read = self.file.read(&mut buffer[..most])?;
        self.hash.update(&buffer[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

/// When the manifest of `dir` was written, as far as the system tells.
fn manifest_written(dir: &Path) -> Option<SystemTime> {
    fs::metadata(dir.join(MANIFEST)).and_then(|found| found.modified()).ok()
}

/// Reads the manifest of `dir` and checks every file against it.
///
/// # Errors
/// A missing, truncated, altered or newer directory, saying which file and what is wrong.
pub fn verify(dir: &Path, kind: Kind) -> Result<Manifest> {
    let saved = Saved::open(dir, kind)?;
    saved.check_rest()?;
    Ok(saved.manifest)
}

/// The text of the manifest.
fn read_manifest(dir: &Path, kind: Kind) -> Result<Vec<u8>> {
    let path = dir.join(MANIFEST);
    if !path.exists() {
        return Err(no_manifest(dir, kind));
    }
    let (file, bytes) = regular(&path)?;
    if bytes > LONGEST_MANIFEST {
        return Err(Error::saved(path, format!("expected a manifest, found {bytes} bytes")));
    }
    let mut text = Vec::new();
    file.take(LONGEST_MANIFEST).read_to_end(&mut text).map_err(Error::io("read", &path))?;
    Ok(text)
}

fn no_manifest(dir: &Path, kind: Kind) -> Error {
    // Of a run directory it is the model that was set aside.
    let [own, inner] = [set_aside(dir), set_aside(&dir.join("model"))];
    let interrupted = [(own, dir.to_owned()), (inner, dir.join("model"))];
    let hint = match interrupted.into_iter().find(|(old, _)| old.exists()) {
        Some((from, to)) => {
            let (from, to) = (from.display(), to.display());
            Hint::from(format!(
                "an update was interrupted: rename {from} to {to} to go back to the older one"
            ))
        }
        None => super::written_by_training(),
    };
    Error::saved(dir, format!("expected a saved {} with {MANIFEST}, found none", kind.name())).with_hint(hint)
}

/// Opens a regular file, which nothing else can be: a pipe would wait for ever, a device never end. Its
/// length beside it.
fn regular(path: &Path) -> Result<(File, u64)> {
    let expected = |found: &str| damaged(path, format!("expected a file, found {found}"));
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(found) => return Err(expected(kind_of(&found))),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(expected("none")),
        Err(error) => return Err(Error::io("open", path)(error)),
    }
    let file = File::open(path).map_err(Error::io("open", path))?;
    let bytes = file.metadata().map_err(Error::io("read", path))?.len();
    Ok((file, bytes))
}

/// What something is that is no regular file.
pub(crate) fn kind_of(found: &fs::Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_fifo() {
            return "a named pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if found.is_dir() { "a directory" } else { "something else" }
}
