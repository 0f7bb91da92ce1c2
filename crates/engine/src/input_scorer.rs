//! Scoring of whole inputs: their rows read a piece at a time, malformed ones skipped within a limit.
use crate::error::Result;
use crate::predictor::Predictor;
use crate::row_scorer::{Pushed, RowScorer};
use crate::workspace::{Parallel, Workspace};
use dlrm_data::error::BadRow;
use dlrm_data::parse::Labels;
use dlrm_data::row::RowSource;
use dlrm_data::rows::{OpenRows, Skipped};
use dlrm_data::{Batch, Error};

/// Reads the rows of an input and scores them.
pub struct InputScorer<'a> {
    scorer: RowScorer<'a>,
    source: Box<dyn RowSource>,
    skipped: Skipped,
    skipped_before: Vec<u64>,
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
        Ok(InputScorer { scorer, source, skipped: Skipped::new(max_bad_rows), skipped_before: Vec::new() })
    }

    /// Refills `logits` with those of up to `most` further rows; fewer at the end, and none after it.
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
        self.read(most)?;
        self.scorer.score(workspace, parallel, logits);
        Ok(())
    }

    /// Encodes up to `most` further rows without scoring them; fewer at the end, and none after it.
    ///
    /// # Errors
    /// As [`InputScorer::score`].
    pub fn encode(&mut self, most: usize) -> Result<&Batch> {
        self.read(most)?;
        Ok(self.scorer.encode())
    }

    /// Names of the fields of every row.
    pub fn columns(&self) -> &[String] {
        self.source.columns()
    }

    /// Pushes up to `most` good rows.
    fn read(&mut self, most: usize) -> Result<()> {
        self.skipped_before.clear();
        let mut skipped = 0;
        while self.scorer.len() < most {
            let pushed = match self.source.next_row(self.scorer.slot()) {
                Ok(true) => self.scorer.push_slot(),
                Ok(false) => break,
                Err(Error::Row(mut bad)) => {
                    bad.keep(&self.scorer.slot().to_line());
                    Err(bad)
                }
                Err(other) => return Err(other.into()),
            };
            match pushed {
                Ok(Pushed::Kept) => self.skipped_before.push(std::mem::take(&mut skipped)),
                Ok(Pushed::LeftOut) => {}
                Err(bad) => {
                    self.skipped.skip(*bad)?;
                    skipped += 1;
                }
            }
        }
        self.skipped_before.push(skipped);
        Ok(())
    }

    /// Malformed rows skipped before each row of the last piece, and one more number for those after the last
    /// row.
    pub fn skipped_before(&self) -> &[u64] {
        &self.skipped_before
    }

    /// The scorer: labels, weights and groups of the last piece, and counts of missing and unseen values.
    pub fn rows(&self) -> &RowScorer<'a> {
        &self.scorer
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
