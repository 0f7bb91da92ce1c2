//! The format of a finished model on disk: weights, encoder (with schema), resolved configuration, metrics
//! and golden rows, each a file of a directory that is whole or absent.
use crate::calibration::{CalibrationMap, CalibrationRecord};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::golden::Golden;
use crate::golden_config::NAME as GOLDEN;
use crate::network::Network;
use crate::optimizer_state;
use crate::run_dir;
use crate::saved::{self, Kind, Saved, Writer};
use crate::tensors::TensorMut;
use crate::trained_files::TrainedFiles;
use crate::whole;
use dlrm_data::{Encoder, Hint};
use dlrm_metrics::Metrics;
use dlrm_nn::{Builder, Optimizer, TablePrecision, Weights};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const ENCODER: &str = "encoder.json";
const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.json";
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
    /// If the disk is full, the place cannot be written or holds something else; [`Error::Interrupted`] if
    /// `stop` says so meanwhile. An older directory then stays.
    pub fn save(&self, place: &Path, stop: &mut dyn FnMut() -> bool) -> Result<()> {
        let mut writer = Writer::until(place, Kind::Model, stop)?;
        whole::write_weights(&mut writer, WEIGHTS, self.network)?;
        // Written as it is made: as text it is as large as its vocabularies.
        writer.file_with(ENCODER, |out| write_json(out, self.encoder))?;
        writer.file(CONFIG, self.config.to_toml().as_bytes())?;
        writer.file(METRICS, &json(self.metrics))?;
        if let Some(calibration) = self.calibration {
            writer.file(CALIBRATION, &json(calibration))?;
        }
        writer.file(GOLDEN, &json(self.golden))?;
        writer.file(TRAINED, &json(self.trained))?;
        if let Some(optimizer) = self.optimizer {
            optimizer_state::write(&mut writer, optimizer, self.network)?;
        }
        writer.finish()
    }
}

fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    serde_json::to_writer_pretty(&mut out, value)?;
    out.flush()
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data")
}

/// The model directory in a run directory, or the given one itself.
pub fn locate(path: &Path) -> PathBuf {
    let inner = path.join("model");
    // While it is replaced it may not be there for a moment.
    if inner.is_dir() || saved::set_aside(&inner).exists() { inner } else { path.to_owned() }
}

/// The configuration of a run or model directory, without its weights.
///
/// # Errors
/// If a file is missing, cut, altered or written by a newer version.
pub fn config_of(path: &Path) -> Result<RunConfig> {
    ModelDir::open(path)?.config()
}

/// Refuses what can be no directory of a run or model.
fn check_is_run(path: &Path) -> Result<()> {
    let wrong = |found: &str| Error::saved(path, format!("expected a model directory, found {found}"));
    match std::fs::metadata(path) {
        // What is read in its place is found out below.
        Err(_) if saved::set_aside(path).exists() => Ok(()),
        Err(error) => {
            let near = dlrm_data::error::io_hint("open", path, &error);
            let hint = saved::written_by_training();
            Err(wrong("nothing").with_hint(match near {
                Some(near) => hint.say("; ").join(near),
                None => hint,
            }))
        }
        Ok(found) if !found.is_dir() => {
            let kind = if found.is_file() { "a file" } else { saved::kind_of(&found) };
            let hint =
                saved::written_by_training().say("; the model is named first, then the files with rows");
            Err(wrong(kind).with_hint(hint))
        }
        Ok(_) if run_dir::is_unfinished(path) && !run_dir::has_model(path) => {
            let hint = Hint::from(format!("go on with `dlrm train -o {} ", path.display()));
            Err(wrong("an unfinished run").with_hint(hint.name("run.resume").say("`, then use its model")))
        }
        Ok(_) => Ok(()),
    }
}

/// A model directory whose files are there and open.
pub(crate) struct ModelDir {
    saved: Saved,
}

