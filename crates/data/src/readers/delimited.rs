//! Delimited text (CSV, TSV and their kin) with or without a header line.
use super::format::Header;
use super::lines::{LONGEST_RECORD, Lines, Window, as_text, without_line_end};
use super::names::check_names;
use super::record::{Dialect, Span, Split};
use super::stream::Place;
use crate::error::{Error, Position, Result, quoted};
use crate::row::{RawRow, RowSource};

/// Reader of one file of delimited text.
pub(super) struct Delimited {
    lines: Lines,
    dialect: Dialect,
    columns: Vec<String>,
    /// Whether the file names more than one column itself.
    has_names: bool,
    spans: Vec<Span>,
}

impl Delimited {
    /// Opens `place` and reads its header, if it has one; `columns` name the fields in its place.
    pub(super) fn open(
        place: Place<'_>,
        dialect: Dialect,
        header: Header,
        columns: Option<&[String]>,
    ) -> Result<Self> {
        let given = columns.map(<[String]>::to_vec);
        let (lines, columns, spans) = (place.lines()?, Vec::new(), Vec::new());
        let mut reader = Delimited { lines, dialect, columns, has_names: false, spans };
        if reader.skip_blank()?.is_none() {
            return Err(Error::empty_file(reader.lines.file(), "rows"));
        }
        reader.columns = match (header, given) {
            (Header::Absent, given) => given.unwrap_or_default(),
            (Header::Present, given) => {
                let place = reader.lines.position();
                let mut row = RawRow::default();
                reader.record(&mut row)?;
                let name = |(i, text): (usize, &str)| match text.trim() {
                    "" => format!("column_{}", i + 1),
                    name => name.to_owned(),
                };
                let names: Vec<String> = row.fields().enumerate().map(name).collect();
                match given {
                    Some(given) if given.len() == names.len() => given,
                    Some(given) => {
                        let expected = format!("{} fields, as many as `columns` names", given.len());
                        return Err(Error::input(
                            place.to_string(),
                            expected,
                            format!("a header of {}", names.len()),
                        ));
                    }
                    None => {
                        check_names(&names, &format!("{place} (header)"))?;
                        reader.has_names = names.len() > 1;
                        names
                    }
                }
            }
        };
        Ok(reader)
    }

    /// Goes past blank lines; length of the next line, `None` at the end.
    fn skip_blank(&mut self) -> Result<Option<usize>> {
        loop {
            match self.lines.window(1)? {
                Window::Bytes(0) => return Ok(None),
                Window::Bytes(length)
                    if !self.dialect.is_blank(without_line_end(self.lines.bytes(length))) =>
                {
                    return Ok(Some(length));
                }
                Window::Bytes(length) => self.lines.consume(length, 1),
                Window::TooLong => return Err(self.lines.skip_long_line()),
            }
        }
    }

    /// The next record with any number of fields; `false` at the end.
    fn record(&mut self, row: &mut RawRow) -> Result<bool> {
        let Some(length) = self.skip_blank()? else { return Ok(false) };
        self.lines.begin(row);
        let line = without_line_end(self.lines.bytes(length));
        if self.dialect.quote.is_some_and(|quote| memchr::memchr(quote, line).is_some()) {
            return self.quoted_record(length, row).map(|()| true);
        }
        let field = |at| self.column(self.dialect.field_at(line, at));
        let result =
            as_text(line, || self.lines.position(), field).map(|text| self.dialect.push_plain(text, row));
        let result = result.map_err(|error| with_text(error, line));
        self.lines.consume(length, 1);
        result.map(|()| true)
    }

