//! The model that training goes on from, as a configuration names it.
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The model that training goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    /// Its run or model directory.
    pub model: PathBuf,
    /// Its [`id`](crate::saved::Manifest::id), once it is known: no other model may then be in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}
