//! Click logs of Criteo (Kaggle Display Advertising, Terabyte): tab-separated lines of a label, the
//! integers I1 to I13 and the hexadecimal categories C1 to C26, without header; an empty field is missing.
//! The lines of a test set lack the label.
use super::lines::{Lines, as_text};
use super::stream::Place;
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};

const INTEGERS: usize = 13;
const CATEGORIES: usize = 26;
const UNLABELLED: usize = INTEGERS + CATEGORIES;
/// A file whose first so many lines have neither 39 nor 40 fields is something else.
const LOOKED_AT: usize = 100;

/// Reader of one Criteo file.
pub(super) struct Criteo {
    lines: Lines,
    columns: Vec<String>,
}

impl Criteo {
    /// Opens `place`. The first line with 39 or 40 fields decides whether there is a label.
    pub(super) fn open(place: Place<'_>) -> Result<Self> {
        let mut first_width = None;
        let mut lines = place.ahead().lines()?;
        for _ in 0..LOOKED_AT {
            let Some((used, length)) = lines.peek_line()? else { break };
            let width = memchr::memchr_iter(b'\t', lines.bytes(used)).count() + 1;
            if width == UNLABELLED || width == UNLABELLED + 1 {
                return Ok(Criteo { lines: place.lines()?, columns: columns(width) });
            }
            if used > 0 {
                first_width.get_or_insert(width);
            }
            lines.consume(length, 1);
        }
        let found =
            first_width.map_or("an empty file".to_owned(), |width| format!("{width} in the first line"));
        let error = Error::input(
            lines.file(),
            format!("{} tab-separated fields (or {UNLABELLED} without label)", UNLABELLED + 1),
            found,
        );
        Err(error.with_hint("for Criteo data in another form set format to \"csv\""))
    }

    /// Fills `row` with the fields of `line`; the first (0-based) that is not what it should be.
    fn fill(&self, line: &str, row: &mut RawRow) -> Option<usize> {
        row.fill(line, b'\t');
        let labels = self.columns.len() - UNLABELLED;
        (0..row.len()).find(|&index| !is_valid(row.field(index).as_bytes(), index, labels))
    }

    fn width_error(&self, row: &RawRow) -> Error {
        let (expected, found) = (self.columns.len(), row.len());
        let at = expected.min(found);
        let name = self.columns.get(at).map_or("", String::as_str);
        let error = Error::row(
            row.position(Some((at, name))),
            format!("{expected} tab-separated fields"),
            found.to_string(),
        );
        match found {
            UNLABELLED => error.with_hint("this row has no label, but the first row has one"),
            n if n == UNLABELLED + 1 => error.with_hint("this row has a label, but the first row has none"),
            _ => error,
        }
    }

    fn value_error(&self, row: &RawRow, field: usize) -> Error {
        let expected = match self.columns[field].as_bytes()[0] {
            b'l' => "0 or 1",
            b'I' => "an integer or nothing",
            _ => "at most 8 hexadecimal digits",
        };
        Error::row(row.position(Some((field, &self.columns[field]))), expected, quoted(row.field(field)))
    }
}

impl RowSource for Criteo {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        loop {
            let Some((used, length)) = self.lines.peek_line()? else { return Ok(false) };
            if used == 0 {
                self.lines.consume(length, 1);
                continue;
            }
            let line = self.lines.bytes(used);
            self.lines.begin(row);
            let field = |at| {
                let number = memchr::memchr_iter(b'\t', &line[..at]).count();
                (number + 1, self.columns.get(number).cloned().unwrap_or_default())
            };
            let wrong = as_text(line, || self.lines.position(), field).map(|text| self.fill(text, row));
            self.lines.consume(length, 1);
            return match wrong? {
                _ if row.len() != self.columns.len() => Err(self.width_error(row)),
                Some(field) => Err(self.value_error(row, field)),
                None => Ok(true),
            };
        }
    }
}

fn columns(width: usize) -> Vec<String> {
    let label = (width > UNLABELLED).then(|| "label".to_owned());
    let integers = (1..=INTEGERS).map(|i| format!("I{i}"));
    let categories = (1..=CATEGORIES).map(|i| format!("C{i}"));
    label.into_iter().chain(integers).chain(categories).collect()
}

/// Whether `field` can stand at `index` in a line with so many labels (0 or 1).
fn is_valid(field: &[u8], index: usize, labels: usize) -> bool {
    if index < labels {
        matches!(field, b"" | b"0" | b"1")
    } else if index < labels + INTEGERS {
        field.is_empty() || is_integer(field)
    } else {
        match <&[u8; 8]>::try_from(field) {
            Ok(field) => is_hexadecimal(field),
            Err(_) => field.len() < 8 && is_hexadecimal(field),
        }
    }
}

/// All bytes are looked at: without branches that is faster than to stop at the first wrong one.
fn is_hexadecimal(field: &[u8]) -> bool {
    field.iter().fold(true, |so_far, &byte| so_far & HEXADECIMAL[usize::from(byte)])
}

const HEXADECIMAL: [bool; 256] = {
    let mut digits = [false; 256];
    let mut byte = 0u8;
    while byte < 255 {
        digits[byte as usize] = byte.is_ascii_hexdigit();
        byte += 1;
    }
    digits
};

/// Whether `field` is an integer that fits 64 bits with certainty.
fn is_integer(field: &[u8]) -> bool {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

/// For detection: whether `line` is a Criteo row.
pub(super) fn is_row(line: &str) -> bool {
    let width = line.split('\t').count();
    let labels = width.saturating_sub(UNLABELLED);
    let is_typical = line.split('\t').skip(labels + INTEGERS).any(|field| field.len() == 8);
    (width == UNLABELLED || width == UNLABELLED + 1)
        && is_typical
        && line.split('\t').enumerate().all(|(i, field)| is_valid(field.as_bytes(), i, labels))
}
