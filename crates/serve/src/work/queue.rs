//! The bounded queue between those who ask and those who compute.
use super::job::{Job, Task};
use crate::refusal::{Code, Refusal};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Rows of small requests that are scored together: what one forward pass takes at a time.
const TOGETHER: usize = 128;

/// Jobs that wait.
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    most_jobs: usize,
    most_rows: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// What they all cost.
    rows: usize,
    /// Requests that have been let in and are yet to become jobs.
    coming: usize,
    /// What a job costs, of late.
    usual: usize,
    generation: u64,
    closed: bool,
}

/// What a compute thread is to do next.
pub(crate) enum Next {
    /// These, of one model. Several only where rows are to be scored.
    Jobs(Vec<Job>),
    /// Look which models there are now.
    NewModels,
    /// Nothing more.
    End,
}

impl Queue {
    pub(crate) fn new(most_jobs: usize, most_rows: usize) -> Self {
        Queue { state: Mutex::default(), wake: Condvar::new(), most_jobs, most_rows }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps room for a job that a request will become, of the usual cost, or refuses it where there is none.
    /// To be asked before the request is made sense of: what is refused only then has taken the time that
    /// those that wait are short of.
    pub(crate) fn room(self: &Arc<Self>) -> Result<Room, Refusal> {
        let mut state = self.lock();
        self.fits(&state, state.usual)?;
        state.coming += 1;
        Ok(Room { queue: self.clone() })
    }

    fn fits(&self, state: &State, cost: usize) -> Result<(), Refusal> {
        let waiting = state.jobs.len() + state.coming;
        let rows = state.rows + state.coming * state.usual + cost;
        if waiting > 0 && (waiting >= self.most_jobs || rows > self.most_rows) {
            let error = format!("{waiting} requests wait already: try again in a moment");
            return Err(Refusal::new(Code::Overloaded, error));
        }
        Ok(())
    }

    /// Adds a job. One that costs more than the whole queue may hold is taken where nothing else waits.
    pub(crate) fn push(&self, job: Job) -> Result<(), Refusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::new(Code::Unavailable, "the server is about to end: ask another one"));
        }
        let cost = job.cost();
        self.fits(&state, cost)?;
        state.rows += cost;
        state.usual = (7 * state.usual + cost).div_ceil(8);
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for something to do. What nobody waits for any more is dropped.
    pub(crate) fn next(&self, generation: u64) -> Next {
        let mut state = self.lock();
        loop {
            if state.generation != generation {
                return Next::NewModels;
            }
            let now = Instant::now();
            while let Some(job) = state.jobs.pop_front() {
                state.rows -= job.cost();
                if job.is_wanted(now) {
                    return Next::Jobs(state.with_others(job, now));
                }
                job.give_up();
            }
            if state.closed {
                return Next::End;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets compute threads look at the models anew.
    pub(crate) fn renew(&self, generation: u64) {
        let mut state = self.lock();
        state.generation = state.generation.max(generation);
        drop(state);
        self.wake.notify_all();
    }

    /// Takes no more jobs; those that wait are still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    /// Jobs that wait, and their rows.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.jobs.len(), state.rows)
    }
}

/// Room for a job that is yet to be made, until it is dropped.
pub(crate) struct Room {
    queue: Arc<Queue>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue.lock().coming -= 1;
    }
}

impl State {
    /// The job, and those behind it that can be scored in the same pass.
    fn with_others(&mut self, job: Job, now: Instant) -> Vec<Job> {
        let mut together = vec![job];
        let mut rows = together[0].cost();
        while let (Task::Score(_), Some(next)) = (&together[0].task, self.jobs.front()) {
            let same = Arc::ptr_eq(&next.model, &together[0].model) && matches!(next.task, Task::Score(_));
            if !same || rows + next.cost() > TOGETHER {
                break;
            }
            let Some(next) = self.jobs.pop_front() else { break };
            self.rows -= next.cost();
            if next.is_wanted(now) {
                rows += next.cost();
                together.push(next);
            } else {
                next.give_up();
            }
        }
        together
    }
}
