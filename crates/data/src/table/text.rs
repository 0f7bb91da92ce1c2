//! Tables as text: CSV and JSON lines. Numbers have as many digits as tell them from all others.
use super::{Cell, Column, TableWriter};
use std::borrow::Cow;
use std::io::{self, Write};

/// A text as a field of CSV: in quotes where it would be read as something else without them.
pub fn csv_field(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => Cow::Borrowed(text),
    }
}

/// Rows below a header.
pub(super) struct Csv<W>(W);

impl<W: Write> Csv<W> {
    pub(super) fn new(mut out: W, columns: &[Column]) -> io::Result<Self> {
        let names: Vec<_> = columns.iter().map(|column| csv_field(&column.name)).collect();
        writeln!(out, "{}", names.join(","))?;
        Ok(Csv(out))
    }
}

impl<W: Write> TableWriter for Csv<W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let out = &mut self.0;
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                out.write_all(b",")?;
            }
            match *cell {
                Cell::Missing => {}
                Cell::Integer(number) => write!(out, "{number}")?,
                Cell::Double(number) => write!(out, "{number}")?,
                Cell::Float(number) => write!(out, "{number}")?,
                Cell::Text(text) => out.write_all(csv_field(text).as_bytes())?,
            }
        }
        out.write_all(b"\n")
    }

    fn empty_row(&mut self) -> io::Result<()> {
        self.0.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An object in each line.
pub(super) struct JsonLines<W> {
    out: W,
    /// `{"a":`, `,"b":`, …
    before: Vec<String>,
}

impl<W: Write> JsonLines<W> {
    pub(super) fn new(out: W, columns: Vec<Column>) -> Self {
        let name = |(place, column): (usize, Column)| {
            let name = serde_json::Value::String(column.name);
            format!("{}{name}:", if place == 0 { '{' } else { ',' })
        };
        JsonLines { out, before: columns.into_iter().enumerate().map(name).collect() }
    }
}

impl<W: Write> TableWriter for JsonLines<W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        let out = &mut self.out;
        for (before, cell) in self.before.iter().zip(cells) {
            out.write_all(before.as_bytes())?;
            match *cell {
                Cell::Integer(number) => write!(out, "{number}")?,
                Cell::Double(number) if number.is_finite() => write!(out, "{number}")?,
                Cell::Float(number) if number.is_finite() => write!(out, "{number}")?,
                Cell::Text(text) => serde_json::to_writer(&mut *out, text)?,
                _ => out.write_all(b"null")?,
            }
        }
        out.write_all(b"}\n")
    }

    fn empty_row(&mut self) -> io::Result<()> {
        self.out.write_all(b"null\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
