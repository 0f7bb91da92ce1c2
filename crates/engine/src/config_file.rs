//! Configurations as text: TOML files that extend one another, settings on top, keys of earlier versions.
use crate::config::RunConfig;
use crate::config_mistakes::Given;
use crate::error::{Error, Result};
use crate::note::Note;
use crate::own_files;
use dlrm_data::schema;
use dlrm_models::ModelConfig;
use std::path::Path;
use toml::{Table, Value};

impl RunConfig {
    /// Reads a configuration (TOML) and applies `key=value` settings on top. Keys of earlier versions are
    /// taken under their new names, and a note says so.
    ///
    /// # Errors
    /// Malformed text, an unknown key (with the nearest known one), a value of the wrong type.
    pub fn load(text: &str, name: &str, settings: &[String], notes: &mut Vec<Note>) -> Result<Self> {
        let table: Table = toml::from_str(text).map_err(|e| no_toml(name, &e))?;
        Self::of_table(table, name, settings, notes)
    }

    /// Reads the complete configuration of a model or of an unfinished run. What earlier versions had not,
    /// it means to be off.
    ///
    /// # Errors
    /// As [`RunConfig::load`].
    pub(crate) fn load_stored(text: &str, name: &str, notes: &mut Vec<Note>) -> Result<Self> {
        let mut table: Table = toml::from_str(text).map_err(|e| no_toml(name, &e))?;
        if let Some(Value::Table(model)) = table.get_mut("model")
            && model.get("kind").and_then(Value::as_str) == Some("dlrm")
        {
            model.entry("first_order").or_insert(false.into());
        }
        if let Some(Value::Table(train)) = table.get_mut("train") {
            for key in ["output_bias", "linear_start"] {
                train.entry(key).or_insert_with(|| "model".into());
            }
        }
        Self::of_table(table, name, &[], notes)
    }

    /// Reads a configuration file. Its `extends = "other.toml"` names a file beside it whose keys it starts
    /// from.
    ///
    /// # Errors
    /// As [`RunConfig::load`], or if a file cannot be read or extends itself.
    pub fn read(path: &Path, settings: &[String], notes: &mut Vec<Note>) -> Result<Self> {
        if own_files::was_changed(path) {
            notes.push(Note::new(format!("{} was changed since dlrm wrote it", path.display())));
        }
        Self::of_table(read_table(path, MOST_EXTENSIONS)?, &path.display().to_string(), settings, notes)
    }

    /// The keys of a configuration file, with those of the files that it extends.
    ///
    /// # Errors
    /// If one cannot be read or extends itself.
    pub(crate) fn table_of_file(path: &Path) -> Result<Table> {
        read_table(path, MOST_EXTENSIONS)
    }

    /// This configuration with the keys of a file and with `settings` on top.
    ///
    /// # Errors
    /// As [`RunConfig::load`].
    pub(crate) fn with_on_top(&self, mut over: Table, settings: &[String]) -> Result<Self> {
        // Under their present names, for those are the ones that stand below.
        rename_old_keys(&mut over, "the configuration", &mut Vec::new())?;
        let mut table = Table::try_from(self).expect("a configuration is plain data");
        merge(&mut table, over);
        let settings: Vec<String> = settings.iter().map(|setting| renamed(setting)).collect();
        Self::of_table(table, "the configuration", &settings, &mut Vec::new())
    }

    fn of_table(mut table: Table, name: &str, settings: &[String], notes: &mut Vec<Note>) -> Result<Self> {
        let defaults = Table::try_from(RunConfig::default()).expect("a configuration is plain data");
        for setting in settings {
            set(&mut table, &defaults, setting)?;
        }
        rename_old_keys(&mut table, name, notes)?;
        if let Some(Value::Table(model)) = table.get_mut("model") {
            model.entry("kind").or_insert_with(|| ModelConfig::default().kind().into());
        }
        if let Some(Value::Table(split)) = table.get_mut("data").and_then(|data| data.get_mut("split")) {
            split.entry("kind").or_insert_with(|| "random".into());
        }
        let given = Given { name, settings, defaults: &defaults };
        let config: RunConfig = Value::Table(table).try_into().map_err(|e| given.explain(&e))?;
        if let Some(schema) = &config.schema {
            schema.check("schema").map_err(Error::of_config)?;
        }
        Ok(config)
    }
}

