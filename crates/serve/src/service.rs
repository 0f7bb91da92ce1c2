//! What can be asked of the server, however the question came in.
use crate::keys::Keys;
use crate::limits::Limits;
use crate::metrics::{Asked, Metrics, OfModel};
use crate::models::{Loaded, Registry};
use crate::refusal::{Code, Refusal};
use crate::rows::Texts;
use crate::statistics::Statistics;
use crate::work::{Answer, Explained, Job, Queue, Ranked, Scored, Task, Times};
use dlrm_data::row::RawRow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Permutations of an explanation.
pub(crate) const ORDERS: usize = 32;

/// Models, the queue before them and what is counted.
pub(crate) struct Service {
    pub(crate) registry: Arc<Registry>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) statistics: Statistics,
    pub(crate) limits: Limits,
    pub(crate) keys: Keys,
    /// Whether new requests are still welcome.
    pub(crate) ready: AtomicBool,
}

/// The model that is asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Which<'a> {
    /// By its name; the first one if nothing is said.
    pub(crate) model: Option<&'a str>,
    /// Its newest if nothing is said.
    pub(crate) version: Option<&'a str>,
}

/// Candidates that share a context.
pub(crate) struct Candidates {
    pub(crate) context: Texts,
    /// Columns that candidates have values of their own in.
    pub(crate) own: Vec<usize>,
    pub(crate) rows: Vec<Texts>,
    pub(crate) k: usize,
}

impl Service {
    /// The model that answers.
    pub(crate) fn model(&self, which: Which<'_>) -> Result<Arc<Loaded>, Refusal> {
        let first = || self.registry.sources().next().map(|source| source.name.clone());
        match which.model {
            Some(name) => self.registry.find(name, which.version),
            None => self.registry.find(&first().unwrap_or_default(), which.version),
        }
    }

    /// The scores of rows of the model's columns.
    pub(crate) async fn score(
        &self,
        model: &Arc<Loaded>,
        rows: Vec<RawRow>,
        time: Option<Duration>,
    ) -> Result<Scored, Refusal> {
        self.limits.check_rows("rows", rows.len())?;
        if rows.is_empty() {
            return Ok(Scored::default());
        }
        let count = rows.len();
        match self.ask(model, Task::Score(rows), ("predict", count), time).await? {
            Answer::Scored(scored) => {
                let of_model = OfModel { model: model.name.clone() };
                let histogram = self.metrics.predictions.get_or_create(&of_model);
                scored.predictions.iter().for_each(|&prediction| histogram.observe(prediction));
                Ok(scored)
            }
            _ => Err(mixed_up()),
        }
    }

    /// The best candidates.
    pub(crate) async fn rank(
        &self,
        model: &Arc<Loaded>,
        candidates: Candidates,
        time: Option<Duration>,
    ) -> Result<Ranked, Refusal> {
        let Candidates { context, own, rows, k } = candidates;
        self.limits.check_rows("items", rows.len())?;
        if rows.is_empty() {
            return Ok(Ranked::new());
        }
        let count = rows.len();
        let task = Task::Rank { context, own, candidates: rows, k };
        match self.ask(model, task, ("rank", count), time).await? {
            Answer::Ranked(ranked) => Ok(ranked),
            _ => Err(mixed_up()),
        }
    }

    /// What moves the logit of a row.
    pub(crate) async fn explain(
        &self,
        model: &Arc<Loaded>,
        row: RawRow,
        time: Option<Duration>,
    ) -> Result<Explained, Refusal> {
        let task = Task::Explain { row, orders: ORDERS };
        match self.ask(model, task, ("explain", 1), time).await? {
            Answer::Explained(explained) => Ok(explained),
            _ => Err(mixed_up()),
        }
    }

    async fn ask(
        &self,
        model: &Arc<Loaded>,
        task: Task,
        (kind, rows): (&'static str, usize),
        time: Option<Duration>,
    ) -> Result<Answer, Refusal> {
        let queued = Instant::now();
        let time = time.map_or(self.limits.answer_time, |time| time.min(self.limits.answer_time));
        let (answer, answered) = oneshot::channel();
        let job = Job { model: model.clone(), task, queued, deadline: queued + time, answer };
        let found = match self.queue.push(job) {
            Err(refusal) => Err(refusal),
            Ok(()) => match tokio::time::timeout(time, answered).await {
                Ok(Ok(found)) => found,
                // Its compute thread is gone, which catches what it can.
                Ok(Err(_)) => Err(Refusal::new(Code::Internal, "this request was lost: a fault of the server")),
                Err(_) => Err(Refusal::new(
                    Code::DeadlineExceeded,
                    format!("expected an answer within {} ms, found none", time.as_millis()),
                )),
            },
        };
        self.count(model, (kind, rows), queued.elapsed(), &found);
        found.map(|(answer, _)| answer)
    }

    fn count(
        &self,
        model: &Arc<Loaded>,
        (kind, rows): (&'static str, usize),
        took: Duration,
        found: &Result<(Answer, Times), Refusal>,
    ) {
        let code = match found {
            Ok((_, times)) => {
                self.metrics.took("queue", times.queue);
                self.metrics.took("score", times.score);
                self.metrics.rows.get_or_create(&OfModel { model: model.name.clone() }).inc_by(rows as u64);
                self.statistics.add(&model.name, rows, took, *times);
                "ok".to_owned()
            }
            Err(refusal) => {
                self.statistics.add_failed(&model.name, took);
                serde_json::to_value(refusal.code()).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
            }
        };
        self.metrics.requests.get_or_create(&Asked { model: model.name.clone(), kind, code }).inc();
    }
}

fn mixed_up() -> Refusal {
    Refusal::new(Code::Internal, "another answer came than was asked for: a fault of the server")
}
