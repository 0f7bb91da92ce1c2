//! What a run's model and its baselines score on the parts they are measured on.
use super::outcome::Scoring;
use crate::error::Result;
use crate::model_dir::StoredMetrics;
use crate::regression::neutral_score;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_data::split::{Part, Parts};
use dlrm_metrics::{Metrics, Ranking, Scored};
use std::sync::Arc;

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