/// Of a text that is no TOML.
fn no_toml(name: &str, error: &toml::de::Error) -> Error {
    Error::of_config(schema::toml_error(name, error)).with_hint(
        "a configuration is TOML, such as `[train]` and `epochs = 3` in a line of its own; a table of rows \
         is named without a flag",
    )
}

/// Keys of earlier versions: the table that they stand in, the old name, the new one.
const RENAMED: [(&str, &str, &str); 2] =
    [("data", "residence", "loading"), ("data", "negative_share", "negative_downsampling_rate")];

fn rename_old_keys(table: &mut Table, file: &str, notes: &mut Vec<Note>) -> Result<()> {
    for (parent, old, new) in RENAMED {
        let Some(Value::Table(own)) = table.get_mut(parent) else { continue };
        let Some(value) = own.remove(old) else { continue };
        if own.contains_key(new) {
            let error =
                Error::config(format!("{file}: {parent}.{old}"), format!("{parent}.{new} alone"), "both");
            return Err(error
                .with_hint(format!("{parent}.{old} is the earlier name of {parent}.{new}: leave it out")));
        }
        own.insert(new.to_owned(), value);
        notes.push(Note::new(format!(
            "{file}: {parent}.{old} is called {parent}.{new} now; it was read as that"
        )));
    }
    Ok(())
}

/// A setting under the present name of its key.
fn renamed(setting: &str) -> String {
    let old = RENAMED.iter().find_map(|(parent, old, new)| {
        let value = setting.trim_start().strip_prefix(&format!("{parent}.{old}"))?;
        value.trim_start().starts_with('=').then(|| format!("{parent}.{new}{value}"))
    });
    old.unwrap_or_else(|| setting.to_owned())
}

/// Files that may extend one another in a row.
const MOST_EXTENSIONS: usize = 8;

