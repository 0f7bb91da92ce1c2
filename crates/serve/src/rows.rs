//! Rows of requests as texts, in the order of a model's columns.
use crate::inputs::{Input, InputKind};
use crate::refusal::{Code, Refusal};
use dlrm_data::readers::{BadValue, append_json};
use dlrm_data::row::RawRow;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// The columns of rows, and what else a row of the training data may hold.
#[derive(Debug)]
pub(crate) struct RowFormat {
    /// What the model reads, and behind that keys that rows are looked up by and that it does not read.
    columns: Vec<Input>,
    /// How many of them the model reads.
    read: usize,
    places: HashMap<String, usize>,
    /// Label, weight and the like: known, and of no use.
    ignored: Vec<String>,
}

impl RowFormat {
    /// Of rows with these columns. `keys` are names of columns that rows may be looked up by, whether the
    /// model reads them or not.
    pub(crate) fn new(inputs: Vec<Input>, keys: &[String], ignored: Vec<String>) -> Self {
        let (read, mut columns) = (inputs.len(), inputs);
        for key in keys {
            if columns.iter().all(|column| column.name != *key) {
                columns.push(Input { name: key.clone(), kind: InputKind::Key });
            }
        }
        let places = columns.iter().enumerate().map(|(place, input)| (input.name.clone(), place)).collect();
        RowFormat { columns, read, places, ignored }
    }

    /// All columns of a row.
    pub(crate) fn columns(&self) -> &[Input] {
        &self.columns
    }

    /// Those that the model reads, which come first.
    pub(crate) fn inputs(&self) -> &[Input] {
        &self.columns[..self.read]
    }

    /// Those that rows are only looked up by.
    pub(crate) fn keys(&self) -> &[Input] {
        &self.columns[self.read..]
    }

    /// Names of the columns that the model reads.
    pub(crate) fn names(&self) -> Vec<String> {
        self.inputs().iter().map(|input| input.name.clone()).collect()
    }

    /// A row in which everything is missing.
    pub(crate) fn missing(&self) -> Texts {
        Texts { fields: vec![String::new(); self.columns.len()], met: Vec::new() }
    }

    /// What the model reads of a row.
    pub(crate) fn read_of(&self, row: &Texts) -> RawRow {
        let mut read = RawRow::default();
        row.fields[..self.read].iter().for_each(|field| read.push(field));
        read
    }

    /// Where the model reads a column.
    pub(crate) fn input(&self, name: &str) -> Option<usize> {
        self.place(name).filter(|&place| place < self.read)
    }

    /// Where rows have a column, whether the model reads it or not.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// As [`RowFormat::place`], where it is likely to be `likely`: most objects have the order of the
    /// columns.
    fn place_near(&self, name: &str, likely: usize) -> Option<usize> {
        let is_there = self.columns.get(likely).is_some_and(|column| column.name == name);
        if is_there { Some(likely) } else { self.place(name) }
    }

    /// The error of a column that the model does not know.
    pub(crate) fn unknown(&self, name: &str, place: &str) -> Refusal {
        let known = self.columns.iter().map(|input| input.name.as_str());
        Refusal::unknown(Code::UnknownColumn, &format!("in {place} a column"), name, known)
    }

    /// What the model reads of a row that has columns of its own, and those of `context` where it has none.
    pub(crate) fn read_with(&self, context: &Texts, own: &OwnTexts) -> RawRow {
        let mut fields: Vec<&str> = context.fields[..self.read].iter().map(String::as_str).collect();
        own.put_over(&mut fields, |_| true);
        let mut read = RawRow::default();
        fields.into_iter().for_each(|field| read.push(field));
        read
    }

    /// Writes the values of a JSON object over those of `row`; columns that it does not name stay as they
    /// are. `place` is what messages call the object.
    pub(crate) fn read(&self, object: &RawValue, place: &str, row: &mut impl Fill) -> Result<(), Refusal> {
        row.begin(self.columns.len());
        let mut refused = None;
        let fields = Fields { format: self, row, place, refused: &mut refused };
        let mut json = serde_json::Deserializer::from_str(object.get());
        let read = fields.deserialize(&mut json);
        match (refused, read) {
            (Some(refusal), _) => Err(refusal),
            (None, Ok(())) => Ok(()),
            (None, Err(error)) => {
                let found = format!("{} ({error})", dlrm_data::error::quoted(object.get()));
                Err(Refusal::expected(Code::BadRequest, place, "an object of columns and values", found))
            }
        }
    }
}

/// The texts of a row, each of which can still change.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Texts {
    pub(crate) fields: Vec<String>,
    met: Vec<bool>,
}

