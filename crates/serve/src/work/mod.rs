//! The work of requests: a bounded queue, and compute threads that pull from it.
mod desk;
mod job;
mod known;
mod queue;
mod rank;
mod worker;

pub(crate) use desk::Desk;
pub(crate) use job::{Answer, Explained, Job, Ranked, Scored, Task, Times};
pub(crate) use queue::{Queue, Room};
pub use worker::Probe;
pub(crate) use worker::work;
