//! Files that are whole or absent, also after a loss of power, and directories that one process at a time
//! works in.
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

/// Writes a small file aside, syncs it and renames it to `path`.
///
/// # Errors
/// If the file system refuses; the error names the file and what was tried. What stood in `path` before is
/// then still there.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    let aside = path.with_extension("partial");
    let mut file = File::create(&aside).map_err(Error::io("create", &aside))?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(Error::io("write", &aside))?;
    fs::rename(&aside, path).map_err(Error::io("rename", &aside))
}

/// Waits until the contents of the file `path` are on the disk.
///
/// # Errors
/// If the file system refuses; the error names the file and what was tried.
pub fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("sync", path))
}

/// Waits until the names in a directory are on the disk, where the system can say so.
///
/// # Errors
/// If the file system refuses; the error names the file and what was tried.
pub fn sync_directory(directory: &Path) -> Result<()> {
    // The directory of a relative name without one.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    if cfg!(unix) { sync(directory) } else { Ok(()) }
}

/// Removes a directory with all that is in it, if it is there.
///
/// # Errors
/// If the file system refuses; the error names the file and what was tried.
pub fn remove_directory(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", directory)(error)),
        _ => Ok(()),
    }
}

/// Attempts to take a lock after the first, and what lies between them.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps other processes out of a directory as long as it lives.
#[derive(Debug)]
pub struct DirLock {
    file: File,
    /// Whether the file says who holds it.
    is_named: bool,
}

impl DirLock {
    /// Locks the file `path` of the directory, whose contents stay; `None` if another process holds it.
    ///
    /// # Errors
    /// If the file can neither be opened nor made.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(path);
        let file = file.map_err(Error::io("create", path))?;
        for attempt in 0.. {
            match file.try_lock() {
                // A program that this process starts has the lock that was let go of until it runs code of
                // its own.
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                // A file system without locks is none that two processes share by chance.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Some(DirLock { file, is_named: false })),
            }
        }
        Ok(None)
    }

    /// Locks the file `path`, in which stands who holds it, `what` of this process, as long as that is so.
    ///
    /// # Errors
    /// If the file can neither be opened nor made; if another process holds it: what it says of itself.
    pub fn take_as(path: &Path, what: &str) -> Result<Result<Self, String>> {
        let Some(mut lock) = Self::take(path)? else {
            let holder = fs::read_to_string(path).unwrap_or_default();
            return Ok(Err(if holder.is_empty() { "another process".into() } else { holder }));
        };
        let named = format!("{what} (process {})", std::process::id());
        // Who cannot be named holds it all the same.
        lock.is_named = lock.file.set_len(0).and_then(|()| lock.file.write_all(named.as_bytes())).is_ok();
        Ok(Ok(lock))
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        if self.is_named {
            // A name that stays is written over by the next one.
            let _ = self.file.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_whole_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.txt");
        write_atomically(&path, b"a key").expect("written");
        let held = DirLock::take(&path).expect("a file").expect("nobody holds it");
        assert!(DirLock::take(&path).expect("a file").is_none());
        drop(held);
        assert!(DirLock::take(&path).expect("a file").is_some());
        assert_eq!(fs::read(&path).expect("a file"), b"a key");
        let named = dir.path().join(".lock");
        let held = DirLock::take_as(&named, "an extension").expect("a file").expect("nobody holds it");
        let holder = DirLock::take_as(&named, "another").expect("a file").map(drop).expect_err("held");
        assert_eq!(holder, format!("an extension (process {})", std::process::id()));
        drop(held);
        assert_eq!(fs::read(&named).expect("a file"), b"");
        fs::remove_file(&named).expect("removed");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing is left aside");
        sync(&path).and_then(|()| sync_directory(dir.path())).expect("synced");
        remove_directory(&dir.path().join("none")).expect("nothing to remove");
    }
}
