//! One streaming pass over an input: what each column is, what is odd about it, and the schema that follows.
//!
//! `rows → ColumnStats per column → ColumnProfile → Schema, table, TOML`
//!
//! Memory is bounded whatever the length of the input: at most about 20 MB per column (when it has a million
//! distinct values), plus the first rows, from which the label is guessed and numeric columns are cut into bins.
mod advice;
mod column;
mod counts;
mod kind;
mod label;
mod leak;
mod moments;
mod names;
mod schema;
mod table;
mod text;
mod times;
mod tokens;

pub use column::ColumnProfile;
pub use counts::Precision;
pub use kind::Kind;
pub use label::{LabelOrigin, LabelProfile};
pub use moments::Numbers;
pub use times::TimeFormat;
pub use tokens::Tokens;

use crate::error::{Error, Result};
use crate::row::{RawRow, RowSource};
use column::ColumnStats;
use label::Classes;
use leak::{LeakTest, Observation};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// First rows that are held in memory, and the most bytes of them.
const HEAD_ROWS: usize = 10_000;
const HEAD_BYTES: usize = 16 << 20;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileOptions {
    /// The label column; guessed if not given.
    pub label: Option<String>,
}

/// What one pass found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Good rows.
    pub rows: u64,
    /// Malformed rows, which were skipped.
    pub bad_rows: u64,
    /// The label, if one was given or guessed.
    pub label: Option<LabelProfile>,
    /// In the order of the input.
    pub columns: Vec<ColumnProfile>,
    /// Warnings about the input as a whole; those about one column are with the column.
    pub warnings: Vec<String>,
}

impl Profile {
    /// Looks at every row once. Malformed rows are skipped and counted.
    ///
    /// # Errors
    /// If there is no good row, the given label is not there, or reading fails.
    pub fn of(rows: &mut dyn RowSource, options: &ProfileOptions) -> Result<Self> {
        let columns = rows.columns().to_vec();
        let mut reader = Reader { rows, bad: 0, first_bad: None };
        let head = reader.head()?;
        if head.is_empty() {
            return Err(reader.first_bad.unwrap_or_else(|| Error::input("input", "at least one row", "none")));
        }
        let label = label::find(&columns, options.label.as_deref(), &head)?;
        let mut pass = Pass::new(&columns, label.map(|(index, _)| index), &head);
        head.iter().for_each(|row| pass.add(row));
        drop(head);
        let mut row = RawRow::default();
        while reader.next(&mut row)? {
            pass.add(&row);
        }
        let mut profile = pass.finish(&columns, label.map(|(_, origin)| origin));
        profile.bad_rows = reader.bad;
        if let Some(first) = reader.first_bad {
            profile.warnings.push(format!("{} malformed rows skipped, the first: {first}", text::count(reader.bad)));
        }
        Ok(profile)
    }
}

/// Good rows of a source.
struct Reader<'s> {
    rows: &'s mut dyn RowSource,
    bad: u64,
    first_bad: Option<Error>,
}

impl Reader<'_> {
    fn next(&mut self, row: &mut RawRow) -> Result<bool> {
        loop {
            match self.rows.next_row(row) {
                Err(error @ Error::Row(_)) => {
                    self.bad += 1;
                    self.first_bad.get_or_insert(error);
                }
                other => return other,
            }
        }
    }

    /// The first rows.
    fn head(&mut self) -> Result<Vec<RawRow>> {
        let (mut head, mut row, mut bytes) = (Vec::new(), RawRow::default(), 0);
        while head.len() < HEAD_ROWS && bytes < HEAD_BYTES && self.next(&mut row)? {
            bytes += row.fields().map(str::len).sum::<usize>();
            head.push(row.clone());
        }
        Ok(head)
    }
}

/// The pass in the making.
struct Pass {
    rows: u64,
    label: Option<usize>,
    classes: Classes,
    columns: Vec<ColumnStats>,
    tests: Vec<LeakTest>,
}

