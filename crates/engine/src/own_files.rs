//! Which files of an output directory are ours: those that a list in it names, with the checksums that they
//! were written with. Nothing else is ever replaced or removed.
//!
//! The list is written before the file, and holds what stood there before as well, so that a file is known
//! whenever the program ends.
use crate::error::{Error, Result};
use crate::saved::{FileEntry, not_ours};
use dlrm_data::durable::write_atomically;
use dlrm_data::sealed::{self, Seal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file of the list.
pub const LIST: &str = ".dlrm-files";

/// The contents of the list.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// What each file may hold.
    files: BTreeMap<String, Vec<FileEntry>>,
    #[serde(default, skip_serializing)]
    checksum: Option<String>,
}

/// The files of a directory that dlrm has written.
#[derive(Debug, Clone)]
pub struct OwnFiles {
    dir: PathBuf,
    /// What they may hold, by name.
    listed: BTreeMap<String, Vec<FileEntry>>,
    /// Whether they may be replaced where people have changed them.
    replace: bool,
}

impl OwnFiles {
    /// Of the directory `dir`, which need not exist; with `replace` they may be replaced where people have
    /// changed them too.
    ///
    /// # Errors
    /// If the list cannot be read or is damaged.
    pub fn open(dir: &Path, replace: bool) -> Result<Self> {
        let path = dir.join(LIST);
        let listed = match fs::read(&path) {
            Ok(line) => {
                let whole = sealed::check(&line) == Seal::Whole;
                let list = serde_json::from_slice::<List>(&line)
                    .ok()
                    .filter(|list| whole && list.checksum.is_some());
                list.map(|list| list.files).ok_or_else(|| {
                    let error = Error::saved(
                        &path,
                        "expected the list of files that dlrm wrote, found a damaged one",
                    );
                    error.with_hint("give another run.out, or move this directory away")
                })?
            }
            Err(error) if missing(&error) => BTreeMap::new(),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        Ok(OwnFiles { dir: dir.to_owned(), listed, replace })
    }

    /// Whether the directory has a list.
    pub(crate) fn has_list(dir: &Path) -> bool {
        dir.join(LIST).exists()
    }

    /// Takes the files of these names for ours, whatever they hold: those of a directory that an earlier
    /// version has written.
    ///
    /// # Errors
    /// If one cannot be read.
    pub(crate) fn adopt(&mut self, names: &[&str]) -> Result<()> {
        for &name in names {
            if let Some(entry) = self.found(name)? {
                self.listed.insert(name.to_owned(), vec![entry]);
            }
        }
        Ok(())
    }

    /// Writes the list where there is none, so that from now on what is not in it is not ours: until then the
    /// directory might be that of an earlier version, which wrote none.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn begin(&self) -> Result<()> {
        if Self::has_list(&self.dir) { Ok(()) } else { self.save() }
    }

    /// Refuses to replace files of these names that are not ours, or have been changed.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self, names: &[&str]) -> Result<()> {
        names.iter().try_for_each(|name| self.check_one(name))
    }

    fn check_one(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if missing(&error) => return Ok(()),
            Err(error) => return Err(Error::io("open", &path)(error)),
            Ok(found) if !found.is_file() => return Err(not_ours(&path)),
            Ok(_) => {}
        }
        let Some(listed) = self.listed.get(name) else { return Err(not_ours(&path)) };
        if self.replace || self.found(name)?.is_some_and(|found| listed.contains(&found)) {
            return Ok(());
        }
        let found = format!("{}, which was changed since dlrm wrote it", path.display());
        let error = Error::config("output directory", "nothing in it that would be lost", found);
        Err(error.with_hint("run.overwrite to replace it, or another run.out"))
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// As [`OwnFiles::check`], or if the file system refuses.
    pub fn write(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.check_one(name)?;
        let mut entries: Vec<FileEntry> = self.found(name)?.into_iter().collect();
        entries.push(FileEntry::of(contents));
        self.listed.insert(name.to_owned(), entries);
        self.save()?;
        Ok(write_atomically(&self.dir.join(name), contents)?)
    }

    /// Removes a file if it is there and ours.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        if !self.listed.contains_key(name) || self.check_one(name).is_err() {
            return Ok(());
        }
        match fs::remove_file(&path) {
            Err(error) if !missing(&error) => return Err(Error::io("remove", &path)(error)),
            _ => {}
        }
        self.listed.remove(name);
        self.save()
    }

    fn save(&self) -> Result<()> {
        let list = List { files: self.listed.clone(), checksum: None };
        let text = serde_json::to_string_pretty(&list).expect("a list is plain data");
        Ok(write_atomically(&self.dir.join(LIST), sealed::seal(&text).as_bytes())?)
    }

    /// What a file holds now.
    fn found(&self, name: &str) -> Result<Option<FileEntry>> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(contents) => Ok(Some(FileEntry::of(&contents))),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Whether a file still holds what dlrm wrote; none if it is not listed.
    fn is_unchanged(&self, name: &str, contents: &[u8]) -> Option<bool> {
        self.listed.get(name).map(|entries| entries.contains(&FileEntry::of(contents)))
    }
}

