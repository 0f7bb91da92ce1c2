//! What a long piece of work has found out, line by line in a file that outlives an interruption.
//!
//! Each line is JSON with a checksum of its own. A line that the interruption cut off is dropped; anything
//! else that is damaged is an error. The first line says what the work is, so that no other goes on from it.
use crate::error::{Error, Result};
use crate::saved::not_ours;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The file of the journal in the directory of a search or of a comparison.
pub const JOURNAL_FILE: &str = "journal.jsonl";

/// What the work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    key: String,
}

/// Version of the journal.
const VERSION: u32 = 1;

/// A hash of all that decides what the work comes to, the version of the program among it.
pub(crate) fn key(parts: &[&[u8]]) -> String {
    let mut hash = Xxh3::new();
    for part in [env!("CARGO_PKG_VERSION").as_bytes()].iter().chain(parts) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:032x}", hash.digest128())
}

/// Whether the directory `out` holds a journal.
pub(crate) fn is_in(out: &Path) -> bool {
    fs::read(out.join(JOURNAL_FILE)).is_ok_and(|text| has_head(&text))
}

fn has_head(text: &[u8]) -> bool {
    let first = text.split_inclusive(|&byte| byte == b'\n').next().and_then(unseal);
    first.is_some_and(|first| serde_json::from_slice::<Head>(first).is_ok())
}

/// The file, and what it holds.
pub(crate) struct Journal<E> {
    path: PathBuf,
    file: File,
    entries: Vec<E>,
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// Opens the journal in the directory `out`, or begins one, also in place of another where asked. `work`
    /// is what it is of, in a word.
    ///
    /// # Errors
    /// If it cannot be read or written, is damaged, is that of other work or no journal at all.
    pub(crate) fn open(out: &Path, work: &str, key: &str, overwrite: bool) -> Result<Self> {
        let path = out.join(JOURNAL_FILE);
        let mut text = match fs::read(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("read", &path)(error)),
            text => text.unwrap_or_default(),
        };
        // Before its first line is whole it holds nothing but a part of a checksum and what follows that.
        let begun = !text.contains(&b'\n')
            && text
                .iter()
                .take(17)
                .enumerate()
                .all(|(i, &byte)| if i < 16 { byte.is_ascii_hexdigit() } else { byte == b' ' });
        if !begun && !has_head(&text) {
            return Err(not_ours(&path));
        }
        if overwrite {
            text.clear();
        }
        let (lines, whole) = lines(&text, &path)?;
        let head = Head { version: VERSION, key: key.into() };
        let entries = match lines.split_first() {
            None => Vec::new(),
            Some((first, rest)) => {
                if read::<Head>(first, &path)? != head {
                    let problem = format!(
                        "expected the journal of this {work}, found that of another one (other rows, \
                         settings or version)"
                    );
                    let hint = "give another run.out, or replace it with run.overwrite";
                    return Err(Error::saved(&path, problem).with_hint(hint));
                }
                rest.iter().map(|line| read(line, &path)).collect::<Result<_>>()?
            }
        };
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
        // What was cut off is written anew.
        file.set_len(whole as u64).map_err(Error::io("write", &path))?;
        let mut journal = Journal { path, file, entries };
        if lines.is_empty() {
            journal.write(&head)?;
        }
        Ok(journal)
    }

    /// All that was found out, in the order in which it was.
    pub(crate) fn entries(&self) -> &[E] {
        &self.entries
    }

    /// Adds what was found out; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn append(&mut self, entry: E) -> Result<()> {
        self.write(&entry)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Adds a line that [`Journal::entries`] does not give before the journal is opened again.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let line = seal(&serde_json::to_string(value).expect("plain data"));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(Error::io("write", &self.path))
    }

    /// Removes it, once what it holds is written elsewhere.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(Error::io("remove", &self.path))
    }
}

/// The lines that are whole, without their checksums, and the length of the text up to their end.
fn lines<'a>(text: &'a [u8], path: &Path) -> Result<(Vec<&'a [u8]>, usize)> {
    let (mut lines, mut whole) = (Vec::new(), 0);
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match unseal(line) {
            Some(rest) => lines.push(rest),
            // An interruption cuts off the last line.
            None if whole + line.len() == text.len() && !line.ends_with(b"\n") => break,
            None => {
                let problem =
                    format!("expected a line with its checksum, found a damaged one: {}", number + 1);
                return Err(Error::saved(path, problem).with_hint("begin anew with run.overwrite"));
            }
        }
        whole += line.len();
    }
    Ok((lines, whole))
}

fn read<T: DeserializeOwned>(line: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(line).map_err(|e| {
        let error = Error::saved(path, format!("expected a journal of other work: {e}"));
        error.with_hint("give another run.out, or replace it with run.overwrite")
    })
}

/// The line that holds `text`, which has no line ends.
fn seal(text: &str) -> String {
    format!("{:016x} {text}\n", xxh3_64(text.as_bytes()))
}

/// What a line holds, with its end; none if it is damaged.
fn unseal(line: &[u8]) -> Option<&[u8]> {
    let (sum, text) = line.strip_suffix(b"\n")?.split_at_checked(17)?;
    (sum == format!("{:016x} ", xxh3_64(text)).as_bytes()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flip_and_any_cut_is_noticed() {
        let line = seal(r#"{"a": 1}"#).into_bytes();
        assert_eq!(unseal(&line), Some(&br#"{"a": 1}"#[..]));
        for at in 0..line.len() {
            assert_eq!(unseal(&line[..at]), None);
            for bit in 0..8 {
                let mut flipped = line.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(unseal(&flipped), None, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_journal_outlives_an_interruption_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = |key: &str| Journal::<u64>::open(dir.path(), "search", key, false);
        let mut journal = open("a").expect("a new one");
        (2..5).for_each(|number| journal.append(number).expect("written"));
        drop(journal);
        let path = dir.path().join(JOURNAL_FILE);
        let text = fs::read(&path).expect("a journal");
        fs::write(&path, &text[..text.len() - 9]).expect("cut off");
        let mut journal = open("a").expect("cut off");
        assert_eq!(journal.entries(), [2, 3]);
        journal.append(4).expect("written");
        drop(journal);
        assert_eq!(fs::read(&path).expect("a journal"), text, "the same bytes as without");
        assert!(matches!(open("b").map(drop), Err(Error::Saved { .. })), "another search");
        let mut damaged = text.clone();
        damaged[text.len() - 20] ^= 1;
        fs::write(&path, damaged).expect("damaged");
        let error = open("a").map(drop).expect_err("damaged").to_string();
        assert!(error.contains("damaged"), "{error}");
        let anew = || Journal::<u64>::open(dir.path(), "search", "b", true);
        assert!(anew().expect("a new one").entries().is_empty() && is_in(dir.path()));
        // What is no journal is not replaced.
        fs::write(&path, "mine\n").expect("written");
        assert!(anew().is_err() && open("a").is_err() && !is_in(dir.path()));
        assert_eq!(fs::read(&path).expect("a file"), b"mine\n");
    }
}
