//! What comes of a run.
use super::clock::Stage;
use crate::calibration::CalibrationRecord;
use crate::config::RunConfig;
use crate::error::Result;
use crate::explain::Importance;
use crate::model_dir::{ModelContents, StoredMetrics};
use crate::network::Network;
use crate::plan::Plan;
use crate::run_dir::RunDir;
use crate::train_state::TrainState;
use dlrm_data::Batch;
use dlrm_data::dataset::{Fitted, PartStats};
use dlrm_data::split::{Part, Parts};
use std::sync::Arc;

/// Logits of one candidate on the parts it is measured on.
pub struct Scoring {
    /// Name in running text.
    pub name: String,
    /// Number of parameters.
    pub parameters: Option<u64>,
    /// Of a regression, whether it is at its optimum.
    pub converged: Option<bool>,
    /// Logits of (validation, test).
    pub logits: [Vec<f32>; 2],
}

/// How a table is after training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TableState {
    /// Share of its rows that no training row touched.
    pub untouched: f64,
    /// Mean Euclidean norm of its rows.
    pub mean_norm: f64,
    /// The largest.
    pub max_norm: f64,
}

/// A finished run: numbers, and what is needed to say what they are worth.
#[must_use = "its checkpoints stay until `finish`"]
pub struct Outcome {
    /// The complete configuration.
    pub config: RunConfig,
    /// The model with its best weights.
    pub network: Network,
    /// The encoder and what fitting saw.
    pub fitted: Fitted,
    /// What it needed.
    pub plan: Plan,
    /// How training went.
    pub state: TrainState,
    /// Whether the model is its regression, which was trained on the validation rows too once they had
    /// measured and calibrated it.
    pub refit: bool,
    /// Model first, then baselines.
    pub scorings: Vec<Scoring>,
    /// Encoded rows of (train, validation, test); train is empty when streaming.
    pub parts: Parts<Arc<Batch>>,
    /// How they looked.
    pub stats: Parts<PartStats>,
    /// How each table of the model is.
    pub tables: Vec<TableState>,
    /// What each column is worth to the model on the verdict's part, if that was measured.
    pub importance: Option<Importance>,
    /// What calibration found, where it was tried.
    pub calibration: Option<CalibrationRecord>,
    /// Metrics of the model by part.
    pub metrics: StoredMetrics,
    /// What took how long.
    pub stages: Vec<Stage>,
    /// The part that results are quoted on: test, or what there is.
    pub verdict_part: Part,
    /// Rows that are stored with the model.
    pub golden_rows: usize,
    /// The run directory, where there is one; nobody else works in it until it is finished.
    pub(super) dir: Option<RunDir>,
}

impl Outcome {
    /// Writes a file beside the model, whole or not at all; without a run directory nothing is written.
    ///
    /// # Errors
    /// If the file system refuses, or what stands there is not ours.
    pub fn write(&mut self, name: &str, contents: &[u8]) -> Result<()> {
        self.dir.as_mut().map_or(Ok(()), |dir| dir.write(name, contents))
    }

    /// Removes a file of an earlier run beside the model, if it is there and ours.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn forget(&mut self, name: &str) -> Result<()> {
        self.dir.as_mut().map_or(Ok(()), |dir| dir.remove(name))
    }

    /// Removes the checkpoints, once everything made of the run is written, and lets go of the run directory.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(&mut self) -> Result<()> {
        self.dir.take().map_or(Ok(()), |dir| dir.remove_checkpoints())
    }
}

/// The part that results are quoted on, and its rows if they are measured.
pub(super) fn verdict_part(parts: &Parts<Arc<Batch>>) -> (Part, Option<&Batch>) {
    let measured = [Part::Test, Part::Validation].into_iter().find(|&part| !parts[part].is_empty());
    (measured.unwrap_or(Part::Train), measured.map(|part| &*parts[part]))
}

/// Writes the model to the run directory, and beside it what else is kept.
pub(super) fn save(
    dir: &mut RunDir,
    contents: &ModelContents<'_>,
    fitted: &Fitted,
    stop: &mut dyn FnMut() -> bool,
) -> Result<()> {
    contents.save(&dir.model(), stop)?;
    dir.write("schema.toml", fitted.encoder.schema().to_toml().as_bytes())?;
    if fitted.skipped == 0 {
        // An earlier run's list must not stand beside this model.
        return dir.remove("bad_rows.txt");
    }
    let mut text = format!("{} malformed rows were skipped\n", fitted.skipped);
    for bad in &fitted.bad_rows {
        text.push_str(&format!("{bad}\n    {}\n", bad.text.escape_debug().to_string().replace("\\\"", "\"")));
    }
    dir.write("bad_rows.txt", text.as_bytes())
}
