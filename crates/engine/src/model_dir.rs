//! A finished model on disk: weights, encoder (with schema), resolved configuration, metrics and a few golden
//! rows with their scores, which are replayed at load: a model that no longer gives the scores it gave when
//! it was saved is refused.
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::saved::{self, Kind, Writer};
use crate::tensors;
use dlrm_data::Batch;
use dlrm_data::counts::EncodedCounts;
use dlrm_data::encoder::Encoder;
use dlrm_data::parse::{Labels, RowParser};
use dlrm_data::rows::{GoodRow, GoodRows, OpenRows, Picked};
use dlrm_data::schema::Task;
use dlrm_metrics::Metrics;
use dlrm_nn::Isa;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const WEIGHTS: &str = "weights.safetensors";
const ENCODER: &str = "encoder.json";
const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.json";
const GOLDEN: &str = "golden.json";

/// Rows whose scores are replayed at load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Instruction set that scored them; on another one the last bits may differ.
    pub isa: String,
    /// Names of the fields.
    pub columns: Vec<String>,
    /// Fields as text.
    pub rows: Vec<Vec<String>>,
    /// Logits as bits of f32.
    pub logit_bits: Vec<u32>,
}

/// How far a score may be off on another instruction set, relative to 1 + |logit|.
const OTHER_ISA_TOLERANCE: f32 = 1e-4;

/// Metrics of the parts, as stored with the model.
pub type StoredMetrics = BTreeMap<String, Metrics>;

/// A model that scores raw rows.
pub struct Predictor {
    encoder: Encoder,
    network: Network,
    config: RunConfig,
    metrics: StoredMetrics,
    manifest: saved::Manifest,
}

/// Scores of rows, and what evaluation needs besides.
pub struct Scores {
    /// One per row.
    pub logits: Vec<f32>,
    /// Labels, if they were asked for.
    pub labels: Vec<f32>,
    /// Sample weights, if the schema has any.
    pub weights: Option<Vec<f32>>,
    /// Groups, if the schema has any.
    pub groups: Option<Vec<u64>>,
    /// Unseen and missing values per categorical column.
    pub counts: Vec<EncodedCounts>,
    /// Malformed rows skipped before row i; one entry more than rows, for those after the last.
    pub skipped: Vec<u64>,
}

/// Writes a model directory.
///
/// # Errors
/// As the file system.
pub fn save(
    place: &Path,
    network: &Network,
    encoder: &Encoder,
    config: &RunConfig,
    metrics: &StoredMetrics,
    golden: &Golden,
) -> Result<()> {
    let mut writer = Writer::new(place, Kind::Model)?;
    writer.file_with(WEIGHTS, |path| tensors::write(path, &network.weights().tensors()))?;
    writer.file(ENCODER, &json(encoder))?;
    writer.file(CONFIG, config.to_toml().as_bytes())?;
    writer.file(METRICS, &json(metrics))?;
    writer.file(GOLDEN, &json(golden))?;
    writer.finish()
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain data")
}

/// The model directory in a run directory, or the given one itself.
pub fn locate(path: &Path) -> PathBuf {
    let inner = path.join("model");
    if inner.is_dir() { inner } else { path.to_owned() }
}

impl Predictor {
    /// Loads and checks a run or model directory.
    ///
    /// # Errors
    /// Any damage or mismatch, saying which file and what is wrong.
    pub fn load(path: &Path, isa: Isa) -> Result<Self> {
        if !path.exists() {
            return Err(Error::saved(path, "expected a model directory, found nothing")
                .with_hint("give the directory that `dlrm train -o` wrote"));
        }
        let dir = locate(path);
        let manifest = saved::verify(&dir, Kind::Model)?;
        for file in [WEIGHTS, ENCODER, CONFIG, METRICS, GOLDEN] {
            if !manifest.files.contains_key(file) {
                return Err(Error::saved(
                    &dir,
                    format!("expected a file {file} in the manifest, found none"),
                ));
            }
        }
        let encoder: Encoder = saved::read_json(&dir.join(ENCODER))?;
        let path = dir.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let config = RunConfig::load(&text, &path.display().to_string(), &[], &mut Vec::new())?;
        let network =
            Network::with_tables(&config.model, &encoder.layout(), config.train.table_precision, 0, isa)?;
        let mut network = network.with_negative_downsampling(config.data.negative_downsampling_rate);
        let weights = network.weights_mut();
        tensors::read(&dir.join(WEIGHTS), &mut weights.tensors_mut())?;
        weights.repack();
        let predictor =
            Predictor { encoder, network, config, metrics: saved::read_json(&dir.join(METRICS))?, manifest };
        predictor.replay(&saved::read_json(&dir.join(GOLDEN))?, &dir.join(GOLDEN))?;
        Ok(predictor)
    }

