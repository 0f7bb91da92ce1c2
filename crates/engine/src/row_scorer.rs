//! From raw rows of text fields to logits: the one way in which a model is asked. The golden rows of a saved
//! model, `predict`, `evaluate` and programs that embed the engine all score through [`RowScorer`], so a row
//! gets the same bits everywhere, alone or among others.
use crate::error::Result;
use crate::network::Network;
use crate::workspace::{Parallel, Workspace};
use dlrm_data::counts::EncodedCounts;
use dlrm_data::error::BadRow;
use dlrm_data::parse::{Labels, RowParser, TextPlace};
use dlrm_data::row::RawRow;
use dlrm_data::rows::{GoodRow, Picked, read_row};
use dlrm_data::{Batch, Encoder, Error};
use std::sync::Arc;

/// Scores rows that are pushed one after another. Its memory is reused: once it has grown to the most rows
/// that are scored together, pushing and encoding a row allocates nothing.
///
/// ```text
/// let mut scorer = predictor.row_scorer(&columns)?;
/// for row in request { scorer.push(row)?; }
/// scorer.score(&mut workspace, Parallel::Single, &mut logits);
/// ```
pub struct RowScorer<'a> {
    encoder: &'a Encoder,
    network: &'a Network,
    parser: RowParser,
    texts: Vec<TextPlace>,
    columns: usize,
    input: Arc<str>,
    /// Memory of rows. The first of them, as many as there are picks, wait to be scored.
    rows: Vec<GoodRow>,
    /// 0, 1, 2, …
    picks: Vec<u32>,
    /// Rows pushed since the last call of `score`, malformed ones included.
    pushed: u64,
    batch: Batch,
    counts: Vec<EncodedCounts>,
}

/// What became of a row that was no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It will be scored.
    Kept,
    /// It is not scored, for the schema leaves out rows with its label. Only where labels are read.
    LeftOut,
}

impl<'a> RowScorer<'a> {
    /// A scorer of rows whose fields are `columns`, in this order. Labels, sample weights and groups are read
    /// where `labels` says so. `input` is what messages call the rows.
    ///
    /// # Errors
    /// If a column that the encoder reads is not among `columns`: the message names it and the nearest one.
    pub fn new(
        encoder: &'a Encoder,
        network: &'a Network,
        columns: &[String],
        labels: Labels,
        input: &str,
    ) -> Result<Self> {
        let parser = RowParser::new(encoder.schema(), columns, labels, input)?;
        Ok(RowScorer {
            encoder,
            network,
            texts: parser.fields(),
            parser,
            columns: columns.len(),
            input: input.into(),
            rows: Vec::new(),
            picks: Vec::new(),
            pushed: 0,
            batch: Batch::new(&encoder.layout()),
            counts: encoder.counts(),
        })
    }

    /// Adds a row of text fields. A malformed row is not added, and the next one may be pushed.
    ///
    /// # Errors
    /// The first field that is not what the schema says, or that there are more or fewer fields than columns.
    /// The position names the row by its number since the last call of [`RowScorer::score`], from 1.
    pub fn push<'t>(&mut self, fields: impl IntoIterator<Item = &'t str>) -> Result<Pushed, Box<BadRow>> {
        let (input, line) = (self.input.clone(), self.pushed + 1);
        let row = self.slot();
        row.clear();
        (row.file, row.line) = (input, line);
        fields.into_iter().for_each(|field| row.push(field));
        self.push_slot()
    }

    /// Memory for the next row, to be filled by a reader and then added by [`RowScorer::push_slot`].
    pub(crate) fn slot(&mut self) -> &mut RawRow {
        let next = self.picks.len();
        if self.rows.len() == next {
            self.rows.push(GoodRow::default());
        }
        &mut self.rows[next].raw
    }

    /// Adds the row in the slot.
    pub(crate) fn push_slot(&mut self) -> Result<Pushed, Box<BadRow>> {
        self.pushed += 1;
        let next = self.picks.len();
        match read_row(&self.parser, self.columns, &mut self.rows[next]) {
            Ok(true) => {
                self.picks.push(next as u32);
                Ok(Pushed::Kept)
            }
            Ok(false) => Ok(Pushed::LeftOut),
            Err(error) => Err(bad_row(error, &self.rows[next].raw)),
        }
    }

    /// Number of rows that wait to be scored.
    pub fn len(&self) -> usize {
        self.picks.len()
    }

    /// Forgets the rows that were pushed after the first `len` of those that wait.
    pub fn truncate(&mut self, len: usize) {
        self.picks.truncate(len);
    }

    /// Whether no row waits to be scored.
    pub fn is_empty(&self) -> bool {
        self.picks.is_empty()
    }

    /// Encodes the rows that were pushed, in their order, and forgets them.
    pub fn encode(&mut self) -> &Batch {
        self.batch.clear();
        let rows = Picked { rows: &self.rows, picks: &self.picks, fields: &self.texts };
        self.encoder.encode(rows, &mut self.batch, &mut self.counts);
        self.picks.clear();
        self.pushed = 0;
        &self.batch
    }

    /// Refills `logits` with the logits of the rows that were pushed, in their order, and forgets the rows.
    pub fn score(&mut self, workspace: &mut Workspace, parallel: Parallel<'_>, logits: &mut Vec<f32>) {
        self.encode();
        self.forward(workspace, parallel, logits);
    }

    /// Refills `logits` with the logits of the rows that were encoded last: the second half of
    /// [`RowScorer::score`], for callers that look at the first.
    pub fn forward(&self, workspace: &mut Workspace, parallel: Parallel<'_>, logits: &mut Vec<f32>) {
        logits.resize(self.batch.len(), 0.0);
        self.network.logits(&self.batch, logits, workspace, parallel);
    }

    /// The text of a field of row `row` of those that were encoded last, until another one is pushed.
    ///
    /// # Panics
    /// If there was no such row or there is no such field.
    pub fn field(&self, row: usize, field: usize) -> &str {
        self.rows[row].raw.field(field)
    }

    /// The rows that were encoded last.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Labels of the rows that were scored last, where labels are read.
    pub fn labels(&self) -> &[f32] {
        &self.batch.labels
    }

    /// Sample weights of the rows that were scored last, if the schema has any.
    pub fn weights(&self) -> Option<&[f32]> {
        self.batch.weights.as_deref()
    }

    /// Groups of the rows that were scored last, if the schema has any.
    pub fn groups(&self) -> Option<&[u64]> {
        self.batch.groups.as_deref()
    }

    /// Missing and unseen values of all rows scored so far: of each categorical column, then of each cross.
    pub fn counts(&self) -> &[EncodedCounts] {
        &self.counts
    }
}

/// The malformed row of an error in `row`.
fn bad_row(error: Error, row: &RawRow) -> Box<BadRow> {
    match error {
        Error::Row(mut bad) => {
            bad.keep(&row.to_line());
            bad
        }
        other => Box::new(BadRow {
            position: row.position(None),
            expected: "a row of the schema".into(),
            found: other.to_string(),
            hint: None,
            text: row.to_line(),
        }),
    }
}
