//! Numeric inputs.
use super::is_default;
use crate::moment::TimeUnit;
use serde::{Deserialize, Serialize};

/// A numeric input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseColumn {
    /// Column; for an age, a name of its own.
    pub name: String,
    /// The values are the days between the moments in two columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<Age>,
    /// Change of scale, fitted on the training split.
    #[serde(default)]
    pub transform: Transform,
    /// Bins of a piecewise-linear encoding, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<u32>,
    /// Clip to these two quantiles of the training split (each in 0..=1) before `transform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_quantiles: Option<[f64; 2]>,
    /// Numbers that stand for a missing value, such as -999.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<f64>,
    /// Adds an input that is 1 where the value is missing.
    #[serde(default)]
    pub missing_indicator: bool,
    /// The value that a missing one is taken for. Absent: the mean of the column after `transform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_value: Option<f64>,
}

impl DenseColumn {
    /// This column with this change of scale and nothing else.
    pub fn new(name: impl Into<String>, transform: Transform) -> Self {
        DenseColumn {
            name: name.into(),
            age: None,
            transform,
            bins: None,
            clip_quantiles: None,
            sentinels: Vec::new(),
            missing_indicator: false,
            missing_value: None,
        }
    }

    /// The columns of the input that it is read from.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match &self.age {
            Some(age) => (&age.column, Some(&age.until)),
            None => (&self.name, None),
        };
        std::iter::once(first).chain(second).map(String::as_str)
    }
}

/// Days from the moment in one column to that in another:
/// `{ column = "published_at", until = "event_time" }`. Negative where the first is the later one, missing
/// where either is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// The column that holds the moments from which on it is counted.
    pub column: String,
    /// The column that holds the moments up to which it is counted.
    pub until: String,
    /// What numbers of `column` count. Dates need none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: TimeUnit,
    /// What numbers of `until` count. Dates need none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub until_unit: TimeUnit,
}

/// Change of scale of a dense column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// As it is.
    None,
    /// (x - mean) / standard deviation.
    #[default]
    Standardize,
    /// ln(1 + max(x, 0)), as the reference does for Criteo.
    Log1p,
    /// Standardized, and beside it an input for each of some bins: see [`crate::pieces`].
    PiecewiseLinear,
}
