//! JSON lines (newline-delimited JSON): an object in each line.
//!
//! The columns are the keys of the first objects, in the order in which they come first; a key that an
//! object lacks is a missing value, one that is no column is left out, and an object without any column is
//! malformed. Text stands as it is, numbers as they are written, truth as 1 and 0, null as an empty field;
//! a list of such values becomes `a|b|c` as in Parquet.
use super::lines::{Lines, as_text};
use super::stream::Place;
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The columns are the keys of so many first rows.
const NAMING_ROWS: usize = 10_000;
/// Columns, at most: objects whose keys are values have as many keys as there are values.
const MOST_COLUMNS: usize = 1 << 16;

/// Whether a line is an object.
pub(super) fn is_object(line: &str) -> bool {
    line.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(line).is_ok()
}

/// Reader of one file of JSON lines.
pub(super) struct JsonLines {
    lines: Lines,
    columns: Vec<String>,
    fields: Fields,
}

impl JsonLines {
    /// Opens `place`, to read these columns.
    pub(super) fn open(place: Place<'_>, columns: &[String]) -> Result<Self> {
        let fields = Fields {
            places: columns.iter().cloned().zip(0..).collect(),
            texts: vec![String::new(); columns.len()],
            met: vec![false; columns.len()],
            unknown: None,
            wrong: None,
        };
        Ok(JsonLines { lines: place.lines()?, columns: columns.to_vec(), fields })
    }
}

impl RowSource for JsonLines {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        let JsonLines { lines, columns, fields } = self;
        let Some((used, length)) = next_line(lines)? else { return Ok(false) };
        lines.begin(row);
        let line = lines.bytes(used);
        let read = as_text(line, || row.position(None), |_| (1, String::new()))
            .and_then(|text| fields.read(text, row, columns));
        let read = read.map_err(|mut error| {
            if let Error::Row(bad) = &mut error {
                bad.keep(&String::from_utf8_lossy(line));
            }
            error
        });
        lines.consume(length, 1);
        read?;
        fields.texts.iter().for_each(|text| row.push(text));
        Ok(true)
    }
}

/// The fields of an object.
struct Fields {
    places: HashMap<String, usize>,
    /// The text of each, and whether it has been met.
    texts: Vec<String>,
    met: Vec<bool>,
    /// The first key that is no column.
    unknown: Option<String>,
    /// The first value that is not what it should be.
    wrong: Option<(usize, BadValue)>,
}

impl Fields {
    /// Refills the texts from an object.
    fn read(&mut self, text: &str, row: &RawRow, columns: &[String]) -> Result<()> {
        self.texts.iter_mut().for_each(String::clear);
        self.met.fill(false);
        (self.unknown, self.wrong) = (None, None);
        let mut json = serde_json::Deserializer::from_str(text);
        let object = (&mut *self).deserialize(&mut json).and_then(|()| json.end());
        object.map_err(|error| no_object(row, text, &error))?;
        if let Some((place, wrong)) = self.wrong.take() {
            let position = row.position(Some((place, &columns[place])));
            let error = Error::row(position, wrong.expected, wrong.found);
            return Err(error.with_hint(
                "write nested values as keys of their own, or leave the column out by naming the others in \
                 `columns`",
            ));
        }
        if self.met.contains(&true) || columns.is_empty() {
            return Ok(());
        }
        let found = self.unknown.as_deref().map_or_else(|| "an empty one".into(), quoted);
        Err(Error::row(row.position(None), "an object with one of the columns as key", found))
    }

    fn put(&mut self, place: usize, value: &str) {
        let twice = std::mem::replace(&mut self.met[place], true);
        let put = if twice {
            Err(BadValue { expected: "each key once", found: "this one twice".into() })
        } else {
            append_json(value, Some('|'), &mut self.texts[place])
        };
        if let Err(wrong) = put {
            self.wrong.get_or_insert((place, wrong));
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Fields {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            match self.places.get(key.as_ref()).copied() {
                Some(place) => self.put(place, map.next_value::<&'de RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                    self.unknown.get_or_insert_with(|| key.into_owned());
                }
            }
        }
        Ok(())
    }
}

/// Length of the next line that is not blank, without and with its line end.
fn next_line(lines: &mut Lines) -> Result<Option<(usize, usize)>> {
    loop {
        match lines.peek_line()? {
            Some((used, length)) if lines.bytes(used).iter().all(u8::is_ascii_whitespace) => {
                lines.consume(length, 1);
            }
            other => return Ok(other),
        }
    }
}

fn no_object(row: &RawRow, text: &str, error: &serde_json::Error) -> Error {
    let found = match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => quoted(text),
        Err(_) => format!("{} ({})", quoted(text), error.to_string().replace(" at line 1 column", ", byte")),
    };
    Error::row(row.position(None), "a JSON object in a line", found)
}

