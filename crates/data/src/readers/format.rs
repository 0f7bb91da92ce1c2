//! How files are written, and the details of delimited text.
use crate::error::{Error, Result, nearest};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Detected from the first file.
    #[default]
    Auto,
    /// Delimited text, by commas or otherwise.
    Csv,
    /// Delimited text, by tabs.
    Tsv,
    /// The click logs of Criteo (Kaggle, Terabyte): label, 13 integers, 26 hexadecimal categories.
    Criteo,
    /// Ratings of MovieLens 100K, 1M, 10M or later, joined with users and movies.
    Movielens,
    /// Interactions and candidates for ranking: `user item rating`, `(user,item) other other …`.
    Ncf,
    /// `label index:value …`.
    Libsvm,
    /// `label field:index:value …`.
    Libffm,
    /// JSON lines: an object in each line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All formats with their names.
    pub const ALL: [(&'static str, Format); 10] = [
        ("auto", Format::Auto),
        ("csv", Format::Csv),
        ("tsv", Format::Tsv),
        ("criteo", Format::Criteo),
        ("movielens", Format::Movielens),
        ("ncf", Format::Ncf),
        ("libsvm", Format::Libsvm),
        ("libffm", Format::Libffm),
        ("jsonl", Format::Jsonl),
        ("parquet", Format::Parquet),
    ];

    /// Its name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("auto", |(name, _)| name)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The same by its other name.
        let text = if text == "ndjson" { "jsonl" } else { text };
        if let Some((_, format)) = Self::ALL.iter().find(|(name, _)| *name == text) {
            return Ok(*format);
        }
        let names = Self::ALL.map(|(name, _)| name);
        let hint = nearest(text, names).map_or("leave it out to have it detected".to_owned(), |near| {
            format!("did you mean \"{near}\"?")
        });
        Err(Error::input("format", format!("one of {}", names.join(", ")), format!("\"{text}\""))
            .with_hint(hint))
    }
}

/// Around fields that hold delimiters or line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quote {
    /// `"`, doubled within a field.
    Double,
    /// Nothing: `"` is an ordinary character.
    None,
}

/// Whether the first record names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// It does.
    Present,
    /// It is a row like the others.
    Absent,
}

/// What happens to blanks around fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trim {
    /// They belong to the fields.
    None,
    /// Blanks and tabs are dropped, except within quotes.
    Blanks,
}
