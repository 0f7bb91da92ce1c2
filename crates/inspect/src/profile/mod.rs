//! One streaming pass over an input: what each column is, what is odd about it, and the schema that follows.
//!
//! `rows → ColumnStats per column → ColumnProfile → Schema, table, TOML`
//!
//! Memory is bounded whatever the length and width of the input: about 5 MB per column with many distinct
//! values, less where many columns share it (`room`), about 200 MB for exact numbers of them (beyond, the
//! largest are estimated), and the first rows, from which the label is guessed and numeric columns are cut
//! into bins.
pub(crate) mod advice;
mod classes;
mod clock;
mod column;
pub(crate) mod counts;
mod evidence;
mod kind;
mod label;
mod label_profile;
mod leak;
pub(crate) mod left_out;
mod moments;
mod names;
mod room;
mod schema;
mod sentinels;
mod suggested;
pub(crate) mod table;
mod times;
mod tokens;
mod written;

pub use clock::Covered;
pub use column::ColumnProfile;
pub use counts::Precision;
pub use kind::Kind;
pub use label_profile::{LabelOrigin, LabelProfile, PositiveOrigin};
pub use leak::Leak;
pub use moments::Numbers;
pub use sentinels::Sentinel;
pub use times::TimeFormat;
pub use tokens::Tokens;

use classes::Classes;
use column::ColumnStats;
use dlrm_data::error::{Error, Result, nearest, quoted};
use dlrm_data::format;
use dlrm_data::label::{LabelReader, Rule};
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::schema::{Label, is_missing};
use leak::{LeakTest, Observation};
use room::Room;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use suggested::MomentColumns;
use xxhash_rust::xxh3::xxh3_64;

/// First rows that are held in memory, and the most bytes of them.
const HEAD_ROWS: usize = 10_000;
const HEAD_BYTES: usize = 16 << 20;

/// Malformed rows that are shown.
const SHOWN: usize = 10;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileOptions {
    /// The label column; that of `rule`, or guessed, if not given.
    pub label: Option<String>,
    /// What counts as a click, such as `rating >= 4`.
    pub rule: Option<String>,
    /// Texts that count as clicks.
    pub positive: Vec<String>,
    /// Columns that are no input.
    pub ignore: Vec<String>,
    /// Columns that are categorical, whatever they look like.
    pub categorical: Vec<String>,
    /// The column of sample weights.
    pub weight: Option<String>,
    /// Bytes of memory; a number that suits most machines if not given. Of a wide table less is counted
    /// exactly in fewer of them.
    pub memory: Option<u64>,
}

impl ProfileOptions {
    /// The label in `column`, if a rule or positive texts say how to read it.
    fn said(&self, column: &str) -> Result<Option<(Label, LabelReader)>> {
        if self.rule.is_none() && self.positive.is_empty() {
            return Ok(None);
        }
        let label =
            Label { rule: self.rule.clone(), positive: self.positive.clone(), ..Label::clicks(column) };
        let reader = LabelReader::new(&label)?;
        Ok(Some((label, reader)))
    }

    /// What was said of the kind of each column, where `label` is the label, if that is known.
    ///
    /// # Errors
    /// A name that is none of the columns, that is the label, or that was said twice.
    pub fn kinds(&self, columns: &[String], label: Option<&str>) -> Result<Vec<Option<Kind>>> {
        let mut kinds = vec![None; columns.len()];
        let said = [
            ("schema.ignore", &self.ignore[..], Kind::Ignored),
            ("schema.categorical", &self.categorical, Kind::Categorical),
            ("schema.weight", self.weight.as_slice(), Kind::Weight),
        ];
        for (key, names, kind) in said {
            for name in names {
                let wrong = |what: &str| {
                    let expected = "columns of the input besides the label, each of them once";
                    Error::input(key, expected, format!("{}, {what}", quoted(name)))
                };
                let Some(index) = columns.iter().position(|column| column == name) else {
                    let near = nearest(name, columns.iter().map(String::as_str));
                    let hint = near.map(|near| format!("did you mean \"{near}\"?"));
                    let all = || format!("there are: {}; check delimiter and header", columns.join(", "));
                    return Err(wrong("no such column").with_hint(hint.unwrap_or_else(all)));
                };
                if label == Some(name.as_str()) {
                    return Err(wrong("the label").with_hint("leave it out, or name another label"));
                }
                if kinds[index].replace(kind).is_some() {
                    return Err(wrong("named twice").with_hint("a column is one thing: name it once"));
                }
            }
        }
        Ok(kinds)
    }
}

