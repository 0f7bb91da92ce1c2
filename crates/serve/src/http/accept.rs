//! Connections: accepted up to a bound, each with a time for its headers, and ended in good order.
use crate::limits::Limits;
use crate::metrics::Metrics;
use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Pause after an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a header.
const HEADER: usize = 64 << 10;

/// What is spoken on connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1
    Http,
    /// HTTP/2 with gRPC in it.
    Grpc,
}

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

/// Answers on connections of one protocol.
#[derive(Clone)]
struct Speaker {
    protocol: Protocol,
    http: http1::Builder,
    grpc: http2::Builder<TokioExecutor>,
    routes: Router,
}

impl Speaker {
    fn new(protocol: Protocol, limits: &Limits, routes: Router) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.header_time).max_buf_size(HEADER);
        let mut grpc = http2::Builder::new(TokioExecutor::new());
        // A client that is silent for that long is asked whether it is still there.
        grpc.timer(TokioTimer::new())
            .keep_alive_interval(limits.header_time)
            .max_header_list_size(HEADER as u32);
        Speaker { protocol, http, grpc, routes }
    }

    /// Answers until the client or the server has had enough; what goes wrong is the client's affair.
    async fn speak<S>(self, stream: TokioIo<S>, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = TowerToHyperService::new(self.routes);
        let _ = match self.protocol {
            Protocol::Http => watcher.watch(self.http.serve_connection(stream, service)).await,
            Protocol::Grpc => watcher.watch(self.grpc.serve_connection(stream, service)).await,
        };
    }
}

/// Accepts connections until told to end, then waits for what is being answered.
pub(crate) async fn accept(
    listener: TcpListener,
    routes: Router,
    protocol: Protocol,
    connections: Connections,
    tls: Option<TlsAcceptor>,
) {
    let Connections { limits, metrics, room, mut ended } = connections;
    let graceful = GracefulShutdown::new();
    let speaker = Speaker::new(protocol, &limits, routes);
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
        let (speaker, watcher, metrics, tls) =
            (speaker.clone(), graceful.watcher(), metrics.clone(), tls.clone());
        let header_time = limits.header_time;
        metrics.connections.inc();
        tokio::spawn(async move {
            // What a client does to its own connection is its own affair.
            match tls {
                None => speaker.speak(TokioIo::new(stream), watcher).await,
                Some(acceptor) => {
                    let shaken = tokio::time::timeout(header_time, acceptor.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        speaker.speak(TokioIo::new(stream), watcher).await;
                    }
                }
            }
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.drain_time, graceful.shutdown()).await;
}
