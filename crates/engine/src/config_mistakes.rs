//! Mistakes in the keys and values of a configuration: which key, and what was probably meant.
use crate::error::Error;
use dlrm_data::Hint;
use dlrm_data::error::{nearest, quoted};
use dlrm_data::schema::{toml_error, unknown_key_hint};
use toml::{Table, Value};

/// What people call a key, and its name here.
const OTHER_NAMES: [(&str, &str); 16] = [
    ("learning_rate", "lr"),
    ("rate", "lr"),
    ("eta", "lr"),
    ("batch", "batch_size"),
    ("batchsize", "batch_size"),
    ("epoch", "epochs"),
    ("num_epochs", "epochs"),
    ("n_epochs", "epochs"),
    ("max_epochs", "epochs"),
    ("early_stopping", "patience"),
    ("random_state", "seed"),
    ("dim", "embedding_dim"),
    ("embedding_size", "embedding_dim"),
    ("optim", "optimizer"),
    ("val", "validation"),
    ("valid", "validation"),
];

/// Keys that the default configuration does not show, because they are decided later or are left out.
const FURTHER: [&str; 14] = [
    "train.epochs",
    "train.batch_size",
    "train.patience",
    "train.max_steps",
    "train.clip_norm",
    "train.monitor",
    "train.loss.kind",
    "train.evaluate_every",
    "train.checkpoint_every",
    "data.test",
    "data.validation",
    "data.prepared",
    "input.paths",
    "input.delimiter",
];

/// Where a configuration comes from, and what it may hold.
pub(crate) struct Given<'a> {
    /// How messages call it.
    pub name: &'a str,
    /// `key=value` settings on top of it.
    pub settings: &'a [String],
    /// The default configuration.
    pub defaults: &'a Table,
}

impl Given<'_> {
    /// The error of a configuration that is not what it should be.
    pub(crate) fn explain(&self, error: &toml::de::Error) -> Error {
        let shown = error.to_string();
        let table = shown.lines().rev().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
        let (message, table) = (error.message(), table.unwrap_or(""));
        self.unknown_key(message, table).or_else(|| self.wrong_type(message, table)).unwrap_or_else(|| {
            let name = match self.settings {
                [] => self.name.to_owned(),
                settings => format!("{} with settings {}", self.name, settings.join(" ")),
            };
            Error::of_config(toml_error(&name, error))
        })
    }

    /// Of a key that `table` does not have.
    fn unknown_key(&self, message: &str, table: &str) -> Option<Error> {
        let mut names = message.strip_prefix("unknown field")?.split('`').skip(1).step_by(2);
        let (unknown, known) = (names.next()?, names.collect::<Vec<_>>().join(", "));
        let path = if table.is_empty() { unknown.to_owned() } else { format!("{table}.{unknown}") };
        let place = if table.is_empty() { "the configuration" } else { table };
        let set = self.settings.iter().filter_map(|setting| setting.split_once('='));
        let set = set
            .map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| *key == path || key.starts_with(&format!("{path}.")));
        let key = set.map_or(path.as_str(), |(key, _)| key);
        let hint = match (unknown_key_hint(message), meant(self.defaults, key)) {
            (Some(near), _) if near.starts_with("did you mean") => near.into(),
            (_, Some(meant)) => match set {
                Some((_, value)) => Hint::from("did you mean ").set(meant, value).say("?"),
                None => Hint::from("did you mean ").name(meant).say("?"),
            },
            _ => Hint::from(format!("{place} has {known}")),
        };
        let found = format!("{}, which {place} does not have", quoted(unknown));
        Some(self.error(set.is_some(), key, "a key that is known", found).with_hint(hint))
    }

    /// Of a value of another type than its key's; `place` is the key or the table that it stands in.
    fn wrong_type(&self, message: &str, place: &str) -> Option<Error> {
        let rest =
            message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
        let (found, expected) = rest.rsplit_once(", expected ")?;
        let text = found.split_once(' ').map_or(found, |(_, text)| text).trim_matches(['`', '"']);
        let within = |key: &str| key == place || place.is_empty() || key.starts_with(&format!("{place}."));
        let set = self.settings.iter().filter_map(|setting| setting.split_once('='));
        let set = set
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .find(|(key, value)| within(key) && *value == text);
        let key = set.map_or(place, |(key, _)| key);
        let expected = match expected {
            "usize" | "u64" | "u32" => "a whole number, 0 or more",
            "f64" | "f32" => "a number",
            "a boolean" => "true or false",
            text if text.contains("tagged enum") => "a table with a kind",
            other => other,
        };
        let default = key.split('.').try_fold(self.defaults, |table, part| table.get(part)?.as_table());
        let hint = match at(self.defaults, key) {
            _ if expected == "a number" && dlrm_data::parse::has_decimal_comma(text) => {
                Some(Hint::from("write a decimal point: ").set(key.to_owned(), text.replace(',', ".")))
            }
            Some(Value::Table(_)) if default.is_some_and(|table| table.contains_key("kind")) => {
                Some(Hint::from("did you mean ").set(format!("{key}.kind"), text.to_owned()).say("?"))
            }
            Some(value) => Some(Hint::from("the default is ").set(key.to_owned(), value.to_string())),
            None => None,
        };
        let error = self.error(set.is_some(), key, expected, quoted(text));
        Some(match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }

    /// About `key`, which a setting names or else the file.
    fn error(&self, is_setting: bool, key: &str, expected: &str, found: String) -> Error {
        let what = if is_setting { key.to_owned() } else { format!("{}: {key}", self.name) };
        Error::config(what, expected, found)
    }
}

