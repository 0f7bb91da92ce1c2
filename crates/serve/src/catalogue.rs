//! The items that can be recommended.
use crate::filter::Filter;
use crate::inputs::{Input, InputKind};
use dlrm_data::error::{Error, Result, nearest};
use dlrm_data::row::RawRow;
use dlrm_data::rows::OpenRows;
use std::collections::{HashMap, HashSet};

/// Share of an item's rows that may say something else of a column that is still the item's.
const ODD: f64 = 0.01;

/// Items with their columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    columns: Vec<String>,
    /// Which column tells items apart.
    key: usize,
    items: Vec<Vec<String>>,
    places: HashMap<String, usize>,
}

impl Catalogue {
    /// The rows of a table of items, of which `key` is the column that tells them apart: the first one if
    /// nothing is said. The last row of an item counts.
    ///
    /// # Errors
    /// If the rows cannot be read, or there is no such column.
    pub fn read(rows: &dyn OpenRows, key: Option<&str>) -> Result<Self> {
        let mut source = rows.open_rows()?;
        let columns = source.columns().to_vec();
        let key = match key {
            Some(key) => place(&columns, key, &rows.name())?,
            None => 0,
        };
        let mut catalogue = Catalogue { columns, key, ..Catalogue::default() };
        let mut row = RawRow::default();
        while source.next_row(&mut row)? {
            if row.len() == catalogue.columns.len() && !row.field(key).is_empty() {
                catalogue.put(row.fields().map(str::to_owned).collect());
            }
        }
        Ok(catalogue)
    }

    /// The items of rows of events. Their key is `key`, or else that of the columns which is no column of
    /// `user` and has the most different values; their other columns are those that say the same in all rows
    /// of an item.
    ///
    /// # Errors
    /// If the rows cannot be read, or there is no such column.
    pub fn of_events(
        rows: &dyn OpenRows,
        inputs: &[String],
        key: Option<&str>,
        user: &[String],
    ) -> Result<Self> {
        let mut source = rows.open_rows()?;
        let all = source.columns().to_vec();
        let own: Vec<usize> =
            (0..all.len()).filter(|&c| inputs.contains(&all[c]) && !user.contains(&all[c])).collect();
        let key = match key {
            Some(key) => place(&all, key, &rows.name())?,
            None => most_different(&mut *source, &own)?
                .ok_or_else(|| Error::input(rows.name(), "a column that tells items apart", "none"))?,
        };
        let mut source = rows.open_rows()?;
        let mut events: HashMap<String, (u64, Vec<String>, Vec<u64>)> = HashMap::new();
        let mut row = RawRow::default();
        while source.next_row(&mut row)? {
            if row.len() != all.len() || row.field(key).is_empty() {
                continue;
            }
            let (count, fields, odd) = events
                .entry(row.field(key).to_owned())
                .or_insert_with(|| (0, row.fields().map(str::to_owned).collect(), vec![0; all.len()]));
            *count += 1;
            for column in 0..all.len() {
                odd[column] += u64::from(fields[column] != row.field(column));
            }
        }
        let total: u64 = events.values().map(|(count, ..)| count).sum();
        let steady = |column: &usize| {
            let odd: u64 = events.values().map(|(_, _, odd)| odd[*column]).sum();
            odd as f64 <= ODD * total as f64
        };
        let kept: Vec<usize> =
            std::iter::once(key).chain(own.into_iter().filter(|c| *c != key).filter(steady)).collect();
        let mut catalogue = Catalogue {
            columns: kept.iter().map(|&column| all[column].clone()).collect(),
            ..Catalogue::default()
        };
        let mut items: Vec<_> = events.into_values().map(|(_, fields, _)| fields).collect();
        items.sort_by(|a, b| a[key].cmp(&b[key]));
        items.into_iter().for_each(|fields| catalogue.put(kept.iter().map(|&c| fields[c].clone()).collect()));
        Ok(catalogue)
    }

    fn put(&mut self, fields: Vec<String>) {
        match self.places.get(&fields[self.key]) {
            Some(&place) => self.items[place] = fields,
            None => {
                self.places.insert(fields[self.key].clone(), self.items.len());
                self.items.push(fields);
            }
        }
    }

    /// Its columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The column that tells items apart.
    pub fn key(&self) -> &str {
        &self.columns[self.key]
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn key_place(&self) -> usize {
        self.key
    }

    pub(crate) fn items(&self) -> &[Vec<String>] {
        &self.items
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.places.get(key).copied()
    }

    /// Places of the items that fulfil a condition and are none of `excluded`.
    pub(crate) fn admitted(
        &self,
        filter: Option<&Filter>,
        excluded: &[String],
        inputs: &[Input],
    ) -> Vec<u32> {
        let separators = self.separators(inputs);
        let out: HashSet<usize> = excluded.iter().filter_map(|key| self.place(key)).collect();
        let admits = |(place, item): (usize, &Vec<String>)| {
            let passes = filter.is_none_or(|filter| filter.admits(item, &|column| separators[column]));
            (passes && !out.contains(&place)).then_some(place as u32)
        };
        self.items.iter().enumerate().filter_map(admits).collect()
    }

    /// Separators of its columns with several values, as the model has them.
    fn separators(&self, inputs: &[Input]) -> Vec<Option<char>> {
        let of = |column: &String| match inputs.iter().find(|input| input.name == *column)?.kind {
            InputKind::MultiValued { separator, .. } => Some(separator),
            _ => None,
        };
        self.columns.iter().map(of).collect()
    }
}

/// The column among `own` with the most different values.
fn most_different(source: &mut dyn dlrm_data::row::RowSource, own: &[usize]) -> Result<Option<usize>> {
    let mut seen: Vec<HashSet<u64>> = vec![HashSet::new(); own.len()];
    let mut row = RawRow::default();
    while source.next_row(&mut row)? {
        for (&column, seen) in own.iter().zip(&mut seen) {
            if column < row.len() {
                seen.insert(xxhash_rust::xxh3::xxh3_64(row.field(column).as_bytes()));
            }
        }
    }
    // The first of equals.
    let most = own.iter().zip(&seen).rev().max_by_key(|(_, seen)| seen.len());
    Ok(most.map(|(&column, _)| column))
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
