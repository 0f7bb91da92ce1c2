//! What a person can do about an error.
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// What to do about an error: plain advice, and the settings that it speaks of by their configuration keys.
///
/// A front end shows a setting the way its users write it (the command line as a flag); [`fmt::Display`]
/// writes
/// `key = value`. A stored hint is that text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct Hint {
    parts: Vec<HintPart>,
}

/// A piece of a [`Hint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HintPart {
    /// Plain advice.
    Words(Cow<'static, str>),
    /// A setting to change.
    Setting {
        /// Its configuration key, e.g. `data.max_bad_rows`.
        key: Cow<'static, str>,
        /// What to set it to; `None` where the hint only names it.
        value: Option<String>,
    },
}

impl Hint {
    /// A hint that begins with the setting `key = value`.
    pub fn setting(key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Hint::default().set(key, value)
    }

    /// Appends words.
    #[must_use]
    pub fn say(mut self, words: impl Into<Cow<'static, str>>) -> Self {
        self.parts.push(HintPart::Words(words.into()));
        self
    }

    /// Appends the setting `key = value`.
    #[must_use]
    pub fn set(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.parts.push(HintPart::Setting { key: key.into(), value: Some(value.into()) });
        self
    }

    /// Appends the name of a setting.
    #[must_use]
    pub fn name(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.parts.push(HintPart::Setting { key: key.into(), value: None });
        self
    }

    /// Appends another hint.
    #[must_use]
    pub fn join(mut self, other: Hint) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// Words and settings, in order.
    pub fn parts(&self) -> &[HintPart] {
        &self.parts
    }

    /// The hint as a text in which `setting` writes each key with its value.
    pub fn to_text(&self, setting: impl Fn(&str, Option<&str>) -> String) -> String {
        let text = |part: &HintPart| match part {
            HintPart::Words(words) => words.clone().into_owned(),
            HintPart::Setting { key, value } => setting(key, value.as_deref()),
        };
        self.parts.iter().map(text).collect()
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Self {
        Hint::default().say(words)
    }
}

impl From<&'static str> for Hint {
    fn from(words: &'static str) -> Self {
        Hint::default().say(words)
    }
}

impl From<Hint> for String {
    fn from(hint: Hint) -> Self {
        hint.to_string()
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(|key, value| match value {
            Some(value) => format!("{key} = {value}"),
            None => key.to_owned(),
        }))
    }
}

/// `text` with those configuration keys of two words or more that stand in it written as `of_key` says.
pub fn keys_in_text<'t>(text: &'t str, of_key: impl Fn(&'t str) -> &'t str) -> String {
    let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_key) {
        let (before, from) = rest.split_at(start);
        let word = &from[..from.find(|c| !is_key(c)).unwrap_or(from.len())];
        let key = word.trim_end_matches('.');
        shown.push_str(before);
        // A setting `key = value` is written as such; a single word is an ordinary one.
        let set = from[key.len()..].trim_start().starts_with('=');
        shown.push_str(if key.contains('.') && !set { of_key(key) } else { key });
        rest = &from[key.len()..];
        if key.is_empty() {
            shown.push_str(word);
            rest = &from[word.len()..];
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_the_reader_writes_them() {
        let hint = Hint::from("mend them, or skip them with ").set("data.max_bad_rows", "9").say("; see ");
        let hint = hint.name("input.header");
        assert_eq!(hint.to_string(), "mend them, or skip them with data.max_bad_rows = 9; see input.header");
        let flag = |key: &str, value: Option<&str>| format!("--{key}{}", value.map_or("", |_| " N"));
        assert_eq!(
            hint.to_text(flag),
            "mend them, or skip them with --data.max_bad_rows N; see --input.header"
        );
        let stored = serde_json::to_string(&hint).expect("plain data");
        let read: Hint = serde_json::from_str(&stored).expect("a text");
        assert_eq!(read.to_string(), hint.to_string());
    }
}
