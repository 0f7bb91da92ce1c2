//! What a person said about a run, and how it becomes a complete one.
//!
//! Command line, Python and server fill in a [`RunRequest`], let it [`resolve`](RunRequest::resolve) and
//! execute the
//! [`Run`] that comes of it. None of the three steps prints, exits or reads the environment.
mod columns;
mod difference;
mod going_on;
mod input;
mod label;
mod occurs;
mod parts;
mod schema;
mod warm_start;

pub use columns::ColumnsRequest;
pub use input::InputRequest;
pub use label::LabelRequest;
pub use parts::{PartsRequest, check_time, split_of, usual_split};
pub use schema::{Said, inferred, profile, read_schema, schema_of, schema_of_rows};

use crate::config::{Baseline, DataConfig, Loading, RunConfig};
use crate::error::{Error, Result};
use crate::note::Note;
use crate::ranks::Ranks;
use crate::rows::GivenRows;
use crate::run::{Resources, Run};
use crate::run_dir;
use crate::start::Start;
use dlrm_data::Stop;
use dlrm_data::error::nearest;
use dlrm_data::prepared::{Prepared, Settings};
use dlrm_data::readers::Input;
use dlrm_data::rows::OpenRows;
use dlrm_data::schema::{Cross, Schema};
use dlrm_data::split::{Part, Split};
use dlrm_models::ModelConfig;
use std::path::{Path, PathBuf};

/// What a person said about a run; what is absent is decided by [`RunRequest::resolve`].
#[derive(Clone, Default)]
pub struct RunRequest {
    /// Configuration file (TOML) that all else is put on top of.
    pub config: Option<PathBuf>,
    /// Settings of that name to start from, in the place of a file: "paper".
    pub preset: Option<String>,
    /// Settings `key=value` on top of it.
    pub settings: Vec<String>,
    /// Run or model directory of a model that training goes on from; its configuration takes the place of a
    /// file.
    pub from: Option<PathBuf>,
    /// Directory that relative paths of the configuration start from.
    pub data_dir: Option<PathBuf>,
    /// Files and how they are read.
    pub input: InputRequest,
    /// Rows of another program, instead of files.
    pub rows: Option<GivenRows>,
    /// Schema file (TOML).
    pub schema: Option<PathBuf>,
    /// What is predicted.
    pub label: LabelRequest,
    /// What was said of other columns.
    pub columns: ColumnsRequest,
    /// Which rows train, validate and test.
    pub parts: PartsRequest,
    /// Malformed rows that may be skipped.
    pub max_bad_rows: Option<u64>,
    /// Conjunctions of columns for the linear part, each as its columns.
    pub crosses: Vec<Vec<String>>,
    /// See [`DataConfig::max_ind_range`].
    pub max_ind_range: Option<u32>,
    /// See [`DataConfig::reference_compat`].
    pub reference_compat: Option<bool>,
    /// Kind of model, with default settings.
    pub model: Option<String>,
    /// Passes over the training rows, at most.
    pub epochs: Option<u64>,
    /// Steps, at most.
    pub max_steps: Option<u64>,
    /// Rows per step.
    pub batch_size: Option<usize>,
    /// See [`TrainConfig::keep_optimizer`](crate::train_config::TrainConfig::keep_optimizer).
    pub keep_optimizer: Option<bool>,
    /// Seed of initial weights, shuffling and random splits.
    pub seed: Option<u64>,
    /// Where training rows live.
    pub loading: Option<Loading>,
    /// What the model is compared with.
    pub baseline: Option<Baseline>,
    /// Run directory, if results are to be kept.
    pub out: Option<PathBuf>,
    /// Where the run starts.
    pub start: Start,
    /// What may be used.
    pub resources: Resources,
    /// Bytes that inferring the schema may take, if that is said; else a number that is the same everywhere.
    pub inference_memory: Option<u64>,
    /// Whether inferring it is to end before the last row.
    pub stop: Stop,
}

