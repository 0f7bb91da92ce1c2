//! One record of delimited text: fields between delimiters, quoted ones as RFC 4180 has them.
//!
//! Stricter than most CSV parsers on purpose: text behind a closing quote is an error and not part of
//! the field, for it is the mark of a stray quote that has swallowed a line end and joined two rows.
//! A quote inside an unquoted field is an ordinary character.
use super::lines::without_line_end;
use crate::row::RawRow;

/// How fields stand in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Between fields; ASCII.
    pub delimiter: u8,
    /// Around fields that hold delimiters or line ends, if the text uses quotes at all.
    pub quote: Option<u8>,
    /// Whether blanks around fields (outside quotes) are dropped.
    pub trims: bool,
}

/// A field within a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    /// Holds doubled quotes, each of which means one.
    doubled: bool,
}

/// Outcome of [`Dialect::split`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// A whole record of so many bytes.
    Whole(usize),
    /// The bytes end inside the quotes of this field (0-based).
    Open(usize),
    /// Text at this offset behind the closing quote of the last field.
    Stray(usize),
}

impl Dialect {
    /// Commas and quotes.
    pub(super) const CSV: Dialect = Dialect { delimiter: b',', quote: Some(b'"'), trims: false };

    /// Whether a line is no record but only space between records.
    pub(super) fn is_blank(&self, line: &[u8]) -> bool {
        line.is_empty() || self.trims && line.iter().all(|&byte| self.is_space(byte))
    }

    fn is_space(&self, byte: u8) -> bool {
        (byte == b' ' || byte == b'\t') && byte != self.delimiter
    }

    /// Splits the first record of `bytes`, which end at a line end or at the end of the file.
    pub(super) fn split(&self, bytes: &[u8], spans: &mut Vec<Span>) -> Split {
        spans.clear();
        let mut at = 0;
        loop {
            let field = if self.trims { at + self.spaces(&bytes[at..]) } else { at };
            let next = match self.quote {
                Some(quote) if bytes.get(field) == Some(&quote) => {
                    match self.quoted(bytes, field + 1, quote, spans) {
                        Ok(next) => next,
                        Err(split) => return split,
                    }
                }
                _ => self.plain(bytes, at, spans),
            };
            match bytes.get(next) {
                Some(&byte) if byte == self.delimiter => at = next + 1,
                Some(b'\r') if bytes.get(next + 1).is_some() => return Split::Whole(next + 2),
                Some(_) => return Split::Whole(next + 1),
                None => return Split::Whole(next),
            }
        }
    }

    fn spaces(&self, bytes: &[u8]) -> usize {
        bytes.iter().take_while(|&&byte| self.is_space(byte)).count()
    }

    /// The unquoted field at `start`; where the delimiter or line end behind it stands.
    fn plain(&self, bytes: &[u8], start: usize, spans: &mut Vec<Span>) -> usize {
        let end = memchr::memchr2(self.delimiter, b'\n', &bytes[start..])
            .map_or(bytes.len(), |length| start + length);
        let is_last = bytes.get(end) != Some(&self.delimiter);
        let end = if is_last && end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        spans.push(self.trimmed(bytes, Span { start, end, doubled: false }));
        end
    }

    /// The quoted field with content from `start`; where the delimiter or line end behind it stands.
    fn quoted(&self, bytes: &[u8], start: usize, quote: u8, spans: &mut Vec<Span>) -> Result<usize, Split> {
        let mut doubled = false;
        let mut at = start;
        let end = loop {
            match memchr::memchr(quote, &bytes[at..]) {
                None => return Err(Split::Open(spans.len())),
                Some(length) if bytes.get(at + length + 1) == Some(&quote) => {
                    doubled = true;
                    at += length + 2;
                }
                Some(length) => break at + length,
            }
        };
        spans.push(Span { start, end, doubled });
        let next = end + 1 + if self.trims { self.spaces(&bytes[end + 1..]) } else { 0 };
        match &bytes[next..] {
            [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..] => Ok(next),
            [byte, ..] if *byte == self.delimiter => Ok(next),
            _ => Err(Split::Stray(next)),
        }
    }