    /// Scores the golden rows and compares.
    fn replay(&self, golden: &Golden, path: &Path) -> Result<()> {
        let logits = golden_logits(&self.encoder, &self.network, &golden.columns, &golden.rows)?;
        if golden.logit_bits.len() != logits.len() {
            let problem = format!("expected {} scores, found {}", logits.len(), golden.logit_bits.len());
            return Err(Error::saved(path, problem));
        }
        let same_isa = golden.isa == self.network.weights().isa().level().name();
        for (row, (&ours, &bits)) in logits.iter().zip(&golden.logit_bits).enumerate() {
            let expected = f32::from_bits(bits);
            let near = (ours - expected).abs() <= OTHER_ISA_TOLERANCE * (1.0 + expected.abs());
            if ours.to_bits() != bits && (same_isa || !near) {
                let problem = format!("golden row {row}: expected logit {expected}, found {ours}");
                return Err(Error::saved(path, problem)
                    .with_hint("this program scores differently from the one that saved the model: use that version, or train again"));
            }
        }
        Ok(())
    }

    /// The fitted encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The resolved configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Metrics measured when the model was trained.
    pub fn metrics(&self) -> &StoredMetrics {
        &self.metrics
    }

    /// Versions and checksums.
    pub fn manifest(&self) -> &saved::Manifest {
        &self.manifest
    }

    /// Kind of label.
    pub fn task(&self) -> Task {
        self.encoder.schema().label.task
    }

    /// What the model predicts for a logit: a probability, or a rating.
    pub fn prediction(&self, logit: f32) -> f64 {
        match self.task() {
            Task::Binary => dlrm_kernels::activation::sigmoid(f64::from(logit)),
            Task::Rating => f64::from(logit),
        }
    }

    /// Starts reading rows for this model.
    ///
    /// # Errors
    /// If the input lacks a column.
    pub fn open(&self, input: &dyn OpenRows, labels: Labels, max_bad_rows: u64) -> Result<GoodRows> {
        Ok(GoodRows::open(input, self.encoder.schema(), labels, max_bad_rows)?)
    }

    /// Scores up to `most` further rows, on the current rayon pool; fewer at the end.
    ///
    /// # Errors
    /// As reading.
    pub fn score(&self, rows: &mut GoodRows, most: usize) -> Result<Scores> {
        let mut batch = Batch::new(&self.encoder.layout());
        let mut counts = self.encoder.counts();
        let (mut skipped, mut bad) = (Vec::new(), rows.bad_rows());
        let mut read = Vec::new();
        while read.len() < most {
            let more = rows.advance()?;
            skipped.push(rows.bad_rows() - bad);
            bad = rows.bad_rows();
            if !more {
                break;
            }
            let mut row = GoodRow::default();
            rows.swap(&mut row);
            read.push(row);
        }
        let picks: Vec<u32> = (0..read.len() as u32).collect();
        self.encoder.encode(
            Picked { rows: &read, picks: &picks, fields: &rows.fields() },
            &mut batch,
            &mut counts,
        );
        skipped.resize(batch.len() + 1, 0);
        let logits = self.network.logits(&batch);
        Ok(Scores {
            logits,
            labels: batch.labels,
            weights: batch.weights,
            groups: batch.groups,
            counts,
            skipped,
        })
    }
}

/// Scores rows given as text.
///
/// # Errors
/// If a row is malformed.
pub fn golden_logits(
    encoder: &Encoder,
    network: &Network,
    columns: &[String],
    rows: &[Vec<String>],
) -> Result<Vec<f32>> {
    let parser = RowParser::new(encoder.schema(), columns, Labels::Ignored, GOLDEN)?;
    let (mut batch, mut counts) = (Batch::new(&encoder.layout()), encoder.counts());
    let mut read = Vec::new();
    for (fields, line) in rows.iter().zip(1..) {
        if fields.len() != columns.len() {
            let found = fields.len().to_string();
            return Err(dlrm_data::Error::input(GOLDEN, format!("{} fields", columns.len()), found).into());
        }
        let mut row = GoodRow::default();
        (row.raw.file, row.raw.line) = (GOLDEN.into(), line);
        fields.iter().for_each(|field| row.raw.push(field));
        parser.parse(&row.raw, &mut row.parsed)?;
        read.push(row);
    }
    let picks: Vec<u32> = (0..read.len() as u32).collect();
    encoder.encode(Picked { rows: &read, picks: &picks, fields: &parser.fields() }, &mut batch, &mut counts);
    Ok(network.logits(&batch))
}
