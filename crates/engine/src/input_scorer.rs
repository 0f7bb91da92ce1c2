//! Scoring of whole inputs: their rows read a piece at a time, malformed ones skipped within a limit. Rows of
//! a prepared data set are encoded already.
use crate::error::{Error, Result};
use crate::network::Network;
use crate::predictor::Predictor;
use crate::row_scorer::{Pushed, RowScorer};
use crate::workspace::{Parallel, Workspace};
use dlrm_data::batches::RowStream;
use dlrm_data::counts::EncodedCounts;
use dlrm_data::error::BadRow;
use dlrm_data::parse::Labels;
use dlrm_data::prepared::{Prepared, PreparedRows};
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::rows::{OpenRows, Skipped};
use dlrm_data::split::Part;
use dlrm_data::{Batch, Encoder};

/// Reads the rows of an input and scores them.
pub struct InputScorer<'a> {
    network: &'a Network,
    rows: Rows<'a>,
    skipped: Skipped,
    skipped_before: Vec<u64>,
    /// Fields that are kept of malformed rows, and those of the last piece.
    kept: Vec<usize>,
    skipped_fields: Vec<Vec<String>>,
    is_done: bool,
}

/// Where the rows come from.
enum Rows<'a> {
    Raw { scorer: Box<RowScorer<'a>>, source: Box<dyn RowSource> },
    Prepared { encoder: &'a Encoder, rows: Box<PreparedRows>, batch: Batch, counts: Vec<EncodedCounts> },
}

impl<'a> InputScorer<'a> {
    /// Starts reading `input`; up to `max_bad_rows` malformed rows are skipped. Labels, sample weights and
    /// groups are read where `labels` says so.
    ///
    /// # Errors
    /// If the input cannot be opened or lacks a column that the model was trained with.
    pub fn open(
        predictor: &'a Predictor,
        input: &dyn OpenRows,
        labels: Labels,
        max_bad_rows: u64,
    ) -> Result<Self> {
        let source = input.open_rows()?;
        let (encoder, network) = (predictor.encoder(), predictor.network());
        let scorer = RowScorer::new(encoder, network, source.columns(), labels, &input.name())?;
        Ok(InputScorer::new(network, Rows::Raw { scorer: Box::new(scorer), source }, max_bad_rows))
    }

    /// Starts reading the rows of `part` of a prepared data set. They have labels, sample weights and groups,
    /// but no text.
    ///
    /// # Errors
    /// If they were encoded otherwise than the model encodes rows, or there are none.
    pub fn open_prepared(predictor: &'a Predictor, set: &Prepared, part: Part) -> Result<Self> {
        let encoder = predictor.encoder();
        let name = set.dir().display().to_string();
        set.encoder().check_encodes_as(encoder).map_err(|error| {
            error.within(&name).with_hint(
                "score the raw files that it was made of, or train on the prepared data set itself",
            )
        })?;
        if set.rows(part) == 0 {
            let there = Part::ALL.map(|part| format!("{} of {}", set.rows(part), part.name())).join(", ");
            let error = Error::config("data.part", format!("a part that has rows in {name}"), part.name());
            return Err(error.with_hint(format!("its rows are: {there}")));
        }
        let (rows, batch) = (Box::new(set.stream(part)), Batch::new(&encoder.layout()));
        let rows = Rows::Prepared { encoder, rows, batch, counts: encoder.counts() };
        Ok(InputScorer::new(predictor.network(), rows, 0))
    }

    fn new(network: &'a Network, rows: Rows<'a>, max_bad_rows: u64) -> Self {
        InputScorer {
            network,
            rows,
            skipped: Skipped::new(max_bad_rows),
            skipped_before: Vec::new(),
            kept: Vec::new(),
            skipped_fields: Vec::new(),
            is_done: false,
        }
    }

    /// Also keeps these fields of malformed rows, as far as they can be read: see
    /// [`InputScorer::skipped_fields`].
    #[must_use]
    pub fn keeping(self, fields: Vec<usize>) -> Self {
        InputScorer { kept: fields, ..self }
    }

    /// Refills `logits` with those of up to `most` further rows; a piece may be empty before the end, and
    /// [`InputScorer::is_done`] says whether there is another one.
    ///
    /// # Errors
    /// If reading fails, or at a malformed row beyond the limit.
    pub fn score(
        &mut self,
        most: usize,
        workspace: &mut Workspace,
        parallel: Parallel<'_>,
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        self.encode(most)?;
        let batch = self.batch();
        logits.resize(batch.len(), 0.0);
        self.network.logits(batch, logits, workspace, parallel);
        Ok(())
    }

    /// Encodes up to `most` further rows without scoring them.
    ///
    /// # Errors
    /// As [`InputScorer::score`].
    pub fn encode(&mut self, most: usize) -> Result<&Batch> {
        self.skipped_before.clear();
        self.skipped_fields.clear();
        match &mut self.rows {
            Rows::Raw { .. } => self.read(most)?,
            Rows::Prepared { encoder, rows, batch, counts } => {
                batch.clear();
                self.is_done = rows.append_rows(batch, most)? == 0;
                counts.iter_mut().zip(encoder.counts_of(batch)).for_each(|(all, new)| *all = all.plus(new));
                self.skipped_before.resize(batch.len() + 1, 0);
            }
        }
        Ok(self.batch())
    }

    /// Whether all rows have been read.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Names of the fields of every row; a prepared data set has none.
    pub fn columns(&self) -> &[String] {
        match &self.rows {
            Rows::Raw { source, .. } => source.columns(),
            Rows::Prepared { .. } => &[],
        }
    }

    /// Reads and encodes up to `most` good rows, behind at most as many malformed ones.
    fn read(&mut self, most: usize) -> Result<()> {
        let Rows::Raw { scorer, source } = &mut self.rows else { return Ok(()) };
        let (mut skipped, mut bad_rows) = (0, 0);
        while scorer.len() < most && bad_rows < most {
            // A row that is refused before it begins leaves nothing of an earlier one behind.
            scorer.slot().clear();
            let pushed = match source.next_row(scorer.slot()) {
                Ok(true) => scorer.push_slot(),
                Ok(false) => {
                    self.is_done = true;
                    break;
                }
                Err(dlrm_data::Error::Row(mut bad)) => {
                    bad.keep(&scorer.slot().to_line());
                    Err(bad)
                }
                Err(other) => return Err(other.into()),
            };
            match pushed {
                Ok(Pushed::Kept) => self.skipped_before.push(std::mem::take(&mut skipped)),
                Ok(Pushed::LeftOut) => {}
                Err(bad) => {
                    self.skipped.skip(*bad)?;
                    (skipped, bad_rows) = (skipped + 1, bad_rows + 1);
                    if !self.kept.is_empty() {
                        self.skipped_fields.push(fields(scorer.slot(), &self.kept, source.columns().len()));
                    }
                }
            }
        }
        self.skipped_before.push(skipped);
        scorer.encode();
        Ok(())
    }

    /// Malformed rows skipped before each row of the last piece, and one more number for those after the last
    /// row.
    pub fn skipped_before(&self) -> &[u64] {
        &self.skipped_before
    }

    /// The fields that are kept of each malformed row of the last piece; none of rows with more or fewer
    /// fields than there are columns, where no field is sure to be what its place says.
    pub fn skipped_fields(&self) -> &[Vec<String>] {
        &self.skipped_fields
    }

    /// The text of a field of row `row` of the last piece; nothing in rows of a prepared data set.
    ///
    /// # Panics
    /// If there was no such row or there is no such field.
    pub fn field(&self, row: usize, field: usize) -> &str {
        match &self.rows {
            Rows::Raw { scorer, .. } => scorer.field(row, field),
            Rows::Prepared { .. } => "",
        }
    }

    /// The last piece: labels, sample weights and groups too, where they are read.
    pub fn batch(&self) -> &Batch {
        match &self.rows {
            Rows::Raw { scorer, .. } => scorer.batch(),
            Rows::Prepared { batch, .. } => batch,
        }
    }

    /// Missing and unseen values of all rows so far: of each categorical column, then of each cross.
    pub fn counts(&self) -> &[EncodedCounts] {
        match &self.rows {
            Rows::Raw { scorer, .. } => scorer.counts(),
            Rows::Prepared { counts, .. } => counts,
        }
    }

    /// Number of malformed rows skipped so far.
    pub fn bad_rows(&self) -> u64 {
        self.skipped.rows()
    }

    /// Malformed rows skipped so far (the first ten thousand).
    pub fn bad(&self) -> &[BadRow] {
        self.skipped.bad()
    }
}

/// Some fields of a row that should have `columns` fields; none where it has not.
fn fields(row: &RawRow, places: &[usize], columns: usize) -> Vec<String> {
    let text =
        |&place: &usize| if row.len() == columns { row.field(place).to_owned() } else { String::new() };
    places.iter().map(text).collect()
}
