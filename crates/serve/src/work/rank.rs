//! Candidates that share a context: what depends on the context alone is read and encoded once.
use super::known::Known;
use crate::models::Loaded;
use crate::refusal::Refusal;
use crate::rows::Texts;
use dlrm_data::Batch;
use dlrm_data::schema::Schema;
use dlrm_engine::explain::Column;
use dlrm_engine::{RowScorer, Workspace};
use dlrm_nn::SharedInputs;

/// Which encoded inputs depend on the context alone.
pub(super) struct Shared<'a> {
    model: &'a Loaded,
    dense: Vec<usize>,
    bags: Vec<usize>,
    /// Raw columns that other inputs are made of too.
    needed: Vec<bool>,
    /// Whether some input is made of the context and the candidate together.
    pub(super) is_mixed: bool,
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
        let (dense, bags, needed) = (Vec::new(), Vec::new(), Vec::new());
        let mut shared = Shared { model, dense, bags, needed, is_mixed: false };
        shared.needed.resize(model.format.inputs().len(), false);
        for column in &model.columns {
            let sources: Vec<usize> =
                sources(schema, column).filter_map(|name| model.format.input(name)).collect();
            if sources.iter().any(|place| own.contains(place)) {
                shared.is_mixed |= !sources.iter().all(|place| own.contains(place));
                sources.into_iter().for_each(|place| shared.needed[place] = true);
            } else {
                shared.dense.extend(&column.dense);
                shared.bags.extend(&column.bags);
            }
        }
        shared
    }

    /// Encodes the context once, and the candidates as far as they are their own.
    pub(super) fn read(
        &self,
        scorer: &mut RowScorer<'_>,
        known: &mut Known,
        (context, candidates): (&Texts, &[Texts]),
    ) -> Result<Joined, Refusal> {
        let common = self.encoded(scorer, known, context)?;
        for (number, candidate) in candidates.iter().enumerate() {
            let fields = candidate.fields.iter().zip(&self.needed);
            let pushed = scorer.push(fields.map(|(field, needed)| if *needed { field.as_str() } else { "" }));
            if let Err(bad) = pushed {
                scorer.truncate(0);
                return Err(Refusal::bad_row(&format!("items[{number}]"), &bad));
            }
        }
        let rows = scorer.encode().clone();
        known.add(scorer.counts(), |feature| !self.bags.contains(&feature));
        Ok(self.joined(common, rows))
    }

    /// As [`Shared::read`], of these of rows that are encoded already.
    pub(super) fn read_encoded(
        &self,
        scorer: &mut RowScorer<'_>,
        known: &mut Known,
        (context, (rows, places)): (&Texts, (&Batch, &[u32])),
    ) -> Result<Joined, Refusal> {
        let common = self.encoded(scorer, known, context)?;
        let mut own = Batch::new(&self.model.predictor.encoder().layout());
        own.push_rows_of(rows, places, &rows.arities());
        Ok(self.joined(common, own))
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
        known.add(scorer.counts(), |feature| self.bags.contains(&feature));
        Ok(common)
    }

    /// Refills `logits` with those of the candidates, each joined with the context.
    pub(super) fn score(&self, joined: Joined, workspace: &mut Workspace, logits: &mut Vec<f32>) {
        let Joined { common, rows } = joined;
        logits.clear();
        logits.resize(rows.len(), 0.0);
        let mut features = vec![false; rows.bags.len()];
        self.bags.iter().for_each(|&feature| features[feature] = true);
        let dense = self.dense.len() == common.dense.len();
        let network = self.model.predictor.network();
        let context = network.context(&common, SharedInputs { dense, features: &features });
        network.logits_in(&context, &rows, logits, workspace);
    }

    /// Puts what the context alone decides into all rows. Ids that they share are left out: what is made of
    /// them is computed once.
    fn joined(&self, common: Batch, mut rows: Batch) -> Joined {
        let width = common.dense.len();
        for row in rows.dense.chunks_exact_mut(width.max(1)) {
            self.dense.iter().for_each(|&input| row[input] = common.dense[input]);
        }
        let count = rows.len();
        for &feature in &self.bags {
            let bags = &mut rows.bags[feature];
            bags.clear();
            bags.offsets.resize(count + 1, 0);
        }
        Joined { common, rows }
    }
}

/// The raw columns that a column of inputs is made of.
fn sources<'s>(schema: &'s Schema, column: &'s Column) -> Box<dyn Iterator<Item = &'s str> + 's> {
    if let Some(dense) = schema.dense.iter().find(|c| c.name == column.name) {
        return Box::new(dense.sources());
    }
    if let Some(categorical) = schema.categorical.iter().find(|c| c.name == column.name) {
        return Box::new(std::iter::once(categorical.source()));
    }
    let cross = schema.crosses.iter().find(|cross| cross.name() == column.name);
    let parts = cross.into_iter().flat_map(|cross| cross.columns.iter());
    Box::new(parts.map(|part| {
        let column = schema.categorical.iter().find(|c| c.name == *part);
        column.map_or(part.as_str(), |column| column.source())
    }))
}
