//! A request from its first line to its answer, over HTTP and gRPC alike.
use crate::request_log::Entry;
use crate::service::Service;
use crate::trace::{Stage, Trace, beginning};
use axum::http::{Method, Request, Uri};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// A request that is being answered. However it ends, the log of requests has a line of it.
pub(crate) struct OpenRequest {
    service: Arc<Service>,
    trace: Trace,
    protocol: &'static str,
    method: Method,
    uri: Uri,
    time: SystemTime,
    begun: Instant,
    is_answered: bool,
}

impl OpenRequest {
    /// Begins to take notes of a request, which is given them for whoever answers it.
    pub(crate) fn new<B>(service: &Arc<Service>, protocol: &'static str, request: &mut Request<B>) -> Self {
        let trace = Trace::default();
        request.extensions_mut().insert(trace.clone());
        OpenRequest {
            service: service.clone(),
            trace,
            protocol,
            method: request.method().clone(),
            uri: request.uri().clone(),
            time: SystemTime::now(),
            begun: Instant::now(),
            is_answered: false,
        }
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// It is answered so; `code` says why it was refused, if it was.
    pub(crate) fn answered(mut self, status: u16, code: Option<String>) {
        self.is_answered = true;
        if let Some(time) = self.trace.time(Stage::Write) {
            self.service.metrics.took(Stage::Write.name(), time);
        }
        self.note(Some(status), code);
    }

    fn note(&self, status: Option<u16>, code: Option<String>) {
        let Some(log) = &self.service.request_log else { return };
        log.note(Entry {
            protocol: self.protocol,
            method: beginning(self.method.as_str()),
            // What stands behind a question mark is nobody's business.
            path: beginning(self.uri.path()),
            time: self.time,
            took: self.begun.elapsed(),
            status,
            code,
            noted: self.trace.noted(),
        });
    }
}

impl Drop for OpenRequest {
    /// The client has gone before its answer.
    fn drop(&mut self) {
        if !self.is_answered {
            self.note(None, Some("client_gone".into()));
        }
    }
}
