//! Which path is answered by whom.
use super::packing::{Coding, packed};
use super::{inference, native, openapi, pages};
use crate::keys::bearer;
use crate::metrics_format::MetricsFormat;
use crate::refusal::{Code, Refusal};
use crate::request::OpenRequest;
use crate::service::Service;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

/// Routes that everybody who may ask at all may ask for.
pub(crate) fn public(service: Arc<Service>) -> Router {
    let routes = Router::new()
        .route("/v1/predict", post(native::predict))
        .route("/v1/rank", post(native::rank))
        .route("/v1/recommend", post(native::recommend))
        .route("/v1/explain", post(native::explain))
        .route("/v1/live", get(native::live))
        .route("/", get(pages::index))
        .route("/docs", get(pages::docs))
        .route("/page/{file}", get(pages::file))
        .route("/report/{model}", get(pages::report))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/models", get(native::models))
        .route("/v2", get(inference::server))
        .route("/v2/", get(inference::server))
        .route("/v2/health/live", get(inference::live))
        .route("/v2/health/ready", get(inference::ready))
        .route("/v2/repository/index", post(inference::index))
        .route("/v2/models/stats", get(inference::all_statistics))
        .route("/metrics", get(metrics))
        .merge(of_model("/v2/models/{model}"))
        .merge(of_model("/v2/models/{model}/versions/{version}"));
    finish(routes, service)
}

/// Routes that change what answers.
pub(crate) fn admin(service: Arc<Service>) -> Router {
    let routes = Router::new()
        .route("/v2/repository/index", post(inference::index))
        .route("/v2/repository/models/{model}/load", post(inference::load))
        .route("/v2/repository/models/{model}/unload", post(inference::unload))
        .route("/v1/models/{model}/rollback", post(inference::roll_back))
        .route("/metrics", get(metrics));
    finish(routes, service)
}

fn of_model(path: &str) -> Router<Arc<Service>> {
    Router::new()
        .route(path, get(inference::model))
        .route(&format!("{path}/ready"), get(inference::model_ready))
        .route(&format!("{path}/config"), get(inference::config))
        .route(&format!("{path}/stats"), get(inference::statistics))
        .route(&format!("{path}/infer"), post(inference::infer))
}

fn finish(routes: Router<Arc<Service>>, service: Arc<Service>) -> Router {
    routes
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(service.clone(), answered))
        .with_state(service)
}

/// Lets through who has a key, where keys are asked for, and notes what becomes of each request. Whether the
/// server lives may always be asked.
async fn answered(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let open = OpenRequest::new(&service, "http", &mut request);
    let wanted = Coding::of_answer(request.headers()).filter(|_| may_be_packed(request.uri().path()));
    let response = match refused(&service, &request) {
        None => next.run(request).await,
        Some(refusal) => refusal.into_response(),
    };
    let response = packed(response, wanted, open.trace()).await;
    let (status, code) = (response.status().as_u16(), response.extensions().get::<Code>());
    service.metrics.answered(status);
    open.answered(status, code.map(|code| code.name()));
    response
}

/// Whether an answer may be packed. Of the Open Inference Protocol's only scores are: tritonclient with
/// asyncio says that it accepts all of them so, and unpacks no others.
fn may_be_packed(path: &str) -> bool {
    !path.starts_with("/v2") || path.ends_with("/infer")
}

/// What can be said before anything else is looked at.
fn refused(service: &Service, request: &Request) -> Option<Refusal> {
    let path = request.uri().path();
    // The page asks for a key itself, and holds nothing of the models.
    let open =
        ["/v2/health/", "/page/"].iter().any(|open| path.starts_with(open)) || ["/", "/docs"].contains(&path);
    if !(open || service.keys.admits(key(request.headers()))) {
        let expected = "a key in the header `Authorization: Bearer …` or `X-Api-Key`";
        return Some(Refusal::expected(Code::Unauthorized, "request", expected, "none that is known"));
    }
    if !is_text(path) {
        let found = dlrm_data::error::quoted(path);
        return Some(Refusal::expected(Code::BadRequest, "path", "a text in UTF-8", found));
    }
    Coding::of_request(request.headers()).err()
}

/// Whether a path is text when what is written as %XX in it is read.
fn is_text(path: &str) -> bool {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| byte == b'%') {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).is_ok()
}

fn key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    bearer.or_else(|| headers.get("x-api-key").map(HeaderValue::as_bytes))
}

async fn metrics(State(service): State<Arc<Service>>, headers: HeaderMap) -> Response {
    let (jobs, _) = service.queue.waiting();
    service.metrics.waiting.set(jobs as i64);
    let format = MetricsFormat::asked(&headers);
    ([(header::CONTENT_TYPE, format.content_type())], format.of(service.metrics.text())).into_response()
}

async fn not_found(request: Request) -> Refusal {
    let path = dlrm_data::error::quoted(request.uri().path());
    Refusal::new(Code::NotFound, format!("nothing is at {path}")).with_hint("/docs lists what is")
}

async fn not_allowed(request: Request) -> Refusal {
    let error = format!("{} is not how {} is asked", request.method(), request.uri().path());
    Refusal::new(Code::MethodNotAllowed, error).with_hint("/docs says how")
}