/// What one pass found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Good rows.
    pub rows: u64,
    /// Malformed rows, which were skipped.
    pub bad_rows: u64,
    /// Places and contents of the first malformed rows.
    pub first_bad_rows: Vec<String>,
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
    /// If there is no good row or there are more bad ones, the given label is not there, or reading fails.
    pub fn of(rows: &mut dyn RowSource, options: &ProfileOptions) -> Result<Self> {
        let columns = rows.columns().to_vec();
        let room = Room::new(columns.len(), options.memory)?;
        let mut reader = Reader { rows, bad: 0, first_bad: None, shown: Vec::new() };
        let head = reader.head()?;
        if head.is_empty() {
            return Err(reader.first_bad.unwrap_or_else(|| Error::no_rows("input", &columns)));
        }
        let by_rule = options.rule.as_deref().map(Rule::parse).transpose()?.map(|rule| rule.column);
        let named = options.label.as_deref().or(by_rule.as_deref());
        let kinds = options.kinds(&columns, named)?;
        let usable: Vec<bool> = kinds.iter().map(Option::is_none).collect();
        let label = label::find(&columns, &usable, named, &head)?;
        let said = label.map(|(index, _)| options.said(&columns[index])).transpose()?.flatten();
        let (said, said_reader) = said.unzip();
        let classes = Classes::new(&head, label.map(|(index, _)| index), said_reader);
        let mut pass = Pass::new(kinds, label.map(|(index, _)| index), &head, classes, room);
        for (column, lists) in reader.rows.lists() {
            pass.columns[column].declare_lists(lists);
        }
        head.iter().for_each(|row| pass.add(row));
        drop(head);
        let mut row = RawRow::default();
        while reader.next(&mut row)? {
            pass.add(&row);
        }
        if reader.bad > pass.rows {
            let found = format!(
                "{} malformed of {}",
                format::count(reader.bad),
                format::count(reader.bad + pass.rows)
            );
            let first = reader.shown.first().cloned().unwrap_or_default();
            let error =
                Error::input("input", "mostly well-formed rows", format!("{found}, the first: {first}"));
            return Err(error.with_hint("is this a data file, and do its format, delimiter and header fit?"));
        }
        let mut profile = pass.finish(&columns, label.map(|(_, origin)| origin), said);
        profile.bad_rows = reader.bad;
        if let Some(first) = reader.shown.first() {
            profile
                .warnings
                .push(format!("{} malformed rows skipped, the first: {first}", format::count(reader.bad)));
        }
        profile.first_bad_rows = reader.shown;
        Ok(profile)
    }
}

/// Good rows of a source.
struct Reader<'s> {
    rows: &'s mut dyn RowSource,
    bad: u64,
    first_bad: Option<Error>,
    shown: Vec<String>,
}

