//! Under which keys a server holds what.
//!
//! | key | value |
//! |---|---|
//! | `dlrm:features` | a hash: `users`, `items` or `seen` to a [`Description`] as JSON |
//! | `dlrm:users:GENERATION:KEY`, `dlrm:items:GENERATION:KEY` | the fields of a row, a JSON list of texts |
//! | `dlrm:seen:GENERATION:KEY` | the set of the keys of items that a user has had |
//! | `dlrm:generation` | the number of loads so far; no generation comes twice |
//! | `dlrm:loading` | the generation that is being loaded; goes by itself if its process dies |
use crate::error::{Error, Result};
use crate::store::{Table, TableName};
use serde::{Deserialize, Serialize};

pub(crate) const FEATURES: &str = "dlrm:features";
pub(crate) const GENERATION: &str = "dlrm:generation";
pub(crate) const LOADING: &str = "dlrm:loading";

/// What a table is, and under which keys its rows lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// The load that is read.
    pub generation: u64,
    /// Rows, or users of those that were seen.
    pub rows: u64,
    /// Key and columns.
    #[serde(flatten)]
    pub table: Table,
}

impl Description {
    /// Reads what `dlrm:features` of the server `store` says of a table.
    pub(crate) fn parse(text: &str, name: TableName, store: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            let what = format!("{store}, key {FEATURES}, field {}", name.as_str());
            Error::content(what, "generation, rows, key and columns as JSON", error.to_string())
        })
    }
}

/// What the keys of all generations of a table begin with.
pub(crate) fn prefix(name: TableName) -> String {
    format!("dlrm:{}:", name.as_str())
}

/// The key of a row.
pub(crate) fn row(name: TableName, generation: u64, key: &str) -> String {
    format!("dlrm:{}:{generation}:{key}", name.as_str())
}

/// The generation of the key of a row.
pub(crate) fn generation(name: TableName, key: &str) -> Option<u64> {
    key.strip_prefix(&prefix(name))?.split_once(':')?.0.parse().ok()
}
