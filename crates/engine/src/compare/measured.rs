//! What a comparison measures of each model.
use super::entry::Entry;
use crate::plan::Plan;
use crate::train_state::Evaluation;
use dlrm_metrics::{Interval, Metric, Metrics};
use dlrm_models::ModelConfig;
use serde::{Deserialize, Serialize};

/// One model with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedRun {
    /// Seed of initial weights, shuffling and dropout.
    pub seed: u64,
    /// On the validation rows.
    pub validation: Option<Metrics>,
    /// On the test rows.
    pub test: Metrics,
    /// Seconds of training, evaluations included.
    pub seconds: f64,
    /// Seconds until the best weights.
    pub seconds_to_best: f64,
    /// Passes until the best weights.
    pub best_epoch: f64,
    /// Passes over the training rows.
    pub epochs: f64,
    /// The most memory that the process held in training and scoring, the rows that all models share
    /// included.
    pub peak_bytes: Option<u64>,
    /// Training rows per second, without evaluations.
    pub rows_per_second: f64,
    /// All evaluations.
    pub history: Vec<Evaluation>,
    /// Of the test rows.
    #[serde(skip)]
    pub(crate) logits: Vec<f32>,
}

/// Mean and standard deviation over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OverSeeds {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (over n - 1); zero for one seed.
    pub sd: f64,
}

impl OverSeeds {
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0).max(1.0);
        OverSeeds { mean, sd: variance.sqrt() }
    }
}

/// What was measured of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// How tables call it.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Order of explicit interactions.
    pub order: &'static str,
    /// Unit of interaction.
    pub unit: &'static str,
    /// Parameters in tables.
    pub table_parameters: u64,
    /// Other parameters.
    pub dense_parameters: u64,
    /// Multiply-adds per row of the forward pass.
    pub forward_multiply_adds: f64,
    /// Multiply-adds per row of forward and backward pass.
    pub training_multiply_adds: f64,
    /// Bytes of weights, optimiser state and gradients.
    pub memory_bytes: u64,
    /// Test rows scored per second.
    pub inference_rows_per_second: f64,
    /// Its runs.
    pub runs: Vec<SeedRun>,
    /// Main metric (AUC, or RMSE for ratings) minus that of the best, with its interval; none for the best
    /// itself.
    pub against_best: Option<Interval>,
}

impl Measured {
    /// Of a model that has not run yet.
    pub(super) fn new(entry: &Entry, plan: &Plan) -> Self {
        let kind = entry.model.kind();
        let about = ModelConfig::ABOUT.iter().find(|a| a.kind == kind).expect("every kind is described");
        Measured {
            name: entry.name.clone(),
            kind: about.kind,
            order: about.order,
            unit: about.unit,
            table_parameters: plan.table_parameters as u64,
            dense_parameters: plan.dense_parameters as u64,
            forward_multiply_adds: 0.0,
            training_multiply_adds: 0.0,
            memory_bytes: plan.weight_bytes + plan.training_bytes,
            inference_rows_per_second: 0.0,
            runs: Vec::new(),
            against_best: None,
        }
    }

    /// A test metric over the seeds.
    pub fn test(&self, metric: Metric) -> Option<OverSeeds> {
        let values: Option<Vec<f64>> = self.runs.iter().map(|run| metric.of(&run.test)).collect();
        values.filter(|v| !v.is_empty()).map(|values| OverSeeds::of(&values))
    }

    /// The most memory of any run.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.runs.iter().filter_map(|run| run.peak_bytes).max()
    }

    /// Something of each run, over the seeds.
    pub fn over(&self, f: impl Fn(&SeedRun) -> f64) -> OverSeeds {
        OverSeeds::of(&self.runs.iter().map(f).collect::<Vec<_>>())
    }
}

/// A model that could not be trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diverged {
    /// How tables call it.
    pub name: String,
    /// Seed of the run.
    pub seed: u64,
    /// The step whose loss was not finite.
    pub step: u64,
}
