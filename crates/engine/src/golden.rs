//! Golden rows: a few raw rows that are stored with a model together with their scores, and are scored again
//! whenever the model is loaded. A model that no longer gives the scores it gave when it was saved is
//! refused.
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::golden_config::{GoldenRows, NAME};
use crate::network::Network;
use crate::row_scorer::RowScorer;
use crate::workspace::{Parallel, Workspace};
use dlrm_data::Encoder;
use dlrm_data::dataset::{Fitted, StoredRows};
use dlrm_data::parse::Labels;
use dlrm_data::source::DataSource;
use dlrm_data::split::Part;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Rows whose scores are stored with a model.
const ROWS: usize = 8;

/// How far a score may be off on another instruction set, relative to 1 + |logit|.
const OTHER_ISA_TOLERANCE: f32 = 1e-4;

/// Rows whose scores are replayed at load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Instruction set that scored them; on another one the last bits may differ.
    pub isa: String,
    /// Names of the fields.
    pub columns: Vec<String>,
    /// Fields as text.
    pub rows: Vec<Vec<String>>,
    /// Logits as bits of f32.
    pub logit_bits: Vec<u32>,
}

impl Golden {
    /// Scores rows whose fields are `columns`.
    ///
    /// # Errors
    /// If a column of the encoder is not there, or a row is malformed.
    pub fn new(
        encoder: &Encoder,
        network: &Network,
        columns: Vec<String>,
        rows: Vec<Vec<String>>,
    ) -> Result<Self> {
        let isa = isa_of(network).to_owned();
        let logits = score(encoder, network, &columns, &rows)?;
        Ok(Golden { isa, columns, rows, logit_bits: logits.iter().map(|logit| logit.to_bits()).collect() })
    }

    /// Scores rows of the input, or rows drawn from the encoder.
    ///
    /// # Errors
    /// If the rows cannot be read, or a score is not finite, which that of finite weights can be.
    pub(crate) fn of_run(
        network: &Network,
        (source, fitted): (DataSource<'_>, &Fitted),
        config: &RunConfig,
        step: u64,
    ) -> Result<Self> {
        let encoder = &*fitted.encoder;
        let golden = match config.golden.rows {
            GoldenRows::Synthetic => {
                let StoredRows { columns, mut rows } = encoder.synthetic_rows(ROWS, config.train.seed);
                let mut scorer = RowScorer::new(encoder, network, &columns, Labels::Ignored, NAME)?;
                rows.iter_mut().for_each(|row| readable(row, &mut scorer));
                Golden::new(encoder, network, columns, rows)?
            }
            GoldenRows::Raw => {
                let part = [Part::Test, Part::Validation, Part::Train];
                let part = part.into_iter().find(|&part| fitted.rows[part] > 0).unwrap_or(Part::Train);
                let sample = source.sample(fitted, part, ROWS)?;
                let names = encoder.schema().inputs().into_iter();
                let places: Vec<usize> =
                    names.filter_map(|name| sample.columns.iter().position(|c| c == name)).collect();
                let pick = |fields: &Vec<String>| -> Vec<String> {
                    places.iter().map(|&place| fields[place].clone()).collect()
                };
                let rows = sample.rows.iter().map(pick).collect();
                Golden::new(encoder, network, pick(&sample.columns), rows)?
            }
        };
        let broken = golden.logits().find(|logit| !logit.is_finite());
        match broken {
            Some(broken) => Err(Error::Diverged { step, loss: f64::from(broken) }),
            None => Ok(golden),
        }
    }

    /// The stored logits.
    pub fn logits(&self) -> impl Iterator<Item = f32> {
        self.logit_bits.iter().map(|&bits| f32::from_bits(bits))
    }

    /// Scores the rows again and compares; `path` is the file that they were read from.
    ///
    /// # Errors
    /// The first row whose score is another one. On the instruction set that scored them all bits must agree,
    /// on another one all but the last.
    pub fn replay(&self, encoder: &Encoder, network: &Network, path: &Path) -> Result<()> {
        let logits = score(encoder, network, &self.columns, &self.rows)?;
        if self.logit_bits.len() != logits.len() {
            let problem = format!("expected {} scores, found {}", logits.len(), self.logit_bits.len());
            return Err(Error::saved(path, problem));
        }
        let same_isa = self.isa == isa_of(network);
        for (row, (&ours, expected)) in logits.iter().zip(self.logits()).enumerate() {
            let near = (ours - expected).abs() <= OTHER_ISA_TOLERANCE * (1.0 + expected.abs());
            if ours.to_bits() != expected.to_bits() && (same_isa || !near) {
                let problem = format!("golden row {row}: expected logit {expected}, found {ours}");
                return Err(Error::saved(path, problem).with_hint(
                    "this program scores differently from the one that saved the model: use that version, \
                     or train again",
                ));
            }
        }
        Ok(())
    }
}

/// Leaves out the fields of a drawn row that its columns cannot read.
fn readable(row: &mut [String], scorer: &mut RowScorer<'_>) {
    for _ in 0..row.len() {
        let Err(bad) = scorer.push(row.iter().map(String::as_str)) else { return };
        let Some((column, _)) = bad.position.column else { return };
        row[column.saturating_sub(1).min(row.len() - 1)].clear();
    }
}

fn isa_of(network: &Network) -> &'static str {
    network.weights().isa().level().name()
}

/// Logits of rows of text fields.
fn score(encoder: &Encoder, network: &Network, columns: &[String], rows: &[Vec<String>]) -> Result<Vec<f32>> {
    let mut scorer = RowScorer::new(encoder, network, columns, Labels::Ignored, NAME)?;
    for row in rows {
        scorer.push(row.iter().map(String::as_str)).map_err(dlrm_data::Error::Row)?;
    }
    let mut logits = Vec::new();
    scorer.score(&mut Workspace::new(), Parallel::Single, &mut logits);
    Ok(logits)
}
