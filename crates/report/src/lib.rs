//! Everything worth knowing about a run, as data and as a page for people.
//!
//! A [`Report`] is plain data that the trainer fills; it is stored as `report.json`, and
//! [`Report::to_html`] turns it into one self-contained page without scripts or requests. The page
//! claims a difference between two models only where the interval of the difference excludes zero
//! (see [`verdict`]).
//!
//! | file | noun |
//! |---|---|
//! | `cards` | data, training, embedding tables, run |
//! | `results` | metrics, comparisons and pictures, computed from scored rows |
//! | `verdict` | what may be said in words |
//! | `format`, `markup` | numbers and escaped text |
//! | `chart` | SVG plots |
//! | `graph` | a model's operations as SVG |
//! | `picture` | the time of steps by operator, as SVG |
//! | `page` | the HTML page, section by section |
#![forbid(unsafe_code)]

mod cards;
mod chart;
pub mod comparison;
mod format;
mod graph;
pub(crate) mod markup;
mod page;
mod picture;
mod results;
pub mod summary;
pub mod verdict;

pub use cards::{
    Best, ColumnCard, Curve, CurvePoint, DataCard, Fact, InputCard, RunCard, SplitCard, TableHealth,
    TrainingCard,
};
pub use graph::graph_svg;
pub use picture::{OperatorBar, StepBreakdown, breakdown_svg};
pub use results::{Candidate, Comparison, MetricInterval, Optimum, Pictures, SplitMetrics};

use dlrm_data::schema::Task;
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

/// The page of a comparison, as self-contained as that of a run.
pub fn compare_page(compared: &dlrm_engine::compare::Compared, title: &str, command: &str) -> String {
    page::compare::page(compared, title, command)
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
    /// The split that the verdict is about, normally `test`.
    pub verdict_split: String,
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
    /// Warnings for the reader, as sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How training went.
    pub training: TrainingCard,
    /// Worst groups of rows of the verdict's split, worst first.
    #[serde(default)]
    pub slices: Vec<Slice>,
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
    /// If the text is no report, or a newer build wrote it.
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

    /// The report as one self-contained HTML page.
    pub fn to_html(&self) -> String {
        page::page(self)
    }
}
