//! Answers over HTTP.
use super::packing::UNDERSTOOD;
use crate::refusal::{Code, Refusal};
use crate::trace::{Stage, Trace};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Instant;

/// What `make` makes, with the time that it took noted.
pub(super) fn written(trace: &Trace, make: impl FnOnce() -> Response) -> Response {
    let begun = Instant::now();
    let response = make();
    trace.took(Stage::Write, begun.elapsed());
    response
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(&self);
        let status = StatusCode::from_u16(self.code().status());
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // For the log of requests.
        response.extensions_mut().insert(self.code());
        let headers = response.headers_mut();
        match self.code() {
            Code::Overloaded | Code::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::UnsupportedEncoding => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(UNDERSTOOD));
            }
            // What is left of such a body would be taken for the next request.
            Code::TooLarge | Code::Timeout => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
