//! Tables that are written, row by row: named columns as CSV, JSON lines or Parquet.
//!
//! * `text`: CSV and JSON lines
//! * `parquet`: groups of rows, column by column; `no_parquet` stands in its place in builds without it
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
mod parquet;
mod text;

use crate::error::{Error, Result, quoted};
pub use parquet::{ParquetRows, ParquetTable};
use std::io::{self, BufWriter, Write};
use std::path::Path;
pub use text::csv_field;
use text::{Csv, JsonLines};

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Integers of 64 bits.
    Integer,
    /// Numbers of 64 bits.
    Double,
    /// Numbers of 32 bits.
    Float,
    /// Text.
    Text,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its cells hold.
    pub kind: ColumnKind,
}

/// A value of a row, of the kind of its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// None is known.
    Missing,
    /// Of a column of integers.
    Integer(i64),
    /// Of a column of numbers of 64 bits.
    Double(f64),
    /// Of a column of numbers of 32 bits.
    Float(f32),
    /// Of a column of text.
    Text(&'a str),
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Fields between commas below a header; a missing value is an empty field.
    Csv,
    /// An object in each line; a missing value is `null`.
    JsonLines,
    /// Apache Parquet, packed by zstd.
    Parquet,
}

impl TableFormat {
    /// The format that the ending of a file's name asks for.
    ///
    /// # Errors
    /// An ending of none of them.
    pub fn of_path(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("csv") => Ok(TableFormat::Csv),
            Some("jsonl" | "ndjson") => Ok(TableFormat::JsonLines),
            Some("parquet" | "pq") => Ok(TableFormat::Parquet),
            other => {
                let found = other.map_or("none".to_owned(), |ending| quoted(&format!(".{ending}")));
                let expected = "a file name that ends in .csv, .jsonl or .parquet";
                Err(Error::input(path.display().to_string(), expected, found)
                    .with_hint("the ending says how the file is written"))
            }
        }
    }
}

/// Writes rows, one after the other.
pub trait TableWriter {
    /// Writes a row with a cell for each column.
    ///
    /// # Errors
    /// If the output refuses it.
    fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()>;

    /// Writes a row of which nothing is known, in as few signs as can be: an empty line, or `null`.
    ///
    /// # Errors
    /// If the output refuses it.
    fn empty_row(&mut self) -> io::Result<()>;

    /// Writes what is still to be written. Nothing may follow.
    ///
    /// # Errors
    /// If the output refuses it.
    fn finish(&mut self) -> io::Result<()>;
}

/// A writer of such a table to `out`, in pieces of some kilobytes.
///
/// # Errors
/// If the output refuses it, or this build has no Parquet.
pub fn writer<'w>(
    format: TableFormat,
    out: Box<dyn Write + Send + 'w>,
    columns: Vec<Column>,
) -> io::Result<Box<dyn TableWriter + 'w>> {
    let out = BufWriter::new(out);
    Ok(match format {
        TableFormat::Csv => Box::new(Csv::new(out, &columns)?),
        TableFormat::JsonLines => Box::new(JsonLines::new(out, columns)),
        TableFormat::Parquet => Box::new(Grouped::new(out, columns)?),
    })
}

/// Rows of a group of Parquet.
const GROUP: usize = 1 << 16;

/// Rows as groups of Parquet.
struct Grouped<W: Write + Send> {
    columns: Vec<Column>,
    rows: ParquetRows,
    table: Option<ParquetTable<W>>,
}

impl<W: Write + Send> Grouped<W> {
    fn new(out: W, columns: Vec<Column>) -> io::Result<Self> {
        let table = Some(ParquetTable::new(out, "rows", &columns)?);
        Ok(Grouped { rows: ParquetRows::new(&columns), table, columns })
    }

    fn close_group(&mut self) -> io::Result<()> {
        let rows = std::mem::replace(&mut self.rows, ParquetRows::new(&self.columns));
        match &mut self.table {
            Some(table) if !rows.is_empty() => table.push(&rows),
            _ => Ok(()),
        }
    }
}

impl<W: Write + Send> TableWriter for Grouped<W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        self.rows.push(cells.iter().copied());
        if self.rows.len() == GROUP { self.close_group() } else { Ok(()) }
    }

    fn empty_row(&mut self) -> io::Result<()> {
        self.row(&vec![Cell::Missing; self.columns.len()])
    }

    fn finish(&mut self) -> io::Result<()> {
        self.close_group()?;
        self.table.take().map_or(Ok(()), |table| table.finish().map(drop))
    }
}
