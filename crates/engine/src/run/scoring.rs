//! What a run's model and its baselines score on the parts they are measured on.
use super::outcome::Scoring;
use super::rows::EncodedParts;
use crate::error::Result;
use crate::learner::Learner;
use crate::model_dir::StoredMetrics;
use crate::regression::neutral_score;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_data::split::{Part, Parts};
use dlrm_metrics::{Metrics, Ranking, Scored};
use std::sync::Arc;

/// Rows of a pass that looks at ids alone.
const ROWS_AT_ONCE: usize = 4096;

/// Predicts the mean label of the training rows for every row.
pub(super) fn label_mean(mean: f64, task: Task, parts: &Parts<Arc<Batch>>) -> Scoring {
    let constant = neutral_score(mean, task);
    let logits = [Part::Validation, Part::Test].map(|p| vec![constant as f32; parts[p].len()]);
    Scoring { name: "label mean".into(), parameters: Some(1), converged: None, logits }
}

pub(super) fn stored_metrics(
    model: &Scoring,
    parts: &Parts<Arc<Batch>>,
    task: Task,
) -> Result<StoredMetrics> {
    let mut metrics = StoredMetrics::new();
    for (part, logits) in [Part::Validation, Part::Test].into_iter().zip(&model.logits) {
        if !parts[part].is_empty() {
            let scored = Scored::of_batch(task, logits, &parts[part])?;
            metrics.insert(part.name().into(), Metrics::of(&scored, &Ranking::new(&scored)));
        }
    }
    Ok(metrics)
}

/// Share of the rows of each table that no training row touched.
pub(super) fn untouched(learner: &Learner, rows: &EncodedParts<'_>) -> Result<Vec<f64>> {
    let weights = learner.network().weights();
    let mut touched: Vec<Vec<bool>> = weights.tables().iter().map(|t| vec![false; t.rows]).collect();
    let mut mark = |batch: &Batch| {
        for slot in weights.slots().all() {
            for part in slot.tables() {
                let ids = &batch.bags[slot.feature].ids;
                ids.iter().for_each(|&id| touched[part.table][part.rows.row(id) as usize] = true);
            }
        }
    };
    match rows.stream()? {
        None => mark(&rows.train),
        Some(mut stream) => {
            let mut batch = Batch::new(&rows.layout);
            while stream.append_rows(&mut batch, ROWS_AT_ONCE)? > 0 {
                mark(&batch);
                batch.clear();
            }
        }
    }
    let share = |rows: &Vec<bool>| rows.iter().filter(|&&t| !t).count() as f64 / rows.len().max(1) as f64;
    Ok(touched.iter().map(share).collect())
}
