//! Items of rows of events.
use super::{Catalogue, Origin, Roles, Seen, next_whole, place};
use dlrm_data::error::{Error, Result};
use dlrm_data::items::{ItemTableBuilder, SeenBuilder};
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::rows::OpenRows;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Share of an item's further rows that may say something else of a column that is still the item's.
const ODD: f64 = 0.01;

/// The items of rows of events, with the columns that say the same in all rows of an item, and who has had
/// them.
#[derive(Debug)]
pub struct EventItems {
    items: ItemTableBuilder,
    seen: Option<SeenPairs>,
}

#[derive(Debug)]
struct SeenPairs {
    user: String,
    pairs: SeenBuilder,
    /// The places of the items by the numbers that they have in the pairs.
    places: Vec<u32>,
}

/// What is known of an item.
struct Known {
    rows: u64,
    /// Of the columns that may be its own.
    fields: Vec<Box<str>>,
    /// Rows that say something else.
    odd: Vec<u32>,
}

impl EventItems {
    /// Reads the rows, twice where several columns may tell items apart: the one with the most different
    /// values does.
    ///
    /// # Errors
    /// If the rows cannot be read, or a column is not there.
    pub fn read(rows: &dyn OpenRows, roles: &Roles) -> Result<Self> {
        let key = key(rows, &roles.keys)?;
        let mut source = rows.open_rows()?;
        let all = source.columns().to_vec();
        let key = place(&all, &key, &rows.name())?;
        let own: Vec<usize> = std::iter::once(key)
            .chain((0..all.len()).filter(|&c| c != key && roles.others.contains(&all[c])))
            .collect();
        let user = roles.user.as_ref().and_then(|user| all.iter().position(|column| column == user));
        let mut pairs = user.map(|_| SeenBuilder::default());
        let mut numbers: HashMap<Box<str>, u32> = HashMap::new();
        let mut known: Vec<Known> = Vec::new();
        let mut row = RawRow::default();
        while next_whole(&mut *source, &mut row)? {
            let text = row.field(key);
            if text.is_empty() {
                continue;
            }
            let number = match numbers.get(text) {
                Some(&number) => {
                    known[number as usize].compare(&own, &row);
                    number
                }
                None => {
                    let number = u32::try_from(known.len())
                        .map_err(|_| Error::input(rows.name(), "fewer than 2^32 items", "more"))?;
                    numbers.insert(text.into(), number);
                    known.push(Known::new(&own, &row));
                    number
                }
            };
            if let (Some(pairs), Some(user)) = (&mut pairs, user)
                && !row.field(user).is_empty()
            {
                pairs.push(row.field(user), number);
            }
        }
        drop(numbers);
        let seen = pairs.zip(user).map(|(pairs, user)| (all[user].clone(), pairs));
        table(&own.iter().map(|&column| all[column].clone()).collect::<Vec<_>>(), &known, seen)
    }

    /// The table of items.
    pub fn into_table(self) -> ItemTableBuilder {
        self.items
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A catalogue of them, with files in the directory `scratch` that go with it.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(self, scratch: &Path) -> Result<Catalogue> {
        let table = self.items.finish(scratch)?;
        let seen = self.seen.map(|SeenPairs { user, pairs, places }| -> Result<Seen> {
            Ok(Seen { user, items: pairs.finish(scratch, |number| places[number as usize])? })
        });
        Ok(Catalogue::new(table, seen.transpose()?, scratch, Origin::Events))
    }
}

impl Known {
    fn new(own: &[usize], row: &RawRow) -> Self {
        let fields = own.iter().map(|&column| row.field(column).into()).collect();
        Known { rows: 1, fields, odd: vec![0; own.len()] }
    }

    fn compare(&mut self, own: &[usize], row: &RawRow) {
        self.rows += 1;
        for ((odd, field), &column) in self.odd.iter_mut().zip(&self.fields).zip(own) {
            *odd = odd.saturating_add(u32::from(**field != *row.field(column)));
        }
    }
}

/// The items in the order of their keys, which stand in the first of the columns, with those that are theirs.
fn table(columns: &[String], known: &[Known], seen: Option<(String, SeenBuilder)>) -> Result<EventItems> {
    let further: u64 = known.iter().map(|known| known.rows - 1).sum();
    let steady = |&column: &usize| {
        let odd: u64 = known.iter().map(|known| u64::from(known.odd[column])).sum();
        column == 0 || odd as f64 <= ODD * further as f64
    };
    let kept: Vec<usize> = (0..columns.len()).filter(steady).collect();
    let mut items = ItemTableBuilder::new(kept.iter().map(|&c| columns[c].clone()).collect(), 0)?;
    let mut order: Vec<u32> = (0..known.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| known[a as usize].fields[0].cmp(&known[b as usize].fields[0]));
    let mut places = vec![0; known.len()];
    for (&number, place) in order.iter().zip(0..) {
        let fields = &known[number as usize].fields;
        items.push(kept.iter().map(|&column| &*fields[column]))?;
        places[number as usize] = place;
    }
    let seen = seen.map(|(user, pairs)| SeenPairs { user, pairs, places });
    Ok(EventItems { items, seen })
}

/// The column that tells items apart: the one of `keys` with the most different values, the first of equals.
fn key(rows: &dyn OpenRows, keys: &[String]) -> Result<String> {
    if let [key] = keys {
        return Ok(key.clone());
    }
    let mut source: Box<dyn RowSource> = rows.open_rows()?;
    let places: Vec<usize> =
        keys.iter().filter_map(|key| source.columns().iter().position(|column| column == key)).collect();
    let mut seen: Vec<HashSet<u64>> = vec![HashSet::new(); places.len()];
    let mut row = RawRow::default();
    while next_whole(&mut *source, &mut row)? {
        for (&column, seen) in places.iter().zip(&mut seen) {
            seen.insert(xxhash_rust::xxh3::xxh3_64(row.field(column).as_bytes()));
        }
    }
    let most = places.iter().zip(&seen).rev().max_by_key(|(_, seen)| seen.len());
    let most = most.map(|(&column, _)| source.columns()[column].clone());
    most.ok_or_else(|| Error::input(rows.name(), "a column that tells items apart", "none"))
}
