//! Everything worth knowing about a run, as data and as a page for people.
//!
//! A [`Report`] is plain data that the trainer fills; it is stored as `report.json`, and
//! [`Report::to_html`] turns it into one self-contained page without scripts or requests. The page
//! claims a difference between two models only where the interval of the difference excludes zero
//! (see [`verdict`]).
//!
//! | file | noun |
//! |---|---|
//! | `report` | a run: all of the below, and the versions of its JSON |
//! | `cards` | data, training, embedding tables, run |
//! | `results` | metrics, comparisons and pictures, computed from scored rows |
//! | `evaluation` | a saved model on rows with labels |
//! | `summary` | a finished run as a report |
//! | `kept` | what is kept of a run beside its model |
//! | `verdict`, `comparison` | what may be said in words, of a run and of several models |
//! | `caution` | what makes the figures of a run meaningless |
//! | `choice` | the candidates that a model was chosen from |
//! | `folds` | what cross-validation has measured |
//! | `terminal` | both as text for a terminal, and as JSON for machines |
//! | `tuned` | what a search for settings has come to |
//! | `text_table` | tables of text |
//! | `format`, `markup` | numbers and escaped text |
//! | `chart` | SVG plots |
//! | `graph` | a model's operations as SVG |
//! | `picture` | the time of steps by operator, as SVG |
//! | `page` | the HTML page, section by section |
#![forbid(unsafe_code)]

mod cards;
mod caution;
mod chart;
mod choice;
pub mod comparison;
mod evaluation;
mod folds;
mod format;
mod graph;
pub mod kept;
mod markup;
mod page;
mod picture;
pub mod ranks;
mod report;
mod results;
pub mod summary;
pub mod terminal;
mod text_table;
mod tuned;
pub mod verdict;

pub use cards::{
    Best, ColumnCard, Curve, CurvePoint, DataCard, Fact, InputCard, PartCard, RunCard, TableHealth,
    TrainingCard,
};
pub use evaluation::Evaluation;
pub use folds::{folds_text, sentences as folds_sentences};
pub use graph::graph_svg;
pub use page::{compare_page, folds_page};
pub use picture::{OperatorBar, StepBreakdown, breakdown_svg};
pub use report::{Error, Report, VERSION};
pub use results::{Candidate, Comparison, MetricInterval, Optimum, PartMetrics, Pictures};
pub use tuned::{tuned_json, tuned_text};
