//! What came of asking.
use super::quantiles::Quantiles;
use super::requests::Question;
use super::schedule::Arrivals;
use super::stages::StageTime;
use serde::Serialize;
use std::collections::BTreeMap;

/// A server's answers to requests that were due at times fixed ahead.
#[derive(Debug, Clone, Serialize)]
pub struct LoadMeasured {
    /// What each request asked for.
    pub question: Question,
    /// How requests were spread over time.
    pub arrivals: Arrivals,
    /// What times were drawn from.
    pub seed: u64,
    /// Requests that could be under way at once.
    pub connections: usize,
    /// Different requests; beyond them they were repeated.
    pub different: u64,
    /// Requests a second that were asked for.
    pub rate: f64,
    /// From the first moment to the last answer.
    pub seconds: f64,
    /// Requests that were due.
    pub due: u64,
    /// Answers a second, whatever their status.
    pub reached: f64,
    /// Answers a second with status 200.
    pub goodput: f64,
    /// Rows a second of those.
    pub rows_per_second: f64,
    /// Answers by status, but for 429.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers with status 429: refused, for too much waits already.
    pub refused: u64,
    /// Requests without an answer, by what went wrong.
    pub unanswered: BTreeMap<String, u64>,
    /// Requests that were due and never sent, for no connection was free until the end.
    pub unsent: u64,
    /// Requests that left late, for no connection was free when they were due.
    pub held_back: u64,
    /// Milliseconds from when a request was due to its answer, of status 200. Unsent requests are among them
    /// with the time that they had waited when all ended.
    pub latency_ms: Option<Quantiles>,
    /// Milliseconds of the refused ones.
    pub refused_ms: Option<Quantiles>,
    /// Milliseconds by which this side sent requests late although a connection was free: how far to trust
    /// the rest.
    pub late_ms: Option<Quantiles>,
    /// Where the server's time went, by its own account.
    pub stages: Vec<StageTime>,
    /// How it ended.
    pub end: RunEnd,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// As planned.
    Planned,
    /// Whoever started it asked it to stop.
    Interrupted,
    /// Nobody listens any more, as the system says in these words.
    Gone(String),
}
