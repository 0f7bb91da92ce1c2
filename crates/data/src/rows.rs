//! Good rows of an input: read, parsed, malformed ones skipped within a limit.
use crate::error::{BadRow, Error, Hint, Result};
use crate::parse::{Labels, ParsedRow, RowParser, TextPlace};
use crate::readers::{Input, Stream};
use crate::row::{RawRow, RowSource};
use crate::schema::Schema;
use serde::{Deserialize, Serialize};

/// Something whose rows can be read again and again, the same every time.
pub trait OpenRows: Send + Sync {
    /// Starts a pass.
    ///
    /// # Errors
    /// If it cannot be read.
    fn open_rows(&self) -> Result<Box<dyn RowSource>>;

    /// Starts a pass with the first row of `file` (as rows name theirs), or before it.
    ///
    /// # Errors
    /// As [`OpenRows::open_rows`].
    fn open_rows_from(&self, _file: &str) -> Result<Box<dyn RowSource>> {
        self.open_rows()
    }

    /// How messages call it.
    fn name(&self) -> String;
}

impl OpenRows for Input {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        self.open()
    }

    fn open_rows_from(&self, file: &str) -> Result<Box<dyn RowSource>> {
        let mut files = self.files()?;
        let place = files.iter().position(|path| path.display().to_string() == file);
        files.drain(..place.unwrap_or(0));
        Input { paths: files, ..self.clone() }.open()
    }

    fn name(&self) -> String {
        let names: Vec<String> = self.paths.iter().map(|p| p.display().to_string()).collect();
        names.join(", ")
    }
}

/// Rows that can be read only once, such as those of standard input.
pub struct StreamRows {
    /// How they are read.
    pub input: Input,
    /// Their bytes.
    pub stream: Stream,
}

impl OpenRows for StreamRows {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        self.input.open_stream(&self.stream)
    }

    fn name(&self) -> String {
        self.stream.name()
    }
}

/// Parsed rows of one pass.
pub struct GoodRows {
    source: Box<dyn RowSource>,
    parser: RowParser,
    skipped: Skipped,
    row: GoodRow,
    fold: Option<usize>,
}

/// A row that is what the schema says.
#[derive(Debug, Clone, Default)]
pub struct GoodRow {
    /// Its fields as text.
    pub raw: RawRow,
    /// Their values.
    pub parsed: ParsedRow,
}

/// Some rows of a run of them.
#[derive(Debug, Clone, Copy)]
pub struct Picked<'a> {
    /// The run.
    pub rows: &'a [GoodRow],
    /// Numbers of the picked ones, in their order.
    pub picks: &'a [u32],
    /// Where the text of each categorical column is.
    pub fields: &'a [TextPlace],
}

impl<'a> Picked<'a> {
    /// The rows.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a GoodRow> + Clone + use<'a> {
        let rows = self.rows;
        self.picks.iter().map(move |&pick| &rows[pick as usize])
    }

    /// Text of categorical column `c` of a row of these.
    pub fn text<'r>(&self, row: &'r GoodRow, c: usize) -> &'r str {
        self.fields[c].text(&row.raw, &row.parsed)
    }
}

/// Parses the raw row of `row`, which should have `columns` fields; `false` if it is left out by its label.
///
/// # Errors
/// [`Error::Row`] if it is malformed: the next row can be read into the same memory.
pub fn read_row(parser: &RowParser, columns: usize, row: &mut GoodRow) -> Result<bool> {
    let GoodRow { raw, parsed } = row;
    if raw.len() != columns {
        return Err(Error::row(raw.position(None), format!("{columns} fields"), raw.len().to_string()));
    }
    if parser.leaves_out(raw) {
        return Ok(false);
    }
    parser.parse(raw, parsed).map(|()| true)
}

/// Place of the column of given folds.
///
/// # Errors
/// If there is no such column.
pub(crate) fn fold_column(columns: &[String], name: &str) -> Result<usize> {
    let found = columns.iter().position(|c| c == name);
    found.ok_or_else(|| {
        Error::input("data.split.column", format!("one of {}", columns.join(", ")), format!("\"{name}\""))
    })
}

/// Bad rows whose description is kept; later ones are only counted.
const KEPT: usize = 10_000;