    /// The record that begins with the next line, which has `first_line` bytes and holds quotes.
    fn quoted_record(&mut self, first_line: usize, row: &mut RawRow) -> Result<()> {
        let mut window = first_line;
        let error = loop {
            match self.dialect.split(self.lines.bytes(window), &mut self.spans) {
                Split::Whole(length) => return self.whole_record(length, row),
                Split::Stray(at) => break self.stray_quote(window, at),
                // Doubling the window keeps the work linear however many lines the quotes span.
                Split::Open(field) => match self.lines.window(window * 2)? {
                    Window::Bytes(more) if more > window => window = more,
                    Window::Bytes(_) => {
                        break self.unclosed_quote(first_line, field, "before the end of the file");
                    }
                    Window::TooLong => {
                        break self.unclosed_quote(
                            first_line,
                            field,
                            &format!("within {} MiB", LONGEST_RECORD >> 20),
                        );
                    }
                },
            }
        };
        let error = with_text(error, without_line_end(self.lines.bytes(first_line)));
        self.lines.consume(first_line, 1);
        Err(error)
    }

    fn whole_record(&mut self, length: usize, row: &mut RawRow) -> Result<()> {
        let record = self.lines.bytes(length);
        let field = |at| self.column(self.spans.iter().take_while(|span| span.end < at).count());
        let result = as_text(record, || self.lines.position(), field).map(|text| {
            self.spans.iter().for_each(|&span| self.dialect.push(text, span, row));
        });
        let result = result.map_err(|error| with_text(error, without_line_end(record)));
        let line_ends = memchr::memchr_iter(b'\n', record).count();
        self.lines.consume(length, line_ends as u64);
        result
    }

    fn stray_quote(&self, window: usize, at: usize) -> Error {
        let bytes = self.lines.bytes(window);
        let around =
            String::from_utf8_lossy(&bytes[at.saturating_sub(16)..window.min(at + 16)]).trim_end().to_owned();
        let error = Error::row(
            self.at_field(self.spans.len() - 1),
            "a delimiter or the line end behind a closing quote",
            quoted(&around),
        );
        error.with_hint(
            "write a quote within a quoted field twice; if quotes mean nothing here, set quote to \"none\"",
        )
    }

    fn unclosed_quote(&self, first_line: usize, field: usize, until: &str) -> Error {
        let line = String::from_utf8_lossy(without_line_end(self.lines.bytes(first_line))).into_owned();
        let error =
            Error::row(self.at_field(field), "a closing quote", format!("none {until}: {}", quoted(&line)));
        error.with_hint("if quotes mean nothing here, set quote to \"none\"")
    }

    /// Whether a row holds the names of the columns again, as of files that were joined with their headers.
    fn repeats_header(&self, row: &RawRow) -> bool {
        // The first field tells nearly always.
        self.has_names && self.columns.iter().zip(row.fields()).all(|(name, field)| name == field.trim())
    }

    fn at_field(&self, field: usize) -> Position {
        Position { column: Some(self.column(field)), ..self.lines.position() }
    }

    /// 1-based number and name of a field.
    fn column(&self, field: usize) -> (usize, String) {
        (field + 1, self.columns.get(field).cloned().unwrap_or_default())
    }
}

fn repeated_header(row: &RawRow) -> Error {
    Error::row(row.position(None), "a row", "the names of the columns again").with_hint(
        "remove this line; files that were joined with their headers can be named one by one instead",
    )
}

/// The error with the row that it is about, where that has no fields to show.
fn with_text(mut error: Error, row: &[u8]) -> Error {
    if let Error::Row(bad) = &mut error {
        bad.keep(&String::from_utf8_lossy(row));
    }
    error
}

impl RowSource for Delimited {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        if !self.record(row)? {
            return Ok(false);
        }
        let (found, expected) = (row.len(), self.columns.len());
        if found == expected {
            return if self.repeats_header(row) { Err(repeated_header(row)) } else { Ok(true) };
        }
        let mut position = row.position(None);
        position.column = Some(self.column(found.min(expected)));
        let error = Error::row(position, format!("{expected} fields"), found.to_string());
        Err(if !self.has_names {
            error
                .with_hint("name as many columns as there are fields, and see whether the delimiter is right")
        } else if found > expected {
            error.with_hint("is the delimiter part of a field? Put such fields in quotes")
        } else {
            error
        })
    }
}
