//! The arguments of Python's functions that stand for configuration keys. The library speaks of keys; people
//! in Python gave arguments.
use dlrm_data::Hint;
use dlrm_data::error::{HintPart, keys_in_text};

/// Keys with the argument that sets them, where that is not the last word of the key.
const ARGUMENTS: [(&str, &str); 38] = [
    ("input.paths", "data"),
    ("input.format", "format"),
    ("input.delimiter", "delimiter"),
    ("input.header", "header"),
    ("input.quote", "quote"),
    ("input.trim", "trim"),
    ("input.columns", "columns"),
    ("data.prepared", "data"),
    ("data.max_bad_rows", "max_bad_rows"),
    ("data.part", "part"),
    ("data.split", "split"),
    ("data.validation", "validation"),
    ("data.test", "test"),
    ("data.loading", "stream"),
    ("data.max_ind_range", "max_ind_range"),
    ("data.reference_compat", "reference_compat"),
    ("schema.label", "label, label_rule or positive"),
    ("schema.label.column", "label"),
    ("schema.label.rule", "label_rule"),
    ("schema.label.positive", "positive"),
    ("schema.crosses", "cross"),
    ("schema.ignore", "ignore"),
    ("schema.categorical", "categorical"),
    ("schema.weight", "weight"),
    ("model.kind", "model"),
    ("train.epochs", "epochs"),
    ("train.max_steps", "max_steps"),
    ("train.batch_size", "batch_size"),
    ("train.seed", "seed"),
    ("train.from", "start_from"),
    ("train.tensorboard", "tensorboard"),
    ("train.keep_optimizer", "keep_optimizer"),
    ("run.folds", "folds"),
    ("run.out", "out"),
    ("run.resume", "resume"),
    ("run.overwrite", "overwrite"),
    ("run.threads", "threads"),
    ("run.memory_limit", "memory_limit"),
];

/// Arguments that take numbers and not texts.
const NUMBERS: [&str; 8] =
    ["max_bad_rows", "max_ind_range", "epochs", "max_steps", "batch_size", "seed", "folds", "threads"];

/// Arguments that are True or not, with the value of the key that they stand for.
const SWITCHES: [(&str, &str); 5] = [
    ("stream", "stream"),
    ("reference_compat", "true"),
    ("overwrite", "true"),
    ("resume", "true"),
    ("keep_optimizer", "true"),
];

/// The argument of a key, else the key.
pub(crate) fn of_key(key: &str) -> &str {
    ARGUMENTS.iter().find(|(known, _)| *known == key).map_or(key, |(_, argument)| argument)
}

/// The argument that sets `key` to `value`; an entry of `settings` where the key has none.
fn setting(key: &str, value: &str) -> String {
    let quoted =
        |value: &str| if value.parse::<f64>().is_ok() { value.to_owned() } else { format!("{value:?}") };
    match ARGUMENTS.iter().find(|(known, _)| *known == key) {
        Some((_, argument)) if SWITCHES.contains(&(*argument, value)) => format!("{argument}=True"),
        Some((_, argument)) if NUMBERS.contains(argument) => format!("{argument}={value}"),
        Some((_, argument)) => format!("{argument}={value:?}"),
        None => format!("settings={{{key:?}: {}}}", quoted(value)),
    }
}

/// A hint for people in Python.
pub(crate) fn of_hint(hint: &Hint) -> String {
    let text = |part: &HintPart| match part {
        HintPart::Words(words) => in_text(words),
        HintPart::Setting { key, value: Some(value) } => setting(key, value),
        HintPart::Setting { key, value: None } => of_key(key).to_owned(),
    };
    hint.parts().iter().map(text).collect()
}

/// `text` with the arguments of those keys of two words or more that stand in it.
pub(crate) fn in_text(text: &str) -> String {
    keys_in_text(text, of_key)
}
