//! The plain facts of a report: data, training, embedding tables, run.
use dlrm_engine::run::Stage;
use dlrm_metrics::Metric;
use serde::{Deserialize, Deserializer, Serialize};

/// What went in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataCard {
    /// Input files.
    pub inputs: Vec<InputCard>,
    /// What is predicted, e.g. `rating >= 4`.
    pub label: String,
    /// How rows were split, e.g. `random by seeded hash, 80/10/10`.
    pub split_by: String,
    /// The parts of the rows, training first.
    #[serde(rename = "splits")]
    pub parts: Vec<PartCard>,
    /// The input columns.
    pub columns: Vec<ColumnCard>,
    /// Malformed rows that were skipped.
    #[serde(default)]
    pub skipped_rows: u64,
}

/// One input file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputCard {
    /// File name without its directory.
    pub name: String,
    /// Format, e.g. `csv.gz`.
    pub format: String,
    /// Number of usable rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Size on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One part of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartCard {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Mean label.
    pub mean_label: f64,
}

/// One input column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnCard {
    /// Name.
    pub name: String,
    /// `dense`, `categorical`, `multi-valued`, …
    pub kind: String,
    /// Transform or encoding in words, e.g. `log1p` or `vocabulary, min count 3`.
    pub encoding: String,
    /// Embedding table, for categorical columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Rows of that table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_rows: Option<u64>,
    /// Share of missing values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<f64>,
    /// Share of values in the verdict's part that training never saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<f64>,
}

/// How training went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingCard {
    /// Metrics over the steps.
    pub curves: Vec<Curve>,
    /// Where the kept weights come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// Why training ended, as a sentence.
    pub ended: String,
}

/// One metric on one part over the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// `train` or `validation`.
    #[serde(rename = "split")]
    pub part: String,
    /// Which metric.
    pub metric: Metric,
    /// By rising step.
    pub points: Vec<CurvePoint>,
}

/// One point of a [`Curve`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Optimiser steps so far.
    pub step: u64,
    /// Passes over the training rows so far.
    pub epoch: f64,
    /// Value; NaN (null in JSON) where training diverged.
    #[serde(deserialize_with = "null_is_nan")]
    pub value: f64,
}

/// The step whose weights were kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Step.
    pub step: u64,
    /// Epoch.
    pub epoch: f64,
    /// The metric it was chosen by, on validation.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
}

/// State of one embedding table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableHealth {
    /// Name.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Width.
    pub dim: u64,
    /// Share of rows that training never touched.
    pub untouched: f64,
    /// Mean Euclidean norm of a row.
    #[serde(deserialize_with = "null_is_nan")]
    pub mean_norm: f64,
    /// Largest norm.
    #[serde(deserialize_with = "null_is_nan")]
    pub max_norm: f64,
    /// Share of look-ups in the verdict's part that fell on the row for unseen values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<f64>,
}

/// How to do it again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCard {
    /// The exact command line.
    pub command: String,
    /// The resolved configuration as TOML.
    pub config_toml: String,
    /// Seed.
    pub seed: u64,
    /// Threads.
    pub threads: u64,
    /// Versions, machine, start time: whatever identifies the run.
    pub facts: Vec<Fact>,
    /// What took how long.
    pub stages: Vec<Stage>,
}

/// A named fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// JSON has no NaN; serde_json writes null for it.
fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
