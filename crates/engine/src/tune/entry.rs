//! What a search has found out of a trial: a line of its journal.
use super::space::Trial;
use dlrm_metrics::Metric;
use serde::{Deserialize, Serialize};

/// What one trial has come to on one rung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Number of the trial.
    pub trial: u64,
    /// The rung, from 0.
    pub rung: u32,
    /// Kind of its model.
    pub model: String,
    /// Its settings, for people.
    pub settings: String,
    /// The best value of the monitored metric on the validation rows.
    pub value: Option<f64>,
    /// The best one after the start, which may be the optimum of the regression: how well it learns.
    pub learned: Option<f64>,
    /// Whether it was trained to its end.
    pub complete: bool,
    /// Steps.
    pub steps: u64,
    /// Rows that it was trained on.
    pub rows: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Entry {
    /// Of a trial that has come to nothing yet.
    pub(super) fn of(number: u64, rung: u32, trial: &Trial) -> Self {
        Entry {
            trial: number,
            rung,
            model: trial.model.kind().into(),
            settings: trial.settings.clone(),
            value: None,
            learned: None,
            complete: false,
            steps: 0,
            rows: 0,
            seconds: 0.0,
            failed: None,
        }
    }

    /// The lower, the better; infinite where there is no value.
    pub(super) fn badness(&self, metric: Metric) -> f64 {
        badness(self.value, metric)
    }

    /// The lower, the better it learns.
    pub(super) fn slowness(&self, metric: Metric) -> f64 {
        badness(self.learned.or(self.value), metric)
    }
}

fn badness(value: Option<f64>, metric: Metric) -> f64 {
    let sign = if metric.higher_is_better() { -1.0 } else { 1.0 };
    value.filter(|value| value.is_finite()).map_or(f64::INFINITY, |value| sign * value)
}

/// What a trial has come to on a rung, or at its end before.
pub(super) fn find(all: &[Entry], trial: u64, rung: u32) -> Option<&Entry> {
    all.iter().find(|entry| {
        let settled = entry.complete || entry.failed.is_some();
        entry.trial == trial && (entry.rung == rung || (settled && entry.rung < rung))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::tune::space::Space;

    #[test]
    fn what_a_trial_came_to_at_its_end_counts_on_later_rungs() {
        let base = RunConfig::default();
        let entry = |number| Entry::of(number, 0, &Space { base: &base, rows: 100 }.trial(number));
        let all = [entry(3), Entry { complete: true, ..entry(4) }];
        assert!(find(&all, 3, 0).is_some() && find(&all, 3, 1).is_none() && find(&all, 5, 0).is_none());
        assert!(find(&all, 4, 1).is_some());
    }
}