/// Malformed rows of an input that are skipped within a limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Skipped {
    most: u64,
    rows: u64,
    bad: Vec<BadRow>,
}

impl Skipped {
    /// None yet, and up to `most`.
    pub fn new(most: u64) -> Self {
        Skipped { most, rows: 0, bad: Vec::new() }
    }

    /// Skips a row.
    ///
    /// # Errors
    /// One too many.
    pub fn skip(&mut self, bad: BadRow) -> Result<()> {
        if self.rows >= self.most {
            const KEY: &str = "data.max_bad_rows";
            let hint = match (bad.hint.clone(), self.most) {
                (Some(hint), 0) => hint.say("; or skip such rows with ").set(KEY, "N"),
                (None, 0) => Hint::from("skip such rows with ").set(KEY, "N"),
                (hint, most) => hint
                    .map_or(Hint::default(), |hint| hint.say("; "))
                    .say("more than ")
                    .set(KEY, most.to_string())
                    .say(" rows are malformed"),
            };
            return Err(Error::Row(Box::new(bad)).with_hint(hint));
        }
        self.rows += 1;
        if self.bad.len() < KEPT {
            self.bad.push(bad);
        }
        Ok(())
    }

    /// Number of rows skipped so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows skipped so far (the first ten thousand).
    pub fn bad(&self) -> &[BadRow] {
        &self.bad
    }

    /// Starts anew; what was skipped, as descriptions and as a number.
    pub fn next_input(&mut self) -> (Vec<BadRow>, u64) {
        (std::mem::take(&mut self.bad), std::mem::take(&mut self.rows))
    }
}

impl GoodRows {
    /// Starts a pass over `input`; up to `most_bad` malformed rows are skipped.
    ///
    /// # Errors
    /// If the input cannot be read or lacks a column of the schema.
    pub fn open(input: &dyn OpenRows, schema: &Schema, labels: Labels, most_bad: u64) -> Result<Self> {
        let source = input.open_rows()?;
        let parser = RowParser::new(schema, source.columns(), labels, &input.name())?;
        Ok(GoodRows { source, parser, skipped: Skipped::new(most_bad), row: GoodRow::default(), fold: None })
    }

    /// Also finds the column of given folds.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn with_fold(mut self, column: Option<&str>) -> Result<Self> {
        if let Some(name) = column {
            self.fold = Some(fold_column(self.source.columns(), name)?);
        }
        Ok(self)
    }

    /// Moves to the next good row; `false` at the end.
    ///
    /// # Errors
    /// A malformed row beyond the limit, or a failing input.
    pub fn advance(&mut self) -> Result<bool> {
        loop {
            let columns = self.source.columns().len();
            let read = match self.source.next_row(&mut self.row.raw) {
                Ok(false) => return Ok(false),
                Ok(true) => read_row(&self.parser, columns, &mut self.row),
                Err(error) => Err(error),
            };
            match read {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(Error::Row(mut bad)) => {
                    bad.keep(&self.row.raw.to_line());
                    self.skipped.skip(*bad)?;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// The row.
    pub fn parsed(&self) -> &ParsedRow {
        &self.row.parsed
    }

    /// The row's fields as text.
    pub fn raw(&self) -> &RawRow {
        &self.row.raw
    }

    /// Exchanges the row for memory of another one.
    pub fn swap(&mut self, row: &mut GoodRow) {
        std::mem::swap(&mut self.row, row);
    }

    /// Where the text of each categorical column is.
    pub fn fields(&self) -> Vec<TextPlace> {
        self.parser.fields()
    }

    /// Text of categorical column `c`.
    pub fn text(&self, c: usize) -> &str {
        self.parser.text(&self.row.raw, &self.row.parsed, c)
    }

    /// Text of the fold column.
    pub fn fold(&self) -> &str {
        self.fold.map_or("", |index| self.row.raw.field(index))
    }

    /// Number of malformed rows skipped so far.
    pub fn bad_rows(&self) -> u64 {
        self.skipped.rows
    }

    /// Malformed rows skipped so far (the first ten thousand).
    pub fn bad(&self) -> &[BadRow] {
        &self.skipped.bad
    }

    /// Names of the fields.
    pub fn columns(&self) -> &[String] {
        self.source.columns()
    }
}
