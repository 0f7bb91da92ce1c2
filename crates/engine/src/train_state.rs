//! How far a run has come.
use crate::error::Error;
use dlrm_metrics::Metrics;
use serde::{Deserialize, Serialize};

/// One evaluation during training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps done.
    pub step: u64,
    /// Epochs done, with fraction where the length of an epoch is known.
    pub epoch: f64,
    /// Mean training loss since the last evaluation.
    pub train_loss: f64,
    /// Share of the rows since the last evaluation whose label was the more probable one when they were
    /// trained on; for labels of 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Metrics of the validation rows.
    pub validation: Option<Metrics>,
}

/// The best evaluation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps done then.
    pub step: u64,
    /// The monitored metric.
    pub value: f64,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The validation rows got no better for as many evaluations as patience has.
    Patience,
    /// All passes over the rows were made.
    Epochs,
    /// All steps were taken.
    Steps,
    /// The time given to it was up.
    Budget,
    /// A regression is at its optimum.
    Converged,
    /// A regression was stopped before its optimum.
    Iterations,
    /// The loss grew without bound; the weights are those of the best evaluation before.
    Diverged,
}

/// Position of a run; with weights and optimiser all that resuming needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TrainState {
    /// Steps done.
    pub step: u64,
    /// Where the run started, by number: 1 is the model's own start after that from a regression gained
    /// nothing.
    #[serde(default, skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// Current epoch, from 0.
    pub epoch: u64,
    /// Batches done in it.
    pub batch: u64,
    /// Rows trained on in all.
    pub rows: u64,
    /// Sum of training losses since the last evaluation, weighted by rows.
    pub loss_sum: f64,
    /// Weight of the rows in that sum (their number where they carry none).
    pub loss_weight: f64,
    /// Weight of those whose label was the more probable one.
    #[serde(default)]
    pub correct: f64,
    /// All evaluations.
    pub history: Vec<Evaluation>,
    /// The best one.
    pub best: Option<Best>,
    /// Evaluations since the best one.
    #[serde(alias = "stale")]
    pub evaluations_without_improvement: u64,
    /// Why training ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// The loss that training diverged with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_loss: Option<f64>,
    /// Loss of the first step, that of a model that knows nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_loss: Option<f64>,
    /// How often the learning rates were reduced so far, see [`Plateau`](crate::train_config::Plateau).
    #[serde(default, alias = "cuts")]
    pub lr_reductions: u32,
}

fn is_first(attempt: &u32) -> bool {
    *attempt == 0
}

impl TrainState {
    /// What went wrong, where the weights are those of the best evaluation before training diverged.
    pub fn divergence(&self) -> Option<Error> {
        let loss = self.broken_loss.unwrap_or(f64::NAN);
        (self.ending == Some(Ending::Diverged)).then_some(Error::Diverged { step: self.step + 1, loss })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_of_older_versions_load() {
        let older = r#"{"step": 7, "epoch": 1, "batch": 3, "rows": 224, "loss_sum": 1.5,
            "loss_weight": 32.0, "history": [], "best": {"step": 5, "value": 0.5}, "stale": 2, "cuts": 1}"#;
        let state: TrainState = serde_json::from_str(older).unwrap();
        assert_eq!((state.evaluations_without_improvement, state.lr_reductions), (2, 1));
        let again = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(state, again);
    }
}
