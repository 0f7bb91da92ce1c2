//! A request as compute threads see it.
use crate::catalogue::Wanted;
use crate::models::Loaded;
use crate::refusal::Refusal;
use crate::rows::{OwnTexts, Texts};
use dlrm_data::row::RawRow;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// What is to be done.
pub(crate) enum Task {
    /// Score rows.
    Score(Vec<RawRow>),
    /// Score candidates that share a context, and keep the `k` best. Each candidate has the fields of
    /// `context` where it says nothing of its own, which `own` tells by column.
    Rank { context: Texts, own: Vec<usize>, candidates: Vec<OwnTexts>, k: usize },
    /// Score the wanted items among those in `places` of the model's catalogue in a context, and keep the `k`
    /// best.
    Recommend { context: Arc<Texts>, wanted: Arc<Wanted>, places: Range<u32>, k: usize },
    /// Say what moves the logit of a row.
    Explain { row: RawRow, orders: usize },
}

impl Task {
    /// Rows to be scored, which is what work costs.
    pub(crate) fn cost(&self, columns: usize) -> usize {
        match self {
            Task::Score(rows) => rows.len(),
            Task::Rank { candidates, .. } => candidates.len(),
            Task::Recommend { places, .. } => places.len(),
            Task::Explain { orders, .. } => 2 * orders * columns,
        }
    }
}

/// Scores of rows, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Scored {
    pub(crate) logits: Vec<f32>,
    pub(crate) predictions: Vec<f64>,
}

/// The best candidates: their places and scores, the best first.
pub(crate) type Ranked = Vec<(usize, f32, f64)>;

/// What the logit of a row is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Explained {
    pub(crate) base: f64,
    pub(crate) logit: f64,
    pub(crate) prediction: f64,
    /// Of each column, in the order of the model's columns.
    pub(crate) values: Vec<f64>,
    pub(crate) exact: bool,
}

/// What was asked for.
pub(crate) enum Answer {
    Scored(Scored),
    Ranked(Ranked),
    /// The best, and how many there were to choose from.
    Recommended(Ranked, usize),
    Explained(Explained),
}

/// How long the parts of an answer took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) queue: Duration,
    pub(crate) encode: Duration,
    pub(crate) score: Duration,
}

/// A task that waits for its answer.
pub(crate) struct Job {
    pub(crate) model: Arc<Loaded>,
    pub(crate) task: Task,
    pub(crate) queued: Instant,
    /// After which nobody waits any more.
    pub(crate) deadline: Instant,
    /// Gets nothing where the deadline is over.
    pub(crate) answer: oneshot::Sender<Option<Result<(Answer, Times), Refusal>>>,
}

impl Job {
    /// Rows to be scored.
    pub(crate) fn cost(&self) -> usize {
        self.task.cost(self.model.columns.len())
    }

    /// Tells whoever may still wait that it is too late.
    pub(crate) fn give_up(self) {
        // Mostly they have gone.
        let _ = self.answer.send(None);
    }

    /// Whether anybody still waits.
    pub(crate) fn is_wanted(&self, now: Instant) -> bool {
        !self.answer.is_closed() && now < self.deadline
    }
}
