//! A saved directory that is being written.
use super::{FileEntry, Kind, MANIFEST, Manifest, foreign, hex, set_aside};
use crate::error::{Error, Result};
use dlrm_data::durable::{aside, exchange, remove_directory, sync_directory};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are written and hashed at a time; between them the wish to stop is looked at.
const PIECE: usize = 4 << 20;

/// Whether writing is to be given up.
type Stop<'a> = Option<&'a mut dyn FnMut() -> bool>;

/// A directory being written beside its final place.
pub struct Writer<'a> {
    aside: PathBuf,
    place: PathBuf,
    manifest: Manifest,
    stop: Stop<'a>,
}

impl<'a> Writer<'a> {
    /// Starts writing what will become `place`; leftovers of an interrupted attempt are removed.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(place: &Path, kind: Kind) -> Result<Self> {
        let aside = aside(place, "partial");
        remove_directory(&aside)?;
        fs::create_dir_all(&aside).map_err(Error::io("create", &aside))?;
        Ok(Writer { aside, place: place.to_owned(), manifest: Manifest::new(kind), stop: None })
    }

    /// As [`Writer::new`]; [`Error::Interrupted`] comes of what is written after `stop` says so.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub(crate) fn until(place: &Path, kind: Kind, stop: &'a mut dyn FnMut() -> bool) -> Result<Self> {
        let mut writer = Writer::new(place, kind)?;
        writer.stop = Some(stop);
        Ok(writer)
    }

    /// Adds a file with these contents.
    ///
    /// # Errors
    /// If it cannot be written, say for want of space.
    pub fn file(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.file_with(name, |out| out.write_all(contents))
    }

    /// Adds a file of what `write` writes.
    ///
    /// # Errors
    /// What `write` returns, or if the file cannot be synced.
    pub(crate) fn file_with(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Output<'_, '_>) -> io::Result<()>,
    ) -> Result<()> {
        let path = self.aside.join(name);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let stop = self.stop.as_deref_mut();
        let mut out = Output { file, hash: Xxh3::new(), bytes: 0, stop, stopped: false };
        let written = write(&mut out).and_then(|()| out.file.sync_all());
        if out.stopped {
            return Err(stopped());
        }
        written.map_err(Error::io("write", &path))?;
        self.manifest.files.insert(name.to_owned(), FileEntry { bytes: out.bytes, xxh3: hex(&out.hash) });
        Ok(())
    }

    /// Puts the finished directory in its place, replacing an older one.
    ///
    /// # Errors
    /// If a file cannot be written or renamed, or what stands in the place of a model is not ours; it is then
    /// still there.
    pub fn finish(mut self) -> Result<()> {
        let text = self.manifest.to_text();
        self.file(MANIFEST, text.as_bytes())?;
        sync_directory(&self.aside)?;
        if self.place.exists() {
            // Checkpoints stand in a directory that was looked at as a whole.
            let foreign = match self.manifest.kind {
                Kind::Checkpoint => None,
                kind => foreign(&self.place, kind)?,
            };
            if let Some(foreign) = foreign {
                return Err(not_ours(&foreign));
            }
            // Now the older one stands aside; it is removed with this.
            exchange(&self.aside, &self.place, &set_aside(&self.place))?;
        } else {
            fs::rename(&self.aside, &self.place).map_err(Error::io("rename", &self.aside))?;
        }
        Ok(sync_directory(self.place.parent().unwrap_or(Path::new(".")))?)
    }
}

/// The error of something in the way that dlrm did not write.
pub(crate) fn not_ours(found: &Path) -> Error {
    let found = format!("{}, which dlrm did not write", found.display());
    let error = Error::config("output directory", "nothing in it that would be lost", found);
    error.with_hint("move it away, or give another run.out")
}

fn stopped() -> Error {
    Error::Interrupted { step: 0, checkpoint: None }
}

impl Drop for Writer<'_> {
    /// Clears up after an attempt that failed, and what was replaced by one that did not.
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next attempt clears up too.
        let _ = fs::remove_dir_all(&self.aside);
    }
}

/// A file being written, with what its manifest will say of it.
pub(crate) struct Output<'w, 'a> {
    file: File,
    hash: Xxh3,
    bytes: u64,
    stop: Option<&'w mut (dyn FnMut() -> bool + 'a)>,
    stopped: bool,
}

impl Write for Output<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.as_mut().is_some_and(|stop| stop()) {
            self.stopped = true;
            return Err(io::Error::other("told to stop"));
        }
        let written = self.file.write(&bytes[..bytes.len().min(PIECE)])?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
