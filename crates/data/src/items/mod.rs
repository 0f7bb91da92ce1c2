//! Tables of items, a row of texts for each, in Arrow files that are mapped: a table takes the memory of the
//! pages that are looked at, which several processes share and the system takes back.
//!
//! | column | type | |
//! |---|---|---|
//! | each of the table | utf8 | missing texts are empty |
//! | `dlrm_by_key` | uint32 | places of the items in the order of their keys |
//!
//! The metadata of the schema say which column is the `key`, which tells items apart.
//!
//! * `build`: a table from rows of text.
//! * `seen`: what users have had of the items, in a file of the same kind.
mod build;
mod seen;

use crate::arrow_file::{self, Contents, Format, MAGIC};
use crate::error::{Error, Result};
use crate::map::map;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use arrow_buffer::Buffer;
use arrow_schema::DataType;
pub use build::ItemTableBuilder;
pub use seen::{SeenBuilder, SeenItems};
use std::cmp::Ordering;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const FORMAT: Format = Format {
    name: "dlrm items",
    version: 1,
    what: "a table of items",
    hint: "the file is torn or was changed, or is none that `dlrm items` has written: make it anew",
};
/// Metadata with the name of the key.
const KEY: &str = "key";
/// The last column.
const BY_KEY: &str = "dlrm_by_key";
/// Rows of a batch, but for the last one.
const BATCH: usize = 1 << 16;

/// A table of items.
#[derive(Debug)]
pub struct ItemTable {
    columns: Vec<String>,
    key: usize,
    rows: usize,
    batches: Vec<Batch>,
    path: PathBuf,
    file: File,
    /// Its length.
    bytes: u64,
}

/// Some rows.
#[derive(Debug)]
struct Batch {
    texts: Vec<StringArray>,
    by_key: UInt32Array,
}

impl Batch {
    /// `None` if the columns are none of such a table.
    fn of(batch: &RecordBatch) -> Option<Self> {
        let (last, texts) = batch.columns().split_last()?;
        let is_whole = |array: &dyn Array| array.null_count() == 0 && array.len() == batch.num_rows();
        let text = |array: &arrow_array::ArrayRef| {
            array.as_string_opt::<i32>().filter(|&array| is_whole(array)).cloned()
        };
        let by_key = last.as_primitive_opt::<UInt32Type>().filter(|&array| is_whole(array)).cloned()?;
        Some(Batch { texts: texts.iter().map(text).collect::<Option<_>>()?, by_key })
    }
}

impl ItemTable {
    /// Whether `path` is an Arrow file, which no reader of rows takes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_in(path: &Path) -> Result<bool> {
        let mut head = Vec::new();
        let file = File::open(path).map_err(Error::io("open", path))?;
        // A directory of rows is none.
        let is_file = file.metadata().map_err(Error::io("open", path))?.is_file();
        if is_file {
            file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(Error::io("read", path))?;
        }
        Ok(head == MAGIC)
    }

    /// Maps the file `path`.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is something else.
    pub fn open(path: &Path) -> Result<Self> {
        let (bytes, file) = map(path).map_err(Error::io("open", path))?;
        ItemTable::of(&bytes, file, path)
    }

    fn of(bytes: &Buffer, file: File, path: &Path) -> Result<Self> {
        let Contents { schema, batches } = arrow_file::read(bytes, path, &FORMAT)?;
        let wrong = || {
            let what = path.display().to_string();
            Error::input(what, FORMAT.what, "an Arrow file of other columns").with_hint(FORMAT.hint)
        };
        let mut columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let is_last = columns.pop().is_some_and(|name| name == BY_KEY);
        let key = schema.metadata().get(KEY).and_then(|key| columns.iter().position(|name| name == key));
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let even = batches.iter().rev().skip(1).all(|batch| batch.num_rows() == BATCH);
        let batches: Option<Vec<Batch>> = batches.iter().map(Batch::of).collect();
        let (Some(key), Some(batches), true) = (key, batches, is_last && even) else { return Err(wrong()) };
        if batches.iter().any(|batch| batch.by_key.values().iter().any(|&place| place as usize >= rows)) {
            return Err(wrong());
        }
        let (path, bytes) = (path.to_owned(), bytes.len() as u64);
        Ok(ItemTable { columns, key, rows, batches, path, file, bytes })
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Which column tells items apart.
    pub fn key(&self) -> usize {
        self.key
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the item in place `row` has in place `column`.
    ///
    /// # Panics
    /// If there is no such item or column.
    pub fn field(&self, row: usize, column: usize) -> &str {
        self.batches[row / BATCH].texts[column].value(row % BATCH)
    }

    /// All that it has, in the order of the columns.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn fields(&self, row: usize) -> impl ExactSizeIterator<Item = &str> {
        (0..self.columns.len()).map(move |column| self.field(row, column))
    }

    /// The place of the item with this key.
    pub fn find(&self, key: &str) -> Option<usize> {
        let place = |at: usize| self.batches[at / BATCH].by_key.value(at % BATCH) as usize;
        let (mut first, mut end) = (0, self.rows);
        while first < end {
            let middle = first + (end - first) / 2;
            match self.field(place(middle), self.key).cmp(key) {
                Ordering::Equal => return Some(place(middle)),
                Ordering::Less => first = middle + 1,
                Ordering::Greater => end = middle,
            }
        }
        None
    }

    /// Makes sure that no other process has cut the file short, whose pages are then gone. To be asked before
    /// items are looked at.
    ///
    /// # Errors
    /// If one has.
    pub fn check(&self) -> Result<()> {
        let found = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if found == self.bytes {
            return Ok(());
        }
        let (what, expected) = (self.path.display().to_string(), format!("{} bytes", self.bytes));
        let error = Error::input(what, expected, format!("{found} since it was opened"));
        Err(error
            .with_hint("put a new file in its place by renaming it; a file that is mapped must not change"))
    }
}

/// The type of texts.
const TEXT: DataType = DataType::Utf8;

#[cfg(test)]
mod tests;
