//! The configuration of a run: typed, complete before work starts, stored resolved with the model.
use crate::error::{Error, Result};
use crate::trainer::TrainConfig;
use dlrm_data::negatives::Negatives;
use dlrm_data::readers::Input;
use dlrm_data::schema::{self, Schema, Task};
use dlrm_data::split::Split;
use dlrm_models::ModelConfig;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Everything that decides a run's result. (The number of threads does not.)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
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
    /// Where training rows live.
    pub residence: Residence,
    /// Rows of a shuffled window when streaming.
    pub shuffle_window: usize,
    /// Whether streamed rows are kept encoded beside the checkpoints, from the first epoch to the end of the run, so that later
    /// epochs parse nothing. No result depends on it.
    pub cache: bool,
    /// What the model is compared with.
    pub baseline: Baseline,
    /// Share of the negative training rows that are trained on. Scores are corrected for it, so probabilities stay those of all rows.
    pub negative_share: f64,
    /// Values of vocabularies are hexadecimal integers, as Criteo's are, and taken modulo this (the reference's
    /// `--max-ind-range`): tables have that many values at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ind_range: Option<u32>,
    /// Ids and numbers as the reference implementation's preprocessing of Criteo's files makes them, so that its checkpoints line
    /// up. Its dictionary knows the rows to validate and to test, so results are not those of new rows.
    pub reference_compat: bool,
    /// Negatives drawn beside every positive training row, for implicit feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negatives: Option<Negatives>,
}

/// Where training rows live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residence {
    /// Encoded in memory; every epoch has a full new order.
    #[default]
    Memory,
    /// Read and encoded in the first epoch, and again in every other one that finds no cache; shuffled within windows.
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
            residence: Residence::default(),
            shuffle_window: 1 << 17,
            cache: true,
            baseline: Baseline::default(),
            negative_share: 1.0,
            max_ind_range: None,
            reference_compat: false,
            negatives: None,
        }
    }
}

impl RunConfig {
    /// Reads a configuration (TOML) and applies `key=value` settings on top.
    ///
    /// # Errors
    /// Malformed text, an unknown key (with the nearest known one), a value of the wrong type.
    pub fn load(text: &str, name: &str, settings: &[String]) -> Result<Self> {
        let table: Table =
            toml::from_str(text).map_err(|e| Error::of_config(schema::toml_error(name, &e)))?;
        Self::of_table(table, name, settings)
    }

    /// Reads a configuration file. Its `extends = "other.toml"` names a file beside it whose keys it starts from.
    ///
    /// # Errors
    /// As [`RunConfig::load`], or if a file cannot be read or extends itself.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        Self::of_table(read_table(path, MOST_EXTENSIONS)?, &path.display().to_string(), settings)
    }

    fn of_table(mut table: Table, name: &str, settings: &[String]) -> Result<Self> {
        let defaults = Table::try_from(RunConfig::default()).expect("a configuration is plain data");
        for setting in settings {
            set(&mut table, &defaults, setting)?;
        }
        if let Some(Value::Table(model)) = table.get_mut("model") {
            model.entry("kind").or_insert_with(|| ModelConfig::default().kind().into());
        }
        if let Some(Value::Table(split)) = table.get_mut("data").and_then(|data| data.get_mut("split")) {
            split.entry("kind").or_insert_with(|| "random".into());
        }
        let name = if settings.is_empty() {
            name.to_owned()
        } else {
            format!("{name} with --set {}", settings.join(" "))
        };
        let config: RunConfig =
            Value::Table(table).try_into().map_err(|e| Error::of_config(schema::toml_error(&name, &e)))?;
        if let Some(schema) = &config.schema {
            schema.check("schema").map_err(Error::of_config)?;
        }
        Ok(config)
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
        }
        Ok(())
    }

    fn check_negatives(&self, task: Task) -> Result<()> {
        let share = self.data.negative_share;
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::config(
                "data.negative_share",
                "a share above 0, at most 1",
                share.to_string(),
            ));
        }
        if share < 1.0 && (task == Task::Rating || self.data.negatives.is_some()) {
            let found = if task == Task::Rating { "ratings" } else { "drawn negatives" };
            let error =
                Error::config("data.negative_share", "1, or clicks of which some are negative", found);
            return Err(error.with_hint("leave data.negative_share out"));
        }
        let Some(negatives) = &self.data.negatives else { return Ok(()) };
        if task == Task::Rating {
            let error = Error::config("data.negatives", "a binary label", "ratings");
            return Err(error.with_hint("say what counts as taken: --label-rule \"rating > 0\""));
        }
        if negatives.per_positive == 0 {
            return Err(Error::config("data.negatives.per_positive", "at least 1", "0"));
        }
        if self.data.residence == Residence::Stream {
            let error = Error::config("data.negatives", "training rows in memory", "--stream");
            return Err(
                error.with_hint("what a user took is looked up in all training rows: leave out --stream")
            );
        }
        Ok(())
    }

    /// The input of other files in the same format.
    pub fn input_of(&self, paths: &[PathBuf]) -> Option<Input> {
        (!paths.is_empty()).then(|| Input { paths: paths.to_vec(), ..self.input.clone() })
    }
}

/// Files that may extend one another in a row.
const MOST_EXTENSIONS: usize = 8;

fn read_table(path: &Path, left: usize) -> Result<Table> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let name = path.display().to_string();
    let mut table: Table =
        toml::from_str(&text).map_err(|e| Error::of_config(schema::toml_error(&name, &e)))?;
    let Some(base) = table.remove("extends") else { return Ok(table) };
    let Value::String(base) = &base else {
        return Err(Error::config(format!("{name}: extends"), "the name of a file", base.to_string()));
    };
    if left == 0 {
        return Err(Error::config(
            format!("{name}: extends"),
            "files that do not extend themselves",
            format!("a circle at \"{base}\""),
        ));
    }
    let mut whole = read_table(&path.parent().unwrap_or(Path::new("")).join(base), left - 1)?;
    merge(&mut whole, table);
    Ok(whole)
}

