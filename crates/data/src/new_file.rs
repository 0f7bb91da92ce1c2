//! A file of results, under a name that somebody chose: what stands there already is kept unless it may be
//! replaced, and is there until the new file is whole.
use crate::durable::AsideFile;
use crate::error::{Error, Hint, Result};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is kept, and the new one refused.
    Keep,
    /// It is replaced at the end.
    Replace,
}

/// A file being written; dropped before [`NewFile::finish`], nothing is left of it.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    existing: Existing,
    file: AsideFile,
}

impl NewFile {
    /// Begins the file `path`.
    ///
    /// # Errors
    /// If there is one that is to be kept, or a directory; if another process writes it; if the file system
    /// refuses.
    pub fn create(path: &Path, existing: Existing) -> Result<Self> {
        check(path, existing)?;
        Ok(NewFile { path: path.to_owned(), existing, file: AsideFile::create(path)? })
    }

    /// The file that is not whole yet.
    pub fn aside(&self) -> Option<&Path> {
        self.file.aside()
    }

    /// The error of a failing write.
    pub fn failed(&self) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io("write", &self.path)
    }

    /// Waits until it is on the disk and gives it its name.
    ///
    /// # Errors
    /// If the file system refuses, or a file that is to be kept has come there since; nothing of this one is
    /// left then.
    pub fn finish(self) -> Result<()> {
        check(&self.path, self.existing)?;
        self.file.put()
    }
}

/// Refuses a name that is taken.
fn check(path: &Path, existing: Existing) -> Result<()> {
    let what = || path.display().to_string();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(Error::input(what(), "the name of a file", "a directory").with_hint("name a file in it"))
        }
        Ok(found) if found.is_file() && existing == Existing::Keep => {
            let hint = Hint::from("replace it with ").set("run.overwrite", "true");
            Err(Error::input(what(), "no file yet", "one").with_hint(hint.say(", or name another one")))
        }
        _ => Ok(()),
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores.csv");
        let mut file = NewFile::create(&path, Existing::Keep).unwrap();
        file.write_all(b"half").unwrap();
        let second = NewFile::create(&path, Existing::Replace).unwrap_err();
        assert!(second.to_string().contains("no other process writes"), "{second}");
        assert_eq!(names(dir.path()), [".scores.csv.partial"]);
        drop(file);
        assert!(names(dir.path()).is_empty(), "nothing is left");

        fs::write(dir.path().join(".scores.csv.partial"), "of a process that was killed").unwrap();
        let mut file = NewFile::create(&path, Existing::Keep).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(dir.path()).len()), (b"whole".to_vec(), 1));

        let error = NewFile::create(&path, Existing::Keep).unwrap_err();
        assert!(error.hint().unwrap().to_string().contains("overwrite"), "{error}");
        let file = NewFile::create(&path, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole", "until the other one is");
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert!(NewFile::create(dir.path(), Existing::Replace).is_err(), "a directory");
    }

    #[test]
    fn what_has_come_meanwhile_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scores.csv");
        let file = NewFile::create(&path, Existing::Keep).unwrap();
        fs::write(&path, "of somebody else").unwrap();
        assert!(file.finish().is_err());
        assert_eq!(fs::read(&path).unwrap(), b"of somebody else");
        assert_eq!(names(dir.path()), ["scores.csv"]);
    }
}
