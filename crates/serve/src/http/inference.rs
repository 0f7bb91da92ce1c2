//! The Open Inference Protocol (version 2) over HTTP, with its extensions for bytes, repositories, statistics
//! and configuration.
use super::answers::{json, written};
use super::beside::{Work, beside};
use super::body::{self, Whole};
use super::tensors;
use crate::metrics::Asked;
use crate::models::Loaded;
use crate::oip::{EXTENSIONS, Output, config_type, inputs};
use crate::refusal::{Code, Refusal};
use crate::service::{Ask, Service, Which};
use crate::statistics::Sum;
use crate::tensor_text::rows;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What a path says of the model.
#[derive(Deserialize)]
pub(super) struct Place {
    model: String,
    version: Option<String>,
}

impl Place {
    fn which(&self) -> Which<'_> {
        Which { model: Some(&self.model), version: self.version.as_deref() }
    }
}

/// What answers a question.
type Answer = Result<Response, Refusal>;
/// The server.
type Served = State<Arc<Service>>;

/// `GET /v2`
pub(super) async fn server() -> Response {
    json(&json!({
        "name": "dlrm",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": EXTENSIONS,
    }))
}

/// `GET /v2/health/live`. Clients read it under either name.
pub(super) async fn live() -> Response {
    json(&json!({ "ready": true, "live": true }))
}

/// `GET /v2/health/ready`
pub(super) async fn ready(State(service): Served) -> Answer {
    let missing = service.registry.statuses().into_iter().find(|status| status.current.is_none());
    if !service.ready.load(Ordering::Relaxed) {
        return Err(Refusal::new(Code::Unavailable, "the server is about to end"));
    }
    match missing {
        Some(status) => {
            Err(Refusal::new(Code::Unavailable, format!("model \"{}\" is not loaded", status.name)))
        }
        None => Ok(json(&json!({ "ready": true, "live": true }))),
    }
}

/// `GET /v2/models/{model}`
pub(super) async fn model(State(service): Served, Path(place): Path<Place>) -> Answer {
    let model = service.model(place.which())?;
    let tensor =
        |(name, datatype): (String, &str)| json!({ "name": name, "datatype": datatype, "shape": [-1] });
    let outputs = Output::ALL.map(|output| tensor((output.name().to_owned(), output.datatype())));
    Ok(json(&json!({
        "name": model.name,
        "versions": service.versions(&model.name),
        "platform": "dlrm",
        "inputs": inputs(&model).into_iter().map(tensor).collect::<Vec<_>>(),
        "outputs": outputs,
    })))
}

/// `GET /v2/models/{model}/ready`
pub(super) async fn model_ready(State(service): Served, Path(place): Path<Place>) -> Answer {
    let model = service.model(place.which())?;
    Ok(json(&json!({ "name": model.name, "ready": true })))
}

/// `GET /v2/models/{model}/config`
pub(super) async fn config(State(service): Served, Path(place): Path<Place>) -> Answer {
    let model = service.model(place.which())?;
    let tensor = |(name, datatype): (String, &str)| {
        let kind = config_type(datatype);
        json!({ "name": name, "data_type": kind, "dims": [-1], "optional": true })
    };
    let output = |output: Output| {
        let kind = config_type(output.datatype());
        json!({ "name": output.name(), "data_type": kind, "dims": [-1] })
    };
    Ok(json(&json!({
        "name": model.name,
        "platform": "dlrm",
        "backend": "dlrm",
        "max_batch_size": 0,
        "input": inputs(&model).into_iter().map(tensor).collect::<Vec<_>>(),
        "output": Output::ALL.map(output),
    })))
}

/// `GET /v2/models/{model}/stats`
pub(super) async fn statistics(State(service): Served, Path(place): Path<Place>) -> Answer {
    let model = service.model(place.which())?;
    Ok(json(&json!({ "model_stats": [of_model(&service, &model)] })))
}

/// `GET /v2/models/stats`
pub(super) async fn all_statistics(State(service): Served) -> Response {
    let loaded = service.registry.statuses().into_iter().filter_map(|status| status.current);
    let all: Vec<Value> = loaded.map(|model| of_model(&service, &model)).collect();
    json(&json!({ "model_stats": all }))
}