impl ModelDir {
    /// Opens all files of a run or model directory. The contents of each are checked when they are read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        check_is_run(path)?;
        let saved = Saved::open(&locate(path), Kind::Model)?;
        let files = [WEIGHTS, ENCODER, CONFIG, METRICS, GOLDEN];
        if let Some(file) = files.into_iter().find(|&file| !saved.has(file)) {
            let problem = format!("expected a file {file} in the manifest, found none");
            return Err(Error::saved(saved.path(""), problem));
        }
        Ok(ModelDir { saved })
    }

    /// The files.
    pub(crate) fn saved(&self) -> &Saved {
        &self.saved
    }

    pub(crate) fn encoder(&self) -> Result<Encoder> {
        self.saved.json(ENCODER)
    }

    pub(crate) fn config(&self) -> Result<RunConfig> {
        let text = self.saved.text(CONFIG)?;
        // Whoever reads a saved model did not write its keys, so notes of renamed ones would tell them
        // nothing.
        RunConfig::load_stored(&text, &self.saved.path(CONFIG).display().to_string(), &mut Vec::new())
    }

    /// Refuses weights of another form than a model has that has been declared, before it takes any memory,
    /// and a model that needs more than `limit` bytes.
    pub(crate) fn check_size(
        &self,
        declared: &Builder<'_>,
        precision: TablePrecision,
        limit: Option<u64>,
    ) -> Result<()> {
        let header = self.saved.tensor_header(WEIGHTS)?;
        let wrong = |problem: String| Error::saved(self.saved.path(WEIGHTS), problem);
        for table in declared.tables() {
            let found = header.info(&table.name).map(|info| &info.shape[..]);
            if found != Some(&[table.rows, table.dim]) {
                let expected = format!("expected [{}, {}]", table.rows, table.dim);
                return Err(wrong(format!(
                    "tensor \"{}\": {expected}, found {:?}",
                    table.name,
                    found.unwrap_or(&[])
                )));
            }
        }
        let dense = (declared.count().0 as u64).saturating_mul(4);
        let tables = declared.table_bytes(precision) as u64;
        let (needed, found) = (dense.saturating_add(tables), header.data_len() as u64);
        // Running statistics are no wider than the layers that they are of.
        if found < needed {
            return Err(wrong(format!("expected {needed} bytes of tensors at least, found {found}")));
        }
        // Weight matrices are kept in two packed forms besides.
        let needed = dense.saturating_mul(3).saturating_add(tables);
        match limit.filter(|&limit| needed > limit) {
            Some(limit) => Err(Error::Memory {
                what: format!("the model in {}", self.saved.path("").display()),
                needed: dlrm_data::format::bytes(needed),
                available: dlrm_data::format::bytes(limit),
                hint: Hint::from("load it where there is more memory"),
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn read_weights(&self, weights: &mut Weights) -> Result<()> {
        self.read_tensors(&mut weights.tensors_mut())?;
        weights.repack();
        Ok(())
    }

    /// Fills tensors that are those of the weights, for who reads them into larger tables.
    pub(crate) fn read_tensors(&self, tensors: &mut [TensorMut<'_>]) -> Result<()> {
        self.saved.tensors(WEIGHTS, tensors).map(drop)
    }

    /// Whether the optimiser's state was kept.
    pub(crate) fn has_optimizer(&self) -> bool {
        self.saved.has(optimizer_state::FILE)
    }

    /// See [`Manifest::id`](saved::Manifest::id).
    pub(crate) fn id(&self) -> String {
        self.saved.manifest().id()
    }

    pub(crate) fn metrics(&self) -> Result<StoredMetrics> {
        self.saved.json(METRICS)
    }

    pub(crate) fn trained(&self) -> Result<TrainedFiles> {
        if self.saved.has(TRAINED) { self.saved.json(TRAINED) } else { Ok(TrainedFiles::default()) }
    }

    /// What calibration found, where it was tried.
    pub(crate) fn calibration(&self) -> Result<Option<CalibrationRecord>> {
        if !self.saved.has(CALIBRATION) {
            return Ok(None);
        }
        let record: CalibrationRecord = self.saved.json(CALIBRATION)?;
        match record.kept.as_ref().and_then(CalibrationMap::problem) {
            Some(problem) => Err(Error::saved(self.saved.path(CALIBRATION), problem)),
            None => Ok(Some(record)),
        }
    }

    /// Scores the golden rows by what was loaded, and compares.
    pub(crate) fn replay(&self, encoder: &Encoder, network: &Network) -> Result<Golden> {
        let golden: Golden = self.saved.json(GOLDEN)?;
        golden.replay(encoder, network, &self.saved.path(GOLDEN))?;
        Ok(golden)
    }
}
