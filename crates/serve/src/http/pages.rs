//! The pages of the server: in the binary, without anything from elsewhere.
use crate::refusal::{Code, Refusal};
use crate::service::{Service, Which};
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What a page may do: nothing but ask this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a report may do, whose style stands in it: no script, and nothing from elsewhere.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'self'; sandbox";

macro_rules! files {
    ($($name:literal: $kind:literal),* $(,)?) => {
        [$(($name, $kind, include_str!(concat!("../../page/", $name)))),*]
    };
}

const FILES: [(&str, &str, &str); PAGE_FILES] = files! {
    "index.html": "text/html; charset=utf-8",
    "docs.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "common.js": "text/javascript; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "fields.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "recommend.js": "text/javascript; charset=utf-8",
    "score.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
};
const PAGE_FILES: usize = 11;

fn served(name: &str, policy: &'static str) -> Result<Response, Refusal> {
    let known = FILES.iter().find(|(own, ..)| *own == name);
    let missing = || Refusal::new(Code::NotFound, "nothing is at this path");
    known.map(|&(_, kind, text)| page(kind, text.to_owned(), policy)).ok_or_else(missing)
}

fn page(kind: &'static str, text: String, policy: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    (headers, text).into_response()
}

/// `GET /`
pub(super) async fn index() -> Result<Response, Refusal> {
    served("index.html", POLICY)
}

/// `GET /docs`
pub(super) async fn docs() -> Result<Response, Refusal> {
    served("docs.html", POLICY)
}

/// `GET /page/{file}`
pub(super) async fn file(Path(file): Path<String>) -> Result<Response, Refusal> {
    served(&file, POLICY)
}

/// `GET /report/{model}`
pub(super) async fn report(
    State(service): State<Arc<Service>>,
    Path(model): Path<String>,
) -> Result<Response, Refusal> {
    let model = service.model(Which { model: Some(&model), version: None })?;
    let missing =
        || Refusal::new(Code::NotFound, format!("model \"{}\" has no report beside it", model.name));
    let path = model.report.clone().ok_or_else(missing)?;
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let text = read.ok().and_then(Result::ok).ok_or_else(missing)?;
    Ok(page("text/html; charset=utf-8", text, REPORT_POLICY))
}
