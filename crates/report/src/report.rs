//! A report: everything worth knowing about a run, as data.
use super::{Candidate, Comparison, DataCard, Optimum, RunCard, TableHealth, TrainingCard};
use dlrm_data::schema::Task;
use dlrm_engine::calibration::CalibrationRecord;
use dlrm_engine::choice::Choice;
use dlrm_engine::explain::Importance;
use dlrm_engine::folds::Folded;
use dlrm_metrics::slices::Slice;
use serde::{Deserialize, Serialize};

/// Version of `report.json` that this build writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Why a stored report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no report.
    #[error("report: expected a report as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A newer build wrote it.
    #[error("report: expected version {VERSION} or older, found {found}")]
    Newer {
        /// Its version.
        found: u32,
    },
}

/// Everything worth knowing about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`VERSION`] of the build that wrote it.
    pub version: u32,
    /// Heading of the page.
    pub title: String,
    /// Kind of label.
    pub task: Task,
    /// The part of the rows that the verdict is about, normally `test`.
    #[serde(rename = "verdict_split")]
    pub verdict_part: String,
    /// What went in.
    pub data: DataCard,
    /// The trained model.
    pub model: Candidate,
    /// What it is compared with.
    pub baselines: Vec<Candidate>,
    /// Model minus baseline, on the same rows.
    pub comparisons: Vec<Comparison>,
    /// The best that any model could do, where the data come from a simulator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimum: Option<Optimum>,
    /// What makes the figures meaningless, said in the place of a verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caution: Option<String>,
    /// Warnings for the reader, as sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How training went.
    pub training: TrainingCard,
    /// The candidates that the model was chosen from, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// What the same settings are worth on folds of the rows, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<Folded>,
    /// Worst groups of rows of the verdict's part, worst first.
    #[serde(default)]
    pub slices: Vec<Slice>,
    /// How the scores were calibrated, where that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<CalibrationRecord>,
    /// What the columns are worth to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
    /// Embedding tables.
    #[serde(default)]
    pub tables: Vec<TableHealth>,
    /// How to do it again.
    pub run: RunCard,
}

impl Report {
    /// The report as `report.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }

    /// Reads `report.json`.
    ///
    /// # Errors
    /// If the text is no report, or a newer build wrote it: read it with that build, or train again.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // first the version alone: a newer report may not even parse as ours
        let Version { version } = serde_json::from_str(text)?;
        if version > VERSION {
            return Err(Error::Newer { found: version });
        }
        Ok(serde_json::from_str(text)?)
    }
}
