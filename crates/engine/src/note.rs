//! What is noticed while a run is resolved.
use std::fmt;

/// Something that a person should know of a run before it starts, and that changes nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    /// Of a sentence for people.
    pub fn new(text: impl Into<String>) -> Self {
        Note(text.into())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
