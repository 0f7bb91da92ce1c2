//! Numeric inputs.
use serde::{Deserialize, Serialize};

/// A numeric input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseColumn {
    /// Column.
    pub name: String,
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
            transform,
            bins: None,
            clip_quantiles: None,
            sentinels: Vec::new(),
            missing_indicator: false,
            missing_value: None,
        }
    }
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
