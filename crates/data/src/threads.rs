//! Threads that the system may refuse, which is an error and no panic.
use crate::error::{Error, Result};
use std::io;
use std::path::Path;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Does `work` on a thread of its own.
///
/// # Errors
/// If the system has no thread to give.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Builder::new().spawn(work).map_err(refused)
}

/// Does `work` on a thread that ends within `scope`.
///
/// # Errors
/// If the system has no thread to give.
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, work).map_err(refused)
}

fn refused(error: io::Error) -> Error {
    Error::io("start", Path::new("a thread"))(error)
        .with_hint("end other programs, or let more processes run")
}
