//! A run that goes on from a saved model: its configuration is that of the model, but for the rows and for
//! how they are trained on.
use super::RunRequest;
use super::difference::{Difference, difference};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::model_dir::ModelDir;
use crate::note::Note;
use crate::predecessor::Predecessor;
use crate::train_config::Solver;
use dlrm_data::schema::{Cross, Schema};
use dlrm_data::split::Split;
use std::path::Path;
use toml::Table;

/// Keys (and all below them) that the weights, the optimiser's state or the meaning of scores depend on.
const FIXED: [&str; 13] = [
    "schema",
    "model",
    "train.loss",
    "train.table_precision",
    "train.optimizer.kind",
    "train.optimizer.momentum",
    "train.table_optimizer.kind",
    "train.linear_optimizer.kind",
    "data.negative_downsampling_rate",
    "data.negatives",
    "data.dense_transform",
    "data.max_ind_range",
    "data.reference_compat",
];

impl RunRequest {
    /// The configuration of a run that goes on from the model in `from`.
    ///
    /// # Errors
    /// If there is no model, or what was said contradicts it.
    pub(super) fn continued(&self, from: &Path, notes: &mut Vec<Note>) -> Result<RunConfig> {
        let file = self.config.as_ref().map(|path| ("config", format!("the file {}", path.display())));
        let preset = self.preset.as_ref().map(|name| ("preset", format!("\"{name}\"")));
        if let Some((key, found)) = file.or(preset) {
            return Err(Error::config(key, "the configuration of the model in train.from", found)
                .with_hint("leave it out, and change single keys with settings"));
        }
        let dir = ModelDir::open(from)?;
        let stored = dir.config()?;
        let name = from.display().to_string();
        let base = without_rows(stored.clone()).to_toml();
        let mut config = self.put_on(RunConfig::load(&base, &name, &self.all_settings()?, notes)?)?;
        config.train.from = Some(Predecessor { model: from.to_owned(), id: Some(dir.id()) });
        let own = config.schema.take().ok_or_else(|| Error::saved(from, "expected a schema, found none"))?;
        let schema = self.described_again(own)?;
        let config = match self.prepared_set(&config)?.filter(|_| self.rows.is_none()) {
            Some(set) => self.on_prepared(config, &set)?,
            None => self.on_files(config, schema)?,
        };
        check_fixed(&stored, &config, from)?;
        let config = in_steps(config, notes);
        if !dir.has_optimizer() {
            notes.push(Note::new(format!(
                "{name} keeps no state of its optimiser, so that starts anew (train.keep_optimizer keeps it)"
            )));
        }
        config.check()?;
        Ok(config)
    }

    /// The schema of the model with what was said of the rows, which must not change it.
    fn described_again(&self, own: Schema) -> Result<Schema> {
        let mut schema = match &self.schema {
            Some(path) => Schema { time: own.time, ..super::read_schema(path)? },
            None => own,
        };
        self.label.apply(&mut schema)?;
        schema.crosses.extend(self.crosses.iter().cloned().map(Cross::of));
        Ok(schema)
    }

    /// With the files that were given, read as in training.
    fn on_files(&self, mut config: RunConfig, mut schema: Schema) -> Result<RunConfig> {
        super::check_time(&config.data.split, &schema)?;
        if !matches!(config.data.split, Split::Time { .. }) {
            schema.time = None;
        }
        if self.rows.is_none() {
            let needed: Vec<&str> = schema.columns().collect();
            config.input = self.input.for_model(&config.input, &needed)?.resolve()?;
        }
        config.schema = Some(schema);
        Ok(config)
    }
}

/// A stored configuration without what says which rows it was trained on.
fn without_rows(mut config: RunConfig) -> RunConfig {
    config.input.paths.clear();
    config.data.validation.clear();
    config.data.test.clear();
    config.data.prepared = None;
    config.train.from = None;
    config
}

/// A regression at its optimum would be the one of the new rows, wherever it starts: it goes on in steps.
fn in_steps(mut config: RunConfig, notes: &mut Vec<Note>) -> RunConfig {
    if config.train.solver == Some(Solver::Lbfgs) {
        config.train.solver = Some(Solver::Steps);
        notes.push(Note::new(
            "the model was taken to the optimum of its rows; on the new ones it goes on in steps, for their \
                optimum would know nothing of the old ones",
        ));
    }
    config
}

/// Refuses another model, schema or kind of optimiser.
fn check_fixed(stored: &RunConfig, config: &RunConfig, from: &Path) -> Result<()> {
    let table = |config: &RunConfig| Table::try_from(config).expect("a configuration is plain data");
    // The time is read for splits only.
    let counts = |key: &str| key != "schema.time" && is_fixed(key);
    let Some(Difference { key, old, new }) = difference(&table(stored), &table(config), &counts) else {
        return Ok(());
    };
    let expected = format!("{old} as in {}, which training goes on from", from.display());
    Err(Error::config(key, expected, new).with_hint("leave it out, or train a new model on all rows"))
}

/// Whether a key stands below one of the fixed ones, or holds one.
fn is_fixed(key: &str) -> bool {
    let within = |key: &str, other: &str| {
        key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    FIXED.iter().any(|fixed| within(key, fixed) || within(fixed, key))
}
