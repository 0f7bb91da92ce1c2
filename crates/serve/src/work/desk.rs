//! What a compute thread needs to work for one model: memory that is used again.
use super::job::{Explained, Ranked, Scored};
use super::known::Known;
use super::rank::Shared;
use crate::catalogue::Wanted;
use crate::metrics::Metrics;
use crate::models::Loaded;
use crate::refusal::{Code, Refusal};
use crate::rows::{OwnTexts, Texts};
use dlrm_data::Batch;
use dlrm_data::row::RawRow;
use dlrm_engine::explain::{Explainer, Orders, orders};
use dlrm_engine::{Parallel, RowScorer, Workspace};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Seed of the orders of explanations: the same row has the same explanation everywhere.
const SEED: u64 = 0;

/// The scorer of a model.
pub(crate) struct Desk<'a> {
    model: &'a Loaded,
    scorer: RowScorer<'a>,
    known: Known,
    logits: Vec<f32>,
    /// Time that looking values up took since it was last asked for.
    encoding: Duration,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(model: &'a Loaded, metrics: &Metrics) -> Result<Self, Refusal> {
        let scorer = model.scorer().map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
        let known = Known::new(model, metrics);
        Ok(Desk { model, scorer, known, logits: Vec::new(), encoding: Duration::ZERO })
    }

    /// How much of the time since the last call went into looking values up.
    pub(super) fn take_encoding(&mut self) -> Duration {
        std::mem::take(&mut self.encoding)
    }

    /// Scores the rows of several requests together; each request's scores by themselves. A malformed row
    /// spoils its own request alone.
    pub(super) fn score(
        &mut self,
        requests: &[&[RawRow]],
        workspace: &mut Workspace,
    ) -> Vec<Result<Scored, Refusal>> {
        let begun = Instant::now();
        let good: Vec<_> = requests.iter().map(|rows| self.push(rows).map(|()| rows.len())).collect();
        self.scorer.encode();
        self.known.add(self.scorer.counts(), |_| true);
        self.encoding += begun.elapsed();
        self.scorer.forward(workspace, Parallel::Single, &mut self.logits);
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
        candidates: &[OwnTexts],
        k: usize,
        workspace: &mut Workspace,
    ) -> Result<Ranked, Refusal> {
        let begun = Instant::now();
        let shared = Shared::of(self.model, own);
        let joined = shared.read(&mut self.scorer, &mut self.known, (context, candidates))?;
        self.encoding += begun.elapsed();
        shared.score(joined, workspace, &mut self.logits);
        Ok(self.best(k))
    }

    /// The `k` best of the wanted items among those in `places`, in a context, and how many are wanted.
    pub(crate) fn recommend(
        &mut self,
        (context, wanted): (&Texts, &Wanted),
        places: Range<u32>,
        k: usize,
        workspace: &mut Workspace,
    ) -> Result<(Ranked, usize), Refusal> {
        let Some(items) = &self.model.items else {
            return Err(Refusal::new(Code::NotFound, "the server has no catalogue of items"));
        };
        let begun = Instant::now();
        let lost = |error: dlrm_engine::Error| Refusal::new(Code::Internal, error.to_string());
        items.catalogue.check().map_err(|error| lost(error.into()))?;
        let admitted = items.admitted(wanted, places.clone());
        if admitted.is_empty() {
            self.encoding += begun.elapsed();
            return Ok((Ranked::new(), 0));
        }
        let own: Vec<usize> = items.columns.iter().map(|&(_, here)| here).collect();
        let shared = Shared::of(self.model, &own);
        let joined = if let Some(rows) = items.encoded(places, &admitted).map_err(lost)? {
            shared.read_encoded(&mut self.scorer, &mut self.known, (context, rows))?
        } else {
            // Some input is made of the context and the item together: rows are read as they are.
            let rows: Vec<OwnTexts> = admitted.iter().map(|&place| items.own(place as usize)).collect();
            shared.read(&mut self.scorer, &mut self.known, (context, &rows))?
        };
        self.encoding += begun.elapsed();
        shared.score(joined, workspace, &mut self.logits);
        let mut best = self.best(k);
        best.iter_mut().for_each(|(place, ..)| *place = admitted[*place] as usize);
        Ok((best, admitted.len()))
    }

    /// Places and scores of the `k` largest of the logits, the first of equals first.
    fn best(&self, k: usize) -> Ranked {
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        let before = |a: &usize, b: &usize| self.logits[*b].total_cmp(&self.logits[*a]).then(a.cmp(b));
        if k < order.len() {
            order.select_nth_unstable_by(k, before);
            order.truncate(k);
        }
        order.sort_unstable_by(before);
        let with_score = |place: usize| {
            let logit = self.logits[place];
            (place, logit, self.model.predictor.prediction(logit))
        };
        order.into_iter().map(with_score).collect()
    }

    /// What moves the logit of a row away from that of one in which everything is missing.
    pub(super) fn explain(
        &mut self,
        row: &RawRow,
        count: usize,
        workspace: &mut Workspace,
    ) -> Result<Explained, Refusal> {
        let begun = Instant::now();
        self.scorer.push(row.fields()).map_err(|bad| Refusal::bad_row("row", &bad))?;
        let own = self.scorer.encode().clone();
        self.known.add(self.scorer.counts(), |_| true);
        self.encoding += begun.elapsed();
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
