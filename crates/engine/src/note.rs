//! What is noticed while a run is resolved.
use std::fmt;

/// Something that a person should know of a run before it starts, and that changes nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    is_decision: bool,
}

impl Note {
    /// A warning: a sentence for people.
    pub fn new(text: impl Into<String>) -> Self {
        Note { text: text.into(), is_decision: false }
    }

    /// What was decided where nothing was said, and is probably right.
    pub fn decision(text: impl Into<String>) -> Self {
        Note { text: text.into(), is_decision: true }
    }

    /// Whether it is a decision, and no warning.
    pub fn is_decision(&self) -> bool {
        self.is_decision
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
