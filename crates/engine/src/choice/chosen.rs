//! Which candidate the validation rows choose, and how much that is worth.
use crate::common_rows::as_good;
use crate::error::{Error, Result};
use crate::own_files;
use dlrm_data::Batch;
use dlrm_data::schema::Task;
use dlrm_metrics::{Bootstrap, Difference, Metric, Metrics, Ranking, difference};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file in a run directory that the candidates of its model are kept in.
pub const CANDIDATES_FILE: &str = "candidates.json";

/// What was chosen, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The metric of the validation rows that decides.
    pub metric: Metric,
    /// Validation rows.
    pub rows: u64,
    /// Kind of the winner.
    pub winner: String,
    /// All candidates: the winner, then the others, the best first; last those that could not be trained.
    pub candidates: Vec<ChosenCandidate>,
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenCandidate {
    /// Name in running text.
    pub name: String,
    /// Kind of model.
    pub kind: String,
    /// What became of it.
    pub fate: Fate,
    /// Number of parameters.
    pub parameters: Option<u64>,
    /// Steps of training (iterations, of a regression at its optimum).
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// On the validation rows.
    pub validation: Option<Metrics>,
    /// The deciding metric of the winner minus its own, paired by row; of the winner itself, none.
    pub winner_minus: Option<Difference>,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fate {
    /// It was trained.
    Trained,
    /// It does not fit the rows or the memory.
    Unfit {
        /// What was expected and found.
        why: String,
    },
    /// Its training diverged.
    Diverged {
        /// At this step.
        step: u64,
    },
}

/// A candidate with its scores of the validation rows.
pub(super) struct Scored {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) fate: Fate,
    pub(super) parameters: Option<u64>,
    pub(super) steps: u64,
    pub(super) seconds: f64,
    pub(super) logits: Option<Vec<f32>>,
}

impl Scored {
    /// One without scores.
    pub(super) fn without(name: String, kind: &'static str, fate: Fate) -> Self {
        Scored { name, kind, fate, parameters: None, steps: 0, seconds: 0.0, logits: None }
    }
}

/// Scored rows with their order.
type Ranked<'a> = (dlrm_metrics::Scored<'a>, Ranking<'a>);

fn ranked<'a>(task: Task, logits: &'a [f32], rows: &'a Batch) -> Result<Ranked<'a>> {
    let scored = dlrm_metrics::Scored::of_batch(task, logits, rows)?;
    let ranking = Ranking::new(&scored);
    Ok((scored, ranking))
}

impl Choice {
    /// Chooses among `all` by their scores of the validation rows; the index of the winner beside it.
    ///
    /// # Errors
    /// If none has scores.
    pub(super) fn of(
        all: Vec<Scored>,
        task: Task,
        monitor: Option<Metric>,
        rows: &Batch,
    ) -> Result<(Self, usize)> {
        let (metric, bootstrap) = (monitor.unwrap_or(Metric::usual(task)), Bootstrap::default());
        let ranked: Vec<Option<Ranked<'_>>> = all
            .iter()
            .map(|c| c.logits.as_deref().map(|l| ranked(task, l, rows)).transpose())
            .collect::<Result<_>>()?;
        let metrics: Vec<Option<Metrics>> =
            ranked.iter().map(|r| r.as_ref().map(|(scored, ranking)| Metrics::of(scored, ranking))).collect();
        let sign = if metric.higher_is_better() { -1.0 } else { 1.0 };
        let badness = |k: usize| {
            metrics[k].as_ref().and_then(|m| metric.of(m)).map_or(f64::INFINITY, |value| sign * value)
        };
        let mut order: Vec<usize> = (0..all.len()).collect();
        let size = |k: usize| all[k].parameters.unwrap_or(u64::MAX);
        order.sort_by(|&a, &b| badness(a).total_cmp(&badness(b)).then(size(a).cmp(&size(b))));
        let best = badness(*order.first().expect("there are candidates"));
        let place = (0..order.len()).filter(|&place| as_good(badness(order[place]), best));
        let place = place.min_by_key(|&place| size(order[place])).unwrap_or(0);
        let winner = order.remove(place);
        order.insert(0, winner);
        let Some(best) = ranked[winner].as_ref().filter(|_| badness(winner).is_finite()) else {
            return Err(none(&all));
        };
        let mut candidates = Vec::new();
        for &k in &order {
            let own = ranked[k].as_ref().filter(|_| k != winner);
            let pair =
                |own: &Ranked<'_>| difference(metric, (&best.0, &best.1), (&own.0, &own.1), &bootstrap);
            candidates.push(ChosenCandidate {
                name: all[k].name.clone(),
                kind: all[k].kind.into(),
                fate: all[k].fate.clone(),
                parameters: all[k].parameters,
                steps: all[k].steps,
                seconds: all[k].seconds,
                validation: metrics[k].clone(),
                winner_minus: own.map(pair).transpose()?.flatten(),
            });
        }
        let (rows, kind) = (rows.len() as u64, all[winner].kind.to_owned());
        Ok((Choice { metric, rows, winner: kind, candidates }, winner))
    }

    /// As JSON, as it is kept in a file of that name.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a choice is plain data")
    }

    /// What is kept in the run directory `out`, if anything is.
    ///
    /// # Errors
    /// If it cannot be read, or is something else.
    pub fn read(out: &Path) -> Result<Option<Self>> {
        own_files::read_json(out, CANDIDATES_FILE, "the candidates of a model")
    }
}

/// No candidate could be trained: why not.
fn none(all: &[Scored]) -> Error {
    let why = |c: &Scored| match &c.fate {
        Fate::Unfit { why } => format!("{}: {why}", c.kind),
        Fate::Diverged { step } => format!("{}: diverged at step {step}", c.kind),
        Fate::Trained => format!("{}: the validation rows do not define the metric", c.kind),
    };
    let found: Vec<String> = all.iter().map(why).collect();
    Error::config("model.kind", "a kind of model that can be trained on these rows", found.join("; "))
}
