//! Rows of Arrow arrays in memory, such as those of a data frame. Their values become the text that the same
//! values of a Parquet file become; an array of text is read where it lies.
use super::arrow_cells::{Cells, cells, is_paired};
use super::names::check_names;
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};
use crate::rows::OpenRows;
use crate::schema::MultiValued;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use std::sync::Arc;

/// A column: its name, and its values in arrays of any lengths, one behind the other.
#[derive(Debug, Clone)]
pub struct ArrowColumn {
    /// Name.
    pub name: String,
    /// Values.
    pub chunks: Vec<ArrayRef>,
    /// Where they are lists that are texts already, how these are written.
    pub lists: Option<MultiValued>,
}

impl ArrowColumn {
    /// Number of values.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }
}

/// Rows of columns in memory. Copies share them.
#[derive(Debug, Clone)]
pub struct ArrowRows {
    name: Arc<str>,
    columns: Arc<[ArrowColumn]>,
    names: Vec<String>,
    rows: usize,
}

impl ArrowRows {
    /// Rows of `columns`, which messages call `name`.
    ///
    /// # Errors
    /// If there is no column, two have the same name, they are of different lengths, or values of one have no
    /// text form.
    pub fn new(name: &str, columns: Vec<ArrowColumn>) -> Result<Self> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let Some(first) = columns.first() else {
            return Err(Error::input(name, "columns", "none"));
        };
        check_names(&names, name)?;
        let rows = first.rows();
        for column in &columns {
            let place = || format!("{name}: column \"{}\"", column.name);
            if column.rows() != rows {
                let expected = format!("{rows} values, as in column \"{}\"", first.name);
                return Err(Error::input(place(), expected, column.rows().to_string())
                    .with_hint("give every column one value for each row"));
            }
            for chunk in &column.chunks {
                cells(chunk).map_err(|found| {
                    let expected = "single values, a list of them, a map to their weights, or a struct of \
                                    two lists, values and weights";
                    Error::input(place(), expected, found)
                        .with_hint("make columns of its parts, or leave it out")
                })?;
            }
        }
        Ok(ArrowRows { name: name.into(), columns: columns.into(), names, rows })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl OpenRows for ArrowRows {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        let columns = self.columns.iter().map(|column| Reader {
            chunks: column.chunks.clone().into_iter(),
            left: 0,
            next: 0,
            cells: None,
        });
        Ok(Box::new(Source { of: self.clone(), columns: columns.collect(), row: 0 }))
    }

    fn name(&self) -> String {
        self.name.to_string()
    }
}

/// A pass over rows.
struct Source {
    of: ArrowRows,
    columns: Vec<Reader>,
    row: usize,
}

/// A pass over a column.
struct Reader {
    chunks: std::vec::IntoIter<ArrayRef>,
    /// Of the current chunk: values that were not read yet, place of the next one, and all.
    left: usize,
    next: usize,
    cells: Option<Box<dyn Cells>>,
}

impl Reader {
    /// Appends the next value to `out`.
    fn show(&mut self, out: &mut String) -> Result<(), String> {
        while self.left == 0 {
            let Some(chunk) = self.chunks.next() else { return Err("a value".to_owned()) };
            (self.left, self.next) = (chunk.len(), 0);
            self.cells = Some(cells(&chunk)?);
        }
        let Some(cells) = &self.cells else { return Ok(()) };
        let row = self.next;
        (self.left, self.next) = (self.left - 1, row + 1);
        if cells.is_null(row) { Ok(()) } else { cells.show(row, out).map_err(str::to_owned) }
    }
}

/// How the lists of an array are written, if it holds any.
fn list(array: &ArrayRef) -> Option<MultiValued> {
    match array.data_type() {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            Some(MultiValued::separated())
        }
        DataType::Map(..) => Some(MultiValued::weighted()),
        kind if is_paired(kind) => Some(MultiValued::weighted()),
        _ => None,
    }
}

impl RowSource for Source {
    fn columns(&self) -> &[String] {
        &self.of.names
    }

    fn lists(&self) -> Vec<(usize, MultiValued)> {
        let columns = self.of.columns.iter().enumerate();
        columns
            .filter_map(|(i, column)| {
                Some((i, column.lists.clone().or_else(|| list(column.chunks.first()?))?))
            })
            .collect()
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        if self.row == self.of.rows {
            return Ok(false);
        }
        self.row += 1;
        row.clear();
        row.line = self.row as u64;
        if !Arc::ptr_eq(&row.file, &self.of.name) {
            row.file = Arc::clone(&self.of.name);
        }
        let mut unfit = None;
        for (i, column) in self.columns.iter_mut().enumerate() {
            let mut result = Ok(());
            row.push_with(|out| result = column.show(out));
            if let Err(expected) = result {
                unfit.get_or_insert((i, expected));
            }
        }
        let Some((i, expected)) = unfit else { return Ok(true) };
        let found = if row.field(i).is_empty() { "other bytes".to_owned() } else { quoted(row.field(i)) };
        Err(Error::row(row.position(Some((i, &self.of.names[i]))), expected, found))
    }
}
