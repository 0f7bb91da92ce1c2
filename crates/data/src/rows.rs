//! Good rows of an input: read, parsed, malformed ones skipped within a limit.
use crate::error::{BadRow, Error, Result};
use crate::parse::{Labels, ParsedRow, RowParser};
use crate::row::{RawRow, RowSource};
use crate::schema::Schema;
use crate::split::Part;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

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
    /// Which field each categorical column is.
    pub fields: &'a [usize],
}

impl<'a> Picked<'a> {
    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = &'a GoodRow> + Clone + use<'a> {
        let rows = self.rows;
        self.picks.iter().map(move |&pick| &rows[pick as usize])
    }

    /// Text of categorical column `c` of a row of these.
    pub fn text<'r>(&self, row: &'r GoodRow, c: usize) -> &'r str {
        row.raw.field(self.fields[c])
    }
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
        Ok(GoodRows { source, parser, most_bad, bad: Vec::new(), bad_rows: 0, row: GoodRow::default(), fold: None })
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
            let read = self.source.next_row(&mut self.row.raw).and_then(|more| {
                let GoodRow { raw, parsed } = &mut self.row;
                if more && raw.len() != self.source.columns().len() {
                    let (expected, found) = (self.source.columns().len(), raw.len());
                    return Err(Error::row(raw.position(None), format!("{expected} fields"), format!("{found}")));
                }
                let counts = more && !self.parser.leaves_out(raw);
                if counts {
                    self.parser.parse(raw, parsed)?;
                }
                Ok((more, counts))
            });
            match read {
                Ok((true, false)) => {}
                Ok((more, _)) => return Ok(more),
                Err(Error::Row(mut bad)) => {
                    bad.keep(&self.row.raw.to_line());
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

    /// Which field each categorical column is.
    pub fn fields(&self) -> Vec<usize> {
        self.parser.fields()
    }

    /// Text of categorical column `c`.
    pub fn text(&self, c: usize) -> &str {
        self.parser.categorical(&self.row.raw, c)
    }

    /// Text of the fold column.
    pub fn fold(&self) -> &str {
        self.fold.map_or("", |index| self.row.raw.field(index))
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

/// Rows of a pass that are handed on together, with the part of each.
#[derive(Default)]
pub(crate) struct Block {
    rows: Vec<GoodRow>,
    parts: Vec<Part>,
    fields: Vec<usize>,
    columns: Arc<[String]>,
    fold: Option<usize>,
}

impl Block {
    /// Rows of a full one: enough lookups to wait for memory together, few enough to stay in the second-level cache.
    pub const ROWS: usize = 256;

    /// Empties it for rows of `source`.
    pub fn begin(&mut self, source: &GoodRows) {
        self.parts.clear();
        self.fields = source.fields();
        self.columns = source.columns().into();
        self.fold = source.fold;
    }

    /// Takes the row that `source` stands at.
    pub fn take(&mut self, source: &mut GoodRows, part: impl FnOnce(&GoodRows) -> Part) {
        self.parts.push(part(source));
        if self.rows.len() < self.parts.len() {
            self.rows.push(GoodRow::default());
        }
        source.swap(&mut self.rows[self.parts.len() - 1]);
    }

    pub fn is_full(&self) -> bool {
        self.parts.len() == Self::ROWS
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn rows(&self) -> &[GoodRow] {
        &self.rows[..self.parts.len()]
    }

    /// Part of each row.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Names of the fields.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Text of the fold column of a row of these.
    pub fn fold<'r>(&self, row: &'r GoodRow) -> &'r str {
        self.fold.map_or("", |index| row.raw.field(index))
    }

    /// Refills `picks` with the numbers of the rows of `part`.
    pub fn pick(&self, part: Part, picks: &mut Vec<u32>) {
        picks.clear();
        picks.extend((0..).zip(&self.parts).filter(|&(_, &own)| own == part).map(|(number, _)| number));
    }

    pub fn picked<'a>(&'a self, picks: &'a [u32]) -> Picked<'a> {
        Picked { rows: &self.rows, picks, fields: &self.fields }
    }
}

/// Blocks on their way.
const DEPTH: usize = 4;

/// Runs `read` on a thread of its own and `each` with the blocks that it gives, in order. What `read` is given back in exchange
/// is an empty block for the same input; `false` means that nobody wants more.
pub(crate) fn read_ahead<T: Send>(
    read: impl FnOnce(&mut dyn FnMut(&mut Block) -> bool) -> Result<T> + Send,
    each: &mut dyn FnMut(&Block) -> Result<()>,
) -> Result<T> {
    let (send, full) = sync_channel::<Block>(DEPTH);
    let (give_back, empty) = sync_channel::<Block>(DEPTH);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            read(&mut |block| {
                let mut other = empty.try_recv().unwrap_or_default();
                other.parts.clear();
                other.fields.clone_from(&block.fields);
                (other.columns, other.fold) = (block.columns.clone(), block.fold);
                send.send(std::mem::replace(block, other)).is_ok()
            })
        });
        let mut failed = Ok(());
        for block in full {
            failed = each(&block);
            if failed.is_err() {
                break;
            }
            // Memory for a block that is full already needs no one.
            let _ = give_back.try_send(block);
        }
        let read = match reader.join() {
            Ok(read) => read,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        failed.and(read)
    })
}
