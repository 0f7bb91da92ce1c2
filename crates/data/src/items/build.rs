//! A table of items from rows of text.
use super::{BATCH, BY_KEY, FORMAT, ItemTable, KEY, TEXT};
use crate::arrow_file::ArrowFileWriter;
use crate::durable::nameless;
use crate::error::{Error, Result, quoted};
use crate::map::map_file;
use arrow_array::{ArrayRef, StringArray, UInt32Array};
use arrow_schema::{DataType, Field};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Bytes that are written at once.
const PIECE: usize = 1 << 20;

/// Rows that become a table. They are held column by column, in few large pieces of memory, which all go back
/// to the system when the table is written.
#[derive(Debug, Clone)]
pub struct ItemTableBuilder {
    names: Vec<String>,
    key: usize,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Default)]
struct Column {
    text: String,
    /// Where each field ends.
    ends: Vec<usize>,
}

impl Column {
    fn field(&self, row: u32) -> &str {
        let row = row as usize;
        &self.text[if row == 0 { 0 } else { self.ends[row - 1] }..self.ends[row]]
    }
}

/// In which order rows are written.
struct Order {
    /// The row of each place.
    rows: Vec<u32>,
    /// Places in the order of their keys.
    by_key: Vec<u32>,
}

impl ItemTableBuilder {
    /// No rows, of these columns, of which that in place `key` tells items apart.
    ///
    /// # Errors
    /// If a name is one that the file has for itself, or there is no such column.
    pub fn new(names: Vec<String>, key: usize) -> Result<Self> {
        if let Some(name) = names.iter().find(|name| *name == BY_KEY) {
            return Err(Error::input("items", "other names of columns", quoted(name)));
        }
        if key >= names.len() {
            return Err(Error::input("items", "a column that tells items apart", "none"));
        }
        let columns = vec![Column::default(); names.len()];
        Ok(ItemTableBuilder { names, key, columns })
    }

    /// Adds a row. Of several with the same key the last one counts, in the place of the first.
    ///
    /// # Errors
    /// If there are too many, or it has other columns.
    pub fn push<'t>(&mut self, fields: impl ExactSizeIterator<Item = &'t str>) -> Result<()> {
        let (expected, found) = (self.columns.len(), fields.len());
        if found != expected {
            return Err(Error::input("items", format!("{expected} fields"), found.to_string()));
        }
        if self.len() >= u32::MAX as usize {
            return Err(Error::input("items", "fewer than 2^32 rows", "more"));
        }
        for (column, field) in self.columns.iter_mut().zip(fields) {
            column.text.push_str(field);
            column.ends.push(column.text.len());
        }
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns[self.key].ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the table into `out`, which becomes the file `path`: whole or not at all, as
    /// [`AsideFile`](crate::durable::AsideFile) has it, for what is mapped must not change.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write_into(self, out: impl Write, path: &Path) -> Result<()> {
        self.write(BufWriter::with_capacity(PIECE, out), path)
    }

    /// The table, in a file without a name in `directory`, which goes with it.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(self, directory: &Path) -> Result<ItemTable> {
        let file = nameless(directory)?;
        self.write(BufWriter::with_capacity(PIECE, &file), directory)?;
        let bytes = map_file(&file).map_err(Error::io("map a file in", directory))?;
        ItemTable::of(&bytes, file, directory)
    }

    fn write(self, out: impl Write, path: &Path) -> Result<()> {
        let order = self.order();
        let names = self.names.iter().map(|name| Field::new(name, TEXT, false));
        let fields = names.chain([Field::new(BY_KEY, DataType::UInt32, false)]).collect();
        let mut writer = ArrowFileWriter::new(out, path, &FORMAT, fields, &[(KEY, &self.names[self.key])])?;
        for (rows, by_key) in order.rows.chunks(BATCH).zip(order.by_key.chunks(BATCH)) {
            let mut columns = Vec::with_capacity(self.columns.len() + 1);
            for (name, column) in self.names.iter().zip(&self.columns) {
                let bytes: usize = rows.iter().map(|&row| column.field(row).len()).sum();
                if i32::try_from(bytes).is_err() {
                    let what = format!("items, column \"{name}\"");
                    return Err(Error::input(what, "texts of at most 32 KiB on average", "longer ones"));
                }
                let texts = StringArray::from_iter_values(rows.iter().map(|&row| column.field(row)));
                columns.push(Arc::new(texts) as ArrayRef);
            }
            columns.push(Arc::new(UInt32Array::from(by_key.to_vec())));
            writer.write(columns)?;
        }
        writer.finish()
    }

    fn order(&self) -> Order {
        let key = |row: u32| self.columns[self.key].field(row);
        let mut rows: Vec<u32> = (0..self.len() as u32).collect();
        rows.sort_unstable_by(|&a, &b| key(a).cmp(key(b)).then(a.cmp(&b)));
        // Of each key its first row and its last, in the order of keys.
        let mut items: Vec<(u32, u32)> = Vec::new();
        for same in rows.chunk_by(|&a, &b| key(a) == key(b)) {
            items.push((same[0], same[same.len() - 1]));
        }
        let mut places: Vec<u32> = (0..items.len() as u32).collect();
        places.sort_unstable_by_key(|&item| items[item as usize].0);
        let mut by_key = vec![0; items.len()];
        places.iter().zip(0..).for_each(|(&item, place)| by_key[item as usize] = place);
        Order { rows: places.iter().map(|&item| items[item as usize].1).collect(), by_key }
    }
}
