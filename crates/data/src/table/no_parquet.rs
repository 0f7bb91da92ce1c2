//! In the place of the writer of Parquet files, in builds without it.
use super::{Cell, Column};
use std::io::{self, ErrorKind, Write};
use std::marker::PhantomData;

/// Rows that are never written.
pub struct ParquetRows {
    rows: usize,
}

impl ParquetRows {
    /// No rows.
    pub fn new(_columns: &[Column]) -> Self {
        ParquetRows { rows: 0 }
    }

    /// Counts a row.
    pub fn push<'a>(&mut self, _cells: impl IntoIterator<Item = Cell<'a>>) {
        self.rows += 1;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// What no value is made of.
enum Never {}

/// A file that no build without Parquet writes.
pub struct ParquetTable<W: Write + Send> {
    never: Never,
    out: PhantomData<W>,
}

impl<W: Write + Send> ParquetTable<W> {
    /// Refuses to begin.
    ///
    /// # Errors
    /// Always.
    pub fn new(_out: W, _name: &str, _columns: &[Column]) -> io::Result<Self> {
        Err(io::Error::new(
            ErrorKind::Unsupported,
            "this build of dlrm was made without its feature `parquet`",
        ))
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn push(&mut self, _rows: &ParquetRows) -> io::Result<()> {
        match self.never {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn finish(self) -> io::Result<W> {
        match self.never {}
    }
}
