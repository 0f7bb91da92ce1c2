//! The configuration of a run: typed, complete before work starts, stored resolved with the model.
use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::golden_config::GoldenConfig;
use crate::train_config::{Solver, TrainConfig};
use crate::trained_files::TrainedFiles;
use dlrm_data::negatives::Negatives;
use dlrm_data::readers::Input;
use dlrm_data::schema::{Schema, Task, Transform};
use dlrm_data::split::{Part, Split};
use dlrm_models::ModelConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that decides a run's result. (The number of threads does not.)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// How predicted probabilities are made those of the validation rows after training.
    pub calibration: Calibration,
    /// Files and their format.
    pub input: Input,
    /// Split and rows.
    pub data: DataConfig,
    /// Meaning of the columns; inferred where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// The model.
    pub model: ModelConfig,
    /// Training.
    pub train: TrainConfig,
    /// Rows that are stored with the model.
    #[serde(skip_serializing_if = "GoldenConfig::is_default")]
    pub golden: GoldenConfig,
}

/// Split and rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Files of validation rows, in the same format; then no other rows validate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<PathBuf>,
    /// Files of test rows, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<PathBuf>,
    /// Prepared data set that the rows are taken from; input and split are then those it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared: Option<PathBuf>,
    /// How the input is split.
    pub split: Split,
    /// Malformed rows that may be skipped.
    pub max_bad_rows: u64,
    /// Where training rows live: in memory, or read from their files as they are needed.
    pub loading: Loading,
    /// Rows of a shuffled window when streaming.
    pub shuffle_window: usize,
    /// Whether streamed rows are kept encoded beside the checkpoints, from the first epoch to the end of the
    /// run, so that later epochs parse nothing. No result depends on it.
    pub cache: bool,
    /// What the model is compared with.
    pub baseline: Baseline,
    /// The negative downsampling rate w (He et al. 2014): the share of the negative training rows that are
    /// trained on. Scores are corrected for it, so probabilities stay those of all rows.
    pub negative_downsampling_rate: f64,
    /// Change of scale of all dense columns, in place of those that inference would choose. Only where the
    /// schema is inferred, or that of a known format: one that is given says it for each column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_transform: Option<Transform>,
    /// Values of vocabularies are hexadecimal integers, as Criteo's are, and taken modulo this (the
    /// reference's
    /// `--max-ind-range`): tables have that many values at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ind_range: Option<u32>,
    /// Ids and numbers as the reference implementation's preprocessing of Criteo's files makes them, so that
    /// its checkpoints line up. Its dictionary knows the rows to validate and to test, so results are not
    /// those of new rows.
    pub reference_compat: bool,
    /// Negatives drawn beside every positive training row, for implicit feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Negatives>,
}

/// Where training rows live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loading {
    /// Encoded in memory; every epoch has a full new order.
    #[default]
    Memory,
    /// Read and encoded in the first epoch, and again in every other one that finds no cache; shuffled within
    /// windows.
    Stream,
}

/// What the model is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean label and a logistic (or linear) regression.
    #[default]
    Lr,
    /// The mean label alone.
    Mean,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            validation: Vec::new(),
            test: Vec::new(),
            prepared: None,
            split: Split::default(),
            max_bad_rows: 0,
            loading: Loading::default(),
            shuffle_window: 1 << 17,
            cache: true,
            baseline: Baseline::default(),
            negative_downsampling_rate: 1.0,
            dense_transform: None,
            max_ind_range: None,
            reference_compat: false,
            negatives: None,
        }
    }
}

impl RunConfig {
    /// The schema of a complete configuration.
    ///
    /// # Errors
    /// If it has none yet.
    pub(crate) fn complete_schema(&self) -> Result<&Schema> {
        self.schema.as_ref().ok_or_else(|| Error::config("schema", "a schema", "none"))
    }

    /// Whether the model is compared with a regression beside it.
    pub(crate) fn has_baseline(&self) -> bool {
        self.data.baseline == Baseline::Lr && self.model.kind() != "lr"
    }

