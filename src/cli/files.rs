//! Single files that people name for results. What stands there is replaced only where they say so, and rows
//! that are read never.
use super::failure::{Failure, io};
use dlrm::data::durable::AsideFile;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file for results.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The flag that names it.
    pub flag: &'static str,
    /// Its path.
    pub path: &'a Path,
    /// Whether what stands there may be replaced.
    pub overwrite: bool,
}

impl Target<'_> {
    /// Refuses to replace one of the `inputs`, a directory, or anything without being asked to.
    pub(super) fn check(&self, inputs: &[PathBuf]) -> Result<(), Failure> {
        let Target { flag, path, overwrite } = *self;
        let shown = path.display();
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io("write", path)(error)),
            Ok(found) if found.is_dir() => return Err(io("write", path)(ErrorKind::IsADirectory.into())),
            // A terminal, a pipe or the like holds nothing.
            Ok(found) if !found.is_file() => return Ok(()),
            Ok(_) => {}
        }
        let place = fs::canonicalize(path).ok();
        if inputs.iter().any(|input| fs::canonicalize(input).ok() == place) {
            let message = format!("{flag}: expected another file than those that are read, found {shown}");
            return Err(Failure::usage(message, "name a new file"));
        }
        if overwrite {
            return Ok(());
        }
        let message = format!("{flag}: expected a new file, found {shown}");
        Err(Failure::usage(message, "--overwrite to replace it, or name another file"))
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, contents: &[u8]) -> Result<(), Failure> {
        self.check(&[])?;
        let mut file = AsideFile::create(self.path)?;
        file.write_all(contents).map_err(io("write", self.path))?;
        Ok(file.put()?)
    }
}