impl Pass {
    fn new(columns: &[String], label: Option<usize>, head: &[RawRow]) -> Self {
        let numbers = |index: usize| {
            let fields = head.iter().filter(|row| index < row.len()).map(|row| row.field(index).trim());
            let (numbers, texts): (Vec<_>, Vec<_>) =
                fields.filter(|f| !column::is_missing(f)).map(column::number).partition(Option::is_some);
            if texts.is_empty() { numbers.into_iter().flatten().collect() } else { Vec::new() }
        };
        let tests = (0..columns.len()).map(|index| LeakTest::new(numbers(index))).collect();
        Pass { rows: 0, label, classes: Classes::default(), columns: vec![ColumnStats::default(); columns.len()], tests }
    }

    fn add(&mut self, row: &RawRow) {
        // A source should give every field of every row; what it does not give is missing.
        let field = |index: usize| if index < row.len() { row.field(index) } else { "" };
        let label = self.label.map_or("", field);
        let class = self.label.and_then(|_| self.classes.of(label));
        let half = usize::from(xxh3_64(&self.rows.to_le_bytes()) & 1 == 1);
        self.rows += 1;
        for (index, (stats, test)) in self.columns.iter_mut().zip(&mut self.tests).enumerate() {
            let text = field(index);
            let value = stats.add(text);
            if let Some(class) = class.filter(|_| Some(index) != self.label) {
                test.add(Observation { value, class, equals_label: text == label, half });
            }
        }
    }

    fn finish(self, names: &[String], origin: Option<LabelOrigin>) -> Profile {
        let label = self.label.zip(origin).map(|(index, origin)| {
            let numeric = self.columns[index].is_numeric();
            (index, self.classes.profile(&names[index], origin, numeric))
        });
        let binary = label.is_some() && self.classes.is_binary();
        let hints = names::hints(names);
        let mut columns = Vec::with_capacity(names.len());
        for (index, (stats, test)) in self.columns.iter().zip(&self.tests).enumerate() {
            let is_label = self.label == Some(index);
            let judged = binary && !is_label;
            let mut column = stats.profile(&names[index], hints[index], judged.then(|| test.auc()).flatten());
            if !is_label {
                column.suggestions = advice::suggestions(&column, stats.stray_texts().as_deref());
                column.warnings.extend(advice::left_out(&column));
                if judged && let Some((_, label)) = &label {
                    column.warnings.extend(advice::leak(test, &label.column));
                }
            }
            columns.push(column);
        }
        let fingerprints: Vec<u64> = self.columns.iter().map(ColumnStats::fingerprint).collect();
        warn_of_duplicates(&mut columns, &fingerprints);
        let mut warnings = Vec::new();
        if let Some((_, label)) = &label {
            warnings.extend(label_warnings(label, &self.classes));
        }
        let label = label.map(|(_, label)| label);
        Profile { rows: self.rows, bad_rows: 0, label, columns, warnings }
    }
}

/// Warns of columns that hold the same in every row as an earlier one (constant ones are warned of anyway).
fn warn_of_duplicates(columns: &mut [ColumnProfile], fingerprints: &[u64]) {
    let mut first: HashMap<u64, usize> = HashMap::new();
    for (index, fingerprint) in fingerprints.iter().enumerate() {
        if matches!(columns[index].kind, Kind::Constant | Kind::Empty) {
            continue;
        }
        let original = *first.entry(*fingerprint).or_insert(index);
        if original != index {
            let warning = format!("the same as column \"{}\" in every row", columns[original].name);
            columns[index].warnings.push(warning);
        }
    }
}

fn label_warnings(label: &LabelProfile, classes: &Classes) -> Vec<String> {
    let mut warnings = Vec::new();
    if classes.is_constant() {
        warnings.push(format!("label \"{}\" holds one value only: there is nothing to learn", label.column));
    }
    if label.missing > 0 {
        warnings.push(format!("label \"{}\" is missing in {} rows, which cannot be used", label.column, text::count(label.missing)));
    }
    if label.task.is_none() {
        warnings.push(format!("label \"{}\" holds more than two texts: give a rule or a list of positive values", label.column));
    }
    warnings
}
