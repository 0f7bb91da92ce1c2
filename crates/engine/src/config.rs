//! The configuration of a run: typed, complete before work starts, stored resolved with the model.
use crate::error::{Error, Result};
use crate::trainer::TrainConfig;
use dlrm_data::readers::Input;
use dlrm_data::schema::{self, Schema};
use dlrm_data::split::Split;
use dlrm_models::ModelConfig;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
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
    /// How the input is split.
    pub split: Split,
    /// Malformed rows that may be skipped.
    pub max_bad_rows: u64,
    /// Where training rows live.
    pub residence: Residence,
    /// Rows of a shuffled window when streaming.
    pub shuffle_window: usize,
    /// What the model is compared with.
    pub baseline: Baseline,
}

/// Where training rows live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residence {
    /// Encoded in memory; every epoch has a full new order.
    #[default]
    Memory,
    /// Read and encoded again every epoch; shuffled within windows.
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
            split: Split::default(),
            max_bad_rows: 0,
            residence: Residence::default(),
            shuffle_window: 1 << 17,
            baseline: Baseline::default(),
        }
    }
}

impl RunConfig {
    /// Reads a configuration (TOML) and applies `key=value` settings on top.
    ///
    /// # Errors
    /// Malformed text, an unknown key (with the nearest known one), a value of the wrong type.
    pub fn load(text: &str, name: &str, settings: &[String]) -> Result<Self> {
        let mut table: Table = toml::from_str(text).map_err(|e| Error::of_config(schema::toml_error(name, &e)))?;
        for setting in settings {
            set(&mut table, setting)?;
        }
        if let Some(Value::Table(model)) = table.get_mut("model") {
            model.entry("kind").or_insert_with(|| ModelConfig::default().kind().into());
        }
        if let Some(Value::Table(split)) = table.get_mut("data").and_then(|data| data.get_mut("split")) {
            split.entry("kind").or_insert_with(|| "random".into());
        }
        let name = if settings.is_empty() { name.to_owned() } else { format!("{name} with --set {}", settings.join(" ")) };
        let config: RunConfig = Value::Table(table).try_into().map_err(|e| Error::of_config(schema::toml_error(&name, &e)))?;
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
        }
        Ok(())
    }

    /// The input of other files in the same format.
    pub fn input_of(&self, paths: &[PathBuf]) -> Option<Input> {
        (!paths.is_empty()).then(|| Input { paths: paths.to_vec(), ..self.input.clone() })
    }
}

/// Applies one `a.b.c=value`; the value is TOML, or else a string.
fn set(table: &mut Table, setting: &str) -> Result<()> {
    let malformed = || Error::config("--set", "key=value, such as model.embedding_dim=32", format!("\"{setting}\""));
    let (path, value) = setting.split_once('=').ok_or_else(malformed)?;
    let value = value.trim();
    let parsed: Option<Table> = toml::from_str(&format!("x = {value}")).ok();
    let value = parsed.and_then(|mut t| t.remove("x")).unwrap_or_else(|| Value::String(value.to_owned()));
    let (parents, last) = path.trim().rsplit_once('.').map_or((None, path.trim()), |(parents, last)| (Some(parents), last));
    let mut at = table;
    for key in parents.into_iter().flat_map(|p| p.split('.')) {
        let next = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
        at = next.as_table_mut().ok_or_else(malformed)?;
    }
    if last.is_empty() {
        return Err(malformed());
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
        let settings = ["model.embedding_dim=32", "train.optimizer.lr = 0.5", "model.interaction=cat", "data.test=[\"a.csv\"]"];
        let text = "[train.optimizer]\nkind = \"sgd\"\nlr = 0.1\n";
        let config = RunConfig::load(text, "x", &settings.map(str::to_owned)).unwrap();
        assert_eq!(config.train.optimizer.lr(), 0.5);
        assert_eq!(config.data.test, [PathBuf::from("a.csv")]);
        let split = RunConfig::load("", "x", &["data.split.validation=0.2".to_owned()]).unwrap().data.split;
        assert_eq!(split, Split::Random { validation: 0.2, test: 0.1, seed: 0 });
        let ModelConfig::Dlrm(model) = config.model else { panic!("{:?}", config.model) };
        assert_eq!((model.embedding_dim, model.interaction), (32, dlrm_models::Interaction::Cat));
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
