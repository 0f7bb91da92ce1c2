//! What the beginning of a file tells: format, delimiter, quotes, blanks and header.
use super::format::{Format, Header, Quote, Trim};
use super::lines::{Window, into_final, without_line_end};
use super::record::Dialect;
use super::stream::Place;
use super::{criteo, jsonl, movielens, ncf, sparse};
use crate::error::{Error, Result, quoted};
use crate::schema::is_missing;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// So many records are looked at.
pub(super) const ROWS: usize = 100;
const BYTES: usize = 256 << 10;
/// In order of preference.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The beginning of a text file, up to a line end.
pub(super) struct FileHead {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl FileHead {
    /// Reads it; an empty file is an error.
    pub(super) fn of(place: Place<'_>) -> Result<Self> {
        let (path, mut lines) = (place.path(), place.ahead().lines()?);
        let bytes = match lines.window(BYTES)? {
            Window::Bytes(length) => lines.bytes(length).to_vec(),
            Window::TooLong => match lines.whole_lines() {
                [] => return Err(into_final(lines.skip_long_line())),
                // The endless line is not the first one: a bad row, which the pass will report.
                whole => whole.to_vec(),
            },
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::empty_file(path.display().to_string(), "rows"));
        }
        if !bytes.contains(&b'\n')
            && bytes.split(|&byte| byte == b'\r').filter(|line| !line.is_empty()).count() > 1
        {
            let error =
                Error::input(path.display().to_string(), "lines that end in \\n or \\r\\n", "only \\r");
            return Err(error.with_hint("convert it: tr '\\r' '\\n'"));
        }
        Ok(FileHead { path: path.to_owned(), bytes })
    }

    /// The first lines that are not empty.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .split(|&byte| byte == b'\n')
            .map(without_line_end)
            .filter(|line| !line.is_empty())
            .take(ROWS)
    }

    /// Whether nine of ten lines fulfil `test`, comments aside.
    fn mostly(&self, test: impl Fn(&str) -> bool) -> bool {
        let (mut lines, mut good) = (0, 0);
        for line in self.lines().filter(|line| !line.starts_with(b"#")) {
            lines += 1;
            good += usize::from(std::str::from_utf8(line).is_ok_and(&test));
        }
        good > 0 && good * 10 >= lines * 9
    }
}

/// Refuses text that is of no format that is read: JSON (but for an object in each line) and web pages.
pub(super) fn check_known(head: &FileHead) -> Result<()> {
    // The lines of an array or of an object that is written over several.
    let piece = |line: &str| {
        let line = line.trim();
        line.starts_with('{') && line.ends_with("},") && jsonl::is_object(line.trim_end_matches(','))
    };
    let text = String::from_utf8_lossy(&head.bytes[..head.bytes.len().min(64)]).trim_start().to_lowercase();
    let opens = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    let convert = "convert it to CSV or Parquet, for example in Python: pandas.read_json(";
    let (found, hint) = if head.mostly(jsonl::is_object) {
        return Ok(());
    } else if head.mostly(piece) || opens(&["[{", "[\n", "[\r\n", "[ {", "{\n", "{\r\n", "{ \""]) {
        ("JSON", format!("{convert}FILE).to_csv(NEW, index=False)"))
    } else if opens(&["<!doctype", "<html", "<?xml"]) {
        ("a web page or XML", "name the file with the rows; what was downloaded may be an error page".into())
    } else {
        return Ok(());
    };
    let expected = "rows of text with delimiters (CSV and its kin), JSON lines, Criteo, MovieLens, libsvm, \
        libffm or Parquet";
    Err(Error::input(head.path.display().to_string(), expected, found).with_hint(hint))
}

/// Whether what is there begins like a Parquet file.
pub(super) fn is_parquet(place: Place<'_>) -> Result<bool> {
    let mut head = Vec::new();
    let path = match place {
        Place::File(_) | Place::Small(_) => place.path(),
        Place::Ahead(stream) | Place::Stream(stream) => return Ok(stream.begins_with(b"PAR1")),
    };
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(4).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(head == b"PAR1")
}

/// Format of a text file.
pub(super) fn format(head: &FileHead) -> Format {
    match () {
        () if movielens::is_ratings(&head.path) => Format::Movielens,
        () if ncf::is_named_so(&head.path) => Format::Ncf,
        () if head.mostly(jsonl::is_object) => Format::Jsonl,
        () if head.mostly(criteo::is_row) => Format::Criteo,
        () if head.mostly(sparse::is_ffm_row) => Format::Libffm,
        () if head.mostly(sparse::is_svm_row) => Format::Libsvm,
        () => Format::Csv,
    }
}

/// What is said of delimited text; the rest is detected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Given {
    pub delimiter: Option<u8>,
    pub quote: Option<Quote>,
    pub trim: Option<Trim>,
}

