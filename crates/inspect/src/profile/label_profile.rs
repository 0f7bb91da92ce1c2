//! The label: which column, and what its values mean.
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

/// How the label was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelOrigin {
    /// The user named it.
    Given,
    /// Guessed by its name.
    Name,
    /// Guessed by its place (first or last column) and its two values.
    Place,
}

impl LabelOrigin {
    /// How, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            LabelOrigin::Given => "as given",
            LabelOrigin::Name => "guessed by its name",
            LabelOrigin::Place => "guessed by its place and its two values",
        }
    }
}

/// Why one of two texts is the positive one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositiveOrigin {
    /// It says so, as `yes` does.
    Meaning,
    /// The larger of two numbers.
    Larger,
    /// The rarer of two texts.
    Rarer,
    /// The later in the alphabet of two texts, neither of which is the rarer one.
    Later,
}

impl PositiveOrigin {
    /// Why, for people.
    pub fn reason(self) -> &'static str {
        match self {
            PositiveOrigin::Meaning => "for its meaning",
            PositiveOrigin::Larger => "the larger of the two numbers",
            PositiveOrigin::Rarer => "the rarer of the two texts",
            PositiveOrigin::Later => "the later in the alphabet of two texts that are as frequent",
        }
    }
}

/// The label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProfile {
    /// Column.
    pub column: String,
    /// How it was found.
    pub origin: LabelOrigin,
    /// What can be predicted of it as it is; `None` if it needs a rule or a list of positive values.
    pub task: Option<Task>,
    /// The rule that was given.
    pub rule: Option<String>,
    /// Positive values to be named in a schema; empty if 0 and 1 (or false and true) speak for themselves.
    pub positive: Vec<String>,
    /// Why it is positive, where that was found and not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_origin: Option<PositiveOrigin>,
    /// The other value, where the positive one was found and not given.
    pub negative: Vec<String>,
    /// Share of positive rows of a binary label.
    pub positive_share: Option<f64>,
    /// Rows with a missing label.
    pub missing: u64,
    /// Rows with a label that fits neither class (or, among ratings, is no number): malformed for training.
    pub strays: u64,
    /// The first different texts of these rows; of a label without a task, of all rows.
    pub stray_texts: Vec<String>,
    /// The first different texts.
    #[serde(default)]
    pub examples: Vec<String>,
}