impl Reader<'_> {
    fn next(&mut self, row: &mut RawRow) -> Result<bool> {
        loop {
            match self.rows.next_row(row) {
                Err(error @ Error::Row(_)) => {
                    self.bad += 1;
                    if self.shown.len() < SHOWN {
                        self.shown.push(error.to_string());
                    }
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
    /// What was said of the columns.
    kinds: Vec<Option<Kind>>,
    room: Room,
}

impl Pass {
    fn new(
        kinds: Vec<Option<Kind>>,
        label: Option<usize>,
        head: &[RawRow],
        classes: Classes,
        room: Room,
    ) -> Self {
        let numbers = |index: usize| {
            let fields = head.iter().filter(|row| index < row.len()).map(|row| row.field(index).trim());
            let (numbers, texts): (Vec<_>, Vec<_>) =
                fields.filter(|f| !is_missing(f)).map(evidence::number).partition(Option::is_some);
            if evidence::are_strays(texts.len() as u64, (numbers.len() + texts.len()) as u64) {
                numbers.into_iter().flatten().collect()
            } else {
                Vec::new()
            }
        };
        let tests = (0..kinds.len()).map(|index| LeakTest::new(numbers(index), room.values)).collect();
        let columns = vec![ColumnStats::within(room.values); kinds.len()];
        Pass { rows: 0, label, classes, columns, tests, kinds, room }
    }

    fn add(&mut self, row: &RawRow) {
        // A source should give every field of every row; what it does not give is missing.
        let field = |index: usize| if index < row.len() { row.field(index) } else { "" };
        let label = self.label.map_or("", field);
        let class = self.label.and_then(|_| self.classes.of(label));
        let half = usize::from(xxh3_64(&self.rows.to_le_bytes()) & 1 == 1);
        self.rows += 1;
        if self.rows.is_multiple_of(self.room.look_every) {
            bound(&mut self.columns, self.room.hashes);
        }
        for (index, (stats, test)) in self.columns.iter_mut().zip(&mut self.tests).enumerate() {
            let text = field(index);
            let value = stats.add(text);
            if let Some(class) = class.filter(|_| Some(index) != self.label) {
                test.add(Observation { value, class, equals_label: text == label, half });
            }
        }
    }

    fn finish(self, names: &[String], origin: Option<LabelOrigin>, said: Option<Label>) -> Profile {
        let label =
            self.label.zip(origin).map(|(index, origin)| self.classes.profile(&names[index], origin, said));
        let tested = label.as_ref().and_then(|label| self.classes.tested(label));
        let hints = names::hints(names);
        let mut columns = Vec::with_capacity(names.len());
        for (index, (stats, test)) in self.columns.iter().zip(&self.tests).enumerate() {
            let is_label = self.label == Some(index);
            let tested = tested.as_deref().filter(|_| !is_label);
            let mut column = stats.profile(&names[index], hints[index], tested.and_then(|_| test.auc()));
            if let Some(kind) = self.kinds[index].filter(|_| !is_label) {
                column.become_kind(kind);
            }
            if !is_label && !matches!(column.kind, Kind::Ignored | Kind::Weight) {
                column.suggestions = advice::suggestions(&column, stats.stray_texts().as_deref());
                column.warnings.extend(left_out::left_out(&column));
                column.warnings.extend(stats.stray_warning(column.kind));
                column.warnings.extend(stats.date_warning());
                let sentinels = column.sentinels.iter().map(|s| advice::sentinel(s, self.rows));
                column.warnings.extend(sentinels);
                column.warnings.extend(stats.written_warning(column.kind));
                column.warnings.extend(stats.infinite_warning());
                if let (Some(tested), Some(label)) = (tested, &label) {
                    column.leak = test.leak();
                    column
                        .warnings
                        .extend(column.leak.map(|leak| advice::leak(&leak, &label.column, tested)));
                }
            }
            columns.push(column);
        }
        let inputs = |c: &&ColumnProfile| label.as_ref().is_none_or(|label| label.column != c.name);
        let moments = MomentColumns::of(columns.iter().filter(inputs));
        let until =
            moments.event.map_or_else(String::new, |event| format!("days to {} as an input", event.name));
        let ages: Vec<bool> = columns.iter().map(|c| moments.age(c).is_some()).collect();
        let aged = columns.iter_mut().zip(ages).filter(|(_, is_input)| *is_input);
        aged.for_each(|(column, _)| column.suggestions.push(until.clone()));
        let fingerprints: Vec<u64> = self.columns.iter().map(ColumnStats::fingerprint).collect();
        warn_of_duplicates(&mut columns, &fingerprints);
        let warnings = label
            .as_ref()
            .map_or_else(Vec::new, |label| label.warnings(self.classes.constant(&label.column)));
        Profile { rows: self.rows, bad_rows: 0, first_bad_rows: Vec::new(), label, columns, warnings }
    }
}

/// Lets the columns with the most distinct values estimate them until all together keep at most `most`
/// hashes.
fn bound(columns: &mut [ColumnStats], most: usize) {
    let mut kept: usize = columns.iter().map(ColumnStats::kept).sum();
    while kept > most {
        let Some(largest) = columns.iter_mut().max_by_key(|column| column.kept()) else { return };
        kept -= largest.kept();
        largest.estimate();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_all_columns_together_are_bounded() {
        let mut columns = vec![ColumnStats::within(100_000); 3];
        for r in 0..300_000u32 {
            columns[0].add(&format!("a{r}"));
            columns[1].add(&format!("b{}", r / 2));
            columns[2].add(&format!("c{}", r % 1000));
            if r % 10_000 == 0 {
                bound(&mut columns, 160_000);
                assert!(columns.iter().map(ColumnStats::kept).sum::<usize>() <= 160_000);
            }
        }
        let profiles: Vec<ColumnProfile> =
            columns.iter().map(|c| c.profile("x", names::Hint::None, None)).collect();
        assert_eq!(
            [0, 1, 2].map(|c| profiles[c].precision),
            [Precision::Estimate, Precision::Exact, Precision::Exact]
        );
        assert!(
            (profiles[0].distinct as f64 / 300_000.0 - 1.0).abs() < 0.03 && profiles[1].distinct == 150_000,
            "{profiles:#?}"
        );
    }
}