/// Delimiter, quotes and blanks: what is given, else what splits most rows of the file's head into the
/// same number of fields (at least two); of equals, the one that gives more fields.
pub(super) fn dialect(head: &FileHead, given: Given) -> Dialect {
    let delimiters: Vec<u8> = given.delimiter.map_or(DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
    let mut best: Option<(Dialect, Fit)> = None;
    for delimiter in delimiters {
        let (dialect, fit) = quotes_and_blanks(head, given, delimiter);
        let is_better =
            best.is_none_or(|(_, other)| fit.width >= 2 && (other.width < 2 || fit.is_better(other)));
        if is_better {
            best = Some((dialect, fit));
        }
    }
    best.map_or(Dialect::CSV, |(dialect, _)| dialect)
}

/// Quotes mean something and blanks do too, unless the rows come out better otherwise: by a tenth of them
/// for quotes, since one stray quote is more likely a bad row than a file without quoting.
fn quotes_and_blanks(head: &FileHead, given: Given, delimiter: u8) -> (Dialect, Fit) {
    let mut best: Option<(Dialect, Fit)> = None;
    for (quote, trim) in
        [(Quote::Double, Trim::None), (Quote::Double, Trim::Blanks), (Quote::None, Trim::None)]
    {
        let (quote, trim) = (given.quote.unwrap_or(quote), given.trim.unwrap_or(trim));
        let dialect = Dialect {
            delimiter,
            quote: (quote == Quote::Double).then_some(b'"'),
            trims: trim == Trim::Blanks,
        };
        let fit = Fit::of(dialect, head);
        let margin = if dialect.quote.is_none() && given.quote.is_none() { 0.1 } else { 0.0 };
        if best.is_none_or(|(_, other)| fit.share() > other.share() + margin) {
            best = Some((dialect, fit));
        }
    }
    let (mut dialect, fit) = best.expect("three candidates");
    dialect.trims |= given.trim.is_none() && fit.is_spaced;
    (dialect, fit)
}

/// How well a dialect fits the head of a file.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// Rows of `width` fields.
    good: usize,
    all: usize,
    width: usize,
    /// Whether a blank follows nearly every delimiter.
    is_spaced: bool,
}

impl Fit {
    fn of(dialect: Dialect, head: &FileHead) -> Self {
        let (rows, bad) = dialect.records(&head.bytes, ROWS);
        let width = width(&rows);
        let good = rows.iter().filter(|row| row.len() == width).count();
        let spaced = rows
            .iter()
            .filter(|row| row.len() > 1 && row[1..].iter().all(|field| field.starts_with(' ')))
            .count();
        Fit {
            good,
            all: (rows.len() + bad).max(1),
            width,
            is_spaced: spaced > 0 && spaced * 10 >= rows.len() * 9,
        }
    }

    fn share(self) -> f64 {
        self.good as f64 / self.all as f64
    }

    fn is_better(self, other: Fit) -> bool {
        self.share() > other.share() || self.share() == other.share() && self.width > other.width
    }
}

/// The most frequent number of fields (the larger of equals).
pub(super) fn width(rows: &[Vec<String>]) -> usize {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    rows.iter().for_each(|row| *counts.entry(row.len()).or_default() += 1);
    counts.into_iter().map(|(width, count)| (count, width)).max().map_or(0, |(_, width)| width)
}

/// The first row is a header if it holds a text over a column of numbers, or else if it looks like names (no
/// field is empty, a number or there twice) and none of its fields occurs again in its column, as the values
/// of categorical columns soon do.
pub(super) fn header(rows: &[Vec<String>]) -> Header {
    let Some((first, rest)) = rows.split_first() else { return Header::Present };
    if (0..first.len()).any(|column| is_title(&first[column], rest.iter().filter_map(|row| row.get(column))))
        || are_numbers_of_columns(first)
    {
        return Header::Present;
    }
    let distinct: HashSet<&str> = first.iter().map(|name| name.trim()).collect();
    let looks_like_names =
        distinct.len() == first.len() && !distinct.iter().any(|name| name.is_empty() || is_number(name));
    let occurs_again = rest.iter().any(|row| row.iter().zip(first).any(|(value, name)| value == name));
    if looks_like_names && !occurs_again { Header::Present } else { Header::Absent }
}

/// Refuses lines above the names of the columns that are comments: a first line that begins with # and does
/// not have the fields of the others.
pub(super) fn check_comment(head: &FileHead, rows: &[Vec<String>]) -> Result<()> {
    let Some(first) = rows.first().filter(|row| row.len() != width(rows)) else { return Ok(()) };
    if !first.first().is_some_and(|field| field.trim_start().starts_with('#')) {
        return Ok(());
    }
    let what = format!("{}:1", head.path.display());
    let error =
        Error::input(what, "the names of the columns or a row", format!("a comment, {}", quoted(&first[0])));
    Err(error.with_hint("remove the lines that begin with #: grep -v '^#' FILE > NEW"))
}

/// Whether these are the names that a table has whose columns were given none: 0, 1, 2, …, perhaps behind the
/// empty name of an index. Of two columns 0 and 1 are as likely a row.
pub fn are_numbers_of_columns(names: &[String]) -> bool {
    let names = match names {
        [index, names @ ..] if index.trim().is_empty() || index == "column_1" => names,
        names => names,
    };
    names.len() > 2 && names.iter().enumerate().all(|(number, name)| name.trim() == number.to_string())
}

