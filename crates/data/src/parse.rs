//! From text fields to typed values, by the schema: one way for fitting, training, evaluation and serving.
mod mistakes;
mod places;

use crate::error::{Error, Result, quoted};
use crate::hexadecimal::{DIGITS, Reading};
use crate::label::LabelReader;
use crate::moment::{Moment, TimeUnit, seconds};
use crate::row::RawRow;
use crate::schema::{CategoricalColumn, Encoding, MultiValued, PartOfTime, Schema};
pub use mistakes::has_decimal_comma;
use mistakes::missing_column;
use places::{Number, Place};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// Whether rows must carry what only training and evaluation need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Label, sample weight and time are read (for a split by time).
    WithTime,
    /// Label and sample weight are read.
    Required,
    /// None is looked at.
    Ignored,
}

/// One value of a categorical field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    start: u32,
    end: u32,
    /// Its weight; 1 if the data gives none.
    pub weight: f32,
}

impl Value {
    fn new(bytes: Range<usize>, weight: f32) -> Self {
        Value { start: bytes.start as u32, end: bytes.end as u32, weight }
    }

    /// The value in the text of its field.
    pub fn of<'t>(&self, field: &'t str) -> &'t str {
        &field[self.start as usize..self.end as usize]
    }
}

/// The typed values of a row.
#[derive(Debug, Clone, Default)]
pub struct ParsedRow {
    /// 0 or 1, or a rating.
    pub label: f32,
    /// Sample weight.
    pub weight: f32,
    /// Seconds, for splits by time.
    pub time: f64,
    /// Hash of the group column's text.
    pub group: u64,
    /// Dense values; NaN where missing.
    pub dense: Vec<f64>,
    values: Vec<Value>,
    ends: Vec<u32>,
    /// Values that were read as hexadecimal integers, as text, all of one width.
    hexadecimal: String,
    /// Hours, weekdays and months of moments.
    times: Vec<&'static str>,
}

/// Where the text of a categorical column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPlace {
    /// A field of the row.
    Field(usize),
    /// Among the hexadecimal integers, in this place.
    Hexadecimal(usize),
    /// Among the parts of moments, in this place.
    Time(usize),
}

impl TextPlace {
    /// The text in a row.
    pub fn text<'r>(self, raw: &'r RawRow, parsed: &'r ParsedRow) -> &'r str {
        match self {
            TextPlace::Field(index) => raw.field(index),
            TextPlace::Hexadecimal(place) => &parsed.hexadecimal[DIGITS * place..DIGITS * (place + 1)],
            TextPlace::Time(place) => parsed.times[place],
        }
    }
}

impl ParsedRow {
    /// Values of categorical column `c`; none if missing.
    pub fn values(&self, c: usize) -> &[Value] {
        let start = if c == 0 { 0 } else { self.ends[c - 1] };
        &self.values[start as usize..self.ends[c] as usize]
    }
}

/// Reads rows of one source by one schema.
#[derive(Debug, Clone)]
pub struct RowParser {
    schema: Schema,
    /// Whether a text for a missing value begins with a byte: few fields do, so few are compared with all of
    /// them.
    begins_missing: [bool; 256],
    label: Option<(Place, LabelReader)>,
    weight: Option<Place>,
    group: Option<Place>,
    time: Option<Place>,
    dense: Vec<Number>,
    categorical: Vec<Place>,
    /// How the values of each categorical column are read, where they are hexadecimal integers.
    hexadecimal: Vec<Option<Reading>>,
    texts: Vec<TextPlace>,
}

