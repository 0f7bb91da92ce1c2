//! Work that takes a while, off the threads that read and write connections.
use crate::refusal::{Code, Refusal};

/// Bytes from which on making sense of them takes a while.
const LARGE: usize = 64 << 10;

/// How long work may take.
pub(super) enum Work {
    /// As long as making sense of so many bytes takes.
    OfBytes(usize),
    /// Until somebody else answers.
    Waits,
}

/// Does work, off the threads of connections where it takes a while.
pub(super) async fn beside<T: Send + 'static>(
    size: Work,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if matches!(size, Work::OfBytes(bytes) if bytes < LARGE) {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::new(Code::Internal, "this request met a fault of the server")))
}
