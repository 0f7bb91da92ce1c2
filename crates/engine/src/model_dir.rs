//! The format of a finished model on disk: weights, encoder (with schema), resolved configuration, metrics
//! and golden rows, each a file of a directory that is whole or absent.
use crate::calibration::{CalibrationMap, CalibrationRecord};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::golden::Golden;
use crate::network::Network;
use crate::saved::{self, Kind, Manifest, Writer};
use crate::tensors;
use dlrm_data::Encoder;
use dlrm_metrics::Metrics;
use dlrm_nn::Weights;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const ENCODER: &str = "encoder.json";
const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.json";
const GOLDEN: &str = "golden.json";
/// Only where calibration was tried.
const CALIBRATION: &str = "calibration.json";

/// Metrics by part, as stored with a model.
pub type StoredMetrics = BTreeMap<String, Metrics>;

/// What a model directory is made of.
pub struct ModelContents<'a> {
    /// The model with its weights.
    pub network: &'a Network,
    /// What turns raw rows into its inputs.
    pub encoder: &'a Encoder,
    /// The resolved configuration that it was trained with.
    pub config: &'a RunConfig,
    /// What was measured after training.
    pub metrics: &'a StoredMetrics,
    /// What calibration found, where it was tried.
    pub calibration: Option<&'a CalibrationRecord>,
    /// Rows that are scored again at load.
    pub golden: &'a Golden,
}

impl ModelContents<'_> {
    /// Writes a model directory, in the place of an older one.
    ///
    /// # Errors
    /// If the disk is full or the place cannot be written; an older directory then stays.
    pub fn save(&self, place: &Path) -> Result<()> {
        let mut writer = Writer::new(place, Kind::Model)?;
        writer.file_with(WEIGHTS, |path| tensors::write(path, &self.network.weights().tensors()))?;
        writer.file(ENCODER, &json(self.encoder))?;
        writer.file(CONFIG, self.config.to_toml().as_bytes())?;
        writer.file(METRICS, &json(self.metrics))?;
        if let Some(calibration) = self.calibration {
            writer.file(CALIBRATION, &json(calibration))?;
        }
        writer.file(GOLDEN, &json(self.golden))?;
        writer.finish()
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data")
}

/// The model directory in a run directory, or the given one itself.
pub fn locate(path: &Path) -> PathBuf {
    let inner = path.join("model");
    if inner.is_dir() { inner } else { path.to_owned() }
}

/// A model directory whose files are there and whole.
pub(crate) struct ModelDir {
    path: PathBuf,
    manifest: Manifest,
}

impl ModelDir {
    /// Checks the manifest of a run or model directory and every file against it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::saved(path, "expected a model directory, found nothing")
                .with_hint(saved::written_by_training()));
        }
        let path = locate(path);
        let manifest = saved::verify(&path, Kind::Model)?;
        let files = [WEIGHTS, ENCODER, CONFIG, METRICS, GOLDEN];
        if let Some(file) = files.into_iter().find(|&file| !manifest.files.contains_key(file)) {
            let problem = format!("expected a file {file} in the manifest, found none");
            return Err(Error::saved(&path, problem));
        }
        Ok(ModelDir { path, manifest })
    }

    pub(crate) fn encoder(&self) -> Result<Encoder> {
        saved::read_json(&self.path.join(ENCODER))
    }

    pub(crate) fn config(&self) -> Result<RunConfig> {
        let path = self.path.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        // Whoever reads a saved model did not write its keys, so notes of renamed ones would tell them
        // nothing.
        RunConfig::load(&text, &path.display().to_string(), &[], &mut Vec::new())
    }

    pub(crate) fn read_weights(&self, weights: &mut Weights) -> Result<()> {
        tensors::read(&self.path.join(WEIGHTS), &mut weights.tensors_mut())?;
        weights.repack();
        Ok(())
    }

    pub(crate) fn metrics(&self) -> Result<StoredMetrics> {
        saved::read_json(&self.path.join(METRICS))
    }

    /// What calibration found, where it was tried.
    pub(crate) fn calibration(&self) -> Result<Option<CalibrationRecord>> {
        if !self.manifest.files.contains_key(CALIBRATION) {
            return Ok(None);
        }
        let path = self.path.join(CALIBRATION);
        let record: CalibrationRecord = saved::read_json(&path)?;
        match record.kept.as_ref().and_then(CalibrationMap::problem) {
            Some(problem) => Err(Error::saved(path, problem)),
            None => Ok(Some(record)),
        }
    }

    /// Scores the golden rows by what was loaded, and compares.
    pub(crate) fn replay(&self, encoder: &Encoder, network: &Network) -> Result<()> {
        let path = self.path.join(GOLDEN);
        let golden: Golden = saved::read_json(&path)?;
        golden.replay(encoder, network, &path)
    }

    pub(crate) fn into_manifest(self) -> Manifest {
        self.manifest
    }
}