impl RowParser {
    /// Finds the schema's columns among `columns` of `input`.
    ///
    /// # Errors
    /// A column that is not there, with the nearest one that is.
    pub fn new(schema: &Schema, columns: &[String], labels: Labels, input: &str) -> Result<Self> {
        let find = |name: &str| {
            columns
                .iter()
                .position(|c| c == name)
                .map(|index| Place { index, name: name.to_owned() })
                .ok_or_else(|| missing_column(schema, name, columns, input))
        };
        let needed = labels != Labels::Ignored;
        let label = needed
            .then(|| Ok((find(&schema.label.column)?, LabelReader::new(&schema.label)?)))
            .transpose()?;
        let mut begins_missing = [false; 256];
        schema
            .missing
            .iter()
            .filter_map(|text| text.bytes().next())
            .for_each(|byte| begins_missing[usize::from(byte)] = true);
        let optional = |name: &Option<String>| name.as_deref().filter(|_| needed).map(find).transpose();
        let categorical = schema.categorical.iter().map(|c| find(c.source())).collect::<Result<Vec<_>>>()?;
        let hexadecimal: Vec<_> = schema.categorical.iter().map(|c| Reading::of(&c.encoding)).collect();
        Ok(RowParser {
            begins_missing,
            label,
            weight: optional(&schema.weight)?,
            group: optional(&schema.group)?,
            time: schema.time.as_deref().filter(|_| labels == Labels::WithTime).map(find).transpose()?,
            dense: schema.dense.iter().map(|column| Number::find(column, find)).collect::<Result<_>>()?,
            texts: texts(&categorical, &schema.categorical),
            categorical,
            hexadecimal,
            schema: schema.clone(),
        })
    }

    /// Whether the row's label is one of those whose rows are left out.
    pub fn leaves_out(&self, row: &RawRow) -> bool {
        let texts = &self.schema.label.leave_out;
        let label = self.label.as_ref().filter(|_| !texts.is_empty());
        label.is_some_and(|(place, _)| texts.iter().any(|text| text == row.field(place.index).trim()))
    }

    /// Where the text of each categorical column is.
    pub fn fields(&self) -> Vec<TextPlace> {
        self.texts.clone()
    }

    /// Text of categorical column `c` of a row that this has parsed.
    pub fn text<'r>(&self, raw: &'r RawRow, parsed: &'r ParsedRow, c: usize) -> &'r str {
        self.texts[c].text(raw, parsed)
    }

    /// Refills `out` from `row`.
    ///
    /// # Errors
    /// [`Error::Row`] at the first field that is not what the schema says.
    pub fn parse(&self, row: &RawRow, out: &mut ParsedRow) -> Result<()> {
        if let Some((place, reader)) = &self.label {
            let field = row.field(place.index);
            if self.is_missing(field.trim()) {
                return Err(bad(row, place, "a label", field));
            }
            out.label = reader.read(field).map_err(|no| {
                let error = bad(row, place, &no.expected, field);
                match no.hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            })?;
        }
        out.weight = 1.0;
        if let Some(place) = &self.weight {
            let field = row.field(place.index);
            let weight = field.trim().parse::<f32>().ok().filter(|w| w.is_finite() && *w >= 0.0);
            out.weight = weight.ok_or_else(|| bad(row, place, "a sample weight of at least 0", field))?;
        }
        if let Some(place) = &self.group {
            out.group = xxh3_64(row.field(place.index).as_bytes());
        }
        if let Some(place) = &self.time {
            let field = row.field(place.index);
            out.time = seconds(field, self.schema.date_order).ok_or_else(|| {
                self.no_moment(bad(
                    row,
                    place,
                    "a number or a date YYYY-MM-DD[ HH:MM:SS] to split by time",
                    field,
                ))
            })?;
        }
        out.dense.clear();
        for (number, column) in self.dense.iter().zip(&self.schema.dense) {
            let number = match number {
                Number::Field(place) => self.number(row, place)?,
                Number::Age(moments) => self.age(row, moments)?,
            };
            out.dense.push(if column.sentinels.contains(&number) { f64::NAN } else { number });
        }
        out.values.clear();
        out.ends.clear();
        out.hexadecimal.clear();
        out.times.clear();
        for ((place, column), reading) in
            self.categorical.iter().zip(&self.schema.categorical).zip(&self.hexadecimal)
        {
            match (&column.time, reading) {
                (Some(time), _) => self.part_of_time(row, place, time, out)?,
                (None, Some(reading)) => self.integer(row, place, *reading, out)?,
                (None, None) => self.values(row, place, column, &mut out.values)?,
            }
            out.ends.push(out.values.len() as u32);
        }
        Ok(())
    }

