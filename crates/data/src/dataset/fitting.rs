//! Fitting the encoder: what a pass over the rows has seen, and where it stands.
use crate::encoder::Encoder;
use crate::error::{BadRow, Result};
use crate::fit::EncoderFit;
use crate::pass::{Block, ResumePoint};
use crate::schema::Schema;
use crate::split::{Assigner, Part, Parts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The fitted encoder and what fitting saw.
pub struct Fitted {
    /// The encoder.
    pub encoder: Arc<Encoder>,
    /// Rows of each part.
    pub rows: Parts<u64>,
    /// Ids of all rows, for estimates of memory.
    pub values: u64,
    /// The most bytes that fitting has held for counts and vocabularies.
    pub fitting_bytes: u64,
    /// Decides parts in later passes.
    pub(super) assigner: Assigner,
    /// Number of malformed rows that were skipped.
    pub skipped: u64,
    /// The first of them.
    pub bad_rows: Vec<BadRow>,
}

impl Fitted {
    /// Bytes that the encoded rows will take in memory.
    pub fn encoded_bytes(&self) -> u64 {
        let layout = self.encoder.layout();
        let rows: u64 = self.rows.values().sum();
        let weighted = layout.features.iter().any(|f| f.weighted);
        let fields = (layout.dense.len() + layout.features.len() + 1) as u64;
        let values = self.values.saturating_mul(if weighted { 8 } else { 4 });
        rows.saturating_mul(4 * fields).saturating_add(values)
    }
}

impl Fitted {
    /// Fitted from counts that took so many bytes.
    pub(super) fn counted_in(self, counting: u64) -> Self {
        // The texts are copied before the counts go; the slots of vocabularies come later.
        let texts = self.encoder.text_bytes();
        Fitted { fitting_bytes: counting + texts, ..self }
    }
}

/// What a pass over the rows for fitting has seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Rows of each part.
    pub rows: Parts<u64>,
    pub values: u64,
    pub assigner: Assigner,
    pub skipped: u64,
    pub bad_rows: Vec<BadRow>,
}

/// What fitting has seen so far, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fitting {
    pub seen: Seen,
    /// Texts of given folds.
    pub(super) folds: BTreeSet<String>,
    /// Rows that have been read, all passes together.
    pub read: u64,
}

impl Fitting {
    /// Nothing seen yet.
    pub(crate) fn new(assigner: Assigner) -> Self {
        let seen = Seen { rows: Parts::default(), values: 0, assigner, skipped: 0, bad_rows: Vec::new() };
        Fitting { seen, folds: BTreeSet::new(), read: 0 }
    }

    /// Takes in a block of rows, and shows those to `fit` that it is to see.
    ///
    /// # Errors
    /// As `fit`.
    pub(crate) fn observe(&mut self, schema: &Schema, block: &Block, fit: &mut EncoderFit) -> Result<()> {
        let Fitting { seen, folds, read } = self;
        let column = |name: &String| schema.categorical.iter().position(|c| c.name == *name);
        let crosses: Vec<Vec<usize>> =
            schema.crosses.iter().map(|x| x.columns.iter().filter_map(column).collect()).collect();
        for (row, &part) in block.rows().iter().zip(block.parts()) {
            seen.rows[part] += 1;
            if part != Part::Train && !folds.contains(block.fold(row)) {
                folds.insert(block.fold(row).to_owned());
            }
            let of = |c: usize| row.parsed.values(c).len().max(1) as u64;
            seen.values += (0..schema.categorical.len()).map(of).sum::<u64>();
            seen.values +=
                crosses.iter().map(|columns| columns.iter().map(|&c| of(c)).product::<u64>()).sum::<u64>();
        }
        let mut picks = Vec::new();
        block.pick(Part::Train, &mut picks);
        fit.observe(block.picked(&picks))?;
        if fit.needs_all_rows() {
            picks.clear();
            picks.extend(0..block.rows().len() as u32);
            fit.observe_all(block.picked(&picks))?;
        }
        *read += block.rows().len() as u64;
        Ok(())
    }
}

/// What is told of fitting while it goes.
pub(crate) trait FitWatch: Send {
    /// So many rows have gone by, all passes together.
    fn rows(&mut self, rows: u64) -> Result<()>;
    /// Fitting can be resumed at `point`: what has been seen and where the pass stands belong together.
    fn point(
        &mut self,
        fit: &mut EncoderFit,
        fitting: &Fitting,
        point: &ResumePoint,
        saving: Saving,
    ) -> Result<()>;
}

/// Whether a point to resume from must be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saving {
    /// From time to time.
    WhenDue,
    /// Now: it is the last one.
    Now,
}

/// Fitting that nobody watches.
pub(super) struct Unwatched;

impl FitWatch for Unwatched {
    fn rows(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn point(&mut self, _: &mut EncoderFit, _: &Fitting, _: &ResumePoint, _: Saving) -> Result<()> {
        Ok(())
    }
}

impl Seen {
    /// With the encoder fitted on them.
    pub(crate) fn fitted(self, encoder: Arc<Encoder>) -> Fitted {
        let Seen { rows, values, assigner, skipped, bad_rows } = self;
        Fitted { encoder, rows, values, fitting_bytes: 0, assigner, skipped, bad_rows }
    }
}
