//! What a search has found out, line by line in a file that outlives an interruption.
//!
//! Each line is JSON with a checksum of its own. A line that the interruption cut off is dropped; anything
//! else that is damaged is an error. The first line says what was searched, so that no other search goes on
//! from it.
use super::space::Trial;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use dlrm_metrics::Metric;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The file of the journal in the directory of a search.
pub const JOURNAL_FILE: &str = "journal.jsonl";

/// What one trial has come to on one rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Number of the trial.
    pub trial: u64,
    /// The rung, from 0.
    pub rung: u32,
    /// Kind of its model.
    pub model: String,
    /// Its settings, for people.
    pub settings: String,
    /// The best value of the monitored metric on the validation rows.
    pub value: Option<f64>,
    /// The best one after the start, which may be the optimum of the regression: how well it learns.
    pub learned: Option<f64>,
    /// Whether it was trained to its end.
    pub complete: bool,
    /// Steps.
    pub steps: u64,
    /// Rows that it was trained on.
    pub rows: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Entry {
    /// Of a trial that has come to nothing yet.
    pub(super) fn of(number: u64, rung: u32, trial: &Trial) -> Self {
        Entry {
            trial: number,
            rung,
            model: trial.model.kind().into(),
            settings: trial.settings.clone(),
            value: None,
            learned: None,
            complete: false,
            steps: 0,
            rows: 0,
            seconds: 0.0,
            failed: None,
        }
    }

    /// The lower, the better; infinite where there is no value.
    pub(super) fn badness(&self, metric: Metric) -> f64 {
        badness(self.value, metric)
    }

    /// The lower, the better it learns.
    pub(super) fn slowness(&self, metric: Metric) -> f64 {
        badness(self.learned.or(self.value), metric)
    }
}

fn badness(value: Option<f64>, metric: Metric) -> f64 {
    let sign = if metric.higher_is_better() { -1.0 } else { 1.0 };
    value.filter(|value| value.is_finite()).map_or(f64::INFINITY, |value| sign * value)
}

/// What was searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    key: String,
}

/// Version of the journal.
const VERSION: u32 = 1;

/// A hash of all that decides what trials come to.
pub(super) fn key(encoder: &[u8], rows: &str, base: &RunConfig) -> String {
    let mut hash = Xxh3::new();
    for part in [env!("CARGO_PKG_VERSION").as_bytes(), encoder, rows.as_bytes(), base.to_toml().as_bytes()] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:032x}", hash.digest128())
}

/// The file, and what it holds.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens the journal in the directory `out`, or begins one, also in place of another where asked.
    ///
    /// # Errors
    /// If it cannot be read or written, is damaged, or is that of another search.
    pub(super) fn open(out: &Path, key: &str, overwrite: bool) -> Result<Self> {
        let path = out.join(JOURNAL_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) if !overwrite => text,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("read", &path)(error));
            }
            _ => Vec::new(),
        };
        let (lines, whole) = lines(&text, &path)?;
        let head = Head { version: VERSION, key: key.into() };
        let entries = match lines.split_first() {
            None => Vec::new(),
            Some((first, rest)) => {
                if read::<Head>(first, &path)? != head {
                    let problem = "expected the journal of this search, found that of another one \
                                   (other rows, settings or version)";
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
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What a trial has come to on a rung, or at its end before.
    pub(super) fn find(&self, trial: u64, rung: u32) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            let settled = entry.complete || entry.failed.is_some();
            entry.trial == trial && (entry.rung == rung || (settled && entry.rung < rung))
        })
    }

    /// Adds what a trial has come to; it is on the disk when this returns.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<()> {
        self.write(entry)?;
        self.entries.push(entry.clone());
        Ok(())
    }

    fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).expect("plain data");
        let line = format!("{:016x} {text}\n", xxh3_64(text.as_bytes()));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(Error::io("write", &self.path))
    }
}

/// The lines that are whole, without their checksums, and the length of the text up to their end.
fn lines<'a>(text: &'a [u8], path: &Path) -> Result<(Vec<&'a [u8]>, usize)> {
    let (mut lines, mut whole) = (Vec::new(), 0);
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let checked = line.strip_suffix(b"\n").and_then(|line| {
            let (sum, rest) = line.split_at_checked(17)?;
            (sum == format!("{:016x} ", xxh3_64(rest)).as_bytes()).then_some(rest)
        });
        match checked {
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
        let error = Error::saved(path, format!("expected the journal of a search: {e}"));
        error.with_hint("give another run.out, or replace it with run.overwrite")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::space::Space;

    #[test]
    fn a_journal_outlives_an_interruption_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = RunConfig::default();
        let entry = |number| Entry::of(number, 0, &Space { base: &base, rows: 100 }.trial(number));
        let open = |key: &str| Journal::open(dir.path(), key, false);
        let mut journal = open("a").expect("a new one");
        (2..5).for_each(|number| journal.append(&entry(number)).expect("written"));
        drop(journal);
        let path = dir.path().join(JOURNAL_FILE);
        let text = std::fs::read(&path).expect("a journal");
        std::fs::write(&path, &text[..text.len() - 9]).expect("cut off");
        let mut journal = open("a").expect("cut off");
        assert_eq!(journal.entries(), [entry(2), entry(3)]);
        assert!(journal.find(3, 0).is_some() && journal.find(3, 1).is_none() && journal.find(4, 0).is_none());
        journal.append(&entry(4)).expect("written");
        drop(journal);
        assert_eq!(std::fs::read(&path).expect("a journal"), text, "the same bytes as without");
        assert!(matches!(open("b").map(drop), Err(Error::Saved { .. })), "another search");
        let mut damaged = text.clone();
        damaged[text.len() / 2] ^= 1;
        std::fs::write(&path, damaged).expect("damaged");
        let error = open("a").map(drop).expect_err("damaged").to_string();
        assert!(error.contains("damaged"), "{error}");
        assert!(Journal::open(dir.path(), "b", true).expect("a new one").entries().is_empty());
    }
}
