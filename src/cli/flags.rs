//! The flags that stand for configuration keys. The library speaks of keys; people at a terminal gave flags.
use dlrm::data::Hint;
use dlrm::data::error::{HintPart, keys_in_text};

/// Keys with the flag that sets them.
const FLAGS: [(&str, &str); 39] = [
    ("input.format", "--format"),
    ("input.delimiter", "--delimiter"),
    ("input.header", "--header"),
    ("input.quote", "--quote"),
    ("input.trim", "--trim"),
    ("input.columns", "--columns"),
    ("data.prepared", "--data-dir"),
    ("data.max_bad_rows", "--max-bad-rows"),
    ("data.part", "--part"),
    ("data.split", "--split"),
    ("data.validation", "--validation"),
    ("data.test", "--test"),
    ("data.loading", "--stream"),
    ("data.max_ind_range", "--max-ind-range"),
    ("data.reference_compat", "--reference-compat"),
    ("schema", "--schema"),
    ("schema.label", "--label, --label-rule or --positive"),
    ("schema.label.column", "--label"),
    ("schema.label.rule", "--label-rule"),
    ("schema.label.positive", "--positive"),
    ("schema.crosses", "--cross"),
    ("schema.ignore", "--ignore"),
    ("schema.categorical", "--categorical"),
    ("schema.weight", "--weight"),
    ("model.kind", "--model"),
    ("models", "--models"),
    ("config", "--config"),
    ("train.from", "--from"),
    ("train.keep_optimizer", "--keep-optimizer"),
    ("settings", "--set"),
    ("fetch.from", "--from"),
    ("fetch.url", "--url"),
    ("run.folds", "--folds"),
    ("run.out", "-o"),
    ("run.resume", "--resume"),
    ("run.overwrite", "--overwrite"),
    ("run.threads", "--threads"),
    ("run.isa", "--isa"),
    ("run.memory_limit", "--memory-limit"),
];

/// Flags without a value, with the value that they stand for.
const SWITCHES: [(&str, &str); 5] = [
    ("--stream", "stream"),
    ("--reference-compat", "true"),
    ("--overwrite", "true"),
    ("--resume", "true"),
    ("--keep-optimizer", "true"),
];

/// The flag of a key, else the key.
pub(super) fn of_key(key: &str) -> &str {
    FLAGS.iter().find(|(known, _)| *known == key).map_or(key, |(_, flag)| flag)
}

/// `text` with the flags of those keys of two words or more that stand in it.
pub(super) fn in_text(text: &str) -> String {
    keys_in_text(text, of_key)
}

/// The flag that sets `key` to `value`; `--set` where the key has none.
fn setting(key: &str, value: &str) -> String {
    let special = |c: char| c.is_whitespace() || "|&;<>*?'()".contains(c);
    let quoted = |text: String| if text.contains(special) { format!("\"{text}\"") } else { text };
    match FLAGS.iter().find(|(known, _)| *known == key) {
        Some((_, flag)) if SWITCHES.contains(&(*flag, value)) => (*flag).to_owned(),
        Some((_, flag)) => format!("{flag} {}", quoted(value.to_owned())),
        None => format!("--set {}", quoted(format!("{key}={value}"))),
    }
}

/// A hint for people at a terminal.
pub(super) fn of_hint(hint: &Hint) -> String {
    let text = |part: &HintPart| match part {
        HintPart::Words(words) => in_text(words),
        HintPart::Setting { key, value: Some(value) } => setting(key, value),
        HintPart::Setting { key, value: None } => of_key(key).to_owned(),
    };
    hint.parts().iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_flags_and_nothing_else_does() {
        assert_eq!((of_key("schema"), of_key("train.lr")), ("--schema", "train.lr"));
        let text = "raise data.max_bad_rows, or set data.split.kind; see data.test.";
        assert_eq!(in_text(text), "raise --max-bad-rows, or set data.split.kind; see --test.");
        for plain in ["out of schema models", "a ... b", "x.csv:3:2", "set data.split = 3", "", "…é."] {
            assert_eq!(in_text(plain), plain);
        }
    }
    #[test]
    fn hints_speak_of_flags() {
        let hint = Hint::from("say so (").set("schema.label.rule", "rating >= 4").say(") or ");
        let hint = hint.name("schema.label.positive").say(" or ").set("data.loading", "stream").say(" or ");
        let hint = hint.set("model.interaction", "cat").say(" or ").name("run.overwrite");
        let expected = "say so (--label-rule \"rating >= 4\") or --positive or --stream or \
                        --set model.interaction=cat or --overwrite";
        assert_eq!(of_hint(&hint), expected);
    }
}
