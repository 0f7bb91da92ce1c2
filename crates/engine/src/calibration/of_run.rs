//! Calibration at the end of training, and what is said of it.
use super::choose::{Choice, FOLDS, Rows, choose};
use super::map::CalibrationMap;
use super::{Calibration, Method};
use crate::config::RunConfig;
use crate::error::Result;
use crate::run::EncodedParts;
use crate::trained::Trained;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_data::split::{Part, Parts};
use dlrm_metrics::Metrics;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Validation rows that are needed: with fewer, chance decides.
const FEWEST_ROWS: usize = 200;
/// Rows of either class that are needed.
const FEWEST_OF_CLASS: usize = 50;

/// What calibration found and did; stored with the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationRecord {
    /// Validation rows that decided.
    pub rows: u64,
    /// Number of folds of the cross-fitting.
    pub folds: u64,
    /// Methods that were tried, with the cross-fitted quality of each.
    pub tried: Vec<(Method, Quality)>,
    /// The map that is applied to every logit, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<CalibrationMap>,
    /// Before and after, by part; of the validation rows the cross-fitted one is after.
    pub parts: Vec<PartQuality>,
}

/// Quality before and after calibration, on a part of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartQuality {
    /// `validation` or `test`.
    pub part: String,
    /// Of the raw scores.
    pub before: Quality,
    /// Of the calibrated ones; as before where none are.
    pub after: Quality,
}

/// What calibration improves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Mean log loss.
    pub log_loss: f64,
    /// Expected calibration error.
    pub calibration_error: f64,
}

impl Quality {
    fn of(logits: &[f32], rows: &Batch) -> Result<Self> {
        let metrics = Metrics::binary(logits, &rows.labels, rows.weights.as_deref())?;
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Ok(Quality { log_loss: known(metrics.log_loss), calibration_error: known(metrics.calibration_error) })
    }
}

/// Calibrates a trained model on the validation rows, unless that is not to be or they are too few; with its
/// logits of the validation and the test rows.
///
/// # Errors
/// If a score is not finite.
pub(crate) fn calibrate(
    trained: &mut Trained,
    rows: &EncodedParts<'_>,
    config: &RunConfig,
) -> Result<(Option<CalibrationRecord>, [Vec<f32>; 2])> {
    let mut logits = trained.logits(rows)?;
    if !wanted(config, &rows.parts[Part::Validation])? {
        return Ok((None, logits));
    }
    let record = record(&logits, &rows.parts, config)?;
    if let Some(map) = &record.kept {
        logits.iter_mut().flatten().for_each(|logit| *logit = map.apply(*logit));
    }
    trained.learner.network_mut().set_calibration(record.kept.clone());
    Ok((Some(record), logits))
}

/// What calibrates these logits of the validation rows, and what it makes of those of the test rows.
fn record(
    [logits, of_test]: &[Vec<f32>; 2],
    parts: &Parts<Arc<Batch>>,
    config: &RunConfig,
) -> Result<CalibrationRecord> {
    let validation = &*parts[Part::Validation];
    let rows = Rows {
        logits,
        labels: &validation.labels,
        weights: validation.weights.as_deref(),
        groups: validation.groups.as_deref(),
    };
    let Choice { tried, kept } = choose(rows, config.calibration.methods())?;
    let before = Quality::of(logits, validation)?;
    let quality = |(method, logits): &(Method, Vec<f32>)| Ok((*method, Quality::of(logits, validation)?));
    let tried = tried.iter().map(quality).collect::<Result<Vec<_>>>()?;
    let method = kept.as_ref().map(CalibrationMap::method);
    let after = tried.iter().find(|(tried, _)| Some(*tried) == method).map_or(before, |(_, after)| *after);
    let mut measured = vec![PartQuality { part: Part::Validation.name().into(), before, after }];
    let test = &*parts[Part::Test];
    if !test.is_empty() {
        let apply = |&logit: &f32| kept.as_ref().map_or(logit, |map| map.apply(logit));
        let calibrated: Vec<f32> = of_test.iter().map(apply).collect();
        let (before, after) = (Quality::of(of_test, test)?, Quality::of(&calibrated, test)?);
        measured.push(PartQuality { part: Part::Test.name().into(), before, after });
    }
    let rows = validation.len() as u64;
    Ok(CalibrationRecord { rows, folds: FOLDS, tried, kept, parts: measured })
}

/// Whether the rows can be calibrated on, and are to be.
fn wanted(config: &RunConfig, rows: &Batch) -> Result<bool> {
    let drawn = config.data.negatives.is_some() && config.calibration == Calibration::Auto;
    let asked = config.calibration != Calibration::None && !drawn;
    let binary = config.complete_schema()?.label.task == Task::Binary;
    let clicks = rows.labels.iter().filter(|&&label| label == 1.0).count();
    let enough = rows.len() >= FEWEST_ROWS && clicks.min(rows.len() - clicks) >= FEWEST_OF_CLASS;
    Ok(asked && binary && enough)
}
