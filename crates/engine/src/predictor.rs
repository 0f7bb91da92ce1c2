//! A saved model, loaded: what scores raw rows long after training.
use crate::calibration::CalibrationRecord;
use crate::config::RunConfig;
use crate::error::Result;
use crate::golden::Golden;
use crate::model_dir::{ModelDir, StoredMetrics};
use crate::network::Network;
use crate::row_scorer::RowScorer;
use crate::saved::Manifest;
use crate::trained_files::TrainedFiles;
use dlrm_data::Encoder;
use dlrm_data::parse::Labels;
use dlrm_data::schema::Task;
use dlrm_nn::{Builder, Isa};
use std::path::Path;

/// A model that scores raw rows.
pub struct Predictor {
    encoder: Encoder,
    network: Network,
    config: RunConfig,
    metrics: StoredMetrics,
    trained: TrainedFiles,
    calibration: Option<CalibrationRecord>,
    golden: Golden,
    manifest: Manifest,
}

impl Predictor {
    /// Loads a run or model directory, checks every file of it and scores its golden rows.
    ///
    /// # Errors
    /// If a file is missing, cut, altered or written by a newer version, if files do not fit each other, or
    /// if a golden row gets another score than it got when the model was saved. The message names the file;
    /// restore it from a copy, or train again.
    pub fn load(path: &Path, isa: Isa) -> Result<Self> {
        Predictor::load_within(path, isa, None)
    }

    /// As [`Predictor::load`], where the model may take at most `limit` bytes of memory.
    ///
    /// # Errors
    /// As [`Predictor::load`], or if it needs more.
    pub fn load_within(path: &Path, isa: Isa, limit: Option<u64>) -> Result<Self> {
        let dir = ModelDir::open(path)?;
        let (encoder, config) = (dir.encoder()?, dir.config()?);
        let tables = config.train.table_precision;
        let layout = encoder.layout();
        let mut declared = Builder::new(&layout);
        config.model.build(&mut declared)?;
        dir.check_size(&declared, tables, limit)?;
        let network = Network::unfilled(&config.model, &layout, tables, 0, isa)?;
        let mut network = network.with_negative_downsampling(config.data.negative_downsampling_rate);
        dir.read_weights(network.weights_mut())?;
        let (metrics, calibration, trained) = (dir.metrics()?, dir.calibration()?, dir.trained()?);
        network.set_calibration(calibration.as_ref().and_then(|record| record.kept.clone()));
        let golden = dir.replay(&encoder, &network)?;
        dir.saved().check_rest()?;
        let manifest = dir.saved().manifest().clone();
        Ok(Predictor { encoder, network, config, metrics, calibration, trained, golden, manifest })
    }

    /// A scorer of raw rows whose fields are `columns`, in this order; labels are not looked at.
    ///
    /// # Errors
    /// If a column that the model was trained with is not among `columns`: the message names it and the
    /// nearest one.
    pub fn row_scorer(&self, columns: &[String]) -> Result<RowScorer<'_>> {
        RowScorer::new(&self.encoder, &self.network, columns, Labels::Ignored, "rows")
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

    /// The files that it was trained on, as far as its directory says.
    pub fn trained(&self) -> &TrainedFiles {
        &self.trained
    }

    /// What calibration found when the model was trained, where it was tried.
    pub fn calibration(&self) -> Option<&CalibrationRecord> {
        self.calibration.as_ref()
    }

    /// Rows that are stored with it and were scored again.
    pub fn golden(&self) -> &Golden {
        &self.golden
    }

    /// Versions and checksums.
    pub fn manifest(&self) -> &Manifest {
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
}
