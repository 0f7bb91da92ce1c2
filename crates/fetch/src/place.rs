//! A data set's directory is whole or absent. What is not whole yet lies beside it, in `DIR.partial`, and
//! stays there to be resumed; the last step is a rename. `SOURCE.json` says what the directory holds,
//! down to the checksum of each file, so that a torn or foreign file has a name.
use crate::catalogue::DataSet;
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::observer::Observer;
use dlrm_data::Hint;
use dlrm_data::durable::{DirLock, remove_directory, sync_directory};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Name of the [`Record`] in the directory.
pub const RECORD: &str = "SOURCE.json";
/// Name of the terms in the directory.
pub const TERMS: &str = "TERMS.txt";

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the data set.
    pub data_set: String,
    /// Its name among people.
    pub title: String,
    /// Its publisher.
    pub publisher: String,
    /// The publisher's page.
    pub page: String,
    /// Address or path that it came from.
    pub origin: String,
    /// The archive, if it came as one.
    pub archive: Option<Digests>,
    /// How it was found to be right.
    pub checked: String,
    /// Rows of its tables.
    pub rows: BTreeMap<String, u64>,
    /// Its files.
    pub files: BTreeMap<String, Digests>,
    /// Version of dlrm that wrote it.
    pub dlrm_version: String,
}

/// The data set in `directory`, every file read and compared; nothing, if the directory is empty or absent.
///
/// # Errors
/// If something else lies there, or a file is missing or changed.
pub fn whole(set: &DataSet, directory: &Path, observer: &mut dyn Observer) -> Result<Option<Record>> {
    let names = match names(directory) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if names.is_empty() {
        return Ok(None);
    }
    let path = directory.join(RECORD);
    let show = directory.display();
    if !names.iter().any(|name| name == RECORD) {
        let found = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if names.len() > 3 { ", …" } else { "" };
        let (expected, found) =
            ("an empty directory or one of `dlrm data`".to_owned(), format!("{found}{more}"));
        let hint = Hint::from("choose another with ").name("run.out").say("; if this is the data set: ");
        let hint = hint.set("fetch.from", show.to_string()).say(" ").set("run.out", "OTHER");
        return Err(Error::Taken { path: directory.to_owned(), expected, found, hint });
    }
    let text = fs::read(&path).map_err(Error::io("read", &path))?;
    let hint = format!("move {show} away and run the same command again");
    let record: Record = serde_json::from_slice(&text).map_err(|e| {
        Error::input(path.display().to_string(), "the record of a data set", e.to_string())
            .with_hint(hint.clone())
    })?;
    if record.data_set != set.name {
        let (expected, hint) = (
            format!("the data set {}", set.name),
            Hint::from("choose another directory with ").name("run.out"),
        );
        return Err(Error::Taken { path: directory.to_owned(), expected, found: record.data_set, hint });
    }
    for (name, expected) in &record.files {
        let path = directory.join(name);
        let found = match path.metadata() {
            Err(_) => "none".to_owned(),
            Ok(metadata) if metadata.len() != expected.bytes => format!("{} bytes", metadata.len()),
            Ok(_) if Digests::of(&path, observer)? != *expected => "other contents of that length".to_owned(),
            Ok(_) => continue,
        };
        let error = Error::input(
            path.display().to_string(),
            format!("the {} bytes that were unpacked", expected.bytes),
            found,
        );
        return Err(error.with_hint(hint));
    }
    Ok(Some(record))
}

/// Names in a directory, sorted.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).map_err(Error::io("list", directory))?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let mut names =
        entries.map(name).collect::<std::io::Result<Vec<_>>>().map_err(Error::io("list", directory))?;
    names.sort();
    Ok(names)
}

/// The directory beside the final one, where this process alone works.
pub struct Work {
    path: PathBuf,
    /// Held as long as this lives.
    _lock: DirLock,
}

impl Work {
    /// Takes it; what an earlier run left stays.
    ///
    /// # Errors
    /// If another process works there; as the file system.
    pub fn take(directory: &Path) -> Result<Self> {
        let mut name = directory.components().as_path().as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        match DirLock::take(&path.join("lock"))? {
            Some(lock) => Ok(Work { path, _lock: lock }),
            None => Err(Error::Taken {
                path,
                expected: "no other `dlrm data` at work here".into(),
                found: "one".into(),
                hint: Hint::from("wait for it, or choose another directory with ").name("run.out"),
            }),
        }
    }

    /// Where the archive of that name grows.
    pub fn archive(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// An empty directory for the files.
    ///
    /// # Errors
    /// If the file system refuses: the error names the file and what was attempted.
    pub fn files(&self) -> Result<PathBuf> {
        let path = self.path.join("files");
        self.clear()?;
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(path)
    }

    /// Removes the files.
    ///
    /// # Errors
    /// If the file system refuses: the error names the file and what was attempted.
    pub fn clear(&self) -> Result<()> {
        Ok(remove_directory(&self.path.join("files"))?)
    }

    /// Errors if this disk has less than `needed` bytes free.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn has_room(&self, needed: u64) -> Result<()> {
        match free(&self.path) {
            Some(free) if free < needed => Err(Error::Full { path: self.path.clone(), needed, free }),
            _ => Ok(()),
        }
    }

    /// Renames the files to `directory`, and removes the rest.
    ///
    /// # Errors
    /// If the file system refuses: the error names the file and what was attempted.
    pub fn finish(self, directory: &Path) -> Result<()> {
        let files = self.path.join("files");
        sync_directory(&files)?;
        match fs::remove_dir(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("replace", directory)(error));
            }
            _ => {}
        }
        fs::rename(&files, directory).map_err(Error::io("create", directory))?;
        sync_directory(directory.parent().unwrap_or(Path::new("")))?;
        fs::remove_dir_all(&self.path).map_err(Error::io("remove", &self.path))
    }
}

/// Bytes that are free on the disk of `path`, where the system says.
fn free(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    return Option::<u64>::None.filter(|_| path.exists());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let work = Work::take(&dir.path().join("x")).unwrap();
        work.has_room(1).unwrap();
        let error = work.has_room(u64::MAX).unwrap_err();
        assert!(
            matches!(error, Error::Full { .. }) && error.to_string().contains("free on this disk"),
            "{error}"
        );
    }

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Work::take(&dir.path().join("x/")).unwrap();
        let Err(error) = Work::take(&dir.path().join("x")) else { panic!("taken twice") };
        assert!(error.to_string().contains("no other"), "{error}");
        drop(first);
        Work::take(&dir.path().join("x")).unwrap();
    }
}