fn read_table(path: &Path, left: usize) -> Result<Table> {
    let text = dlrm_data::text::read(path).map_err(Error::of_config)?;
    let name = path.display().to_string();
    let mut table: Table = toml::from_str(&text).map_err(|e| no_toml(&name, &e))?;
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

/// Puts `over` on top: tables are merged, other values replaced. A table of another `kind` is another thing
/// and replaced too.
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

/// Applies one `a.b.c=value`; the value is TOML, or else a string. A table that is not there yet starts as
/// the default one, so that one key of it can be changed; another
/// `kind` keeps of it only the learning rate, since the rest may mean nothing there.
fn set(table: &mut Table, defaults: &Table, setting: &str) -> Result<()> {
    let malformed =
        || Error::config("settings", "key=value, such as model.embedding_dim=32", format!("\"{setting}\""));
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
    if last == "kind" && at.get("kind").or(default.and_then(|d| d.get("kind"))) != Some(&value) {
        at.retain(|key, _| key == "lr");
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::split::Split;
    use std::path::PathBuf;

    #[test]
    fn stored_configurations_of_earlier_versions_mean_what_they_did() {
        let earlier = "[model]\nkind = \"dlrm\"\nembedding_dim = 4\n[train]\nepochs = 3\n";
        let loaded = RunConfig::load_stored(earlier, "config.toml", &mut Vec::new()).unwrap();
        let stated = "[model]\nkind = \"dlrm\"\nembedding_dim = 4\nfirst_order = false\n[train]\nepochs = 3\n\
            output_bias = \"model\"\nlinear_start = \"model\"\n";
        assert_eq!(loaded, RunConfig::load(stated, "x", &[], &mut Vec::new()).unwrap());
        let now = RunConfig::default();
        assert_eq!(RunConfig::load_stored(&now.to_toml(), "x", &mut Vec::new()).unwrap(), now);
    }

    #[test]
    fn the_default_survives_a_round_trip() {
        let config = RunConfig::default();
        assert_eq!(RunConfig::load(&config.to_toml(), "x", &[], &mut Vec::new()).unwrap(), config);
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
        let config = RunConfig::load(text, "x", &settings.map(str::to_owned), &mut Vec::new()).unwrap();
        assert_eq!(config.train.optimizer.lr(), 0.5);
        assert_eq!(config.data.test, [PathBuf::from("a.csv")]);
        let settings = [
            "train.optimizer.lr=0.5",
            "train.table_optimizer.kind=rowwise_adagrad",
            "data.split.validation=0.2",
            "model.kind=fm",
        ];
        let changed = RunConfig::load(
            "[model]\nkind = \"dlrm\"\ntop = [3]\n",
            "x",
            &settings.map(str::to_owned),
            &mut Vec::new(),
        )
        .unwrap();
        assert_eq!(
            (changed.train.optimizer.lr(), changed.train.table_optimizer.lr(), changed.model.kind()),
            (0.5, 0.05, "fm")
        );
        let split = RunConfig::load("", "x", &["data.split.validation=0.2".to_owned()], &mut Vec::new())
            .unwrap()
            .data
            .split;
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
            "[train]\nepochs = 3\nbatch_size = 7\noptimizer = { kind = \"sgd\", lr = 0.1 }\n[model]\nkind = \
                \"lr\"\n",
        );
        write(
            "more.toml",
            "extends = \"base.toml\"\n[train]\nepochs = 5\noptimizer = { kind = \"adam\", lr = 0.2 \
                }\n[model]\nkind = \"fm\"\nembedding_dim = 4\n",
        );
        let config =
            RunConfig::read(&dir.path().join("more.toml"), &["train.seed=9".into()], &mut Vec::new())
                .unwrap();
        assert_eq!((config.train.epochs, config.train.batch_size, config.train.seed), (Some(5), Some(7), 9));
        assert_eq!((config.train.optimizer.lr(), config.model.kind()), (0.2, "fm"));
        write("circle.toml", "extends = \"circle.toml\"\n");
        let error = RunConfig::read(&dir.path().join("circle.toml"), &[], &mut Vec::new()).unwrap_err();
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
            let error = RunConfig::load("", "x", &[setting.to_owned()], &mut Vec::new()).unwrap_err();
            assert!(
                error.hint().is_some_and(|h| h.to_string().contains(hint)),
                "{setting}: {error} {:?}",
                error.hint()
            );
        }
        for malformed in ["embedding_dim", "=3", "model.=3"] {
            assert!(
                RunConfig::load("", "x", &[malformed.to_owned()], &mut Vec::new()).is_err(),
                "{malformed}"
            );
        }
    }

    #[test]
    fn keys_of_earlier_versions_are_read_and_named() {
        let text = "[data]\nresidence = \"stream\"\nnegative_share = 0.25\n";
        let mut notes = Vec::new();
        let config = RunConfig::load(text, "old.toml", &[], &mut notes).unwrap();
        assert_eq!(config.data.loading, crate::config::Loading::Stream);
        assert_eq!(config.data.negative_downsampling_rate, 0.25);
        let notes: Vec<String> = notes.iter().map(Note::to_string).collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("old.toml: data.residence is called data.loading now"), "{notes:?}");
        let both = "[data]\nresidence = \"stream\"\nloading = \"memory\"\n";
        let error = RunConfig::load(both, "x", &[], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("found both"), "{error}");
        let set = ["data.negative_share=0.5".to_owned()];
        assert_eq!(
            RunConfig::load("", "x", &set, &mut Vec::new()).unwrap().data.negative_downsampling_rate,
            0.5
        );
    }
}
