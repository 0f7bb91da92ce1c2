//! Which rows are stored with a model, to be scored again when it is loaded.
use serde::{Deserialize, Serialize};

/// The file of the rows, and what messages call them.
pub(crate) const NAME: &str = "golden.json";

/// Which rows are stored with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GoldenConfig {
    /// Where they come from.
    pub rows: GoldenRows,
}

impl GoldenConfig {
    pub(crate) fn is_default(&self) -> bool {
        *self == GoldenConfig::default()
    }
}

/// Where the rows come from that are stored with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldenRows {
    /// They are raw rows of the input, those of the test part if there is one: whoever has the model can read
    /// them.
    #[default]
    Raw,
    /// They are drawn from the fitted encoder, column by column, and nobody's.
    Synthetic,
}

impl GoldenRows {
    /// So many rows, for people.
    pub fn described(self, rows: usize) -> String {
        match self {
            _ if rows == 0 => "none".into(),
            GoldenRows::Raw => format!("{rows} raw rows of the input lie in the model ({NAME})"),
            GoldenRows::Synthetic => format!("{rows} rows drawn from the encoder, of nobody ({NAME})"),
        }
    }
}
