//! Connections: accepted up to a bound, each with a time for its headers, and ended in good order.
use crate::limits::Limits;
use crate::metrics::Metrics;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Pause after an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a header.
const HEADER: usize = 64 << 10;

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// How many there may be.
    pub(crate) room: Arc<Semaphore>,
    /// Becomes true when no more are taken.
    pub(crate) ended: watch::Receiver<bool>,
}

/// Accepts connections until told to end, then waits for what is being answered.
pub(crate) async fn accept(listener: TcpListener, routes: Router, connections: Connections) {
    let Connections { limits, metrics, room, mut ended } = connections;
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_time).max_buf_size(HEADER);
    loop {
        // Whoever finds no room waits with the system until there is some.
        let place = tokio::select! {
            place = room.clone().acquire_owned() => place,
            _ = ended.wait_for(|ended| *ended) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ended.wait_for(|ended| *ended) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // An answer is one write, which should not wait for another.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(routes.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let metrics = metrics.clone();
        metrics.connections.inc();
        tokio::spawn(async move {
            // What a client does to its own connection is its own affair.
            let _ = connection.await;
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain_time, graceful.shutdown()).await;
}
