//! Encoded rows on disk, for the epochs after the first: the first pass over an input writes them aside, later ones read them
//! and parse nothing.
//!
//! A cache changes no row and no order. It is used only where it is whole and has the key of the run; a damaged block sends
//! the pass back to the input, at the row where it stands. A cache that cannot be written is done without. Both are told by
//! [`Cache::take_warning`] and never fail a pass.
mod block;
mod file;

use crate::batch::{Batch, Layout};
use crate::batches::RowStream;
use crate::error::Result;
use crate::source::TrainRows;
use file::{Reader, Writer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where encoded rows are kept between passes.
#[derive(Clone)]
pub struct Cache {
    place: PathBuf,
    key: u64,
    layout: Layout,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    use_: Use,
    warning: Option<String>,
}

/// Whether further passes look for the cache.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Use {
    #[default]
    On,
    Off,
}

impl Cache {
    /// In the file `place`. The key stands for everything that decides the rows: the input and the fitted encoder.
    pub fn new(place: impl Into<PathBuf>, key: u64, layout: Layout) -> Self {
        Cache { place: place.into(), key, layout, state: Arc::default() }
    }

    /// The rows of `source`, which stands at its first one: from the cache if it is whole, else from `source` and into the cache.
    pub fn rows(&self, source: TrainRows) -> Box<dyn RowStream> {
        if self.state().use_ == Use::Off {
            return Box::new(source);
        }
        match Reader::open(&self.place, self.key, &self.layout) {
            Ok(Some(reader)) => return Box::new(Cached { cache: self.clone(), reader: Some(reader), source, handed: 0 }),
            Ok(None) => {}
            Err(problem) => self.warn(format!("{problem}; it is written anew")),
        }
        match Writer::new(&self.place, self.key) {
            Ok(writer) => Box::new(Kept { cache: self.clone(), writer: Some(writer), source }),
            Err(error) => {
                self.give_up(&error);
                Box::new(source)
            }
        }
    }

    /// What has gone wrong with the cache since this was last asked.
    pub fn take_warning(&self) -> Option<String> {
        self.state().warning.take()
    }

    /// The file.
    pub fn place(&self) -> &Path {
        &self.place
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, also one that panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, problem: String) {
        self.state().warning = Some(format!("encoded rows in {}: {problem}", self.place.display()));
    }

    /// Later passes read the input.
    fn give_up(&self, error: &std::io::Error) {
        self.warn(format!("cannot be written: {error}; every epoch reads the input instead, which takes longer (free some disk space)"));
        self.state().use_ = Use::Off;
    }
}

/// Rows of a block, at most.
const MOST_ROWS: usize = 1 << 13;

/// Rows of the input, written aside on their way.
struct Kept {
    cache: Cache,
    writer: Option<Writer>,
    source: TrainRows,
}

impl RowStream for Kept {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
        let before = batch.len();
        let rows = self.source.append_rows(batch, most)?;
        let Some(mut writer) = self.writer.take() else { return Ok(rows) };
        let written = match rows {
            0 => writer.finish(),
            _ => {
                // A window of the shuffle comes at once; blocks of it cost little memory when they are read back.
                let starts = (before..batch.len()).step_by(MOST_ROWS);
                let mut blocks = starts.map(|start| start..batch.len().min(start + MOST_ROWS));
                blocks.try_for_each(|rows| writer.push(batch, rows)).map(|()| self.writer = Some(writer))
            }
        };
        if let Err(error) = written {
            self.cache.give_up(&error);
        }
        Ok(rows)
    }
}

/// Rows of the cache, with the input in reserve.
struct Cached {
    cache: Cache,
    reader: Option<Reader>,
    source: TrainRows,
    /// Rows handed out.
    handed: usize,
}

impl RowStream for Cached {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
        let before = batch.len();
        let Some(reader) = &mut self.reader else { return self.source.append_rows(batch, most) };
        let read = reader.append(batch, most);
        let rows = batch.len() - before;
        self.handed += rows;
        let Err(problem) = read else { return Ok(rows) };
        self.cache.warn(format!("{problem}; the rest of this epoch is read from the input, and they are written anew"));
        self.reader = None;
        // A file that cannot be removed is found damaged again.
        let _ = std::fs::remove_file(&self.cache.place);
        self.skip()?;
        Ok(rows + self.source.append_rows(batch, most - rows)?)
    }
}

impl Cached {
    /// Goes past the rows of the input that the cache has given.
    fn skip(&mut self) -> Result<()> {
        const AT_ONCE: usize = 4096;
        let (mut skipped, mut dropped) = (0, Batch::new(&self.cache.layout));
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
