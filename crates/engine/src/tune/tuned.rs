//! What a search has come to.
use super::entry::Entry;
use crate::error::Result;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_data::split::Parts;
use dlrm_metrics::{Bootstrap, Difference, Interval, Metric, Metrics, Ranking, Scored, difference, interval};
use serde::{Deserialize, Serialize};

/// The file of the best configuration in the directory of a search.
pub const BEST_FILE: &str = "best.toml";
/// The file of the result.
pub const TUNED_FILE: &str = "tune.json";

/// What a search has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// Task of the labels.
    pub task: Task,
    /// The metric of the validation rows that decides.
    pub metric: Metric,
    /// Rows of (train, validation, test).
    pub rows: Parts<u64>,
    /// The trial that won.
    pub winner: u64,
    /// The winner on the test rows, which took no part, beside the default and the regression.
    pub figures: Vec<Figure>,
    /// All trials, rung by rung, in the order in which they were made.
    pub entries: Vec<Entry>,
}

/// A trial on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What it is: best, default or regression.
    pub name: String,
    /// Number of the trial.
    pub trial: u64,
    /// Metrics.
    pub test: Metrics,
    /// 95 % intervals of those that count.
    pub intervals: Vec<(Metric, Interval)>,
    /// The best minus this one, paired by row; of the best itself, none.
    pub best_minus: Vec<Against>,
}

/// A difference in one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// Metric.
    pub metric: Metric,
    /// The difference.
    pub difference: Difference,
}

impl Tuned {
    /// What each trial has come to on its last rung: trials that were trained to their end first, the best
    /// first.
    pub fn ranked(&self) -> Vec<&Entry> {
        let mut last: Vec<&Entry> = Vec::new();
        for entry in &self.entries {
            match last.iter_mut().find(|other| other.trial == entry.trial) {
                Some(other) => *other = entry,
                None => last.push(entry),
            }
        }
        last.sort_by(|a, b| {
            let badness = a.badness(self.metric).total_cmp(&b.badness(self.metric));
            b.complete.cmp(&a.complete).then(badness).then(a.trial.cmp(&b.trial))
        });
        last
    }

    /// What the trial that won has come to.
    pub fn best(&self) -> Option<&Entry> {
        self.ranked().into_iter().find(|entry| entry.trial == self.winner)
    }
}

/// The metrics of test rows that count.
fn metrics(task: Task, grouped: bool) -> &'static [Metric] {
    match task {
        Task::Binary if grouped => &[Metric::NdcgAt10, Metric::HitRateAt10],
        Task::Binary => &[Metric::LogLoss, Metric::Auc],
        Task::Rating => &[Metric::Rmse, Metric::Mae],
    }
}

/// Trials on the test rows, the best first; each is a name, a number and logits.
pub(super) fn figures(all: &[(&str, u64, Vec<f32>)], task: Task, test: &Batch) -> Result<Vec<Figure>> {
    let (bootstrap, metrics) = (Bootstrap::default(), metrics(task, test.groups.is_some()));
    let mut scored = Vec::new();
    for (.., logits) in all {
        let rows = Scored::of_batch(task, logits, test)?;
        scored.push((rows, Ranking::new(&rows)));
    }
    let mut figures = Vec::new();
    for (index, ((name, trial, _), (rows, ranking))) in all.iter().zip(&scored).enumerate() {
        let mut best_minus = Vec::new();
        for &metric in metrics.iter().filter(|_| index > 0) {
            let (best, order) = &scored[0];
            let found = difference(metric, (best, order), (rows, ranking), &bootstrap)?;
            best_minus.extend(found.map(|difference| Against { metric, difference }));
        }
        let of = |&metric: &Metric| Some((metric, interval(metric, rows, ranking, &bootstrap)?));
        figures.push(Figure {
            name: (*name).into(),
            trial: *trial,
            test: Metrics::of(rows, ranking),
            intervals: metrics.iter().filter_map(of).collect(),
            best_minus,
        });
    }
    Ok(figures)
}
