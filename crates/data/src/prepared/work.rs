//! The directory of an unfinished preparation, where what is done lies on disk.
use super::Prepared;
use super::manifest::MANIFEST;
use super::shard::{FileSum, Summed};
use crate::durable::{DirLock, remove_directory, write_atomically};
use crate::error::{Error, Hint, Result};
use crate::split::Part;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub(super) const WORK: &str = ".work";
const KEY: &str = "key.txt";

/// Where a preparation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a directory that holds nothing, or an unfinished preparation of the same rows, which is resumed.
    Fresh,
    /// Replacing what the directory holds.
    Overwrite,
}

/// What a directory holds before a preparation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Finished,
    Unfinished,
    Others,
}

/// The directory `.work` of a data set, taken by this process.
pub(super) struct WorkDir {
    path: PathBuf,
    _lock: DirLock,
}

impl WorkDir {
    /// Readies `dir` for the preparation that `key` stands for.
    pub(super) fn begin(dir: &Path, key: &str, start: Start) -> Result<Self> {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let work = dir.join(WORK);
        let stored = fs::read_to_string(work.join(KEY)).ok();
        if stored.is_some() {
            lock(&work)?;
        }
        let found = Found::in_dir(dir, stored.as_deref())?;
        match (start, found) {
            (Start::Fresh, Found::Unfinished)
                if stored.as_deref() == Some(key) && !dir.join(MANIFEST).exists() => {}
            (Start::Overwrite, Found::Finished | Found::Unfinished) => {
                clear(dir)?;
                make(&work, key)?;
            }
            (_, Found::Nothing) => make(&work, key)?,
            _ => return Err(found.refusal(dir)),
        }
        Ok(WorkDir { _lock: lock(&work)?, path: work })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file or directory in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What an earlier attempt has left in the file `name`.
    pub(super) fn stored<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.join(name)).ok()?).ok()
    }

    /// Leaves `value` in the file `name`.
    pub(super) fn store(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_atomically(&self.join(name), &serde_json::to_vec(value).expect("plain data"))
    }

    /// What an earlier attempt has left in the file `name`, else what `make` gives, which is left there.
    pub(super) fn stored_or<T>(&self, name: &str, make: impl FnOnce() -> T) -> Result<T>
    where
        T: Serialize + for<'de> Deserialize<'de>,
    {
        if let Some(stored) = self.stored(name) {
            return Ok(stored);
        }
        let made = make();
        self.store(name, &made)?;
        Ok(made)
    }

    /// An empty directory `name` in it.
    pub(super) fn empty(&self, name: &str) -> Result<PathBuf> {
        let path = self.join(name);
        remove_directory(&path)?;
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(path)
    }

    /// Removes the files of rows that were begun at an earlier point, all but those named.
    pub(super) fn forget_begun(&self, names: &[String]) -> Result<()> {
        for entry in fs::read_dir(&self.path).map_err(Error::io("list", &self.path))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("begun-") && !names.contains(&name) {
                fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Removes it with all that it holds.
    pub(super) fn remove(self) -> Result<()> {
        remove_directory(&self.path)
    }
}

impl Found {
    /// What `dir` holds, with this key of an unfinished preparation.
    fn in_dir(dir: &Path, key: Option<&str>) -> Result<Self> {
        if Prepared::is_in(dir) {
            return Ok(Found::Finished);
        }
        if key.is_some() {
            return Ok(Found::Unfinished);
        }
        // A directory that was begun and has no key holds nothing yet.
        let mut entries = fs::read_dir(dir).map_err(Error::io("list", dir))?.flatten();
        Ok(if entries.any(|entry| entry.file_name() != WORK) { Found::Others } else { Found::Nothing })
    }

    fn refusal(self, dir: &Path) -> Error {
        let found = match self {
            Found::Nothing => "nothing",
            Found::Finished => "a finished data set",
            Found::Unfinished => "an unfinished preparation of other files or settings",
            Found::Others => "other files",
        };
        let hint = if self == Found::Others {
            Hint::from("give another directory with ").name("run.out")
        } else {
            Hint::default()
                .name("run.overwrite")
                .say(" to replace it, or ")
                .name("run.out")
                .say(" another directory")
        };
        let what = format!("output directory {}", dir.display());
        Error::input(what, "a new or empty directory", found).with_hint(hint)
    }
}

/// Makes `work` anew, with nothing but the key in it.
fn make(work: &Path, key: &str) -> Result<()> {
    remove_directory(work)?;
    fs::create_dir_all(work).map_err(Error::io("create", work))?;
    write_atomically(&work.join(KEY), key.as_bytes())
}

/// Makes sure that nobody else works here, as long as what is returned lives.
fn lock(work: &Path) -> Result<DirLock> {
    DirLock::take(&work.join(KEY))?.ok_or_else(|| {
        let what = work.display().to_string();
        let error = Error::input(what, "nobody at work in this directory", "another preparation");
        error.with_hint(Hint::from("wait for its end, or give another directory with ").name("run.out"))
    })
}

/// Removes a data set, finished or not, and nothing else. The manifest goes first: without it the rest is
/// none.
fn clear(dir: &Path) -> Result<()> {
    let rows = |name: &str| {
        Part::ALL.iter().any(|part| name.strip_prefix(part.name()).is_some_and(|rest| rest.starts_with('-')))
    };
    let ours = |name: &str| {
        rows(name) && (name.ends_with(".arrow") || name.ends_with(".partial")) || name.starts_with("encoder.")
    };
    if Prepared::is_in(dir) {
        let path = dir.join(MANIFEST);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.file_name().is_some_and(|name| ours(&name.to_string_lossy())) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    remove_directory(&dir.join(WORK))
}

/// Length and checksum of a file, read piece by piece.
pub(super) fn sum_of(path: &Path) -> Result<FileSum> {
    let mut sum = Summed::new(std::io::sink());
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    std::io::copy(&mut file, &mut sum).map_err(Error::io("read", path))?;
    Ok(sum.sum())
}
