//! Encoded rows that a program keeps for as long as it runs, in mapped files without names: they take the
//! memory of the pages that are looked at, which the system takes back.
use super::shard::{Form, Shard};
use crate::batch::{Arity, Batch, Layout};
use crate::durable::nameless;
use crate::error::Result;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Encoded rows, to be read from any place.
pub struct MappedRows {
    form: Form,
    directory: PathBuf,
    shards: Vec<Shard>,
    /// Rows that are in no file yet.
    open: Batch,
}

impl MappedRows {
    /// Rows of a file.
    pub const FILE: usize = 1 << 16;

    /// No rows, of these columns, with files in `directory`.
    pub fn new(directory: &Path, layout: Layout, arities: Vec<Arity>) -> Self {
        let form = Form::of(layout, arities);
        MappedRows { open: form.batch(), form, directory: directory.to_owned(), shards: Vec::new() }
    }

    /// Appends rows of the columns.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn push(&mut self, rows: &Batch) -> Result<()> {
        let mut first = 0;
        while first < rows.len() {
            let end = rows.len().min(first + Self::FILE - self.open.len());
            let picks: Vec<u32> = (first as u32..end as u32).collect();
            self.form.extend(&mut self.open, rows, &picks);
            first = end;
            if self.open.len() == Self::FILE {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Puts rows that are in no file into one: no more can be appended.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(mut self) -> Result<Self> {
        self.flush()?;
        Ok(self)
    }

    fn flush(&mut self) -> Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let rows = std::mem::replace(&mut self.open, self.form.batch());
        let file = nameless(&self.directory)?;
        self.shards.push(self.form.map_into(file, &self.directory, rows)?);
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.shards.iter().map(Shard::rows).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Refills `batch` with rows `rows`.
    ///
    /// # Errors
    /// If a file was cut short.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn read(&self, rows: Range<usize>, batch: &mut Batch) -> Result<()> {
        *batch = self.form.batch();
        let mut first = rows.start;
        while first < rows.end {
            let (file, start) = (first / Self::FILE, first % Self::FILE);
            let end = (start + rows.end - first).min(Self::FILE);
            self.shards[file].append(batch, start..end)?;
            first += end - start;
        }
        Ok(())
    }

    /// Refills `to` with these rows of `from`, which has the same columns.
    pub fn pick(&self, from: &Batch, rows: &[u32], to: &mut Batch) {
        *to = self.form.batch();
        self.form.extend(to, from, rows);
    }
}
