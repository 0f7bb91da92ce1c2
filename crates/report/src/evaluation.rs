//! What a saved model is worth on rows with labels.
use crate::PartMetrics;
use dlrm_data::Batch;
use dlrm_data::counts::EncodedCounts;
use dlrm_data::schema::Schema;
use dlrm_engine::error::Result;
use dlrm_engine::{InputScorer, Parallel, Predictor, Workspace};
use dlrm_metrics::{Bootstrap, Ranking, Scored};
use serde_json::Value;

/// Rows scored at a time.
const CHUNK: usize = 16_384;

/// Metrics of rows, and how many of their values the model does not know.
pub struct Evaluation {
    /// Metrics with intervals.
    pub found: PartMetrics,
    /// Missing and unseen values of each categorical column.
    pub columns: Vec<(String, EncodedCounts)>,
    /// Malformed rows that were skipped.
    pub skipped_rows: u64,
}

impl Evaluation {
    /// Scores all rows and measures their scores; `None` without rows. `go_on` is asked between pieces.
    ///
    /// # Errors
    /// If reading fails, a score cannot be measured, or `go_on` refuses.
    pub fn of(
        predictor: &Predictor,
        scorer: &mut InputScorer<'_>,
        parallel: Parallel<'_>,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Self>> {
        let schema = predictor.encoder().schema();
        let (mut workspace, mut logits, mut all) = (Workspace::new(), Vec::new(), Rows::of(schema));
        while !scorer.is_done() {
            go_on()?;
            scorer.score(CHUNK, &mut workspace, parallel, &mut logits)?;
            all.extend(&logits, scorer.batch());
        }
        if all.logits.is_empty() {
            return Ok(None);
        }
        let scored = Scored::new(predictor.task(), &all.logits, &all.labels, all.weights.as_deref())?
            .with_groups(all.groups.as_deref())?;
        let found = PartMetrics::of("evaluation", &scored, &Ranking::new(&scored), &Bootstrap::default());
        let counts = scorer.counts().iter().copied();
        let columns = schema.categorical.iter().map(|c| c.name.clone()).zip(counts).collect();
        Ok(Some(Evaluation { found, columns, skipped_rows: scorer.bad_rows() }))
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let column = |(name, c): &(String, EncodedCounts)| {
            let (missing, unseen) = (c.missing_rate(), c.unseen_rate());
            serde_json::json!({"column": name, "missing": missing, "unseen": unseen})
        };
        serde_json::json!({
            "metrics": self.found.metrics,
            "intervals": self.found.intervals,
            "columns": self.columns.iter().map(column).collect::<Vec<_>>(),
            "skipped_rows": self.skipped_rows,
        })
    }
}

/// Scores of all rows, and what they are measured against.
struct Rows {
    logits: Vec<f32>,
    labels: Vec<f32>,
    weights: Option<Vec<f32>>,
    groups: Option<Vec<u64>>,
}

impl Rows {
    fn of(schema: &Schema) -> Self {
        let weights = schema.weight.is_some().then(Vec::new);
        Rows {
            logits: Vec::new(),
            labels: Vec::new(),
            weights,
            groups: schema.group.is_some().then(Vec::new),
        }
    }

    fn extend(&mut self, logits: &[f32], rows: &Batch) {
        self.logits.extend_from_slice(logits);
        self.labels.extend_from_slice(&rows.labels);
        self.weights
            .iter_mut()
            .for_each(|all| all.extend_from_slice(rows.weights.as_deref().unwrap_or_default()));
        self.groups
            .iter_mut()
            .for_each(|all| all.extend_from_slice(rows.groups.as_deref().unwrap_or_default()));
    }
}
