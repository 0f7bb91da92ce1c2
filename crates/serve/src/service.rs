//! What can be asked of the server, however the question came in.
use crate::catalogue::Wanted;
use crate::join::{Join, Row};
use crate::keys::Keys;
use crate::limits::Limits;
use crate::live::Live;
use crate::log::{Entry, Log, Noted};
use crate::metrics::{Asked, Metrics, OfModel};
use crate::models::{Loaded, Loader, Registry};
use crate::refusal::{Code, Refusal};
use crate::request_log::RequestLog;
use crate::rows::{OwnTexts, Texts};
use crate::split::Split;
use crate::statistics::Statistics;
use crate::trace::{Stage, Trace};
use crate::work::{Answer, Explained, Job, Queue, Ranked, Room, Scored, Task, Times};
use dlrm_data::row::RawRow;
use dlrm_features::Side;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// Items that one compute thread scores at a time.
pub(crate) const BLOCK: usize = 4096;
/// Permutations of an explanation.
pub(crate) const ORDERS: usize = 32;

/// Models, the queue before them and what is counted.
pub(crate) struct Service {
    pub(crate) registry: Arc<Registry>,
    pub(crate) loader: Loader,
    pub(crate) queue: Arc<Queue>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) statistics: Statistics,
    pub(crate) live: Live,
    /// Where answers are written down, if anywhere.
    pub(crate) log: Option<Log>,
    /// Where requests are, if anywhere.
    pub(crate) request_log: Option<RequestLog>,
    /// What rows are joined to, if anything.
    pub(crate) join: Option<Join>,
    pub(crate) split: Option<Split>,
    /// The model that is asked beside each that answers, if any.
    pub(crate) shadow: Option<String>,
    pub(crate) ids: RequestIds,
    /// Compute threads.
    pub(crate) threads: usize,
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

/// What a request says of itself.
pub(crate) struct Ask {
    /// What tells it apart in the log.
    pub(crate) id: String,
    /// How long it may take.
    pub(crate) time: Option<Duration>,
    /// What is noted of it.
    pub(crate) trace: Trace,
    /// Its place before the compute threads.
    pub(crate) room: Room,
}

