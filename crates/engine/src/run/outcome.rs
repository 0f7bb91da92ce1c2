//! What comes of a run.
use super::clock::Stage;
use crate::calibration::CalibrationRecord;
use crate::checkpoint::Checkpoints;
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::explain::Importance;
use crate::model_dir::{ModelContents, StoredMetrics};
use crate::network::Network;
use crate::plan::Plan;
use crate::train_state::TrainState;
use dlrm_data::Batch;
use dlrm_data::dataset::{Fitted, PartStats};
use dlrm_data::split::{Part, Parts};
use std::path::Path;
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

/// A finished run: numbers, and what is needed to say what they are worth.
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
    /// Model first, then baselines.
    pub scorings: Vec<Scoring>,
    /// Encoded rows of (train, validation, test); train is empty when streaming.
    pub parts: Parts<Arc<Batch>>,
    /// How they looked.
    pub stats: Parts<PartStats>,
    /// Share of each model table's rows that no training row touched.
    pub untouched: Vec<f64>,
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
    pub(super) checkpoints: Option<Checkpoints>,
}

impl Outcome {
    /// Removes the checkpoints, once everything made of the run is written.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn finish(&mut self) -> Result<()> {
        self.checkpoints.take().map_or(Ok(()), Checkpoints::remove)
    }
}

/// The part that results are quoted on, and its rows if they are measured.
pub(super) fn verdict_part(parts: &Parts<Arc<Batch>>) -> (Part, Option<&Batch>) {
    let measured = [Part::Test, Part::Validation].into_iter().find(|&part| !parts[part].is_empty());
    (measured.unwrap_or(Part::Train), measured.map(|part| &*parts[part]))
}

/// Writes the model to the run directory, and beside it what else is kept.
pub(super) fn save(out: &Path, contents: &ModelContents<'_>, fitted: &Fitted) -> Result<()> {
    contents.save(&out.join("model"))?;
    write_beside_model(out, fitted)
}

/// Lists skipped rows beside the model, and the schema.
fn write_beside_model(out: &Path, fitted: &Fitted) -> Result<()> {
    let path = out.join("schema.toml");
    std::fs::write(&path, fitted.encoder.schema().to_toml()).map_err(Error::io("write", &path))?;
    let path = out.join("bad_rows.txt");
    if fitted.skipped == 0 {
        // An earlier run's list must not stand beside this model.
        return match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path)(e)),
            _ => Ok(()),
        };
    }
    let mut text = format!("{} malformed rows were skipped\n", fitted.skipped);
    for bad in &fitted.bad_rows {
        text.push_str(&format!("{bad}\n    {}\n", bad.text.escape_debug().to_string().replace("\\\"", "\"")));
    }
    std::fs::write(&path, text).map_err(Error::io("write", &path))
}
