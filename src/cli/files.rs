//! Single files that people name for results. What stands there is replaced only where they say so, and rows
//! that are read never.
use super::failure::{self, Failure};
use super::output;
use super::session::Session;
use dlrm::data::durable::AsideFile;
use std::fs;
use std::io::{self, ErrorKind, Write};
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

impl<'a> Target<'a> {
    /// Refuses to replace one of the `inputs`, a directory, or anything without being asked to.
    pub(super) fn check(&self, inputs: &[PathBuf]) -> Result<(), Failure> {
        let Target { flag, path, overwrite } = *self;
        let shown = path.display();
        match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failure::io("write", path)(error)),
            Ok(found) if found.is_dir() => {
                return Err(failure::io("write", path)(ErrorKind::IsADirectory.into()));
            }
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

    /// Begins it, to be written in pieces; an interruption leaves nothing of it.
    pub(super) fn begin(&self, session: &Session, inputs: &[PathBuf]) -> Result<Begun<'a>, Failure> {
        self.check(inputs)?;
        let file = AsideFile::create(self.path)?;
        file.aside().into_iter().for_each(|aside| session.remove_at_signal(aside));
        Ok(Begun { target: *self, file })
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, session: &Session, contents: &[u8]) -> Result<(), Failure> {
        self.begin(session, &[])?.save(contents)
    }
}

/// Gives an answer that is whole to the file that was begun for it, or else to standard output.
pub(super) fn answer(file: Option<Begun<'_>>, text: &str) -> Result<(), Failure> {
    match file {
        Some(file) => file.save(text.as_bytes()),
        None => output::print(text),
    }
}

/// A file for results that is being written; nothing is left of it unless it is finished.
pub(super) struct Begun<'a> {
    target: Target<'a>,
    file: AsideFile,
}

impl Begun<'_> {
    /// Writes all of it and puts it in its place.
    pub(super) fn save(mut self, contents: &[u8]) -> Result<(), Failure> {
        self.file.write_all(contents).map_err(failure::io("write", self.target.path))?;
        self.finish()
    }

    /// Puts it in its place, unless something has come there since that is not to be replaced.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.target.check(&[])?;
        Ok(self.file.put()?)
    }
}

impl Write for Begun<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
