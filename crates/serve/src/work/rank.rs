//! Candidates that share a context: what depends on the context alone is read and encoded once.
use super::known::Known;
use crate::models::{Loaded, Parts};
use crate::refusal::Refusal;
use crate::rows::{OwnTexts, Texts};
use dlrm_data::Batch;
use dlrm_engine::{RowScorer, Workspace};
use dlrm_nn::SharedInputs;

/// A model whose candidates share what a context decides.
pub(super) struct Shared<'a> {
    model: &'a Loaded,
    parts: Parts,
}

/// A context and its candidates, encoded.
pub(super) struct Joined {
    common: Batch,
    /// The candidates, without the ids that they share.
    rows: Batch,
}

impl<'a> Shared<'a> {
    /// Where candidates have raw columns `own` of their own.
    pub(super) fn of(model: &'a Loaded, own: &[usize]) -> Self {
        let schema = model.predictor.encoder().schema();
        Shared { model, parts: Parts::of(schema, &model.format, &model.columns, own) }
    }

    /// Encodes the context once, and the candidates as far as they are their own.
    pub(super) fn read(
        &self,
        scorer: &mut RowScorer<'_>,
        known: &mut Known,
        (context, candidates): (&Texts, &[OwnTexts]),
    ) -> Result<Joined, Refusal> {
        let common = self.encoded(scorer, known, context)?;
        let needed = |place: usize| self.parts.needed[place];
        let both = context.fields.iter().zip(&self.parts.needed);
        let texts: Vec<&str> = both.map(|(text, &needed)| if needed { text.as_str() } else { "" }).collect();
        let mut fields = texts.clone();
        for (number, candidate) in candidates.iter().enumerate() {
            fields.copy_from_slice(&texts);
            candidate.put_over(&mut fields, needed);
            let pushed = scorer.push(fields.iter().copied());
            if let Err(bad) = pushed {
                scorer.truncate(0);
                return Err(Refusal::bad_row(&format!("items[{number}]"), &bad));
            }
        }
        let rows = scorer.encode().clone();
        known.add(scorer.counts(), |feature| !self.parts.bags.contains(&feature));
        Ok(self.joined(common, rows))
    }

    /// As [`Shared::read`], of candidates that are encoded already.
    pub(super) fn read_encoded(
        &self,
        scorer: &mut RowScorer<'_>,
        known: &mut Known,
        (context, rows): (&Texts, Batch),
    ) -> Result<Joined, Refusal> {
        let common = self.encoded(scorer, known, context)?;
        Ok(self.joined(common, rows))
    }

    /// The context alone.
    fn encoded(
        &self,
        scorer: &mut RowScorer<'_>,
        known: &mut Known,
        context: &Texts,
    ) -> Result<Batch, Refusal> {
        let pushed = scorer.push(self.model.format.read_of(context).fields());
        pushed.map_err(|bad| Refusal::bad_row("context", &bad))?;
        let common = scorer.encode().clone();
        known.add(scorer.counts(), |feature| self.parts.bags.contains(&feature));
        Ok(common)
    }

    /// Refills `logits` with those of the candidates, each joined with the context.
    pub(super) fn score(&self, joined: Joined, workspace: &mut Workspace, logits: &mut Vec<f32>) {
        let Joined { common, rows } = joined;
        logits.clear();
        logits.resize(rows.len(), 0.0);
        let mut features = vec![false; rows.bags.len()];
        self.parts.bags.iter().for_each(|&feature| features[feature] = true);
        let dense = self.parts.dense.len() == common.dense.len();
        let network = self.model.predictor.network();
        let context = network.context(&common, SharedInputs { dense, features: &features });
        network.logits_in(&context, &rows, logits, workspace);
    }

    /// Puts what the context alone decides into all rows. Ids that they share are left out: what is made of
    /// them is computed once.
    fn joined(&self, common: Batch, mut rows: Batch) -> Joined {
        let width = common.dense.len();
        for row in rows.dense.chunks_exact_mut(width.max(1)) {
            self.parts.dense.iter().for_each(|&input| row[input] = common.dense[input]);
        }
        let count = rows.len();
        for &feature in &self.parts.bags {
            let bags = &mut rows.bags[feature];
            bags.clear();
            bags.offsets.resize(count + 1, 0);
        }
        Joined { common, rows }
    }
}
