//! What a compute thread needs to work for one model: memory that is used again.
use super::job::{Explained, Ranked, Scored};
use super::rank::Shared;
use crate::models::Loaded;
use crate::refusal::{Code, Refusal};
use crate::rows::Texts;
use dlrm_data::Batch;
use dlrm_data::row::RawRow;
use dlrm_engine::explain::{Explainer, Orders, orders};
use dlrm_engine::{Parallel, RowScorer, Workspace};

/// Seed of the orders of explanations: the same row has the same explanation everywhere.
const SEED: u64 = 0;

/// The scorer of a model.
pub(super) struct Desk<'a> {
    pub(super) model: &'a Loaded,
    scorer: RowScorer<'a>,
    logits: Vec<f32>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(model: &'a Loaded) -> Result<Self, Refusal> {
        let scorer = model.scorer().map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
        Ok(Desk { model, scorer, logits: Vec::new() })
    }

    /// Scores the rows of several requests together; each request's scores by themselves. A malformed row spoils
    /// its own request alone.
    pub(super) fn score(
        &mut self,
        requests: &[&[RawRow]],
        workspace: &mut Workspace,
    ) -> Vec<Result<Scored, Refusal>> {
        let good: Vec<_> = requests.iter().map(|rows| self.push(rows).map(|()| rows.len())).collect();
        self.scorer.score(workspace, Parallel::Single, &mut self.logits);
        let mut logits = &self.logits[..];
        let mut answers = Vec::with_capacity(requests.len());
        for rows in good {
            answers.push(rows.map(|rows| {
                let (own, rest) = logits.split_at(rows);
                logits = rest;
                self.scored(own)
            }));
        }
        answers
    }

    fn scored(&self, logits: &[f32]) -> Scored {
        let predictions = logits.iter().map(|&logit| self.model.predictor.prediction(logit)).collect();
        Scored { logits: logits.to_vec(), predictions }
    }

    /// Adds rows, all or none.
    fn push(&mut self, rows: &[RawRow]) -> Result<(), Refusal> {
        let before = self.scorer.len();
        for (number, row) in rows.iter().enumerate() {
            if let Err(bad) = self.scorer.push(row.fields()) {
                self.scorer.truncate(before);
                return Err(Refusal::bad_row(&format!("rows[{number}]"), &bad));
            }
        }
        Ok(())
    }

    /// The `k` best candidates of a context.
    pub(super) fn rank(
        &mut self,
        (context, own): (&Texts, &[usize]),
        candidates: &[Texts],
        k: usize,
        workspace: &mut Workspace,
    ) -> Result<Ranked, Refusal> {
        let shared = Shared::of(self.model, own);
        shared.score(&mut self.scorer, (context, candidates), workspace, &mut self.logits)?;
        let mut best: Vec<usize> = (0..candidates.len()).collect();
        // The first of equals stays first.
        best.sort_by(|&a, &b| self.logits[b].total_cmp(&self.logits[a]).then(a.cmp(&b)));
        best.truncate(k);
        let with_score = |place: usize| {
            let logit = self.logits[place];
            (place, logit, self.model.predictor.prediction(logit))
        };
        Ok(best.into_iter().map(with_score).collect())
    }

    /// What moves the logit of a row away from that of one in which everything is missing.
    pub(super) fn explain(
        &mut self,
        row: &RawRow,
        count: usize,
        workspace: &mut Workspace,
    ) -> Result<Explained, Refusal> {
        self.scorer.push(row.fields()).map_err(|bad| Refusal::bad_row("row", &bad))?;
        let own = self.scorer.encode().clone();
        let (model, network) = (self.model, self.model.predictor.network());
        let mut score = |batch: &Batch| {
            let mut logits = vec![0.0; batch.len()];
            network.logits(batch, &mut logits, workspace, Parallel::Single);
            logits
        };
        let orders = orders(network, &model.predictor.config().model, count, SEED);
        let explainer = Explainer::new(&model.columns, &model.nothing, orders, &mut score);
        let found = explainer.explain((&own, 0), 0, &mut score);
        Ok(Explained {
            base: found.base,
            logit: found.logit,
            prediction: model.predictor.prediction(found.logit as f32),
            values: found.values,
            exact: orders == Orders::One,
        })
    }
}
