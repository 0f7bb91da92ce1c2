//! Files that are whole or absent, also after a loss of power, and directories that one process at a time
//! works in.
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of `place` while something is made that will be put there; hidden, and of no other place.
pub fn aside(place: &Path, suffix: &str) -> PathBuf {
    let own = place.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    place.with_file_name(format!(".{own}.{suffix}"))
}

/// A file that is written aside and put in its place when it is whole; what is not put there is removed. A
/// place that is no regular file, such as a terminal or a pipe, is written to as it is.
#[derive(Debug)]
pub struct AsideFile {
    /// Locked as long as it is aside.
    file: File,
    whole: WholeFile,
}

/// A whole file that is closed and not yet in its place; what is not put there is removed. No lock keeps
/// other processes from it.
#[derive(Debug)]
pub struct WholeFile {
    place: PathBuf,
    aside: Option<PathBuf>,
}

impl AsideFile {
    /// Begins the file that will stand in `place`: what a link leads to is written and the link stays, but a
    /// link that leads nowhere is replaced.
    ///
    /// # Errors
    /// If the file system refuses; the error names the file and what was tried. If another process writes
    /// the file.
    pub fn create(place: &Path) -> Result<Self> {
        let direct = fs::metadata(place).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        if direct {
            let file = OpenOptions::new().write(true).open(&place).map_err(Error::io("open", &place))?;
            return Ok(AsideFile { file, whole: WholeFile { place, aside: None } });
        }
        if place.is_dir() {
            return Err(Error::io("write", &place)(ErrorKind::IsADirectory.into()));
        }
        let aside = aside(&place, "partial");
        let file = alone(&aside, &place)?;
        // From here on dropping it removes it.
        let begun = AsideFile { file, whole: WholeFile { place, aside: Some(aside) } };
        begun.file.set_len(0).map_err(Error::io("create", &begun.whole.place))?;
        Ok(begun)
    }

    /// Where it is until it is put in its place; `None` where it is written to as it is.
    pub fn aside(&self) -> Option<&Path> {
        self.whole.aside.as_deref()
    }

    /// Waits until it is on the disk, and closes it.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(self) -> Result<WholeFile> {
        self.sync()?;
        Ok(self.whole)
    }

    /// Waits until it is on the disk, and puts it in its place.
    ///
    /// # Errors
    /// If the file system refuses; what stood in its place is then still there.
    pub fn put(self) -> Result<()> {
        self.sync()?;
        let AsideFile { file: _locked, whole } = self;
        whole.put()
    }

    fn sync(&self) -> Result<()> {
        match self.whole.aside {
            Some(_) => self.file.sync_all().map_err(Error::io("write", &self.whole.place)),
            None => Ok(()),
        }
    }
}

impl WholeFile {
    /// Its length in bytes.
    ///
    /// # Errors
    /// If the file system does not tell.
    pub fn bytes(&self) -> Result<u64> {
        let found = fs::metadata(self.aside.as_ref().unwrap_or(&self.place));
        found.map(|found| found.len()).map_err(Error::io("read", &self.place))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// If the file system refuses; what stood in its place is then still there.
    pub fn put(mut self) -> Result<()> {
        let Some(aside) = &self.aside else { return Ok(()) };
        fs::rename(aside, &self.place).map_err(Error::io("write", &self.place))?;
        self.aside = None;
        sync_directory(self.place.parent().unwrap_or(Path::new(".")))
    }
}

impl Write for AsideFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        let _ = self.aside.take().map(fs::remove_file);
    }
}