/// What stands at a dotted key.
fn at<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    let (first, rest) = key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    rest.map_or(Some(value), |rest| at(value.as_table()?, rest))
}

/// The known key, anywhere in the configuration, that `key` was probably meant to be.
fn meant(defaults: &Table, key: &str) -> Option<String> {
    let mut known: Vec<String> = FURTHER.map(str::to_owned).to_vec();
    walk("", defaults, &mut known);
    // Of equals the shorter one: train.optimizer.lr before train.table_optimizer.lr.
    known.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop()?;
    let named = OTHER_NAMES.iter().find(|(other, _)| *other == last).map_or(last, |(_, name)| name);
    let own = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let in_common = |candidate: &String| {
        parts.iter().filter(|&&part| candidate.split('.').any(|other| other == part)).count()
    };
    let best = |wanted: &str| {
        let mut best: Option<&String> = None;
        for candidate in known.iter().filter(|candidate| own(candidate) == wanted) {
            if best.is_none_or(|best| in_common(candidate) > in_common(best)) {
                best = Some(candidate);
            }
        }
        best.cloned()
    };
    let names: Vec<String> = known.iter().map(|key| own(key)).collect();
    best(named)
        .or_else(|| best(nearest(named, names.iter().map(String::as_str))?))
        .filter(|found| found != key)
}

/// Dotted keys of all values.
fn walk(path: &str, table: &Table, known: &mut Vec<String>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => walk(&path, inner, known),
            _ => known.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FURTHER;
    use crate::config::RunConfig;

    fn error(settings: &[&str]) -> (String, String) {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let error = RunConfig::load("", "x", &settings, &mut Vec::new()).unwrap_err();
        (error.to_string(), error.hint().map_or_else(String::new, |hint| hint.to_string()))
    }

    #[test]
    fn keys_of_other_tables_and_names_of_other_programs() {
        for (setting, meant) in [
            ("train.lr=0.1", "train.optimizer.lr = 0.1"),
            ("train.learning_rate=0.1", "train.optimizer.lr = 0.1"),
            ("optimizer.lr=0.1", "train.optimizer.lr = 0.1"),
            ("lr=0.1", "train.optimizer.lr = 0.1"),
            ("table_optimizer.lr=0.1", "train.table_optimizer.lr = 0.1"),
            ("train.batch=32", "train.batch_size = 32"),
            ("epochs=3", "train.epochs = 3"),
            ("train.embedding_dim=8", "model.embedding_dim = 8"),
            ("model.seed=8", "train.seed = 8"),
        ] {
            let (message, hint) = error(&[setting]);
            assert_eq!(hint, format!("did you mean {meant}?"), "{setting}: {message}");
            assert!(message.starts_with(setting.split('=').next().unwrap()), "{message}");
        }
        let (message, hint) = error(&["train.colour=red"]);
        assert!(message.contains("\"colour\", which train does not have"), "{message}");
        assert!(hint.starts_with("train has epochs, "), "{hint}");
        let text = "[train]\nlr = 0.1\n";
        let error = RunConfig::load(text, "my.toml", &[], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("my.toml: train.lr: expected a key that is known"), "{error}");
        assert_eq!(error.hint().unwrap().to_string(), "did you mean train.optimizer.lr?");
    }

    #[test]
    fn further_keys_are_known() {
        for key in FURTHER {
            let loaded = RunConfig::load("", "x", &[format!("{key}=?")], &mut Vec::new());
            let message = loaded.err().map_or_else(String::new, |error| error.to_string());
            assert!(!message.contains("does not have"), "{key}: {message}");
        }
    }

    #[test]
    fn values_of_another_type() {
        for (setting, message, hint) in [
            ("model.embedding_dim=abc", "model.embedding_dim: expected a whole number, 0 or more", "default"),
            ("train.epochs=-1", "train.epochs: expected a whole number, 0 or more, found \"-1\"", ""),
            ("train.optimizer.lr=0,1", "train.optimizer.lr: expected a number", "train.optimizer.lr = 0.1"),
            ("train.optimizer=adam", "train.optimizer: expected a table", "train.optimizer.kind = adam"),
        ] {
            let (found, advice) = error(&[setting]);
            assert!(found.contains(message) && advice.contains(hint), "{setting}: {found} / {advice}");
        }
    }
}
