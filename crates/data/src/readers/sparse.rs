//! Sparse text: libsvm (`label index:value …`) and libffm (`label field:index:value …`).
//!
//! The features of a row become one multi-valued field `index:value|index:value`, for libffm one per
//! field number. `#` begins a comment.
use super::lines::{Lines, as_text};
use super::stream::Place;
use crate::error::{Error, Result, quoted};
use crate::row::{RawRow, RowSource};
use std::collections::{BTreeMap, BTreeSet};

/// The fields of a libffm file are those of its first so many rows.
const FIELD_ROWS: usize = 10_000;

/// Reader of one libsvm file. Columns: label, qid (if the first row has one), features.
pub(super) struct Libsvm {
    lines: Lines,
    columns: Vec<String>,
}

impl Libsvm {
    /// Opens `place`.
    pub(super) fn open(place: Place<'_>) -> Result<Self> {
        let mut has_query = None;
        let mut first = place.ahead().lines()?;
        while has_query.is_none() {
            let query = with_row(&mut first, |_, text| {
                Ok(tokens(text).nth(1).is_some_and(|token| token.1.starts_with("qid:")))
            });
            match query {
                Ok(Some(query)) => has_query = Some(query),
                Ok(None) => return Err(Error::empty_file(first.file(), "rows")),
                Err(Error::Row(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let names: &[&str] =
            if has_query == Some(true) { &["label", "qid", "features"] } else { &["label", "features"] };
        Ok(Libsvm { lines: place.lines()?, columns: names.iter().map(|&name| name.to_owned()).collect() })
    }
}

impl RowSource for Libsvm {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        let has_query = self.columns.len() == 3;
        let read = with_row(&mut self.lines, |lines, text| {
            lines.begin(row);
            let mut tokens = tokens(text).peekable();
            row.push(label(lines, &mut tokens)?);
            let query = tokens.next_if(|(_, token)| token.starts_with("qid:"));
            match query {
                Some((_, token)) if has_query => row.push(&token["qid:".len()..]),
                Some((at, token)) => {
                    return Err(token_error(lines, at, "index:value", token)
                        .with_hint("the first row of the file has no qid"));
                }
                None if has_query => row.push(""),
                None => {}
            }
            let mut wrong = None;
            row.push_with(|out| {
                let start = out.len();
                wrong = tokens.find(|(_, token)| {
                    let is_feature = is_feature(token);
                    if is_feature {
                        append(out, start, token);
                    }
                    !is_feature
                });
            });
            wrong.map_or(Ok(()), |(at, token)| {
                Err(token_error(lines, at, "index:value with an integer and a number", token))
            })
        });
        Ok(read?.is_some())
    }
}

/// Reader of one libffm file. Columns: label, field_<number>… in the order of the numbers.
pub(super) struct Libffm {
    lines: Lines,
    columns: Vec<String>,
    /// Field number to position among the fields.
    places: BTreeMap<u64, usize>,
    /// Text of every field of the current row.
    texts: Vec<String>,
}

impl Libffm {
    /// Opens `place`, whose rows hold the fields that `columns` names.
    pub(super) fn open(place: Place<'_>, columns: &[String]) -> Result<Self> {
        let number = |name: &String| name.strip_prefix("field_").and_then(|number| number.parse().ok());
        let numbers: Option<Vec<u64>> = columns.iter().skip(1).map(number).collect();
        let (Some("label"), Some(numbers)) = (columns.first().map(String::as_str), numbers) else {
            return Err(Error::input("columns", "label, field_<number>, … for libffm", columns.join(", ")));
        };
        let texts = vec![String::new(); numbers.len()];
        let places = numbers.into_iter().enumerate().map(|(place, number)| (number, place)).collect();
        Ok(Libffm { lines: place.lines()?, columns: columns.to_vec(), places, texts })
    }
}

impl RowSource for Libffm {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        let Libffm { lines, places, texts, .. } = self;
        texts.iter_mut().for_each(String::clear);
        let read = with_row(lines, |lines, text| {
            lines.begin(row);
            let mut tokens = tokens(text);
            row.push(label(lines, &mut tokens)?);
            for (at, token) in tokens {
                let parts =
                    token.split_once(':').and_then(|(field, feature)| Some((field.parse().ok()?, feature)));
                let Some((field, feature)) = parts.filter(|(_, feature)| is_feature(feature)) else {
                    return Err(token_error(
                        lines,
                        at,
                        "field:index:value with two integers and a number",
                        token,
                    ));
                };
                let Some(&place) = places.get(&field) else {
                    let hint = format!(
                        "fields are those of the first {FIELD_ROWS} rows; name them all with `columns`, \
                            among them \"field_{field}\""
                    );
                    return Err(token_error(lines, at, "a known field", token).with_hint(hint));
                };
                append(&mut texts[place], 0, feature);
            }
            texts.iter().for_each(|text| row.push(text));
            Ok(())
        });
        Ok(read?.is_some())
    }
}

/// Columns of a libffm file by its first rows. Rows that cannot be read are left to the pass itself.
pub(super) fn ffm_columns(place: Place<'_>) -> Result<Vec<String>> {
    let mut lines = place.ahead().lines()?;
    let mut fields = BTreeSet::new();
    for _ in 0..FIELD_ROWS {
        let read = with_row(&mut lines, |_, text| {
            fields.extend(
                tokens(text).skip(1).filter_map(|(_, token)| token.split_once(':')?.0.parse::<u64>().ok()),
            );
            Ok(())
        });
        match read {
            Ok(None) => break,
            Ok(Some(())) | Err(Error::Row(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if fields.is_empty() {
        return Err(Error::input(lines.file(), "rows of `label field:index:value …`", "no field"));
    }
    Ok(std::iter::once("label".to_owned())
        .chain(fields.iter().map(|field| format!("field_{field}")))
        .collect())
}

/// Runs `read` on the next row, comments and empty lines left out; `None` at the end.
fn with_row<T>(lines: &mut Lines, read: impl FnOnce(&Lines, &str) -> Result<T>) -> Result<Option<T>> {
    loop {
        let Some((used, length)) = lines.peek_line()? else { return Ok(None) };
        let line = lines.bytes(used);
        let line = &line[..memchr::memchr(b'#', line).unwrap_or(used)];
        if line.iter().all(u8::is_ascii_whitespace) {
            lines.consume(length, 1);
            continue;
        }
        let field = |at: usize| {
            let tokens = line[..at].split(u8::is_ascii_whitespace).filter(|token| !token.is_empty());
            (tokens.count().max(1), String::new())
        };
        let result = as_text(line, || lines.position(), field).and_then(|text| read(lines, text));
        lines.consume(length, 1);
        return result.map(Some);
    }
}

/// Tokens with their 1-based numbers.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_ascii_whitespace().enumerate().map(|(i, token)| (i + 1, token))
}

fn label<'a>(lines: &Lines, tokens: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<&'a str> {
    match tokens.next() {
        Some((_, token)) if is_finite(token) => Ok(token),
        other => Err(token_error(lines, 1, "a number as label", other.map_or("", |(_, token)| token))),
    }
}

fn token_error(lines: &Lines, at: usize, expected: &str, token: &str) -> Error {
    let mut position = lines.position();
    position.column = Some((at, String::new()));
    Error::row(position, expected, quoted(token))
}

/// Appends `token` to the values that begin at `start` of `out`.
fn append(out: &mut String, start: usize, token: &str) {
    if out.len() > start {
        out.push('|');
    }
    out.push_str(token);
}

fn is_feature(token: &str) -> bool {
    token.split_once(':').is_some_and(|(index, value)| index.parse::<u64>().is_ok() && is_finite(value))
}

fn is_finite(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// For detection: whether `line` is a libsvm row with features.
pub(super) fn is_svm_row(line: &str) -> bool {
    is_sparse(line, |token| token.starts_with("qid:") || is_feature(token))
}

/// For detection: whether `line` is a libffm row with features.
pub(super) fn is_ffm_row(line: &str) -> bool {
    is_sparse(line, |token| {
        token
            .split_once(':')
            .is_some_and(|(field, feature)| field.parse::<u64>().is_ok() && is_feature(feature))
    })
}

fn is_sparse(line: &str, test: impl Fn(&str) -> bool) -> bool {
    let text = line.split('#').next().unwrap_or(line);
    let mut tokens = text.split_ascii_whitespace();
    let is_labelled = tokens.next().is_some_and(is_finite);
    is_labelled && tokens.clone().next().is_some() && tokens.all(test)
}