/// Opens the file `aside`, which no other process writes; messages speak of `place`.
fn alone(aside: &Path, place: &Path) -> Result<File> {
    let what = place.display().to_string();
    for _ in 0..ATTEMPTS {
        // A link would be followed, and a pipe waited for.
        if fs::symlink_metadata(aside).is_ok_and(|found| !found.is_file()) {
            let expected = "a regular file or none, which is written before it is put in its place";
            let error = Error::input(aside.display().to_string(), expected, "a link or something else");
            return Err(error.with_hint("remove it, or name another file"));
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(aside);
        let file = file.map_err(Error::io("create", place))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => break,
            // The other process has put it in its place since.
            Ok(()) if !is_at(&file, aside) => {}
            // A file system without locks is none that two processes share by chance.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
    let error = Error::input(what, "a file that no other process writes", "one that does");
    Err(error.with_hint("wait for it, or name another file"))
}

/// Whether `path` still names this file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata().map(|own| (own.dev(), own.ino()));
    let there = fs::symlink_metadata(path).map(|there| (there.dev(), there.ino()));
    matches!((own, there), (Ok(own), Ok(there)) if own == there)
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// A file in `directory` that has no name, to be written and read again: it goes with whoever holds it, also
/// where the process is killed.
///
/// # Errors
/// If the file system refuses.
pub fn nameless(directory: &Path) -> Result<File> {
    for attempt in 0..NAMES {
        let path = directory.join(format!(".dlrm-{}-{attempt}", std::process::id()));
        // Nothing that is there is opened, nor what a link leads to.
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create a file in", directory)(error)),
            Ok(file) => {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                return Ok(file);
            }
        }
    }
    let found = format!("{NAMES} that other processes have left");
    Err(Error::input(directory.display().to_string(), "a free name for a file", found))
}

/// Writes a small file aside, syncs it and renames it to `path`.
///
/// # Errors
/// If the file system refuses; the error names the file and what was tried. What stood in `path` before is
/// then still there, and nothing is left aside.
pub fn write_atomically(path: &Path, contents: &[u8]) -> Result<()> {
    let mut file = AsideFile::create(path)?;
    file.write_all(contents).map_err(Error::io("write", path))?;
    file.put()
}

/// Puts a finished directory in the place of another, which then stands where the finished one stood; at no
/// moment is there none. Where the file system cannot exchange names, the other one is set aside for a
/// moment under the name `old`, and put back if that is all that can be done.
///
/// # Errors
/// If the file system refuses; the error names the directory. Both are then where they were.
pub fn exchange(finished: &Path, place: &Path, old: &Path) -> Result<()> {
    if exchanged(finished, place) {
        return Ok(());
    }
    fs::rename(place, old).map_err(Error::io("rename", place))?;
    if let Err(error) = fs::rename(finished, place) {
        // What stood there is more than nothing.
        let _ = fs::rename(old, place);
        return Err(Error::io("rename", finished)(error));
    }
    fs::rename(old, finished).map_err(Error::io("rename", old))
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchanged(one: &Path, other: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchanged(_: &Path, _: &Path) -> bool {
    false
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

/// Names that a file is tried to be made under before it loses its own.
const NAMES: u32 = 1000;
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
    /// Locks a directory itself, where no file may be left in it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn of_directory(directory: &Path) -> Result<Option<Self>> {
        let file = File::open(directory).map_err(Error::io("open", directory))?;
        Ok(DirLock::locked(file))
    }

    /// Locks the file `path` of the directory, whose contents stay; `None` if another process holds it.
    ///
    /// # Errors
    /// If the file can neither be opened nor made.
    pub fn take(path: &Path) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(path);
        Ok(DirLock::locked(file.map_err(Error::io("create", path))?))
    }

    fn locked(file: File) -> Option<Self> {
        for attempt in 0.. {
            match file.try_lock() {
                // A program that this process starts has the lock that was let go of until it runs code of
                // its own.
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => break,
                // A file system without locks is none that two processes share by chance.
                Ok(()) | Err(TryLockError::Error(_)) => return Some(DirLock { file, is_named: false }),
            }
        }
        None
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

    #[test]
    fn one_process_writes_a_file_that_others_see_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("scores.csv");
        fs::write(&path, "old").expect("written");
        fs::write(aside(&path, "partial"), "of a process that was killed").expect("written");
        let mut file = AsideFile::create(&path).expect("begun");
        file.write_all(b"new").expect("written");
        let second = AsideFile::create(&path).expect_err("it is being written");
        assert!(second.to_string().contains("no other process writes"), "{second}");
        assert_eq!(fs::read(&path).expect("read"), b"old");
        file.put().expect("put");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        AsideFile::create(&path).expect("nobody writes it");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "nothing is left aside");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&path, aside(&path, "partial")).expect("linked");
            let error = AsideFile::create(&path).expect_err("a link in the way");
            assert!(error.to_string().contains(".scores.csv.partial"), "{error}");
            assert_eq!(fs::read(&path).expect("read"), b"new");
        }
    }

    #[test]
    fn what_is_not_put_in_its_place_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("report.json");
        // A name that differs in its extension alone is another file.
        let other = AsideFile::create(&dir.path().join("report.html")).expect("begun");
        let mut file = AsideFile::create(&path).expect("begun");
        file.write_all(b"half").expect("written");
        drop(file);
        assert!(!path.exists() && fs::read_dir(dir.path()).expect("listed").count() == 1);
        other.put().expect("put");
        let error = write_atomically(dir.path(), b"x").expect_err("a directory");
        assert!(error.to_string().contains("write"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn files_without_names() {
        use std::io::{Read, Seek};
        let dir = tempfile::tempdir().expect("a directory");
        let (mut one, other) = (nameless(dir.path()).expect("a file"), nameless(dir.path()).expect("a file"));
        one.write_all(b"one").and_then(|()| one.rewind()).expect("written");
        let mut text = String::new();
        one.read_to_string(&mut text).expect("read");
        assert_eq!((&*text, other.metadata().expect("a length").len()), ("one", 0));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
        let gone = nameless(&dir.path().join("none")).expect_err("no directory");
        assert!(gone.to_string().contains("none"), "{gone}");
    }

    #[test]
    fn two_directories_change_places() {
        let dir = tempfile::tempdir().expect("a directory");
        let [a, b, old] = ["a", "b", "old"].map(|name| dir.path().join(name));
        for (path, text) in [(&a, "new"), (&b, "old")] {
            fs::create_dir(path).and_then(|()| fs::write(path.join("x"), text)).expect("made");
        }
        exchange(&a, &b, &old).expect("exchanged");
        let read = |path: &Path| fs::read_to_string(path.join("x")).expect("read");
        assert_eq!((read(&a), read(&b), old.exists()), ("old".into(), "new".into(), false));
    }
}