impl RunRequest {
    /// The complete run, checked, and what was noticed on the way.
    ///
    /// # Errors
    /// A file that cannot be read, or what contradicts itself or the rows; the error names the configuration
    /// key, what was expected and what was found.
    pub fn resolve(&self) -> Result<(Run, Vec<Note>)> {
        let mut notes = Vec::new();
        let config = match (self.start, &self.out) {
            (Start::Resume, Some(out)) => self.resumed(out, &mut notes)?,
            (Start::GoOn, Some(out)) => self.gone_on(out, &mut notes)?,
            _ => self.configuration(&mut notes)?,
        };
        let run = Run {
            config,
            rows: self.rows.clone(),
            out: self.out.clone(),
            start: self.start,
            resources: self.resources,
            ranks: Ranks::default(),
        };
        Ok((run, notes))
    }

    /// The complete configuration of a new run: file, then settings, then values, then what these leave open.
    ///
    /// # Errors
    /// As [`RunRequest::resolve`].
    pub fn configuration(&self, notes: &mut Vec<Note>) -> Result<RunConfig> {
        if let Some(from) = &self.from {
            return self.continued(from, notes);
        }
        let mut config = self.stated(notes)?;
        if self.rows.is_none()
            && let Some(dir) = self.prepared_set(&config)?
        {
            return self.on_prepared(config, &dir);
        }
        if self.rows.is_none() {
            config.input = self.input.apply(config.input)?.resolve()?;
            if self.parts.split.is_none() && config.data.split == Split::default() {
                config.data.split = usual_split(&config.input);
            }
        }
        let mut schema = self.described(&mut config, notes)?;
        self.complete(&mut schema, &config.data, notes)?;
        self.choose_model(&mut config, &schema)?;
        config.train.resolve(schema.label.task);
        config.schema = Some(schema);
        config.check()?;
        if self.rows.is_none() {
            notes.extend(config.input.left_out()?.into_iter().map(Note::new));
            check_measuring_files(&config, notes)?;
        }
        Ok(config)
    }

    /// The configuration file with settings and values on top.
    fn stated(&self, notes: &mut Vec<Note>) -> Result<RunConfig> {
        let settings = self.all_settings()?;
        self.put_on(match (&self.config, &self.preset) {
            (Some(path), None) => RunConfig::read(path, &settings, notes)?,
            (None, None) => RunConfig::load("", "the configuration", &settings, notes)?,
            (None, Some(name)) => RunConfig::load(preset(name)?, name, &settings, notes)?,
            (Some(_), Some(_)) => {
                return Err(Error::config("preset", "a configuration file or a preset", "both")
                    .with_hint("leave one of them out"));
            }
        })
    }

    /// The settings behind the kind of model, whose keys they may be.
    fn all_settings(&self) -> Result<Vec<String>> {
        let kind = self.model.as_ref().map(|kind| setting_of_kind(kind, "model.kind")).transpose()?;
        Ok(kind.into_iter().chain(self.settings.iter().cloned()).collect())
    }

    /// With values on top.
    fn put_on(&self, mut config: RunConfig) -> Result<RunConfig> {
        if let Some(dir) = &self.data_dir {
            let lists = [&mut config.input.paths, &mut config.data.validation, &mut config.data.test];
            lists.into_iter().flatten().for_each(|path| *path = dir.join(&*path));
        }
        if let Some(kind) = &self.parts.split {
            config.data.split = split_of(kind, self.seed.unwrap_or(0))?;
        } else if let (Split::Random { seed, .. }, Some(given)) = (&mut config.data.split, self.seed) {
            *seed = given;
        }
        if let Some(kind) = &self.model
            && kind != config.model.kind()
        {
            let found = format!("{kind} and, in the settings, {}", config.model.kind());
            return Err(
                Error::config("model.kind", "one kind of model", found).with_hint("leave one of them out")
            );
        }
        let train = &mut config.train;
        train.epochs = self.epochs.or(train.epochs);
        train.max_steps = self.max_steps.or(train.max_steps);
        train.batch_size = self.batch_size.or(train.batch_size);
        train.seed = self.seed.unwrap_or(train.seed);
        train.keep_optimizer = self.keep_optimizer.unwrap_or(train.keep_optimizer);
        self.put_on_data(&mut config.data);
        Ok(config)
    }

    /// The model that suits the columns, where nobody has named one.
    fn choose_model(&self, config: &mut RunConfig, schema: &Schema) -> Result<()> {
        let named = self.model.is_some()
            || self.preset.is_some()
            || self.config.is_some()
            || self.settings.iter().any(|setting| setting.starts_with("model"));
        if !named && schema.dense.is_empty() && (2..=MOST_IDS_OF_FM).contains(&schema.categorical.len()) {
            config.model = model_of_kind("fm", "model.kind")?;
        }
        Ok(())
    }