/// Puts `over` on top: tables are merged, other values replaced. A table of another `kind` is another thing and replaced too.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(own)), Value::Table(more))
                if more.get("kind").is_none_or(|kind| own.get("kind") == Some(kind)) =>
            {
                merge(own, more);
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Applies one `a.b.c=value`; the value is TOML, or else a string.
/// A table that is not there yet starts as the default one, so that one key of it can be changed; another `kind` keeps of it
/// only the learning rate, since the rest may mean nothing there.
fn set(table: &mut Table, defaults: &Table, setting: &str) -> Result<()> {
    let malformed =
        || Error::config("--set", "key=value, such as model.embedding_dim=32", format!("\"{setting}\""));
    let (path, value) = setting.split_once('=').ok_or_else(malformed)?;
    let value = value.trim();
    let parsed: Option<Table> = toml::from_str(&format!("x = {value}")).ok();
    let value = parsed.and_then(|mut t| t.remove("x")).unwrap_or_else(|| Value::String(value.to_owned()));
    let (parents, last) =
        path.trim().rsplit_once('.').map_or((None, path.trim()), |(parents, last)| (Some(parents), last));
    let (mut at, mut default) = (table, Some(defaults));
    for key in parents.into_iter().flat_map(|p| p.split('.')) {
        default = default.and_then(|d| d.get(key)).and_then(Value::as_table);
        let start = || default.filter(|d| d.contains_key("kind")).cloned().unwrap_or_default();
        let next = at.entry(key).or_insert_with(|| Value::Table(start()));
        at = next.as_table_mut().ok_or_else(malformed)?;
    }
    if last.is_empty() {
        return Err(malformed());
    }
    if last == "kind" && at.get("kind") != Some(&value) {
        at.retain(|key, _| key == "lr");
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_survives_a_round_trip() {
        let config = RunConfig::default();
        assert_eq!(RunConfig::load(&config.to_toml(), "x", &[]).unwrap(), config);
    }

    #[test]
    fn settings_reach_any_depth() {
        let settings = [
            "model.embedding_dim=32",
            "train.optimizer.lr = 0.5",
            "model.interaction=cat",
            "data.test=[\"a.csv\"]",
        ];
        let text = "[train.optimizer]\nkind = \"sgd\"\nlr = 0.1\n";
        let config = RunConfig::load(text, "x", &settings.map(str::to_owned)).unwrap();
        assert_eq!(config.train.optimizer.lr(), 0.5);
        assert_eq!(config.data.test, [PathBuf::from("a.csv")]);
        let settings = [
            "train.optimizer.lr=0.5",
            "train.table_optimizer.kind=rowwise_adagrad",
            "data.split.validation=0.2",
            "model.kind=fm",
        ];
        let changed =
            RunConfig::load("[model]\nkind = \"dlrm\"\ntop = [3]\n", "x", &settings.map(str::to_owned))
                .unwrap();
        assert_eq!(
            (changed.train.optimizer.lr(), changed.train.table_optimizer.lr(), changed.model.kind()),
            (0.5, 0.05, "fm")
        );
        let split = RunConfig::load("", "x", &["data.split.validation=0.2".to_owned()]).unwrap().data.split;
        assert_eq!(split, Split::Random { validation: 0.2, test: 0.1, seed: 0 });
        let ModelConfig::Dlrm(model) = config.model else { panic!("{:?}", config.model) };
        assert_eq!((model.embedding_dim, model.interaction), (32, dlrm_models::Interaction::Cat));
    }

    #[test]
    fn a_file_extends_another() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "base.toml",
            "[train]\nepochs = 3\nbatch_size = 7\noptimizer = { kind = \"sgd\", lr = 0.1 }\n[model]\nkind = \"lr\"\n",
        );
        write(
            "more.toml",
            "extends = \"base.toml\"\n[train]\nepochs = 5\noptimizer = { kind = \"adam\", lr = 0.2 }\n[model]\nkind = \"fm\"\nembedding_dim = 4\n",
        );
        let config = RunConfig::read(&dir.path().join("more.toml"), &["train.seed=9".into()]).unwrap();
        assert_eq!((config.train.epochs, config.train.batch_size, config.train.seed), (5, 7, 9));
        assert_eq!((config.train.optimizer.lr(), config.model.kind()), (0.2, "fm"));
        write("circle.toml", "extends = \"circle.toml\"\n");
        let error = RunConfig::read(&dir.path().join("circle.toml"), &[]).unwrap_err();
        assert!(error.to_string().contains("circle"), "{error}");
    }

    #[test]
    fn mistakes_get_the_nearest_key() {
        for (setting, hint) in [
            ("model.embeding_dim=32", "embedding_dim"),
            ("train.epoch=3", "epochs"),
            ("modle.kind=lr", "model"),
            ("model.kind=dlrn", "dlrm"),
            ("data.split.kind=randm", "random"),
        ] {
            let error = RunConfig::load("", "x", &[setting.to_owned()]).unwrap_err();
            assert!(error.hint().is_some_and(|h| h.contains(hint)), "{setting}: {error} {:?}", error.hint());
        }
        for malformed in ["embedding_dim", "=3", "model.=3"] {
            assert!(RunConfig::load("", "x", &[malformed.to_owned()]).is_err(), "{malformed}");
        }
    }
}
