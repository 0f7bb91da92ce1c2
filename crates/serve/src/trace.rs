//! What is known of a request while it is answered: which model is asked for how many rows, and how long the
//! parts of the answer take.
use crate::models::Loaded;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Letters that are kept of what clients choose: names of requests, paths.
const LETTERS: usize = 256;

/// As much of a text as is kept: what waits to be written down must not grow with what clients send.
pub(crate) fn beginning(text: &str) -> String {
    text.chars().take(LETTERS).collect()
}

/// A part of the time of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Making rows of the body.
    Parse,
    /// Asking the store of features.
    LookUp,
    /// Waiting for a compute thread.
    Queue,
    /// Looking values up in the model's vocabularies.
    Encode,
    /// The forward pass.
    Score,
    /// Making the bytes of the answer.
    Write,
}

impl Stage {
    pub(crate) const ALL: [Stage; 6] =
        [Stage::Parse, Stage::LookUp, Stage::Queue, Stage::Encode, Stage::Score, Stage::Write];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Parse => "parse",
            Stage::LookUp => "look_up",
            Stage::Queue => "queue",
            Stage::Encode => "encode",
            Stage::Score => "score",
            Stage::Write => "write",
        }
    }
}

/// What was noted of a request.
#[derive(Clone, Default)]
pub(crate) struct Noted {
    /// What it is called, as far as that is kept.
    pub(crate) request: Option<String>,
    pub(crate) model: Option<Arc<Loaded>>,
    /// Rows that it asks for, or candidates.
    pub(crate) rows: Option<usize>,
    times: [Option<Duration>; Stage::ALL.len()],
}

impl Noted {
    /// How long a part took, with all its pieces; nothing where the request had no such part.
    pub(crate) fn time(&self, stage: Stage) -> Option<Duration> {
        self.times[stage as usize]
    }
}

/// The notes of one request, which goes from thread to thread.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Noted>>);

impl Trace {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request has this name.
    pub(crate) fn named(&self, request: &str) {
        self.lock().request = Some(beginning(request));
    }

    /// It asks this model.
    pub(crate) fn asks(&self, model: &Arc<Loaded>) {
        self.lock().model = Some(model.clone());
    }

    /// It asks for so many rows.
    pub(crate) fn of_rows(&self, rows: usize) {
        self.lock().rows = Some(rows);
    }

    /// A part took so long, besides what it took before.
    pub(crate) fn took(&self, stage: Stage, time: Duration) {
        let of = &mut self.lock().times[stage as usize];
        *of = Some(of.unwrap_or_default() + time);
    }

    /// How long a part took so far.
    pub(crate) fn time(&self, stage: Stage) -> Option<Duration> {
        self.lock().time(stage)
    }

    /// All that is known so far.
    pub(crate) fn noted(&self) -> Noted {
        self.lock().clone()
    }
}
