//! The items that can be recommended: a table that is mapped, and what is known of who has had them.
//!
//! * `events`: items of rows of events, such as those that a model was trained on.
//! * `roles`: which columns of such rows are the user's.
mod events;
mod roles;

use crate::filter::Filter;
use crate::refusal::Refusal;
use dlrm_data::error::{Error, Result, nearest};
use dlrm_data::items::{ItemTable, ItemTableBuilder, SeenItems};
use dlrm_data::readers::Input;
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::rows::OpenRows;
pub use events::EventItems;
pub use roles::Roles;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Items with their columns.
#[derive(Debug)]
pub struct Catalogue {
    table: ItemTable,
    seen: Option<Seen>,
    /// Where encoded items are put.
    scratch: PathBuf,
    origin: Origin,
}

/// Where a catalogue is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Someone has given a table: a model that cannot use it is a mistake.
    Given,
    /// It was made of the rows that a model was trained on.
    Events,
}

/// Who has had what.
#[derive(Debug)]
struct Seen {
    /// The column that tells users apart.
    user: String,
    items: SeenItems,
}

/// Which items may be recommended.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    filter: Option<Filter>,
    /// Places of those that may not, rising.
    excluded: Vec<u32>,
}

impl Catalogue {
    /// The table `path`: an Arrow file, as [`ItemTableBuilder::write_into`] writes it, which is mapped; or a
    /// file of rows, of which `key` is the column that tells items apart: the first one if nothing is said.
    /// The last row of an item counts. `scratch` is a directory for files that go with the catalogue.
    ///
    /// # Errors
    /// If the file cannot be read, or there is no such column.
    pub fn open(path: &Path, key: Option<&str>, scratch: &Path) -> Result<Self> {
        if !ItemTable::is_in(path)? {
            let table = rows_of_table(&Input::new([path]), key)?.finish(scratch)?;
            return Ok(Catalogue::new(table, None, scratch, Origin::Given));
        }
        let table = ItemTable::open(path)?;
        let own = &table.columns()[table.key()];
        if let Some(key) = key.filter(|key| key != own) {
            let error = Error::input(
                path.display().to_string(),
                format!("items that the column \"{key}\" tells apart"),
                format!("some that \"{own}\" does"),
            );
            return Err(error.with_hint("make the file anew: dlrm items TABLE --item-key COLUMN -o FILE"));
        }
        Ok(Catalogue::new(table, None, scratch, Origin::Given))
    }

    fn new(table: ItemTable, seen: Option<Seen>, scratch: &Path, origin: Origin) -> Self {
        Catalogue { table, seen, scratch: scratch.to_owned(), origin }
    }

    /// Its columns.
    pub fn columns(&self) -> &[String] {
        self.table.columns()
    }

    /// The column that tells items apart.
    pub fn key(&self) -> &str {
        &self.columns()[self.table.key()]
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Where it is from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Bytes of its table, which are mapped.
    pub fn bytes(&self) -> u64 {
        self.table.bytes()
    }

    /// The column whose users it knows to have had items, if it knows that of any.
    pub fn seen_by(&self) -> Option<&str> {
        self.seen.as_ref().map(|seen| seen.user.as_str())
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    pub(crate) fn field(&self, place: usize, column: usize) -> &str {
        self.table.field(place, column)
    }

    /// The key of an item.
    pub(crate) fn key_of(&self, place: usize) -> &str {
        self.table.field(place, self.table.key())
    }

    /// What an item has, in the order of the columns.
    pub(crate) fn fields(&self, place: usize) -> impl ExactSizeIterator<Item = &str> {
        self.table.fields(place)
    }

    /// To be asked before items are looked at: the file may have been cut short.
    pub(crate) fn check(&self) -> Result<()> {
        self.table.check()
    }

    /// The items that fulfil a condition and are none of `excluded`, which are keys, nor had by `user`.
    pub(crate) fn wanted(
        &self,
        filter: Option<&str>,
        excluded: &[String],
        user: Option<&str>,
    ) -> Result<Wanted, Refusal> {
        let filter = filter.map(|text| Filter::parse(text, self.columns())).transpose()?;
        let places = excluded.iter().filter_map(|key| self.table.find(key)).map(|place| place as u32);
        let seen = self.seen.as_ref().zip(user).map(|(seen, user)| seen.items.of_user(user));
        let mut excluded: Vec<u32> = places.chain(seen.unwrap_or_default()).collect();
        excluded.sort_unstable();
        Ok(Wanted { filter, excluded })
    }

    /// Those in `places` that are wanted. `separators` are those of the columns with several values.
    pub(crate) fn admitted(
        &self,
        wanted: &Wanted,
        separators: &[Option<char>],
        places: Range<u32>,
    ) -> Vec<u32> {
        let admits = |&place: &u32| {
            let field = |column: usize| self.table.field(place as usize, column);
            wanted.filter.as_ref().is_none_or(|filter| filter.admits(&field, separators))
                && wanted.excluded.binary_search(&place).is_err()
        };
        places.filter(admits).collect()
    }
}

/// The rows of a table of items.
///
/// # Errors
/// If they cannot be read, or there is no column `key`.
pub fn rows_of_table(rows: &dyn OpenRows, key: Option<&str>) -> Result<ItemTableBuilder> {
    let mut source = rows.open_rows()?;
    let columns = source.columns().to_vec();
    let key = match key {
        Some(key) => place(&columns, key, &rows.name())?,
        None => 0,
    };
    let (width, mut items) = (columns.len(), ItemTableBuilder::new(columns, key)?);
    let mut row = RawRow::default();
    while source.next_row(&mut row)? {
        if row.len() == width && !row.field(key).is_empty() {
            items.push(row.fields())?;
        }
    }
    Ok(items)
}

/// The next row that is whole; `false` at the end. Malformed ones are passed over, as training did.
pub(crate) fn next_whole(source: &mut dyn RowSource, row: &mut RawRow) -> Result<bool> {
    let width = source.columns().len();
    loop {
        match source.next_row(row) {
            Ok(true) if row.len() != width => {}
            Err(Error::Row(_)) => {}
            other => return other,
        }
    }
}

fn place(columns: &[String], name: &str, input: &str) -> Result<usize> {
    columns.iter().position(|column| column == name).ok_or_else(|| {
        let error =
            Error::input(input, format!("a column \"{name}\""), format!("columns {}", columns.join(", ")));
        match nearest(name, columns.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None => error,
        }
    })
}
