//! Rows of requests as texts, in the order of a model's columns.
use crate::inputs::{Input, InputKind};
use crate::refusal::{Code, Refusal};
use dlrm_data::readers::{BadValue, append_json};
use dlrm_data::row::RawRow;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
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

    /// The error of a column that the model does not know.
    pub(crate) fn unknown(&self, name: &str, place: &str) -> Refusal {
        let known = self.columns.iter().map(|input| input.name.as_str());
        Refusal::unknown(Code::UnknownColumn, &format!("in {place} a column"), name, known)
    }

    /// Writes the values of a JSON object over those of `row`, which has a text for each column; columns that
    /// it does not name stay as they are. `place` is what messages call the object.
    pub(crate) fn read(&self, object: &RawValue, place: &str, row: &mut Texts) -> Result<(), Refusal> {
        row.met.clear();
        row.met.resize(self.columns.len(), false);
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

    /// Which columns the last object that was read named.
    pub(crate) fn met(&self) -> impl Iterator<Item = bool> {
        self.met.iter().copied()
    }

    /// The row as readers hold it, with all its columns.
    pub(crate) fn to_row(&self) -> RawRow {
        let mut row = RawRow::default();
        self.fields.iter().for_each(|field| row.push(field));
        row
    }
}

struct Fields<'a> {
    format: &'a RowFormat,
    row: &'a mut Texts,
    place: &'a str,
    refused: &'a mut Option<Refusal>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let Some(place) = self.format.place(&name) else {
                if self.format.ignored.contains(&name) {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                *self.refused = Some(self.format.unknown(&name, self.place));
                return Err(A::Error::custom("an unknown column"));
            };
            let value = map.next_value::<&'de RawValue>()?;
            let put = if std::mem::replace(&mut self.row.met[place], true) {
                Err(BadValue { expected: "each column once", found: "this one twice".into() })
            } else {
                let field = &mut self.row.fields[place];
                field.clear();
                append(value.get(), self.format.columns[place].kind, field)
            };
            if let Err(bad) = put {
                let what = format!("{}, column \"{name}\"", self.place);
                *self.refused = Some(Refusal::expected(Code::BadValue, &what, bad.expected, bad.found));
                return Err(A::Error::custom("a bad value"));
            }
        }
        Ok(())
    }
}

/// Appends the text of a value.
fn append(value: &str, kind: InputKind, field: &mut String) -> Result<(), BadValue> {
    match kind {
        InputKind::MultiValued { separator, .. } => append_json(value, Some(separator), field),
        _ => append_json(value, None, field),
    }
}
