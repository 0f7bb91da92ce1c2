//! Good rows of an input: read, parsed, malformed ones skipped within a limit.
use crate::error::{BadRow, Error, Result};
use crate::parse::{Labels, ParsedRow, RowParser};
use crate::row::{RawRow, RowSource};
use crate::schema::Schema;

/// Something whose rows can be read again and again, the same every time.
pub trait OpenRows: Send + Sync {
    /// Starts a pass.
    ///
    /// # Errors
    /// If it cannot be read.
    fn open_rows(&self) -> Result<Box<dyn RowSource>>;

    /// How messages call it.
    fn name(&self) -> String;
}

impl OpenRows for crate::readers::Input {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        self.open()
    }

    fn name(&self) -> String {
        let names: Vec<String> = self.paths.iter().map(|p| p.display().to_string()).collect();
        names.join(", ")
    }
}

/// Parsed rows of one pass.
pub struct GoodRows {
    source: Box<dyn RowSource>,
    parser: RowParser,
    most_bad: u64,
    bad: Vec<BadRow>,
    bad_rows: u64,
    raw: RawRow,
    parsed: ParsedRow,
    fold: Option<usize>,
}

/// Bad rows whose description is kept; later ones are only counted.
const KEPT: usize = 10_000;

impl GoodRows {
    /// Starts a pass over `input`; up to `most_bad` malformed rows are skipped.
    ///
    /// # Errors
    /// If the input cannot be read or lacks a column of the schema.
    pub fn open(input: &dyn OpenRows, schema: &Schema, labels: Labels, most_bad: u64) -> Result<Self> {
        let source = input.open_rows()?;
        let parser = RowParser::new(schema, source.columns(), labels, &input.name())?;
        Ok(GoodRows {
            source,
            parser,
            most_bad,
            bad: Vec::new(),
            bad_rows: 0,
            raw: RawRow::default(),
            parsed: ParsedRow::default(),
            fold: None,
        })
    }

    /// Also finds the column of given folds.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn with_fold(mut self, column: Option<&str>) -> Result<Self> {
        if let Some(name) = column {
            let columns = self.source.columns();
            let found = columns.iter().position(|c| c == name);
            self.fold = Some(
                found.ok_or_else(|| Error::input("data.split.column", format!("one of {}", columns.join(", ")), format!("\"{name}\"")))?,
            );
        }
        Ok(self)
    }

    /// Moves to the next good row; `false` at the end.
    ///
    /// # Errors
    /// A malformed row beyond the limit, or a failing input.
    pub fn advance(&mut self) -> Result<bool> {
        loop {
            let read = self.source.next_row(&mut self.raw).and_then(|more| {
                if more && self.raw.len() != self.source.columns().len() {
                    let (expected, found) = (self.source.columns().len(), self.raw.len());
                    return Err(Error::row(self.raw.position(None), format!("{expected} fields"), format!("{found}")));
                }
                let counts = more && !self.parser.leaves_out(&self.raw);
                if counts {
                    self.parser.parse(&self.raw, &mut self.parsed)?;
                }
                Ok((more, counts))
            });
            match read {
                Ok((true, false)) => {}
                Ok((more, _)) => return Ok(more),
                Err(Error::Row(mut bad)) => {
                    bad.keep(&self.raw.to_line());
                    self.skip(*bad)?;
                }
                Err(other) => return Err(other),
            }
        }
    }

    fn skip(&mut self, bad: BadRow) -> Result<()> {
        if self.bad_rows >= self.most_bad {
            let hint = match (&bad.hint, self.most_bad) {
                (Some(hint), 0) => format!("{hint}; or skip such rows with --max-bad-rows N"),
                (Some(hint), most) => format!("{hint}; more than --max-bad-rows {most} rows are malformed"),
                (None, 0) => "skip such rows with --max-bad-rows N".to_owned(),
                (None, most) => format!("more than --max-bad-rows {most} rows are malformed"),
            };
            return Err(Error::Row(Box::new(bad)).with_hint(hint));
        }
        self.bad_rows += 1;
        if self.bad.len() < KEPT {
            self.bad.push(bad);
        }
        Ok(())
    }

    /// The row.
    pub fn parsed(&self) -> &ParsedRow {
        &self.parsed
    }

    /// The row's fields as text.
    pub fn raw(&self) -> &RawRow {
        &self.raw
    }

    /// Text of categorical column `c`.
    pub fn text(&self, c: usize) -> &str {
        self.parser.categorical(&self.raw, c)
    }

    /// Text of the fold column.
    pub fn fold(&self) -> &str {
        self.fold.map_or("", |index| self.raw.field(index))
    }

    /// Number of malformed rows skipped so far.
    pub fn bad_rows(&self) -> u64 {
        self.bad_rows
    }

    /// Malformed rows skipped so far (the first ten thousand).
    pub fn bad(&self) -> &[BadRow] {
        &self.bad
    }

    /// Names of the fields.
    pub fn columns(&self) -> &[String] {
        self.source.columns()
    }
}
