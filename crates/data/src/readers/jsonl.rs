//! JSON lines (newline-delimited JSON): an object in each line.
//!
//! The columns are the keys of the first objects, in the order in which they come first; a key that an
//! object lacks is a missing value, one that is no column is left out, and an object without any column is
//! malformed. Text stands as it is, numbers as they are written, truth as 1 and 0, null as an empty field;
//! a list of such values becomes `a|b|c` as in Parquet.
use super::lines::{Lines, as_text};
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

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
    places: HashMap<String, usize>,
    /// The text of every field of the current row, and whether it has been met.
    texts: Vec<String>,
    met: Vec<bool>,
}

impl JsonLines {
    /// Opens `path`, to read these columns.
    pub(super) fn open(path: &Path, columns: &[String]) -> Result<Self> {
        let places = columns.iter().cloned().zip(0..).collect();
        let (texts, met) = (vec![String::new(); columns.len()], vec![false; columns.len()]);
        Ok(JsonLines { lines: Lines::open(path)?, columns: columns.to_vec(), places, texts, met })
    }

    /// Fills the texts from an object; what is wrong, with the column that it is wrong in.
    fn fill(&mut self, object: &Object<'_>) -> Result<(), (Option<usize>, Wrong)> {
        let mut any = false;
        for (key, value) in &object.0 {
            let Some(&place) = self.places.get(key.as_ref()) else { continue };
            if std::mem::replace(&mut self.met[place], true) {
                return Err((
                    Some(place),
                    Wrong { expected: "each key once", found: "this one twice".into() },
                ));
            }
            any = true;
            append(value.get(), &mut self.texts[place]).map_err(|wrong| (Some(place), wrong))?;
        }
        if any || self.columns.is_empty() {
            return Ok(());
        }
        let found = object.0.first().map_or_else(|| "an empty one".into(), |(key, _)| quoted(key));
        Err((None, Wrong { expected: "an object with one of the columns as key", found }))
    }
}

impl RowSource for JsonLines {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        let Some((used, length)) = next_line(&mut self.lines)? else { return Ok(false) };
        self.lines.begin(row);
        self.texts.iter_mut().for_each(String::clear);
        self.met.fill(false);
        // The texts borrow nothing of the line, which stays where it is until it is consumed.
        let line = self.lines.bytes(used).to_vec();
        self.lines.consume(length, 1);
        let shown = |error: Error| match error {
            Error::Row(mut bad) => {
                bad.keep(&String::from_utf8_lossy(&line));
                Error::Row(bad)
            }
            other => other,
        };
        let text = as_text(&line, || row.position(None), |_| (1, String::new())).map_err(shown)?;
        let object =
            serde_json::from_str::<Object<'_>>(text).map_err(|error| shown(no_object(row, text, &error)))?;
        self.fill(&object).map_err(|(place, wrong)| {
            let column = place.map(|place| (place, self.columns[place].as_str()));
            let error = Error::row(row.position(column), wrong.expected, wrong.found);
            shown(match place {
                Some(_) => error.with_hint(
                    "write nested values as keys of their own, or leave the column out by naming the others \
                     in `columns`",
                ),
                None => error,
            })
        })?;
        self.texts.iter().for_each(|text| row.push(text));
        Ok(true)
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

/// The columns of `path`.
///
/// # Errors
/// If there is no object among the first rows, or it has too many keys.
pub(super) fn columns_of(path: &Path) -> Result<Vec<String>> {
    let (mut lines, mut columns, mut places) = (Lines::open(path)?, Vec::new(), HashMap::new());
    let mut first_bad = None;
    for _ in 0..NAMING_ROWS {
        let (used, length) = match next_line(&mut lines) {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(Error::Row(_)) => continue,
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(lines.bytes(used));
        match serde_json::from_str::<Object<'_>>(&text) {
            Ok(object) => {
                for (key, _) in object.0 {
                    if !places.contains_key(key.as_ref()) {
                        places.insert(key.clone().into_owned(), ());
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

/// What was expected and found instead of a value.
struct Wrong {
    expected: &'static str,
    found: String,
}

/// Appends the text of a value.
fn append(value: &str, out: &mut String) -> Result<(), Wrong> {
    if !value.starts_with('[') {
        return append_single(value, out);
    }
    let start = out.len();
    let items = serde_json::from_str::<Items<'_>>(value)
        .map_err(|error| Wrong { expected: "a list of values", found: error.to_string() })?;
    for item in items.0.iter().map(|item| item.get()).filter(|item| *item != "null") {
        if out.len() > start {
            out.push('|');
        }
        let own = out.len();
        append_single(item, out)?;
        if out[own..].contains('|') {
            let expected = "list values without `|`, which separates them here";
            return Err(Wrong { expected, found: quoted(item) });
        }
    }
    Ok(())
}

/// Appends the text of a value that is no list.
fn append_single(value: &str, out: &mut String) -> Result<(), Wrong> {
    match value.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<Key<'_>>(value) {
            Ok(Key(text)) => out.push_str(&text),
            Err(error) => return Err(Wrong { expected: "a text", found: error.to_string() }),
        },
        Some(b't') => out.push('1'),
        Some(b'f') => out.push('0'),
        Some(b'n') | None => {}
        Some(b'[' | b'{') => {
            return Err(Wrong { expected: "a single value or a list of them", found: quoted(value) });
        }
        // A number, exactly as it is written.
        Some(_) => out.push_str(value),
    }
    Ok(())
}

/// A text, borrowed where it stands as it is.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Keys and values in their order.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    pairs.push((key, value));
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
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
