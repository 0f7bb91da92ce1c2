//! The directory of a data set while one process writes there: what it holds, what is ours, and what is left
//! of earlier attempts.
//!
//! A new data set is built beside the older one, in files whose names tell their contents, so that no name
//! stands for two contents. The manifest, renamed into place, makes it the data set of the directory; until
//! then it is the older one, and behind it only clearing up is left to do. `.work` says which of them it is.
use super::Prepared;
use super::manifest::{MANIFEST, Manifest};
use crate::durable::{DirLock, aside, remove_directory, write_atomically};
use crate::error::{Error, Hint, Result, quoted};
use crate::split::Part;
use crate::sum::{DIGITS, FileSum};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(super) const WORK: &str = ".work";
const KEY: &str = "key.txt";
const LOCK: &str = ".lock";

/// A directory of a data set that no other process writes to as long as this lives.
pub(super) struct Held {
    dir: PathBuf,
    _lock: DirLock,
}

/// What was there when a preparation began, as `.work` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replaced {
    /// No data set.
    Nothing,
    /// The one whose manifest has this checksum.
    A(String),
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// A data set.
    Finished,
    /// A data set and what its preparation, which this key stood for, had no time to remove.
    Committed {
        key: String,
    },
    /// A preparation, perhaps beside the data set that it replaces.
    Unfinished {
        key: String,
        replaces: Replaced,
    },
    /// Files of a data set without a manifest.
    Remains,
    /// A file that is none of ours.
    Others(String),
}

impl Held {
    /// Takes `dir` for `what`.
    ///
    /// # Errors
    /// If another process holds it, which is named.
    pub(super) fn take(dir: &Path, what: &str) -> Result<Self> {
        let lock = DirLock::take_as(&dir.join(LOCK), what)?;
        lock.map(|lock| Held { dir: dir.to_owned(), _lock: lock }).map_err(|holder| {
            let error = Error::input(dir.display().to_string(), "nobody at work in this directory", holder);
            error.with_hint(Hint::from("wait for its end, or give another directory with ").name("run.out"))
        })
    }

    /// Where what is unfinished lies.
    pub(super) fn work(&self) -> PathBuf {
        self.dir.join(WORK)
    }

    /// Begins the preparation that `key` stands for.
    pub(super) fn begin(&self, key: &str) -> Result<()> {
        let work = self.work();
        remove_directory(&work)?;
        fs::create_dir_all(&work).map_err(Error::io("create", &work))?;
        let replaced = manifest_sum(&self.dir).unwrap_or_default();
        write_atomically(&work.join(KEY), format!("{key}\n{replaced}\n").as_bytes())
    }

    /// Leaves nothing but the data set that is there: removes what it has replaced and what is unfinished.
    pub(super) fn clear_up(&self) -> Result<()> {
        sweep(&self.dir)?;
        remove_work(&self.work())
    }
}

impl Found {
    /// What `dir` holds.
    pub(super) fn in_dir(dir: &Path) -> Result<Self> {
        let work = dir.join(WORK);
        let begun = fs::read(work.join(KEY)).ok().map(|text| String::from_utf8_lossy(&text).into_owned());
        let mut lines = begun.iter().flat_map(|text| text.lines());
        let (first, replaced) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let key = begun.is_some().then(|| first.to_owned());
        if !may_be_lock(&dir.join(LOCK)) {
            return Ok(Found::Others(LOCK.to_owned()));
        }
        if key.is_none() && !holds_nothing(&work) {
            return Ok(Found::Others(WORK.to_owned()));
        }
        let replaces = if replaced.is_empty() { Replaced::Nothing } else { Replaced::A(replaced.to_owned()) };
        if Prepared::is_in(dir) {
            let is_older = |sum: String| replaces == Replaced::A(sum);
            return Ok(match key {
                Some(key) if manifest_sum(dir).is_some_and(is_older) => Found::Unfinished { key, replaces },
                Some(key) => Found::Committed { key },
                // The key goes last.
                None if work.exists() => Found::Committed { key: String::new() },
                None => Found::Finished,
            });
        }
        if let Some(key) = key {
            return Ok(Found::Unfinished { key, replaces });
        }
        let (mut found, entries) = (Found::Nothing, fs::read_dir(dir).map_err(Error::io("list", dir))?);
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A directory of work without a key holds nothing yet.
            if is_ours(&name) {
                found = Found::Remains;
            } else if name != WORK && name != LOCK {
                return Ok(Found::Others(name));
            }
        }
        Ok(found)
    }

    /// Why what needs `expected` does not begin here.
    pub(super) fn refusal(&self, dir: &Path, expected: &str) -> Error {
        let found = match self {
            Found::Nothing => "nothing".into(),
            Found::Finished | Found::Committed { .. } => "a finished data set".to_owned(),
            Found::Unfinished { replaces: Replaced::A(_), .. } => {
                "a finished data set, and what was to replace it, unfinished".into()
            }
            Found::Unfinished { .. } => "an unfinished preparation of other files or settings".into(),
            Found::Remains => "what is left of a data set without its manifest".into(),
            Found::Others(name) => format!("other files ({})", quoted(name)),
        };
        let hint = match self {
            Found::Others(name) if name == LOCK => {
                Hint::from("move it elsewhere, or give another directory with ").name("run.out")
            }
            Found::Others(_) => Hint::from("give another directory with ").name("run.out"),
            Found::Unfinished { replaces: Replaced::A(_), .. } => Hint::from("go on replacing it with ")
                .name("run.overwrite")
                .say(format!(", or remove {} to keep it as it is", dir.join(WORK).display())),
            _ => Hint::default()
                .name("run.overwrite")
                .say(" to replace it, or ")
                .name("run.out")
                .say(" another directory"),
        };
        let what = format!("output directory {}", dir.display());
        Error::setting(what, expected, found).with_hint(hint)
    }
}

