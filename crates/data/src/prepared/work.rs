//! The directory of an unfinished preparation, where what is done lies on disk.
use super::held::{Found, Held, Replaced};
use crate::durable::{remove_directory, write_atomically};
use crate::error::{Error, Result};
use crate::sealed;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a preparation begins.
const EXPECTED: &str = "a new or empty directory";

/// Where a preparation starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a directory that holds nothing, or an unfinished preparation of the same rows, which is resumed.
    Fresh,
    /// Replacing the data set that the directory holds, when the new one is whole; a replacement by the same
    /// rows that was interrupted is resumed.
    Overwrite,
}

/// The directory `.work` of a data set, taken by this process.
pub(super) struct WorkDir {
    path: PathBuf,
    held: Held,
}

impl WorkDir {
    /// Readies `dir` for the preparation that `key` stands for; `None` if that was done, but for clearing
    /// up, which is done now.
    pub(super) fn begin(dir: &Path, key: &str, start: Start) -> Result<Option<Self>> {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        // Where others have files nothing is made, not even a lock.
        let before = Found::in_dir(dir)?;
        if matches!(before, Found::Others(_)) {
            return Err(before.refusal(dir, EXPECTED));
        }
        let held = Held::take(dir, "a preparation")?;
        let found = Found::in_dir(dir)?;
        match (start, &found) {
            (_, Found::Committed { key: done }) => {
                held.clear_up()?;
                if done == key {
                    return Ok(None);
                }
                if start == Start::Fresh {
                    return Err(found.refusal(dir, EXPECTED));
                }
                held.begin(key)?;
            }
            (_, Found::Unfinished { key: begun, .. }) if begun == key && start.resumes(&found) => {}
            (_, Found::Nothing) => held.begin(key)?,
            (Start::Overwrite, Found::Finished | Found::Unfinished { .. } | Found::Remains) => {
                held.clear_up()?;
                held.begin(key)?;
            }
            _ => return Err(found.refusal(dir, EXPECTED)),
        }
        Ok(Some(WorkDir { path: held.work(), held }))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file or directory in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What an earlier attempt has left in the file `name`, if it is as it was left.
    pub(super) fn stored<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        let path = self.join(name);
        sealed::read_alone(&path, &fs::read(&path).ok()?).ok()
    }

    /// Leaves `value` in the file `name`.
    pub(super) fn store(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_atomically(&self.join(name), sealed::alone(value).as_bytes())
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

    /// Removes it, and all files that are none of the data set which is there now: the new one, or, where no
    /// new one came of this, the older one, if any.
    pub(super) fn finish(self) -> Result<()> {
        self.held.clear_up()
    }
}

impl Start {
    /// Whether it goes on with what was found, which is unfinished.
    fn resumes(self, found: &Found) -> bool {
        // A replacement is asked for by name, each time.
        self == Start::Overwrite || !matches!(found, Found::Unfinished { replaces: Replaced::A(_), .. })
    }
}
