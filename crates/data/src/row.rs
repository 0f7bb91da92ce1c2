//! One raw row as text fields. Readers refill the same [`RawRow`], so reading allocates nothing per row.
use crate::error::{Position, Result};
use crate::schema::MultiValued;
use crate::table::csv_field;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A row as text fields, in the order of [`RowSource::columns`]. An empty field is a missing value.
#[derive(Debug, Clone, Default)]
pub struct RawRow {
    text: String,
    /// Rows go from thread to thread, so they are small; no record is near 4 GiB.
    ends: Vec<u32>,
    /// Bytes of `text` between a field and the next.
    gap: usize,
    /// 1-based line (text formats) or row (binary formats) where this row starts.
    pub line: u64,
    /// File the row comes from, as the user named it.
    pub file: Arc<str>,
}

impl RawRow {
    /// Empties the row; keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.gap = 0;
    }

    /// Fills the empty row with the fields of `line`, which stand between single bytes `delimiter`, all at
    /// once.
    pub(crate) fn fill(&mut self, line: &str, delimiter: u8) {
        debug_assert!(self.is_empty() && delimiter.is_ascii());
        self.text.push_str(line);
        self.ends.extend(
            memchr::memchr_iter(delimiter, line.as_bytes()).chain([line.len()]).map(|end| end as u32),
        );
        self.gap = 1;
    }

    /// Appends a field.
    pub fn push(&mut self, field: &str) {
        debug_assert!(self.gap == 0, "a filled row is whole");
        self.text.push_str(field);
        self.ends.push(self.text.len() as u32);
    }

    /// Appends a field to a whole row, however that was filled.
    pub(crate) fn extend(&mut self, field: &str) {
        (0..self.gap).for_each(|_| self.text.push('\0'));
        self.text.push_str(field);
        self.ends.push(self.text.len() as u32);
    }

    /// Appends a field written in place by `write`.
    pub fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(self.text.len() as u32);
    }

    /// Field `index`.
    ///
    /// # Panics
    /// If the row has no such field.
    #[inline]
    pub fn field(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize + self.gap };
        &self.text[start..self.ends[index] as usize]
    }

    /// All fields in order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|i| self.field(i))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the row has no field.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Hash of the fields and of where they end.
    pub(crate) fn hash(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(bytemuck::cast_slice(&self.ends), xxh3_64_with_seed(self.text.as_bytes(), seed))
    }

    /// The row as a line of comma-separated values, for people to read.
    pub fn to_line(&self) -> String {
        self.fields().map(csv_field).collect::<Vec<_>>().join(",")
    }

    /// Position of the row, or of its field `column` (0-based index and name).
    pub fn position(&self, column: Option<(usize, &str)>) -> Position {
        Position {
            file: self.file.to_string(),
            line: self.line,
            column: column.map(|(i, name)| (i + 1, name.to_owned())),
        }
    }
}

/// A stream of raw rows in constant memory.
pub trait RowSource: Send {
    /// Names of the fields of every row.
    fn columns(&self) -> &[String];

    /// Columns that hold lists by their type, and how they are written; there are none in formats of text.
    fn lists(&self) -> Vec<(usize, MultiValued)> {
        Vec::new()
    }

    /// Refills `row`; `false` at the end.
    ///
    /// # Errors
    /// [`crate::Error::Row`] for a malformed row: call again for the next one. Any other
    /// error is final.
    fn next_row(&mut self, row: &mut RawRow) -> Result<bool>;
}