    /// As TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is plain data")
    }

    /// Contradictions that can be seen before work starts.
    ///
    /// # Errors
    /// The first one found.
    pub fn check(&self) -> Result<()> {
        self.check_paths()?;
        self.data.split.check().map_err(Error::of_config)?;
        if let Some(schema) = &self.schema {
            schema.check("schema").map_err(Error::of_config)?;
            self.train.check(schema.label.task)?;
            if let Some(metric) =
                self.train.monitor.filter(|metric| metric.needs_groups() && schema.group.is_none())
            {
                return Err(Error::config("train.monitor", "a metric of rows without groups", metric.name())
                    .with_hint("name the column of groups in the schema: group = \"user_id\""));
            }
            self.check_negatives(schema.label.task)?;
            self.check_calibration(schema.label.task)?;
            self.check_start()?;
        }
        Ok(())
    }

    /// A configuration is text, which keeps its paths.
    fn check_paths(&self) -> Result<()> {
        let data = &self.data;
        let lists = [
            ("input.paths", &self.input.paths[..]),
            ("data.validation", &data.validation),
            ("data.test", &data.test),
            ("data.prepared", data.prepared.as_slice()),
        ];
        let before = self.train.from.iter().map(|before| ("train.from", &before.model));
        let paths = lists.iter().flat_map(|(key, paths)| paths.iter().map(move |path| (*key, path)));
        for (key, path) in paths.chain(before) {
            if path.to_str().is_none() {
                let error = Error::config(key, "a path in UTF-8", format!("{path:?}"));
                return Err(
                    error.with_hint("rename the file, or its directory: the run keeps its path as text")
                );
            }
        }
        Ok(())
    }

    fn check_calibration(&self, task: Task) -> Result<()> {
        if task == Task::Rating && !matches!(self.calibration, Calibration::Auto | Calibration::None) {
            let error = Error::config("calibration", "a binary label", "ratings");
            return Err(error.with_hint("leave calibration out: ratings are no probabilities"));
        }
        Ok(())
    }

    /// A regression at its optimum does not go on from anything.
    fn check_start(&self) -> Result<()> {
        let solver = self.train.solver;
        if self.train.from.is_some() && self.model.kind() == "lr" && solver != Some(Solver::Steps) {
            let found = solver.map_or("none", |_| "lbfgs");
            return Err(Error::config("train.solver", "steps, to go on from the model in train.from", found));
        }
        Ok(())
    }

    fn check_negatives(&self, task: Task) -> Result<()> {
        let rate = self.data.negative_downsampling_rate;
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(Error::config(
                "data.negative_downsampling_rate",
                "a share above 0, at most 1",
                rate.to_string(),
            ));
        }
        if rate < 1.0 && (task == Task::Rating || self.data.negatives.is_some()) {
            let found = if task == Task::Rating { "ratings" } else { "drawn negatives" };
            let error = Error::config(
                "data.negative_downsampling_rate",
                "1, or clicks of which some are negative",
                found,
            );
            return Err(error.with_hint("leave data.negative_downsampling_rate out"));
        }
        let Some(negatives) = &self.data.negatives else { return Ok(()) };
        if task == Task::Rating {
            let error = Error::config("data.negatives", "a binary label", "ratings");
            return Err(error.with_hint("say what counts as taken: schema.label.rule = \"rating > 0\""));
        }
        if negatives.per_positive == 0 {
            return Err(Error::config("data.negatives.per_positive", "at least 1", "0"));
        }
        if self.data.loading == Loading::Stream {
            let error =
                Error::config("data.negatives", "training rows in memory", "data.loading = \"stream\"");
            return Err(
                error.with_hint("what a user took is looked up in all training rows: leave out data.loading")
            );
        }
        Ok(())
    }

    /// Files to validate (or else to test) with whose rows are also trained on.
    pub fn trained_and_measured(&self, part: Part) -> Vec<String> {
        let own = match part {
            Part::Train => &[],
            Part::Validation => &self.data.validation[..],
            Part::Test => &self.data.test,
        };
        let other = self.input_of(own);
        other.map_or_else(Vec::new, |other| TrainedFiles::of(&self.input, &self.data.split).among(&other))
    }

    /// The input of other files in the same format.
    pub fn input_of(&self, paths: &[PathBuf]) -> Option<Input> {
        (!paths.is_empty()).then(|| Input { paths: paths.to_vec(), ..self.input.clone() })
    }
}