    fn put_on_data(&self, data: &mut DataConfig) {
        data.max_bad_rows = self.max_bad_rows.unwrap_or(data.max_bad_rows);
        data.loading = self.loading.unwrap_or(data.loading);
        data.baseline = self.baseline.unwrap_or(data.baseline);
        data.max_ind_range = self.max_ind_range.or(data.max_ind_range);
        data.reference_compat = self.reference_compat.unwrap_or(data.reference_compat);
        if !self.parts.test.is_empty() {
            data.test.clone_from(&self.parts.test);
        }
        if !self.parts.validation.is_empty() {
            data.validation.clone_from(&self.parts.validation);
        }
    }

    /// The prepared data set that the run is asked to train on, if it is one.
    fn prepared_set(&self, config: &RunConfig) -> Result<Option<PathBuf>> {
        let paths = if self.input.paths.is_empty() { &config.input.paths } else { &self.input.paths };
        let [dir] = &paths[..] else { return Ok(None) };
        if Prepared::is_unfinished_in(dir) {
            let found = format!("an unfinished preparation in {}", dir.display());
            return Err(Error::config("input.paths", "raw files or a prepared data set", found)
                .with_hint("run the same `dlrm prepare` again: it goes on where it was interrupted"));
        }
        Ok(Prepared::is_in(dir).then(|| dir.clone()))
    }

    /// The configuration of a run on a prepared data set, which has decided how rows are read, encoded and
    /// split.
    fn on_prepared(&self, mut config: RunConfig, dir: &Path) -> Result<RunConfig> {
        self.check_beside_prepared(dir)?;
        let set = Prepared::open(dir)?;
        let Settings { input, validation, test, split, max_bad_rows } = set.manifest().settings.clone();
        config.input = input;
        config.data = DataConfig {
            validation,
            test,
            split,
            max_bad_rows,
            prepared: Some(dir.to_owned()),
            ..config.data
        };
        let schema = set.encoder().schema().clone();
        self.choose_model(&mut config, &schema)?;
        config.train.resolve(schema.label.task);
        config.schema = Some(schema);
        config.check()?;
        Ok(config)
    }