    fn trimmed(&self, bytes: &[u8], mut span: Span) -> Span {
        if self.trims {
            span.start += self.spaces(&bytes[span.start..span.end]);
            span.end -=
                bytes[span.start..span.end].iter().rev().take_while(|&&byte| self.is_space(byte)).count();
        }
        span
    }

    /// Puts the fields of `line`, which has no quotes, into the empty `row`.
    pub(super) fn push_plain(&self, line: &str, row: &mut RawRow) {
        if !self.trims {
            return row.fill(line, self.delimiter);
        }
        let mut start = 0;
        for end in memchr::memchr_iter(self.delimiter, line.as_bytes()).chain([line.len()]) {
            let span = self.trimmed(line.as_bytes(), Span { start, end, doubled: false });
            row.push(&line[span.start..span.end]);
            start = end + 1;
        }
    }

    /// Appends the field `span` of `record` to `row`.
    pub(super) fn push(&self, record: &str, span: Span, row: &mut RawRow) {
        let field = &record[span.start..span.end];
        match self.quote {
            Some(quote) if span.doubled => row.push_with(|text| {
                let quote = char::from(quote);
                let mut first_of_two = false;
                text.extend(field.chars().filter(|&c| {
                    first_of_two = c == quote && !first_of_two;
                    c != quote || first_of_two
                }));
            }),
            _ => row.push(field),
        }
    }

    /// Number of the field (0-based) of byte `at` of an unquoted `line`.
    pub(super) fn field_at(&self, line: &[u8], at: usize) -> usize {
        memchr::memchr_iter(self.delimiter, &line[..at]).count()
    }