    fn is_missing(&self, field: &str) -> bool {
        let Some(first) = field.bytes().next() else { return true };
        self.begins_missing[usize::from(first)] && self.schema.missing.iter().any(|text| text == field)
    }

    fn number(&self, row: &RawRow, place: &Place) -> Result<f64> {
        let field = row.field(place.index).trim();
        if self.is_missing(field) {
            return Ok(f64::NAN);
        }
        if let Some(number) = small_integer(field) {
            return Ok(number);
        }
        match field.parse::<f64>() {
            Ok(number) if number.abs() <= f64::from(f32::MAX) => Ok(number),
            Ok(number) if number.is_finite() => Err(bad(row, place, "a number below 3.4e38", field)
                .with_hint("make the column categorical in the schema: so large a number is an id")),
            Ok(_) => Err(bad(row, place, "a finite number", field).with_hint(
                "leave the field empty where the value is missing, or list this text under \
                    `missing` in the schema",
            )),
            Err(_) => Err(bad(row, place, "a number", field).with_hint(match field {
                _ if has_decimal_comma(field) => "write numbers with a decimal point, as 508.46",
                _ if field.ends_with('%') => "write numbers without a percent sign",
                _ => "make the column categorical in the schema, or list this text under `missing`",
            })),
        }
    }

    /// Days between two moments; NaN where one is missing.
    fn age(&self, row: &RawRow, [from, until]: &[(Place, TimeUnit); 2]) -> Result<f64> {
        let from = self.moment(row, &from.0, from.1)?;
        let until = self.moment(row, &until.0, until.1)?;
        Ok(from.zip(until).map_or(f64::NAN, |(from, until)| until.days_since(from)))
    }

    /// The moment in a field; `None` if it is missing.
    fn moment(&self, row: &RawRow, place: &Place, unit: TimeUnit) -> Result<Option<Moment>> {
        let field = row.field(place.index).trim();
        if self.is_missing(field) {
            return Ok(None);
        }
        let moment = Moment::read(field, unit, self.schema.date_order);
        let error = || self.no_moment(bad(row, place, "a moment, from which inputs are made", field));
        moment.map(Some).ok_or_else(error)
    }

    /// Appends a part of the moment in a field.
    fn part_of_time(
        &self,
        row: &RawRow,
        place: &Place,
        time: &PartOfTime,
        out: &mut ParsedRow,
    ) -> Result<()> {
        let Some(moment) = self.moment(row, place, time.unit)? else {
            out.times.push("");
            return Ok(());
        };
        let text = moment.part(time.part);
        out.values.push(Value::new(0..text.len(), 1.0));
        out.times.push(text);
        Ok(())
    }

    /// The error of a field that should hold a moment, with what may be amiss.
    fn no_moment(&self, error: Error) -> Error {
        let hint = match (&error, self.schema.date_order) {
            (Error::Row(row), None) if row.found.contains(['/', '.']) => {
                "dates that end with the year need `date_order` in the schema: \"day_first\" or \
                    \"month_first\""
            }
            _ => {
                "leave the field empty where the moment is not known, or list its text under `missing` in \
                    the schema"
            }
        };
        error.with_hint(hint)
    }

    /// Appends the value of a field that holds a hexadecimal integer.
    fn integer(&self, row: &RawRow, place: &Place, reading: Reading, out: &mut ParsedRow) -> Result<()> {
        let field = row.field(place.index);
        let missing = self.is_missing(field);
        let integer = reading.integer(if missing { "0" } else { field });
        let integer = integer.ok_or_else(|| {
            bad(row, place, reading.expects(), field)
                .with_hint("values of other columns than Criteo's are encoded by a plain vocabulary")
        })?;
        reading.push(integer, &mut out.hexadecimal);
        if !missing || reading.missing_is_zero {
            out.values.push(Value::new(0..DIGITS, 1.0));
        }
        Ok(())
    }