/// Whether `text` is a name over numbers, up to one mistake in a hundred.
fn is_title<'a>(text: &str, values: impl Iterator<Item = &'a String>) -> bool {
    let text = text.trim();
    if is_number(text) || is_missing(text) || !text.contains(char::is_alphabetic) {
        return false;
    }
    let (mut numbers, mut texts) = (0, 0);
    for value in values.map(|value| value.trim()).filter(|value| !is_missing(value)) {
        if value == text {
            return false;
        }
        numbers += usize::from(is_number(value));
        texts += usize::from(!is_number(value));
    }
    numbers > 0 && texts * 100 <= numbers
}

fn is_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> FileHead {
        FileHead { path: PathBuf::from("x"), bytes: text.as_bytes().to_vec() }
    }

    fn detected(text: &str) -> Dialect {
        dialect(&head(text), Given::default())
    }

    #[test]
    fn delimiters() {
        assert_eq!(detected("a,b\n1,x|y\n2,z\n").delimiter, b',');
        assert_eq!(detected("a\tb\n1\tx, y\n2\tz, w, v\n").delimiter, b'\t');
        assert_eq!(detected("a;b;c\n1,5;2,5;3\n1,5;2,5;3\n").delimiter, b';');
        assert_eq!(detected("a|b\n1|2\n").delimiter, b'|');
        assert_eq!(detected("only\none\ncolumn\n").delimiter, b',');
    }

    #[test]
    fn quotes_and_blanks() {
        assert_eq!(detected("a,b\n\"x,y\",1\n\"z,w\",2\n").quote, Some(b'"'));
        assert_eq!(detected("a\tb\n\"x\t1\n\"5\" pipe\t2\n").quote, None);
        assert!(detected("39, State-gov, 7\n50, Self-emp, 8\n").trims);
        assert!(detected("a, b\n1, \"x, y\"\n2, \"z\"\n").trims);
        assert!(!detected("a,b\n1, x\n2,y\n").trims);
    }

    #[test]
    fn headers() {
        let header_of = |text: &str| header(&detected(text).records(text.as_bytes(), ROWS).0);
        assert_eq!(header_of("id,name\n1,x\n"), Header::Present);
        assert_eq!(header_of("7,x\n7,y\n"), Header::Absent);
        for present in [
            ",user,price\n0,u1,2.5\n",
            "click,2019\n1,30\n0,40\n",
            "user,user\nu1,1\n",
            "price,\n2.5,\n",
            "x,red\n1,red\n",
        ] {
            assert_eq!(header_of(present), Header::Present, "{present}");
        }
        assert_eq!(header_of("us\u{e9}r,price\nu1,1\nprice,2\n"), Header::Present);
        assert_eq!(header_of("NA,x\n1,y\n2,x\n"), Header::Absent);
        let latin: &[u8] = b"us\xe9r,price\n1,2\n3,4\n";
        assert_eq!(header(&Dialect::CSV.records(latin, ROWS).0), Header::Present);
        for present in ["0,1,2\n1,0.5,a\n", "0,1,2,3\n7,1,2,3\n", ",0,1,2\n0,5,6,7\n"] {
            assert_eq!(header_of(present), Header::Present, "{present}");
        }
        for absent in ["0,1\n1,0\n", "1,2,3\n4,5,6\n", "0,1,3\n1,1,3\n"] {
            assert_eq!(header_of(absent), Header::Absent, "{absent}");
        }
        assert_eq!(header_of("red,round\nblue,square\nred,flat\n"), Header::Absent);
        assert_eq!(header_of("colour,shape\nblue,square\nred,flat\n"), Header::Present);
    }

    #[test]
    fn formats() {
        assert_eq!(format(&head("1 3:0.5 7:1\n-1 2:1\n")), Format::Libsvm);
        assert_eq!(format(&head("1 0:3:0.5 1:7:1\n0 0:2:1\n")), Format::Libffm);
        assert_eq!(format(&head("a,b\n1,2\n")), Format::Csv);
        assert_eq!(format(&head("{\"a\": 1}\n{ \"a\": 2}\n")), Format::Jsonl);
        let criteo = format!("1{}{}\n", "\t5".repeat(13), "\t68fd1e64".repeat(26));
        assert_eq!(format(&head(&criteo)), Format::Criteo);
        assert_eq!(format(&head(&criteo[2..])), Format::Criteo);
    }

    #[test]
    fn formats_that_are_not_read() {
        for (text, found) in [
            ("{\"click\": 1, \"user\": \"a\"},\n{\"click\": 0, \"user\": \"b\"},\n", "JSON"),
            ("[{\"click\": 1},\n {\"click\": 0}]\n", "JSON"),
            ("[\n  {\n \"click\": 1}]\n", "JSON"),
            ("<!DOCTYPE html>\n<html>\n", "a web page"),
        ] {
            let error = check_known(&head(text)).unwrap_err();
            assert!(error.to_string().contains(&format!("found {found}")), "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
        for text in ["a,b\n1,2\n", "[x],y\n1,2\n", "{x},y\n{1},2\n"] {
            check_known(&head(text)).unwrap();
        }
    }
}
