//! The format of a finished model on disk: weights, encoder (with schema), resolved configuration, metrics
//! and golden rows, each a file of a directory that is whole or absent.
use crate::calibration::{CalibrationMap, CalibrationRecord};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::golden::Golden;
use crate::network::Network;
use crate::optimizer_state;
use crate::run_dir;
use crate::saved::{self, Kind, Manifest, Writer};
use crate::tensors;
use crate::trained_files::TrainedFiles;
use dlrm_data::{Encoder, Hint};
use dlrm_metrics::Metrics;
use dlrm_nn::{Optimizer, Weights};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const ENCODER: &str = "encoder.json";
const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.json";
const GOLDEN: &str = "golden.json";
/// Not there in models of earlier versions, and of rows that came from no file.
const TRAINED: &str = "trained_files.json";
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
    /// The files that it was trained on.
    pub trained: &'a TrainedFiles,
    /// The optimiser, where its state is kept.
    pub optimizer: Option<&'a Optimizer>,
}

impl ModelContents<'_> {
    /// Writes a model directory, in the place of an older one.
    ///
    /// # Errors
    /// If the disk is full or the place cannot be written; an older directory then stays.
    pub fn save(&self, place: &Path) -> Result<()> {
        let mut writer = Writer::new(place, Kind::Model)?;
        writer.file_with(WEIGHTS, |path| tensors::write(path, &self.network.weights().tensors()))?;
        // Written as it is made: as text it is as large as its vocabularies.
        writer.file_with(ENCODER, |path| write_json(path, self.encoder))?;
        writer.file(CONFIG, self.config.to_toml().as_bytes())?;
        writer.file(METRICS, &json(self.metrics))?;
        if let Some(calibration) = self.calibration {
            writer.file(CALIBRATION, &json(calibration))?;
        }
        writer.file(GOLDEN, &json(self.golden))?;
        writer.file(TRAINED, &json(self.trained))?;
        if let Some(optimizer) = self.optimizer {
            let weights = self.network.weights();
            writer
                .file_with(optimizer_state::FILE, |path| optimizer_state::write(path, optimizer, weights))?;
        }
        writer.finish()
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    serde_json::to_writer_pretty(&mut out, value).map_err(|e| Error::io("write", path)(e.into()))?;
    out.flush().map_err(Error::io("write", path))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data")
}

/// The model directory in a run directory, or the given one itself.
pub fn locate(path: &Path) -> PathBuf {
    let inner = path.join("model");
    if inner.is_dir() { inner } else { path.to_owned() }
}

/// Refuses what can be no directory of a run or model.
fn check_is_run(path: &Path) -> Result<()> {
    let wrong = |found: &str| Error::saved(path, format!("expected a model directory, found {found}"));
    if path.is_file() {
        return Err(wrong("a file").with_hint(
            saved::written_by_training().say("; the model is named first, then the files with rows"),
        ));
    }
    match std::fs::metadata(path) {
        Err(error) => {
            let near = dlrm_data::error::io_hint("open", path, &error);
            let hint = saved::written_by_training();
            Err(wrong("nothing").with_hint(match near {
                Some(near) => hint.say("; ").join(near),
                None => hint,
            }))
        }
        Ok(_) if run_dir::is_unfinished(path) && !path.join("model").exists() => {
            let hint = Hint::from(format!("go on with `dlrm train -o {} ", path.display()));
            Err(wrong("an unfinished run").with_hint(hint.name("run.resume").say("`, then use its model")))
        }
        Ok(_) => Ok(()),
    }
}

/// A model directory whose files are there and whole.
pub(crate) struct ModelDir {
    path: PathBuf,
    manifest: Manifest,
}

impl ModelDir {
    /// Checks the manifest of a run or model directory and every file against it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        check_is_run(path)?;
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
        RunConfig::load_stored(&text, &path.display().to_string(), &mut Vec::new())
    }

    pub(crate) fn read_weights(&self, weights: &mut Weights) -> Result<()> {
        tensors::read(&self.path.join(WEIGHTS), &mut weights.tensors_mut())?;
        weights.repack();
        Ok(())
    }

    /// The file of the weights, for who reads them into larger tables.
    pub(crate) fn weights_file(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// The file of the optimiser's state, where it was kept.
    pub(crate) fn optimizer_file(&self) -> Option<PathBuf> {
        let kept = self.manifest.files.contains_key(optimizer_state::FILE);
        kept.then(|| self.path.join(optimizer_state::FILE))
    }

    /// See [`Manifest::id`].
    pub(crate) fn id(&self) -> String {
        self.manifest.id()
    }

    pub(crate) fn metrics(&self) -> Result<StoredMetrics> {
        saved::read_json(&self.path.join(METRICS))
    }

    pub(crate) fn trained(&self) -> Result<TrainedFiles> {
        match self.manifest.files.contains_key(TRAINED) {
            true => saved::read_json(&self.path.join(TRAINED)),
            false => Ok(TrainedFiles::default()),
        }
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
