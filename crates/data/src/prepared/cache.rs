//! Encoded rows of a stream, kept for the passes after the first: the first pass over an input writes them
//! aside, in files such as a prepared data set has; later ones map these and parse nothing.
//!
//! ```text
//! rows-00000.arrow …   the rows
//! kept.json            the key of the run, files and checksums; written last, without it there are no rows
//! ```
//! A cache changes no row and no order. It is used only where it is whole and has the key of the run; a
//! damaged file sends the pass back to the input, at the row where it stands. A cache that cannot be written
//! is removed and done without. Both are told by
//! [`Cache::take_warning`] and never fail a pass.
use super::PreparedRows;
use super::shard::{Form, ShardFile};
use crate::batch::Batch;
use crate::batches::RowStream;
use crate::durable::{remove_directory, write_atomically};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::sealed;
use crate::split::Part;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const INDEX: &str = "kept.json";
/// Rows of a file.
const ROWS: usize = 1 << 16;

/// Where encoded rows are kept between passes.
#[derive(Clone)]
pub struct Cache {
    dir: PathBuf,
    key: String,
    form: Form,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Whether it cannot be written.
    off: bool,
    warnings: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    key: String,
    files: Vec<ShardFile>,
}

impl Cache {
    /// In the directory `dir`, of rows that `encoder` encodes. The key stands for everything that decides
    /// them: the input, the fitted encoder, the program.
    pub fn new(dir: impl Into<PathBuf>, key: String, encoder: &Encoder) -> Self {
        Cache { dir: dir.into(), key, form: Form::new(encoder), state: Arc::default() }
    }

    /// The rows of `source`, which stands at its first one: from the cache if it is whole, else from `source`
    /// and into the cache.
    pub fn rows(&self, source: Box<dyn RowStream>) -> Box<dyn RowStream> {
        if self.state().off {
            return source;
        }
        match self.files() {
            Ok(Some(files)) => {
                let rows = PreparedRows::new(&self.dir, &self.form, files);
                return Box::new(Kept { cache: self.clone(), rows: Some(rows), source, handed: 0 });
            }
            Ok(None) => {}
            Err(problem) => self.warn(&format!("{problem}; they are written anew")),
        }
        let begun = remove_directory(&self.dir)
            .and_then(|()| fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir)));
        match begun {
            Ok(()) => Box::new(Keeping {
                cache: self.clone(),
                rows: self.form.batch(),
                files: Some(Vec::new()),
                picks: Vec::new(),
                source,
            }),
            Err(error) => {
                self.give_up(&error);
                source
            }
        }
    }

    /// The next thing that has gone wrong with the cache.
    pub fn take_warning(&self) -> Option<String> {
        let warnings = &mut self.state().warnings;
        (!warnings.is_empty()).then(|| warnings.remove(0))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files of rows, if all have been written.
    fn files(&self) -> Result<Option<Vec<ShardFile>>> {
        let path = self.dir.join(INDEX);
        let text = match fs::read(&path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            other => other.map_err(Error::io("read", &path))?,
        };
        let index: Index = sealed::read_alone(&path, &text)?;
        if index.key == self.key {
            Ok(Some(index.files))
        } else {
            Err(Error::input(path.display().to_string(), "the rows of this run", "others"))
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, also one that panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, problem: &str) {
        self.state().warnings.push(format!("encoded rows in {}: {problem}", self.dir.display()));
    }

    /// Later passes read the input, and what was written takes no room from checkpoints.
    fn give_up(&self, error: &Error) {
        // What cannot be removed takes its room, and harms nothing else.
        let _ = remove_directory(&self.dir);
        self.warn(&format!(
            "cannot be written: {error}; every epoch reads the input instead, which takes \
            longer (free some disk space)"
        ));
        self.state().off = true;
    }
}

/// Rows of the input, written aside on their way.
struct Keeping {
    cache: Cache,
    /// Those of the file that is begun.
    rows: Batch,
    /// Those that are written; `None` where no more are.
    files: Option<Vec<ShardFile>>,
    picks: Vec<u32>,
    source: Box<dyn RowStream>,
}

impl Keeping {
    /// Takes in the rows of `batch` from `first` on; no row is the end.
    fn keep(&mut self, batch: &Batch, mut first: usize) -> Result<()> {
        if first == batch.len() {
            self.write()?;
            let index = Index { key: self.cache.key.clone(), files: self.files.take().unwrap_or_default() };
            return write_atomically(&self.cache.dir.join(INDEX), sealed::alone(&index).as_bytes());
        }
        while first < batch.len() {
            let end = batch.len().min(first + ROWS - self.rows.len());
            self.picks.clear();
            self.picks.extend(first as u32..end as u32);
            self.cache.form.extend(&mut self.rows, batch, &self.picks);
            if self.rows.len() == ROWS {
                self.write()?;
            }
            first = end;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let Some(files) = self.files.as_mut().filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        let rows = std::mem::replace(&mut self.rows, self.cache.form.batch());
        let (stem, count) = (format!("rows-{:05}", files.len()), rows.len());
        let (name, sum) = self.cache.form.write(&self.cache.dir, &stem, rows, |_| format!("{stem}.arrow"))?;
        files.push(ShardFile { name, part: Part::Train, rows: count, sum });
        Ok(())
    }
}

impl RowStream for Keeping {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
        let first = batch.len();
        let rows = self.source.append_rows(batch, most)?;
        if self.files.is_some()
            && let Err(error) = self.keep(batch, first)
        {
            self.cache.give_up(&error);
            self.files = None;
        }
        Ok(rows)
    }
}

/// Rows of the cache, with the input in reserve.
struct Kept {
    cache: Cache,
    rows: Option<PreparedRows>,
    source: Box<dyn RowStream>,
    /// Rows handed out.
    handed: usize,
}

impl RowStream for Kept {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
        let Some(kept) = &mut self.rows else { return self.source.append_rows(batch, most) };
        match kept.append_rows(batch, most) {
            Ok(rows) => {
                self.handed += rows;
                Ok(rows)
            }
            // A file is checked before the first of its rows is handed out.
            Err(problem) => {
                self.cache.warn(&format!(
                    "{problem}; the rest of this epoch is read from the input, and they are written anew"
                ));
                self.rows = None;
                // What cannot be removed is found damaged again.
                let _ = remove_directory(&self.cache.dir);
                self.skip()?;
                self.source.append_rows(batch, most)
            }
        }
    }
}

impl Kept {
    /// Goes past the rows of the input that the cache has given.
    fn skip(&mut self) -> Result<()> {
        const AT_ONCE: usize = 4096;
        let (mut skipped, mut dropped) = (0, self.cache.form.batch());
        while skipped < self.handed {
            let rows = self.source.append_rows(&mut dropped, AT_ONCE.min(self.handed - skipped))?;
            dropped.clear();
            if rows == 0 {
                break;
            }
            skipped += rows;
        }
        Ok(())
    }
}