/// The columns of what is there.
///
/// # Errors
/// If there is no object among the first rows, or it has too many keys.
pub(super) fn columns_of(place: Place<'_>) -> Result<Vec<String>> {
    let (mut lines, mut columns, mut known) = (place.ahead().lines()?, Vec::new(), HashSet::new());
    let mut first_bad = None;
    for _ in 0..NAMING_ROWS {
        let (used, length) = match next_line(&mut lines) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(Error::Row(_)) => continue,
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(lines.bytes(used));
        match serde_json::from_str::<Keys<'_>>(&text) {
            Ok(Keys(keys)) => {
                for key in keys {
                    if !known.contains(key.as_ref()) {
                        known.insert(key.clone().into_owned());
                        columns.push(key.into_owned());
                    }
                }
            }
            Err(_) => drop(first_bad.get_or_insert_with(|| quoted(&text))),
        }
        if columns.len() > MOST_COLUMNS {
            let error = Error::input(lines.file(), format!("at most {MOST_COLUMNS} keys"), "more");
            return Err(error.with_hint("write names that are values as values: {\"key\": …, \"value\": …}"));
        }
        lines.consume(length, 1);
    }
    match (columns.is_empty(), first_bad) {
        (false, _) => Ok(columns),
        (true, Some(found)) => Err(Error::input(lines.file(), "a JSON object in each line", found)),
        (true, None) => Err(Error::empty_file(lines.file(), "rows")),
    }
}

/// What was expected and found instead of a JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// What should have stood there.
    pub expected: &'static str,
    /// What stood there.
    pub found: String,
}

/// Appends the text that a JSON value has in the field of a row: a text without its quotes, a number exactly
/// as it is written, 1 and 0 for true and false, nothing for null. The values of a list stand between
/// `separator`s; without one no list is expected.
///
/// # Errors
/// An object, a list within a list, a value that holds the separator.
pub fn append_json(value: &str, separator: Option<char>, out: &mut String) -> Result<(), BadValue> {
    let Some(separator) = separator.filter(|_| value.starts_with('[')) else {
        return append_single(value, out);
    };
    let start = out.len();
    let items = serde_json::from_str::<Items<'_>>(value)
        .map_err(|error| BadValue { expected: "a list of values", found: error.to_string() })?;
    for item in items.0.iter().map(|item| item.get()).filter(|item| *item != "null") {
        if out.len() > start {
            out.push(separator);
        }
        let own = out.len();
        append_single(item, out)?;
        if out[own..].contains(separator) {
            let expected = match separator {
                '|' => "list values without `|`, which separates them here",
                _ => "list values without the character that separates them here",
            };
            return Err(BadValue { expected, found: quoted(item) });
        }
    }
    Ok(())
}

/// Appends the text of a value that is no list.
fn append_single(value: &str, out: &mut String) -> Result<(), BadValue> {
    match value.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Key<'_>>(value) {
            Ok(Key(text)) => out.push_str(&text),
            Err(error) => return Err(BadValue { expected: "a text", found: error.to_string() }),
        },
        Some(b't') => out.push('1'),
        Some(b'f') => out.push('0'),
        Some(b'n') | None => {}
        Some(b'[' | b'{') => {
            return Err(BadValue { expected: "a single value or a list of them", found: quoted(value) });
        }
        // A number, exactly as it is written.
        Some(_) => out.push_str(value),
    }
    Ok(())
}

/// A text, borrowed where it stands as it is.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The keys of an object in their order.
struct Keys<'a>(Vec<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Keys<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
                let mut keys = Vec::new();
                while let Some((Key(key), _)) = map.next_entry::<Key<'de>, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The values of a list.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element::<&'de RawValue>()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Values)
    }
}