/// Reads the file `name` of the directory `dir`, `what`, as dlrm wrote it; none where there is none.
///
/// # Errors
/// If it cannot be read, or is not what was written. Files that no list names, of earlier versions, are only
/// parsed.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    dir: &Path,
    name: &str,
    what: &str,
) -> Result<Option<T>> {
    let path = dir.join(name);
    let contents = match fs::read(&path) {
        Err(error) if missing(&error) => return Ok(None),
        other => other.map_err(Error::io("read", &path))?,
    };
    if OwnFiles::open(dir, false)?.is_unchanged(name, &contents) == Some(false) {
        let error = Error::saved(&path, format!("expected {what} as dlrm wrote it, found other contents"));
        return Err(error.with_hint("the file was changed or damaged: restore or remove it"));
    }
    let problem = |e| Error::saved(&path, format!("expected {what}: {e}"));
    serde_json::from_slice(&contents).map(Some).map_err(problem)
}

/// Whether the file `path` has been changed since dlrm wrote it, by all that the list beside it tells.
pub fn was_changed(path: &Path) -> bool {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return false;
    };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let (Ok(files), Ok(contents)) = (OwnFiles::open(dir, false), fs::read(path)) else { return false };
    files.is_unchanged(name, &contents) == Some(false)
}

fn missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn what_is_not_ours_stays_and_what_is_ours_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let (own, theirs) = (dir.path().join("report.json"), dir.path().join("schema.toml"));
        fs::write(&theirs, "mine").expect("written");
        let open = |replace| OwnFiles::open(dir.path(), replace).expect("a list");
        let mut files = open(false);
        files.write("report.json", b"1").expect("new");
        files.write("report.json", b"2").expect("ours");
        for replace in [false, true] {
            let error = open(replace).write("schema.toml", b"ours").expect_err("not ours");
            assert!(error.to_string().contains("schema.toml, which dlrm did not write"), "{error}");
            open(replace).remove("schema.toml").expect("left alone");
        }
        assert_eq!((read(&own), read(&theirs)), ("2".into(), "mine".into()));
        // What people have changed is replaced only where they say so.
        fs::write(&own, "2, edited").expect("written");
        let error = open(false).write("report.json", b"3").expect_err("changed");
        assert!(error.to_string().contains("changed since"), "{error}");
        open(true).write("report.json", b"3").expect("replaced");
        assert_eq!(read(&own), "3");
        open(false).remove("report.json").expect("removed");
        assert!(!own.exists());
    }

    #[test]
    fn an_interruption_between_the_list_and_the_file_leaves_it_ours() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || OwnFiles::open(dir.path(), false).expect("a list");
        open().write("a.json", b"1").expect("new");
        let before = fs::read(dir.path().join("a.json")).expect("a file");
        open().write("a.json", b"2").expect("ours");
        fs::write(dir.path().join("a.json"), before).expect("as if it had not been renamed");
        open().write("a.json", b"3").expect("still ours");
        fs::write(dir.path().join(LIST), "damaged\n").expect("written");
        assert!(OwnFiles::open(dir.path(), false).is_err());
    }

    #[test]
    fn what_is_read_back_is_what_was_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let read = || read_json::<Vec<u64>>(dir.path(), "a.json", "numbers");
        assert_eq!(read().expect("none"), None);
        fs::write(dir.path().join("a.json"), "[1]").expect("of an earlier version");
        assert_eq!(read().expect("parsed"), Some(vec![1]));
        fs::remove_file(dir.path().join("a.json")).expect("removed");
        OwnFiles::open(dir.path(), false).and_then(|mut f| f.write("a.json", b"[2]")).expect("written");
        assert_eq!(read().expect("as written"), Some(vec![2]));
        fs::write(dir.path().join("a.json"), "[3]").expect("one flipped bit");
        assert!(read().is_err() && was_changed(&dir.path().join("a.json")));
    }
}
