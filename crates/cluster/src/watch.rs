//! Ranks that are waited for.
use std::fmt;
use std::time::{Duration, Instant};

/// How long the others are waited for before it is told, where nothing else is said: no step takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Hears which ranks are late, and how long they have been waited for.
type Tell = dyn FnMut(&[usize], Duration) + Send;

/// Tells which ranks are late.
pub struct Watch {
    after: Duration,
    tell: Box<Tell>,
}

impl Watch {
    /// Calls `tell` with the ranks that are late, and how long they have been waited for, once that is as
    /// long as `after`; then each time that it has doubled.
    pub fn new(after: Duration, tell: impl FnMut(&[usize], Duration) + Send + 'static) -> Self {
        Watch { after, tell: Box::new(tell) }
    }

    /// The wait for an exchange begins.
    pub fn begin(&mut self) -> Wait<'_> {
        let due = self.after;
        Wait { watch: self, since: Instant::now(), due }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a watch that tells after {:?}", self.after)
    }
}

/// The wait for an exchange.
#[derive(Debug)]
pub struct Wait<'a> {
    watch: &'a mut Watch,
    since: Instant,
    due: Duration,
}

impl Wait<'_> {
    /// Until there is something to tell.
    pub fn left(&self) -> Duration {
        self.due.saturating_sub(self.since.elapsed())
    }

    /// Tells of the ranks that are `late`, if it is time to.
    pub fn look(&mut self, late: &[usize]) {
        let waited = self.since.elapsed();
        if waited < self.due || late.is_empty() {
            return;
        }
        (self.watch.tell)(late, waited);
        self.due = waited * 2;
    }
}