    /// Refuses what a prepared data set has decided.
    fn check_beside_prepared(&self, dir: &Path) -> Result<()> {
        let given = [
            ("schema", self.schema.is_some()),
            ("data.split", self.parts.split.is_some()),
            ("data.test", !self.parts.test.is_empty()),
            ("data.validation", !self.parts.validation.is_empty()),
            ("schema.crosses", !self.crosses.is_empty()),
            ("data.max_ind_range", self.max_ind_range.is_some()),
            ("data.reference_compat", self.reference_compat == Some(true)),
            ("schema.label", !self.label.is_empty()),
            (self.columns.key().unwrap_or_default(), self.columns.key().is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((key, _)) => {
                let found = format!("the prepared data set {}, where this is decided", dir.display());
                Err(Error::config(key, "raw files", found)
                    .with_hint("leave it out, or prepare the data set anew with it"))
            }
            None => Ok(()),
        }
    }

    /// The schema that was given, or else one that is inferred.
    fn described(&self, config: &mut RunConfig, notes: &mut Vec<Note>) -> Result<Schema> {
        let given = match (&self.schema, config.schema.take()) {
            (Some(path), _) => Some(read_schema(path)?),
            (None, schema) => schema,
        };
        let (label, columns, memory) = (&self.label, &self.columns, self.inference_memory);
        let said = Said { label, columns, memory, stop: &self.stop };
        let mut schema = match given {
            Some(mut schema) => {
                if self.columns.key().is_some() {
                    said.columns
                        .apply(&mut schema, self.rows_to_read(&config.input).open_rows()?.columns())?;
                }
                schema
            }
            None => {
                let inferred = match &self.rows {
                    Some(rows) => schema_of_rows(&*rows.main, said, notes)?,
                    None => schema_of(&config.input, said, notes)?,
                };
                let mut inferred = schema::without_fold(inferred, &config.data.split)?;
                if let Some(transform) = config.data.dense_transform {
                    inferred.dense.iter_mut().for_each(|column| column.transform = transform);
                }
                inferred
            }
        };
        self.label.apply(&mut schema)?;
        if !self.label.is_empty() && occurs::says_what_counts(&schema.label) {
            let rows = self.rows_to_read(&config.input);
            occurs::check_clicks_occur(&mut *rows.open_rows()?, &rows.name(), &schema.label)?;
        }
        Ok(schema)
    }

    /// Those of another program, or of files.
    fn rows_to_read<'a>(&'a self, input: &'a Input) -> &'a dyn OpenRows {
        self.rows.as_ref().map_or(input, |rows| &*rows.main)
    }

    /// What the rest of the configuration means for the schema.
    fn complete(&self, schema: &mut Schema, data: &DataConfig, notes: &mut Vec<Note>) -> Result<()> {
        if let Some(range) = data.max_ind_range {
            schema.limit_indices(range)?;
        }
        if data.reference_compat {
            schema.follow_reference()?;
            notes.push(Note::new(
                "the dictionary knows the rows to validate and to test, as the reference's does: their \
                    results are not those of new rows",
            ));
        }
        schema.crosses.extend(self.crosses.iter().cloned().map(Cross::of));
        check_time(&data.split, schema)?;
        if !matches!(data.split, Split::Time { .. }) {
            // Only a split by time reads it, and a missing time is then no reason to refuse a row.
            schema.time = None;
        }
        Ok(())
    }

    /// The configuration of the run being resumed; its paths may have moved.
    fn resumed(&self, out: &Path, notes: &mut Vec<Note>) -> Result<RunConfig> {
        let mut config = run_dir::stored_config(out, notes)?;
        match (&self.input.paths[..], &mut config.data.prepared) {
            ([], _) => {}
            ([dir, ..], Some(prepared)) => prepared.clone_from(dir),
            (paths, None) => config.input.paths = paths.to_vec(),
        }
        Ok(config)
    }
}

/// Files of rows to measure with must be there, and should not be those that are trained on.
fn check_measuring_files(config: &RunConfig, notes: &mut Vec<Note>) -> Result<()> {
    for (part, key, paths) in [
        (Part::Validation, "data.validation", &config.data.validation),
        (Part::Test, "data.test", &config.data.test),
    ] {
        config.input_of(paths).map(|input| input.files()).transpose()?;
        let files = config.trained_and_measured(part);
        if !files.is_empty() {
            let what = format!("{}: trained on and measured with too", files.join(", "));
            notes.push(Note::new(format!("{what}: give rows that take no part in training ({key})")));
        }
    }
    Ok(())
}

/// With so few ids and nothing else, the product of their vectors tells all there is, and an MLP behind it
/// learns the training rows by heart: docs/results.md.
const MOST_IDS_OF_FM: usize = 3;

/// The text of a preset.
fn preset(name: &str) -> Result<&'static str> {
    match name {
        "paper" => Ok(include_str!("../paper.toml")),
        _ => Err(Error::config("preset", "\"paper\"", format!("\"{name}\""))
            .with_hint("leave it out for the settings that suit most tables")),
    }
}

/// The setting that names the kind `kind` of models.
///
/// # Errors
/// If there is none.
fn setting_of_kind(kind: &str, key: &str) -> Result<String> {
    model_of_kind(kind, key).map(|_| format!("model.kind={kind}"))
}

/// The model of the kind `kind` with those of `settings` that speak of models.
///
/// # Errors
/// If there is none, or it has no such setting.
pub(crate) fn model_with(kind: &str, key: &str, settings: &[String]) -> Result<ModelConfig> {
    let own = settings.iter().filter(|setting| setting.trim_start().starts_with("model.")).cloned();
    let all: Vec<String> = std::iter::once(setting_of_kind(kind, key)?).chain(own).collect();
    Ok(RunConfig::load("", key, &all, &mut Vec::new())?.model)
}

/// The model of the kind `kind` with its usual settings.
///
/// # Errors
/// If there is none; the error names `key` and the nearest kind.
pub fn model_of_kind(kind: &str, key: &str) -> Result<ModelConfig> {
    ModelConfig::of_kind(kind).ok_or_else(|| {
        let known: Vec<&str> = ModelConfig::ABOUT.iter().map(|about| about.kind).collect();
        let hint = match nearest(kind, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? `dlrm models` describes them"),
            None => "`dlrm models` describes them".into(),
        };
        Error::config(key, format!("one of {}", known.join(", ")), format!("\"{kind}\"")).with_hint(hint)
    })
}