impl Texts {
    /// The fields of a row.
    pub(crate) fn of(row: &RawRow) -> Self {
        Texts { fields: row.fields().map(str::to_owned).collect(), met: Vec::new() }
    }

    /// Makes every column missing again.
    pub(crate) fn clear(&mut self) {
        self.fields.iter_mut().for_each(String::clear);
    }

    /// The row as readers hold it, with all its columns.
    pub(crate) fn to_row(&self) -> RawRow {
        let mut row = RawRow::default();
        self.fields.iter().for_each(|field| row.push(field));
        row
    }
}

/// Texts of some columns of a row: what a candidate says of its own, while the rest stands in its context.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OwnTexts {
    text: String,
    /// Columns, and where the texts of each end.
    ends: Vec<(u32, u32)>,
}

impl OwnTexts {
    /// The columns, and what they hold.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(place, end)| {
            let text = &self.text[start..end as usize];
            start = end as usize;
            (place as usize, text)
        })
    }

    /// What it holds of a column, if it has it.
    pub(crate) fn get(&self, place: usize) -> Option<&str> {
        self.columns().filter(|&(own, _)| own == place).last().map(|(_, text)| text)
    }

    /// Adds a column; what it held of it before counts no more.
    pub(crate) fn add(&mut self, place: usize, text: &str) {
        self.text.push_str(text);
        self.end(place);
    }

    fn end(&mut self, place: usize) {
        self.ends.push((place as u32, self.text.len() as u32));
    }

    /// Puts its columns, of those that are `wanted`, in their places in a row.
    pub(crate) fn put_over<'t>(&'t self, fields: &mut [&'t str], wanted: impl Fn(usize) -> bool) {
        for (place, text) in self.columns() {
            if let Some(field) = fields.get_mut(place).filter(|_| wanted(place)) {
                *field = text;
            }
        }
    }
}

/// What the values of an object are written to.
pub(crate) trait Fill {
    /// Another object begins, of a format of so many columns.
    fn begin(&mut self, columns: usize);

    /// Lets `write` append the text of a column; `None` if the object has named it before.
    fn put(
        &mut self,
        place: usize,
        write: impl FnOnce(&mut String) -> Result<(), BadValue>,
    ) -> Option<Result<(), BadValue>>;
}

impl Fill for Texts {
    fn begin(&mut self, columns: usize) {
        self.met.clear();
        self.met.resize(columns, false);
    }

    fn put(
        &mut self,
        place: usize,
        write: impl FnOnce(&mut String) -> Result<(), BadValue>,
    ) -> Option<Result<(), BadValue>> {
        if std::mem::replace(&mut self.met[place], true) {
            return None;
        }
        let field = &mut self.fields[place];
        field.clear();
        Some(write(field))
    }
}

impl Fill for OwnTexts {
    fn begin(&mut self, _: usize) {
        self.text.clear();
        self.ends.clear();
    }

    fn put(
        &mut self,
        place: usize,
        write: impl FnOnce(&mut String) -> Result<(), BadValue>,
    ) -> Option<Result<(), BadValue>> {
        if self.ends.iter().any(|&(own, _)| own as usize == place) {
            return None;
        }
        let written = write(&mut self.text);
        self.end(place);
        Some(written)
    }
}

struct Fields<'a, R> {
    format: &'a RowFormat,
    row: &'a mut R,
    place: &'a str,
    refused: &'a mut Option<Refusal>,
}

impl<'de, R: Fill> DeserializeSeed<'de> for Fields<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, R: Fill> Visitor<'de> for Fields<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let Some(place) = self.format.place_near(&name, next) else {
                if self.format.ignored.iter().any(|ignored| *ignored == name) {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                *self.refused = Some(self.format.unknown(&name, self.place));
                return Err(A::Error::custom("an unknown column"));
            };
            let value = map.next_value::<&'de RawValue>()?;
            next = place + 1;
            let kind = self.format.columns[place].kind;
            let put = self.row.put(place, |field| append(value.get(), kind, field));
            let twice = || Err(BadValue { expected: "each column once", found: "this one twice".into() });
            let put = put.unwrap_or_else(twice);
            if let Err(bad) = put {
                let what = format!("{}, column \"{name}\"", self.place);
                *self.refused = Some(Refusal::expected(Code::BadValue, &what, bad.expected, bad.found));
                return Err(A::Error::custom("a bad value"));
            }
        }
        Ok(())
    }
}

/// The name of a column, borrowed where it stands as it is.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Appends the text of a value.
fn append(value: &str, kind: InputKind, field: &mut String) -> Result<(), BadValue> {
    match kind {
        InputKind::MultiValued { separator, .. } => append_json(value, Some(separator), field),
        _ => append_json(value, None, field),
    }
}