/// Names for requests that bring none.
pub(crate) struct RequestIds {
    begun: u128,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        RequestIds { begun: now.as_nanos(), next: AtomicU64::new(0) }
    }

    /// Another one than all before, also those of another server.
    pub(crate) fn next(&self) -> String {
        format!("{:x}-{:x}", self.begun, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Candidates that share a context.
pub(crate) struct Candidates {
    pub(crate) context: Texts,
    /// Columns that candidates have values of their own in.
    pub(crate) own: Vec<usize>,
    pub(crate) rows: Vec<OwnTexts>,
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

    /// The versions of a model that can be asked.
    pub(crate) fn versions(&self, name: &str) -> Vec<String> {
        let statuses = self.registry.statuses().into_iter().filter(|status| status.name == name);
        let known = statuses.flat_map(|status| status.current.into_iter().chain(status.previous));
        known.map(|loaded| loaded.version.clone()).collect()
    }

    /// The scores of rows of the model's columns.
    pub(crate) async fn score(
        self: &Arc<Self>,
        model: &Arc<Loaded>,
        rows: Vec<RawRow>,
        Ask { id, time, trace, room }: Ask,
    ) -> Result<Scored, Refusal> {
        trace.of_rows(rows.len());
        self.limits.check_rows("rows", rows.len())?;
        if rows.is_empty() {
            return Ok(Scored::default());
        }
        let count = rows.len();
        let kept = (self.log.is_some() || self.shadow.is_some()).then(|| rows.clone());
        match self.ask(model, Task::Score(rows), ("predict", count), (time, &trace, Some(room))).await? {
            Answer::Scored(scored) => {
                if let Some(rows) = kept {
                    self.shadow(model, &rows, &scored.predictions);
                    self.note(model, id, rows, &scored.logits, &scored.predictions);
                }
                Ok(scored)
            }
            _ => Err(mixed_up()),
        }
    }

    /// The best of the wanted items of the catalogue: its places and their scores, in the order of the
    /// scores; and how many there were to choose from.
    pub(crate) async fn recommend(
        self: &Arc<Self>,
        model: &Arc<Loaded>,
        context: Texts,
        (wanted, k): (Wanted, usize),
        Ask { id, time, trace, room }: Ask,
    ) -> Result<(Ranked, usize), Refusal> {
        let begun = Instant::now();
        let (context, wanted) = (Arc::new(context), Arc::new(wanted));
        let items = model.items.as_ref().map_or(0, |items| items.catalogue.len()) as u32;
        let (mut best, mut candidates) = (Ranked::new(), 0);
        drop(room);
        // One more at a time than there are threads: none waits, and the queue is for others too.
        let mut asked = VecDeque::new();
        let mut next = 0;
        loop {
            while next < items && asked.len() <= self.threads {
                let places = next..items.min(next + BLOCK as u32);
                next = places.end;
                let (service, model, trace) = (self.clone(), model.clone(), trace.clone());
                let (context, wanted, count) = (context.clone(), wanted.clone(), places.len());
                let task = Task::Recommend { context, wanted, places, k };
                let ask = async move {
                    service.ask(&model, task, ("recommend", count), (time, &trace, None)).await
                };
                asked.push_back(tokio::spawn(ask));
            }
            let Some(block) = asked.pop_front() else { break };
            match block.await.unwrap_or_else(|_| Err(mixed_up()))? {
                Answer::Recommended(ranked, admitted) => {
                    candidates += admitted;
                    keep_best(&mut best, ranked, k);
                }
                _ => return Err(mixed_up()),
            }
        }
        trace.of_rows(candidates);
        self.metrics.took("recommend", begun.elapsed());
        if let Some(items) = model.items.as_ref().filter(|_| self.log.is_some()) {
            let rows =
                best.iter().map(|&(place, ..)| model.format.read_with(&context, &items.own(place))).collect();
            self.note_ranked(model, id, rows, &best);
        }
        Ok((best, candidates))
    }

    /// Fills what rows leave open and the store of features knows.
    pub(crate) fn fill(&self, model: &Loaded, sides: &[Side], rows: &mut [impl Row], trace: &Trace) {
        if let Some(join) = &self.join {
            let begun = Instant::now();
            join.fill(model, sides, rows, &self.metrics);
            self.took(trace, Stage::LookUp, begun.elapsed());
        }
    }

    /// What the model reads of rows, with what the store of features knows of them.
    pub(crate) fn joined(&self, model: &Loaded, rows: Vec<RawRow>, trace: &Trace) -> Vec<RawRow> {
        if self.join.is_none() {
            return rows;
        }
        let mut texts: Vec<Texts> = rows.iter().map(Texts::of).collect();
        self.fill(model, &[Side::User, Side::Item], &mut texts, trace);
        texts.iter().map(|row| model.format.read_of(row)).collect()
    }

    /// Keys of the items that a user has had, as far as a store says.
    fn seen(&self, join: &Join, of: (&Loaded, &Texts), trace: &Trace) -> Result<Vec<String>, Refusal> {
        let begun = Instant::now();
        let seen = join.seen(of.0, of.1, &self.metrics);
        self.took(trace, Stage::LookUp, begun.elapsed());
        seen
    }

    /// Notes how long a part of an answer took.
    pub(crate) fn took(&self, trace: &Trace, stage: Stage, time: Duration) {
        self.metrics.took(stage.name(), time);
        trace.took(stage, time);
    }

    /// Notes how long making rows of a body took, which began then; looking up is a part of its own.
    pub(crate) fn parsed(&self, trace: &Trace, begun: Instant) {
        let looked_up = trace.time(Stage::LookUp).unwrap_or_default();
        self.took(trace, Stage::Parse, begun.elapsed().saturating_sub(looked_up));
    }

    /// Which items of the catalogue may be recommended to a user: those that fulfil a condition, are none of
    /// `excluded` and, if `unseen` are wanted, not seen by the user.
    pub(crate) fn wanted(
        &self,
        model: &Loaded,
        user: &Texts,
        (filter, mut excluded, unseen): (Option<&str>, Vec<String>, bool),
        trace: &Trace,
    ) -> Result<Wanted, Refusal> {
        let Some(items) = &model.items else { return Err(without_items(model)) };
        let known = items.catalogue.seen_by().and_then(|column| model.format.place(column));
        let mut seen_by = None;
        match (&self.join, known) {
            _ if !unseen => {}
            (Some(join), known) if known.is_none() || join.knows_seen(model) => {
                excluded.extend(self.seen(join, (model, user), trace)?);
            }
            (_, Some(place)) => seen_by = Some(user.fields[place].as_str()).filter(|user| !user.is_empty()),
            (_, None) => {
                let refusal =
                    Refusal::new(Code::NotFound, "exclude_seen: the server has no store of features");
                return Err(refusal.with_hint("start it with --features, or name the items in \"exclude\""));
            }
        }
        items.catalogue.wanted(filter, &excluded, seen_by)
    }

    fn note_ranked(&self, model: &Arc<Loaded>, id: String, rows: Vec<RawRow>, ranked: &Ranked) {
        let (logits, predictions): (Vec<f32>, Vec<f64>) = ranked.iter().map(|&(_, l, p)| (l, p)).unzip();
        self.note(model, id, rows, &logits, &predictions);
    }

    fn note(
        &self,
        model: &Arc<Loaded>,
        request: String,
        rows: Vec<RawRow>,
        logits: &[f32],
        predictions: &[f64],
    ) {
        let Some(log) = &self.log else { return };
        let (logits, predictions) = (logits.to_vec(), predictions.to_vec());
        let entry = Entry { model: model.clone(), request, rows, logits, predictions };
        if log.note(entry) == Noted::Lost {
            self.metrics.log_lost.inc();
        }
    }

    /// Asks the shadow model about the same rows, where nobody waits for it, and notes how far it is off.
    fn shadow(self: &Arc<Self>, model: &Arc<Loaded>, rows: &[RawRow], predictions: &[f64]) {
        let Some(name) = self.shadow.as_ref().filter(|name| **name != model.name) else { return };
        let (waiting, _) = self.queue.waiting();
        let Ok(shadow) = self.registry.find(name, None) else { return };
        if waiting > 0 {
            return;
        }
        // Columns are told by their names; what only the shadow knows is missing.
        let places: Vec<Option<usize>> =
            shadow.format.inputs().iter().map(|input| model.format.input(&input.name)).collect();
        let translated = rows.iter().map(|row| {
            let mut own = RawRow::default();
            places.iter().for_each(|place| own.push(place.map_or("", |place| row.field(place))));
            own
        });
        let (service, rows, predictions) = (self.clone(), translated.collect(), predictions.to_vec());
        tokio::spawn(async move {
            let count = predictions.len();
            let own = Trace::default();
            let asked = service.ask(&shadow, Task::Score(rows), ("shadow", count), (None, &own, None)).await;
            if let Ok(Answer::Scored(scored)) = asked {
                let of = OfModel { model: shadow.name.clone() };
                let histogram = service.metrics.differences.get_or_create(&of);
                let pairs = scored.predictions.iter().zip(&predictions);
                pairs.for_each(|(a, b)| histogram.observe((a - b).abs()));
            }
        });
    }

    /// The best candidates.
    pub(crate) async fn rank(
        &self,
        model: &Arc<Loaded>,
        candidates: Candidates,
        ask: Ask,
    ) -> Result<Ranked, Refusal> {
        let Ask { id, time, trace, room } = ask;
        let Candidates { context, own, rows, k } = candidates;
        trace.of_rows(rows.len());
        self.limits.check_rows("items", rows.len())?;
        if rows.is_empty() {
            return Ok(Ranked::new());
        }
        let count = rows.len();
        let kept = self.log.is_some().then(|| (context.clone(), rows.clone()));
        let task = Task::Rank { context, own, candidates: rows, k };
        match self.ask(model, task, ("rank", count), (time, &trace, Some(room))).await? {
            Answer::Ranked(ranked) => {
                if let Some((context, rows)) = kept {
                    let read = |&(place, ..): &(usize, _, _)| model.format.read_with(&context, &rows[place]);
                    let rows = ranked.iter().map(read).collect();
                    self.note_ranked(model, id, rows, &ranked);
                }
                Ok(ranked)
            }
            _ => Err(mixed_up()),
        }
    }

    /// What moves the logit of a row.
    pub(crate) async fn explain(
        &self,
        model: &Arc<Loaded>,
        row: RawRow,
        Ask { time, trace, room, .. }: Ask,
    ) -> Result<Explained, Refusal> {
        trace.of_rows(1);
        let task = Task::Explain { row, orders: ORDERS };
        match self.ask(model, task, ("explain", 1), (time, &trace, Some(room))).await? {
            Answer::Explained(explained) => Ok(explained),
            _ => Err(mixed_up()),
        }
    }

    /// Lets a request in before it is made sense of, or refuses it where too many wait already.
    pub(crate) fn admit(&self) -> Result<Room, Refusal> {
        self.queue.room().inspect_err(|refusal| {
            let asked = Asked { model: String::new(), kind: "unread", code: refusal.code().name() };
            self.metrics.requests.get_or_create(&asked).inc();
        })
    }

    async fn ask(
        &self,
        model: &Arc<Loaded>,
        task: Task,
        (kind, rows): (&'static str, usize),
        (time, trace, room): (Option<Duration>, &Trace, Option<Room>),
    ) -> Result<Answer, Refusal> {
        let queued = Instant::now();
        let time = time.map_or(self.limits.answer_time, |time| time.min(self.limits.answer_time));
        let (answer, answered) = oneshot::channel();
        let job = Job { model: model.clone(), task, queued, deadline: queued + time, answer };
        // It is the job's now.
        drop(room);
        let found = match self.queue.push(job) {
            Err(refusal) => Err(refusal),
            Ok(()) => match tokio::time::timeout(time, answered).await {
                Ok(Ok(Some(found))) => found,
                // It was dropped, for its time was over.
                Ok(Ok(None)) => Err(too_late(time, self.limits.answer_time)),
                // Its compute thread is gone, which catches what it can.
                Ok(Err(_)) => {
                    Err(Refusal::new(Code::Internal, "this request was lost: a fault of the server"))
                }
                Err(_) => Err(too_late(time, self.limits.answer_time)),
            },
        };
        if let Ok((_, times)) = &found {
            self.took(trace, Stage::Queue, times.queue);
            self.took(trace, Stage::Encode, times.encode);
            self.took(trace, Stage::Score, times.score);
        }
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
                self.metrics.rows.get_or_create(&OfModel { model: model.name.clone() }).inc_by(rows as u64);
                self.statistics.add(&model.name, rows, took, *times);
                "ok".to_owned()
            }
            Err(refusal) => {
                self.statistics.add_failed(&model.name, took);
                refusal.code().name()
            }
        };
        self.live.add(&model.name, rows, took, found.is_err());
        if let Ok((Answer::Scored(scored), _)) = found {
            let histogram = self.metrics.predictions.get_or_create(&OfModel { model: model.name.clone() });
            scored.predictions.iter().for_each(|&prediction| histogram.observe(prediction));
        }
        self.metrics.requests.get_or_create(&Asked { model: model.name.clone(), kind, code }).inc();
    }
}

/// Why there is nothing to recommend.
fn without_items(model: &Loaded) -> Refusal {
    let reason = model.without_items.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let refusal = Refusal::new(Code::NotFound, format!("the server has no catalogue of items{reason}"));
    refusal.with_hint("start it with --items FILE, a table with a row for each item")
}

/// Takes in what another block has found, and keeps the `k` best of all, the first of equals first.
pub(crate) fn keep_best(best: &mut Ranked, more: Ranked, k: usize) {
    best.extend(more);
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(k);
}

/// There is no answer within a time, which was the request's own wish where it is less than `most`.
fn too_late(time: Duration, most: Duration) -> Refusal {
    let code = if time < most { Code::OutOfTime } else { Code::DeadlineExceeded };
    Refusal::new(code, format!("expected an answer within {} ms, found none", time.as_millis()))
}

fn mixed_up() -> Refusal {
    Refusal::new(Code::Internal, "another answer came than was asked for: a fault of the server")
}