    /// Appends the values of a categorical field.
    fn values(
        &self,
        row: &RawRow,
        place: &Place,
        column: &CategoricalColumn,
        out: &mut Vec<Value>,
    ) -> Result<()> {
        let field = row.field(place.index);
        if self.is_missing(field) {
            return Ok(());
        }
        let value = |text: &str| if column.integers { integer_length(text) } else { text.len() };
        let Some(multi) = &column.multi else {
            let length = value(field);
            check_identity(row, place, column, &field[..length])?;
            out.push(Value::new(0..length, 1.0));
            return Ok(());
        };
        let mut start = 0;
        for part in field.split(multi.separator) {
            let end = start + part.len();
            let (text, weight) = weighted(part, multi)
                .ok_or_else(|| bad(row, place, "values with finite weights, such as a:0.5|b:2", part))?;
            if !text.is_empty() {
                let length = value(text);
                check_identity(row, place, column, &text[..length])?;
                out.push(Value::new(start..start + length, weight));
            }
            start = end + multi.separator.len_utf8();
        }
        Ok(())
    }
}

/// Where the text of each categorical column is.
fn texts(places: &[Place], columns: &[CategoricalColumn]) -> Vec<TextPlace> {
    let (mut integers, mut times) = (0.., 0..);
    let place = |(place, column): (&Place, &CategoricalColumn)| {
        let time = column.time.as_ref().and_then(|_| times.next()).map(TextPlace::Time);
        let integer =
            || Reading::of(&column.encoding).and_then(|_| integers.next()).map(TextPlace::Hexadecimal);
        time.or_else(integer).unwrap_or(TextPlace::Field(place.index))
    };
    places.iter().zip(columns).map(place).collect()
}

/// Bytes of the integer that `text` begins with, where the rest says that it is whole, as 34.0 does; else all
/// of it.
fn integer_length(text: &str) -> usize {
    let Some((whole, zeros)) = text.split_once('.') else { return text.len() };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_integer = is_whole && !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0');
    if is_integer { whole.len() } else { text.len() }
}

/// An integer that a float holds exactly, read faster than any number.
fn small_integer(field: &str) -> Option<f64> {
    let digits = field.strip_prefix('-').unwrap_or(field);
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let value = digits
        .bytes()
        .try_fold(0u64, |value, byte| byte.is_ascii_digit().then(|| 10 * value + u64::from(byte - b'0')))?;
    // Not the integer's sign, for -0 is a number of its own.
    Some(if digits.len() < field.len() { -(value as f64) } else { value as f64 })
}

/// Splits `value:weight`; a value without a weight weighs 1. `None` if the weight is no finite number.
fn weighted<'t>(part: &'t str, multi: &MultiValued) -> Option<(&'t str, f32)> {
    let Some((text, weight)) = multi.weight_separator.and_then(|s| part.rsplit_once(s)) else {
        return Some((part, 1.0));
    };
    let weight = weight.trim().parse::<f32>().ok().filter(|w| w.is_finite())?;
    Some((text, weight))
}

/// An identity id is an integer below the bound; the text never passes through a float.
fn check_identity(row: &RawRow, place: &Place, column: &CategoricalColumn, text: &str) -> Result<()> {
    let Encoding::Identity { bound } = column.encoding else { return Ok(()) };
    match text.parse::<u64>() {
        Ok(id) if id < u64::from(bound) => Ok(()),
        Ok(_) => Err(bad(row, place, &format!("an id below the bound {bound}"), text).with_hint(
            "raise `bound` of the column's identity encoding, or use a vocabulary or hash encoding",
        )),
        Err(_) => {
            Err(bad(row, place, "an integer id", text)
                .with_hint("use a vocabulary or hash encoding for texts"))
        }
    }
}

fn bad(row: &RawRow, place: &Place, expected: &str, found: &str) -> Error {
    let found = if found.is_empty() { "an empty field".to_owned() } else { quoted(found) };
    Error::row(row.position(Some((place.index, &place.name))), expected, found)
}

#[cfg(test)]
mod tests;