/// Whether `dir` holds a preparation that has not come to its first end.
pub(super) fn is_unfinished(dir: &Path) -> bool {
    dir.join(WORK).join(KEY).exists() && !Prepared::is_in(dir)
}

/// Whether the directory `work`, where no key was found, has nothing in it that could be somebody else's: the
/// key comes first and goes last.
fn holds_nothing(work: &Path) -> bool {
    let key = work.join(KEY);
    let begun = aside(&key, "partial");
    match fs::read_dir(work) {
        // Another process has put the key there since, or has removed all.
        Ok(entries) => key.is_file() || entries.flatten().all(|entry| entry.path() == begun),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Whether `path` is no file, or one that a lock may have been: empty, or with the name of who held it.
fn may_be_lock(path: &Path) -> bool {
    const LONGEST: u64 = 256;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() <= LONGEST => {}
        Ok(_) => return false,
        Err(_) => return true,
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let holder = |text: &str| text.strip_suffix(')')?.rsplit_once(" (process ").map(|(_, n)| is_number(n));
    match fs::read(path) {
        Ok(text) => text.is_empty() || str::from_utf8(&text).ok().and_then(holder) == Some(true),
        // Where locks keep others from reading, it is one that is held.
        Err(_) => true,
    }
}

/// The checksum of the manifest of `dir`.
fn manifest_sum(dir: &Path) -> Option<String> {
    fs::read(dir.join(MANIFEST)).ok().map(|text| FileSum::of(&text).xxh3)
}

/// Whether a file of a data set has that name.
fn is_ours(name: &str) -> bool {
    // While a file is written it has another name.
    let aside = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial"));
    if aside.is_some_and(|name| name == MANIFEST || is_ours(name)) {
        return true;
    }
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let is_sum = |text: &str| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
    if extension == "partial" && stem == "manifest" {
        return true;
    }
    if let Some(sum) = stem.strip_prefix("encoder") {
        let named = sum.is_empty() || sum.strip_prefix('-').is_some_and(is_sum);
        return named && matches!(extension, "json" | "partial");
    }
    let number = Part::ALL.iter().find_map(|part| stem.strip_prefix(part.name())?.strip_prefix('-'));
    let is_number = |text: &str| text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
    let is_rows = number.is_some_and(|rest| match rest.split_once('-') {
        Some((number, sum)) => is_number(number) && is_sum(sum),
        None => is_number(rest),
    });
    is_rows && matches!(extension, "arrow" | "partial")
}

/// Removes the files of data sets that the manifest of `dir` does not name; none where it cannot be read.
fn sweep(dir: &Path) -> Result<()> {
    let named: Vec<String> = match Prepared::is_in(dir).then(|| Manifest::read(dir)) {
        Some(Ok(manifest)) => {
            manifest.files.into_iter().map(|file| file.name).chain([manifest.encoder_file]).collect()
        }
        Some(Err(_)) => return Ok(()),
        None => Vec::new(),
    };
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_ours(&name) && !named.contains(&name) {
            fs::remove_file(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Removes the directory of work, the key last: without it nobody could tell what the rest was.
fn remove_work(work: &Path) -> Result<()> {
    let entries = match fs::read_dir(work) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::io("list", work))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::io("list", work))?.path();
        if path.is_dir() {
            remove_directory(&path)?;
        } else if !path.ends_with(KEY) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    remove_directory(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_put_there_is_neither_a_lock_nor_work() {
        let dir = tempfile::tempdir().expect("a directory");
        let (lock, work) = (dir.path().join(LOCK), dir.path().join(WORK));
        let found = || Found::in_dir(dir.path()).expect("listed");
        for text in ["", "a preparation (process 7)"] {
            fs::write(&lock, text).expect("written");
            assert_eq!(found(), Found::Nothing, "{text}");
        }
        for text in ["mine", "a preparation (process 7) and more", "(process )", " "] {
            fs::write(&lock, text).expect("written");
            assert_eq!(found(), Found::Others(LOCK.into()), "{text}");
        }
        fs::remove_file(&lock).expect("removed");
        fs::create_dir(&work).expect("made");
        assert_eq!(found(), Found::Nothing);
        fs::write(work.join(".key.txt.partial"), "half").expect("written");
        assert_eq!(found(), Found::Nothing);
        fs::write(work.join("mine.txt"), "x").expect("written");
        assert_eq!(found(), Found::Others(WORK.into()));
        fs::write(work.join(KEY), "").expect("written");
        let key = String::new();
        assert_eq!(found(), Found::Unfinished { key, replaces: Replaced::Nothing });
    }

    #[test]
    fn only_names_of_our_files_are_ours() {
        for name in [
            "train-00000.arrow",
            "test-100000.partial",
            "validation-00012-0123456789abcdef.arrow",
            "encoder.json",
            "encoder-0123456789abcdef.json",
            "manifest.partial",
            ".manifest.json.partial",
            ".encoder-0123456789abcdef.json.partial",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in [
            "train-data.arrow",
            "train-00000-mine.arrow",
            "train-00000.arrow.bak",
            "train-1.arrow",
            "training-00000.arrow",
            "encoder-old.json",
            "manifest.json",
            "rows.partial",
            "train-00000.csv",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