fn of_model(service: &Service, model: &Loaded) -> Value {
    let of = service.statistics.of(&model.name);
    let sum = |sum: Sum| json!({ "count": sum.count, "ns": sum.ns });
    let none = sum(Sum::default());
    json!({
        "name": model.name,
        "version": model.version,
        "last_inference": of.last,
        "inference_count": of.rows,
        "execution_count": of.success.count,
        "inference_stats": {
            "success": sum(of.success),
            "fail": sum(of.fail),
            "queue": sum(of.queue),
            "compute_input": sum(of.encode),
            "compute_infer": sum(of.score),
            "compute_output": none,
            "cache_hit": none,
            "cache_miss": none,
        },
        "batch_stats": [],
        "memory_usage": [],
    })
}

/// `POST /v2/models/{model}/infer`
pub(super) async fn infer(State(service): Served, Path(place): Path<Place>, request: Request) -> Answer {
    let model = service.model(place.which())?;
    let Whole { headers, bytes, trace } = body::read(request, &service.limits).await?;
    trace.asks(&model);
    let room = service.admit()?;
    let (begun, size) = (Instant::now(), bytes.len());
    let own = (service.clone(), model.clone(), trace.clone());
    let parse = move || {
        let (service, model, trace) = own;
        let (tensors, wanted) = tensors::read(&headers, &bytes, &service.limits)?;
        let id = wanted.id().map_or_else(|| service.ids.next(), str::to_owned);
        trace.named(&id);
        let rows = service.joined(&model, rows(&model, tensors)?, &trace);
        Ok::<_, Refusal>((rows, wanted, id))
    };
    let work = if service.join.is_some() { Work::Waits } else { Work::OfBytes(size) };
    let parsed = beside(work, parse).await;
    service.parsed(&trace, begun);
    let (rows, wanted, id) = parsed?;
    let ask = Ask { id, time: wanted.time, trace: trace.clone(), room };
    let scored = service.score(&model, rows, ask).await?;
    Ok(written(&trace, || tensors::answer((&model.name, &model.version), &wanted, &scored)))
}

/// `POST /v2/repository/index`
pub(super) async fn index(State(service): Served) -> Response {
    let mut all = Vec::new();
    for status in service.registry.statuses() {
        let reason = status.failed.clone().unwrap_or_default();
        let loaded = status.current.iter().chain(&status.previous);
        all.extend(loaded.map(|model| {
            json!({ "name": status.name, "version": model.version, "state": "READY", "reason": reason })
        }));
        match &status.current {
            Some(_) => {}
            None => all.push(
                json!({ "name": status.name, "version": "", "state": "UNAVAILABLE", "reason": reason }),
            ),
        }
    }
    json(&all)
}

/// `POST /v2/repository/models/{model}/load`
pub(super) async fn load(State(service): Served, Path(place): Path<Place>) -> Answer {
    let name = place.model;
    // A name that is none is told apart from a directory that is none.
    let known = service.registry.find(&name, None).map(drop).or_else(|refusal| match refusal.code() {
        Code::Unavailable => Ok(()),
        _ => Err(refusal),
    });
    let loaded = match known {
        Ok(()) => service.loader.load(&name).await,
        Err(refusal) => Err(refusal),
    };
    let code = if loaded.is_ok() { "ok" } else { "error" };
    let asked = Asked { model: name, kind: "admin", code: code.into() };
    service.metrics.reloads.get_or_create(&asked).inc();
    loaded.map(|_| json(&json!({})))
}

/// `POST /v2/repository/models/{model}/unload`
pub(super) async fn unload(State(service): Served, Path(place): Path<Place>) -> Answer {
    service.registry.unload(&place.model)?;
    Ok(json(&json!({})))
}

/// `POST /v1/models/{model}/rollback`
pub(super) async fn roll_back(State(service): Served, Path(place): Path<Place>) -> Answer {
    let version = service.registry.roll_back(&place.model)?;
    Ok(json(&json!({ "model": place.model, "version": version })))
}
