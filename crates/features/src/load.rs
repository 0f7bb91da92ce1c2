//! Filling a store: tables are replaced whole, all of one load at once, or nothing is changed.
use crate::address::Address;
use crate::error::{Error, Result};
use crate::keyed_rows::{KeyedRows, Take};
use crate::redis_writer::RedisWriter;
use crate::sqlite_writer::SqliteWriter;
use crate::store::{Table, TableName};
use crate::writer::{Observer, Writer};
use dlrm_data::error::BadRow;
use dlrm_data::rows::OpenRows;

/// Rows of users or items.
#[derive(Clone, Copy)]
pub struct TableRows<'a> {
    /// Where they are read.
    pub rows: &'a dyn OpenRows,
    /// The column of their keys.
    pub key: &'a str,
    /// The columns that are loaded; all but the key where it is empty.
    pub take: &'a [String],
}

/// Rows that say which items users have had already.
#[derive(Clone, Copy)]
pub struct SeenRows<'a> {
    /// Where they are read.
    pub rows: &'a dyn OpenRows,
    /// The column of the user's key.
    pub user: &'a str,
    /// The column of the item's key.
    pub item: &'a str,
}

/// What is loaded. A table that is not named stays as it is.
#[derive(Clone, Copy, Default)]
pub struct Load<'a> {
    /// Users.
    pub users: Option<TableRows<'a>>,
    /// Items.
    pub items: Option<TableRows<'a>>,
    /// What users have had already.
    pub seen: Option<SeenRows<'a>>,
    /// Malformed rows of a table that are skipped, at most. A row without a key is one.
    pub most_bad: u64,
}

/// A table that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedTable {
    /// Which.
    pub name: TableName,
    /// Its key and columns.
    pub table: Table,
    /// Rows that it holds now.
    pub rows: u64,
    /// Rows whose place a later row with the same key has taken.
    pub replaced: u64,
    /// Malformed rows that were skipped (the first ten thousand).
    pub bad: Vec<BadRow>,
    /// How many were skipped.
    pub bad_rows: u64,
}

/// Rows between two words to the observer.
const ROWS: u64 = 1024;

impl Load<'_> {
    /// Reads all rows and loads them into the store at `address`, which is made where it is a file that is
    /// not there.
    ///
    /// # Errors
    /// If the rows cannot be read, or the store cannot be written or is none of ours. It is then as it was.
    pub fn into_store(&self, address: &str, observer: &mut dyn Observer) -> Result<Vec<LoadedTable>> {
        let address = Address::parse(address)?;
        // Whatever is wrong with one of the inputs as a whole is found before the store is touched.
        let mut inputs = self.open()?;
        let mut writer: Box<dyn Writer> = match address {
            Address::Sqlite(path) => Box::new(SqliteWriter::begin(&path, observer)?),
            Address::Redis(server) => Box::new(RedisWriter::begin(*server)?),
        };
        let mut fill = |(name, rows): &mut (TableName, KeyedRows)| table(&mut *writer, *name, rows, observer);
        match inputs.iter_mut().map(&mut fill).collect() {
            Ok(loaded) => writer.finish().map(|()| loaded),
            Err(error) => {
                writer.abandon();
                Err(error)
            }
        }
    }

    /// Starts a pass over each input.
    fn open(&self) -> Result<Vec<(TableName, KeyedRows)>> {
        let mut inputs = Vec::new();
        for (name, table) in [(TableName::Users, &self.users), (TableName::Items, &self.items)] {
            let Some(TableRows { rows, key, take }) = *table else { continue };
            let take = if take.is_empty() { Take::Others } else { Take::Named(take) };
            inputs.push((name, KeyedRows::open(rows, &[key], take, self.most_bad)?));
        }
        if let Some(SeenRows { rows, user, item }) = self.seen {
            let keyed = KeyedRows::open(rows, &[user, item], Take::Nothing, self.most_bad)?;
            inputs.push((TableName::Seen, keyed));
        }
        Ok(inputs)
    }
}

/// Loads one table.
fn table(
    writer: &mut dyn Writer,
    name: TableName,
    rows: &mut KeyedRows,
    observer: &mut dyn Observer,
) -> Result<LoadedTable> {
    let names = rows.names();
    let table = Table { key: names[0].clone(), columns: names[1..].to_vec() };
    writer.begin(name, &table)?;
    observer.table(name);
    let mut read = 0;
    while rows.advance()? {
        writer.row(&rows.fields())?;
        read += 1;
        if read % ROWS == 0 && !observer.rows(read) {
            return Err(Error::Data(dlrm_data::Error::Interrupted));
        }
    }
    let (bad, bad_rows) = rows.skipped();
    if read == 0 {
        return Err(rows.none().into());
    }
    let held = writer.end()?;
    Ok(LoadedTable { name, table, rows: held, replaced: read - held, bad, bad_rows })
}
