//! The directory of a comparison: what it writes, and the finished runs that it goes on from.
use super::measured::{Measured, SeedRun};
use crate::error::{Error, Result};
use crate::journal::{self, Journal};
use crate::own_files::OwnFiles;
use crate::run_dir;
use dlrm_data::durable::DirLock;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// What a comparison writes.
const FILES: [&str; 3] = ["compare.html", "compare.json", "folds.json"];

/// The directory of a comparison that no other one works in as long as this lives. Every run that is finished
/// is kept in a journal until the results of all are written.
pub struct CompareDir {
    files: OwnFiles,
    journal: Journal<Kept>,
    _lock: DirLock,
}

/// A finished run of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// A hash of all that decides it.
    key: String,
    /// What it came to, if it did not diverge.
    run: Option<SeedRun>,
    /// The step at which it diverged.
    diverged: Option<u64>,
    /// Bits of the logits of the test rows, hexadecimal.
    logits: String,
    forward_multiply_adds: f64,
    training_multiply_adds: f64,
    inference_rows_per_second: f64,
}

impl Kept {
    pub(super) fn of(key: String, run: &SeedRun, measured: &Measured) -> Self {
        let mut logits = String::with_capacity(8 * run.logits.len());
        for logit in &run.logits {
            write!(logits, "{:08x}", logit.to_bits()).expect("text takes what is written");
        }
        Kept {
            key,
            run: Some(SeedRun { logits: Vec::new(), ..run.clone() }),
            diverged: None,
            logits,
            forward_multiply_adds: measured.forward_multiply_adds,
            training_multiply_adds: measured.training_multiply_adds,
            inference_rows_per_second: measured.inference_rows_per_second,
        }
    }

    pub(super) fn diverged(key: String, step: u64) -> Self {
        Kept {
            key,
            run: None,
            diverged: Some(step),
            logits: String::new(),
            forward_multiply_adds: 0.0,
            training_multiply_adds: 0.0,
            inference_rows_per_second: 0.0,
        }
    }

    /// The run again; what else was measured of its model goes there.
    ///
    /// # Errors
    /// As when it was made: if it diverged.
    pub(super) fn restored(&self, measured: &mut Measured) -> Result<SeedRun> {
        let Some(run) = &self.run else {
            return Err(Error::Diverged { step: self.diverged.unwrap_or(0), loss: f64::NAN });
        };
        measured.forward_multiply_adds = self.forward_multiply_adds;
        measured.training_multiply_adds = self.training_multiply_adds;
        let rate = measured.inference_rows_per_second.max(self.inference_rows_per_second);
        measured.inference_rows_per_second = rate;
        let digits = self.logits.as_bytes().chunks(8);
        let bits = digits.map(|d| std::str::from_utf8(d).ok().and_then(|d| u32::from_str_radix(d, 16).ok()));
        let logits = bits.map(|bits| f32::from_bits(bits.unwrap_or(f32::NAN.to_bits()))).collect();
        Ok(SeedRun { logits, ..run.clone() })
    }
}

impl CompareDir {
    /// Takes the directory `out` for a comparison; with `overwrite` what an earlier one has left there is not
    /// gone on from, and is replaced even where it was changed.
    ///
    /// # Errors
    /// If another one works there, or something is in the way that dlrm did not write.
    pub fn open(out: &Path, overwrite: bool) -> Result<Self> {
        std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let lock = run_dir::lock(out)?;
        let mut files = OwnFiles::open(out, overwrite)?;
        if overwrite && !OwnFiles::has_list(out) && is_comparison(out) {
            files.adopt(&FILES)?;
        }
        files.check(&FILES)?;
        files.begin()?;
        let journal = Journal::open(out, "comparison", "comparison", overwrite)?;
        Ok(CompareDir { files, journal, _lock: lock })
    }

    /// Writes a file of results.
    ///
    /// # Errors
    /// As [`OwnFiles::write`].
    pub fn write(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.files.write(name, contents)
    }

    /// Removes the journal, once all results are written.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(self) -> Result<()> {
        self.journal.remove()
    }

    pub(super) fn find(&self, key: &str) -> Option<&Kept> {
        self.journal.entries().iter().find(|kept| kept.key == key)
    }

    pub(super) fn keep(&mut self, kept: Kept) -> Result<()> {
        // Nobody asks for it again before the program has ended.
        self.journal.write(&kept)
    }
}

/// The key of a run: `rows` stands for the rows and all settings that models share.
pub(super) fn run_key(rows: &str, entry: &super::Entry, seed: u64) -> String {
    let entry = serde_json::to_vec(&(&entry.name, &entry.model, &entry.train)).expect("plain data");
    journal::key(&[rows.as_bytes(), &entry, &seed.to_le_bytes()])
}

/// Whether `out` holds the results of a comparison, of whatever version.
fn is_comparison(out: &Path) -> bool {
    let read = |name: &str| std::fs::read(out.join(name)).ok();
    let value = |text: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&text).ok();
    let has = |name: &str, key: &str| read(name).and_then(value).is_some_and(|v| v.get(key).is_some());
    has("compare.json", "models") || has("folds.json", "candidates")
}