    /// The records of `sample`, and how many lines of it are none. For detection: it allocates.
    pub(super) fn records(&self, sample: &[u8], most: usize) -> (Vec<Vec<String>>, usize) {
        let (mut rows, mut bad, mut at) = (Vec::new(), 0, 0);
        let (mut spans, mut row) = (Vec::new(), RawRow::default());
        while at < sample.len() && rows.len() + bad < most {
            let rest = &sample[at..];
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
            if self.is_blank(without_line_end(&rest[..line])) {
                at += line;
                continue;
            }
            match self.split(rest, &mut spans) {
                Split::Whole(length) => {
                    let record = String::from_utf8_lossy(&rest[..length]);
                    row.clear();
                    if matches!(record, std::borrow::Cow::Borrowed(_)) {
                        spans.iter().for_each(|&span| self.push(&record, span, &mut row));
                        rows.push(row.fields().map(str::to_owned).collect());
                    } else if rows.is_empty() && bad == 0 {
                        // Names in another encoding are still a header; opening the file will say what is
                        // wrong.
                        rows.push(record.split(char::from(self.delimiter)).map(str::to_owned).collect());
                    } else {
                        bad += 1;
                    }
                    at += length;
                }
                // The sample may simply end here.
                Split::Open(_) if !rows.is_empty() && sample.len() - at < sample.len() / 2 => break,
                Split::Open(_) | Split::Stray(_) => {
                    bad += 1;
                    at += line;
                }
            }
        }
        (rows, bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: Dialect = Dialect::CSV;
    const TRIMMED: Dialect = Dialect { trims: true, ..CSV };

    fn fields(dialect: Dialect, text: &str) -> Result<Vec<String>, Split> {
        let mut spans = Vec::new();
        match dialect.split(text.as_bytes(), &mut spans) {
            Split::Whole(length) => {
                let mut row = RawRow::default();
                spans.iter().for_each(|&span| dialect.push(&text[..length], span, &mut row));
                Ok(row.fields().map(str::to_owned).collect())
            }
            other => Err(other),
        }
    }

    #[test]
    fn quotes_protect_and_double() {
        assert_eq!(fields(CSV, "a,\"b,\n\"\"c\"\"\",d\r\nnext").expect("whole"), ["a", "b,\n\"c\"", "d"]);
        assert_eq!(fields(CSV, "\"\"\"\",\"\",\"a\"").expect("whole"), ["\"", "", "a"]);
        assert_eq!(fields(CSV, "5\" pipe,3\"\n").expect("whole"), ["5\" pipe", "3\""]);
        assert_eq!(fields(CSV, ",\n").expect("whole"), ["", ""]);
    }

    #[test]
    fn quotes_that_do_not_fit_are_told_apart() {
        assert_eq!(fields(CSV, "a,\"b,c\n"), Err(Split::Open(1)));
        assert_eq!(fields(CSV, "a,\"b\"c\n"), Err(Split::Stray(5)));
    }

    #[test]
    fn blanks_around_fields_are_trimmed_outside_quotes_only() {
        assert_eq!(fields(TRIMMED, " a b , \" c\"  ,d \r\n").expect("whole"), ["a b", " c", "d"]);
        assert_eq!(fields(CSV, " a, \"c\"\n").expect("whole"), [" a", " \"c\""]);
        let tabs = Dialect { delimiter: b'\t', ..TRIMMED };
        assert_eq!(fields(tabs, " a \t\tb\n").expect("whole"), ["a", "", "b"]);
        assert!(!tabs.is_blank(b"\t"));
    }

    proptest! {
        #[test]
        fn reads_back_what_was_quoted(rows in prop::collection::vec(prop::collection::vec("[a,\"\r\nβ \
            ]{0,6}", 2..5), 1..6)) {
            let mut text = String::new();
            for row in &rows {
                let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
                let quoted: Vec<String> = row.iter().map(quote).collect();
                text += &(quoted.join(",") + "\n");
            }
            let (found, bad) = CSV.records(text.as_bytes(), usize::MAX);
            prop_assert_eq!(found, rows);
            prop_assert_eq!(bad, 0);
        }

        #[test]
        fn agrees_with_csv_core_on_what_both_accept(text in "[ab,\"\n]{0,40}") {
            let (mut found, mut at) = (Vec::new(), 0);
            while at < text.len() {
                let mut spans = Vec::new();
                let split = CSV.split(&text.as_bytes()[at..], &mut spans);
                let Split::Whole(length) = split else { return Err(TestCaseError::reject("not CSV")) };
                let record = fields(CSV, &text[at..]).expect("whole");
                if record != [""] || text.as_bytes()[at] == b'"' {
                    found.push(record);
                }
                at += length;
            }
            let end = csv_core::Terminator::Any(b'\n');
            let mut reader = csv_core::ReaderBuilder::new().terminator(end).build();
            let (mut output, mut ends) = ([0; 256], [0; 64]);
            let (mut rest, mut expected) = (text.as_bytes(), Vec::new());
            let (mut length, mut fields) = (0, 0);
            loop {
                let (room, ended) = (&mut output[length..], &mut ends[fields..]);
                let (result, read, written, ended) = reader.read_record(rest, room, ended);
                rest = &rest[read..];
                (length, fields) = (length + written, fields + ended);
                match result {
                    csv_core::ReadRecordResult::Record => {
                        let starts = std::iter::once(0).chain(ends.iter().copied());
                        let bytes = starts.zip(&ends[..fields]).map(|(start, &end)| &output[start..end]);
                        let text = |field| String::from_utf8_lossy(field).into_owned();
                        expected.push(bytes.map(text).collect::<Vec<_>>());
                        (length, fields) = (0, 0);
                    }
                    csv_core::ReadRecordResult::End => break,
                    _ => {}
                }
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn plain_lines_split_alike_both_ways(line in "[ab, \tβ]{0,30}", trims: bool) {
            let dialect = Dialect { trims, ..CSV };
            let mut row = RawRow::default();
            dialect.push_plain(&line, &mut row);
            let plain: Vec<String> = row.fields().map(str::to_owned).collect();
            prop_assert_eq!(fields(dialect, &line).expect("whole"), plain);
        }
    }
}
