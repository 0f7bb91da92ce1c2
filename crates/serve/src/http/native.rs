//! Our own interface: rows as JSON objects.
use super::answers::{json, written};
use super::beside::{Work, beside};
use super::body::{self, Whole};
use crate::join::{Candidate, Row};
use crate::models::Loaded;
use crate::refusal::{Code, Refusal};
use crate::rows::OwnTexts;
use crate::service::{Ask, Candidates, Service, Which};
use crate::trace::Trace;
use crate::work::Room;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use dlrm_data::row::RawRow;
use dlrm_engine::explain::Column;
use dlrm_features::Side;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Places in a ranking if nothing is said.
const PLACES: usize = 10;

/// A request of any kind: each kind needs some of these, and refuses the others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow, default)]
    rows: Option<&'a RawValue>,
    #[serde(borrow, default)]
    row: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
    #[serde(borrow, default)]
    filter: Option<Cow<'a, str>>,
    #[serde(default)]
    exclude: Option<Vec<Cow<'a, str>>>,
    #[serde(default)]
    k: Option<usize>,
    #[serde(default)]
    exclude_seen: Option<bool>,
    /// What the log calls it.
    #[serde(borrow, default)]
    request: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    version: Option<Cow<'a, str>>,
    #[serde(default)]
    timeout_ms: Option<u64>,
}

/// A request that was read: the model, what is asked of it, and what the request says of itself.
struct Read<T> {
    model: Arc<Loaded>,
    what: T,
    ask: Ask,
}

/// What rows are read for.
struct Reader<'a> {
    service: &'a Service,
    model: &'a Loaded,
    trace: &'a Trace,
    body: &'a Bytes,
}

impl Reader<'_> {
    /// Fills what rows leave open and the store of features knows.
    fn fill(&self, sides: &[Side], rows: &mut [impl Row]) {
        self.service.fill(self.model, sides, rows, self.trace);
    }
}

/// Makes what is asked of a model out of a request.
type Make<T> = fn(&Asked<'_>, &Reader<'_>) -> Result<T, Refusal>;

/// `POST /v1/predict`
pub(super) async fn predict(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let Read { model, what, ask } = read(&service, request, |asked, reader| {
        let model = reader.model;
        asked.only(&["rows"])?;
        let rows = list(asked.rows.ok_or_else(|| missing("rows", "a list of rows"))?, "rows")?;
        reader.service.limits.check_rows("rows", rows.len())?;
        let mut texts = model.format.missing();
        let mut row = |(number, row): (usize, &&RawValue)| -> Result<RawRow, Refusal> {
            texts.clear();
            model.format.read(row, &format!("rows[{number}]"), &mut texts)?;
            Ok(texts.to_row())
        };
        let rows = rows.iter().enumerate().map(&mut row).collect::<Result<Vec<_>, _>>()?;
        Ok(reader.service.joined(model, rows, reader.trace))
    })
    .await?;
    let (id, trace) = (ask.id.clone(), ask.trace.clone());
    let scored = service.score(&model, what, ask).await?;
    Ok(written(&trace, || {
        json(&json!({
            "request": id,
            "model": model.name,
            "version": model.version,
            "predictions": scored.predictions,
            "logits": scored.logits,
        }))
    }))
}

/// `POST /v1/rank`
pub(super) async fn rank(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    let Read { model, what, ask } = read(&service, request, |asked, reader| {
        let model = reader.model;
        asked.only(&["context", "items", "k"])?;
        let items = list(asked.items.ok_or_else(|| missing("items", "a list of candidates"))?, "items")?;
        reader.service.limits.check_rows("items", items.len())?;
        let mut context = model.format.missing();
        if let Some(object) = asked.context {
            model.format.read(object, "context", &mut context)?;
        }
        reader.fill(&[Side::User], std::slice::from_mut(&mut context));
        let mut own = vec![false; context.fields.len()];
        let mut rows = vec![OwnTexts::default(); items.len()];
        for (number, (item, row)) in items.iter().zip(&mut rows).enumerate() {
            model.format.read(item, &format!("items[{number}]"), row)?;
            row.columns().for_each(|(place, _)| own[place] = true);
        }
        if let Some(join) = &reader.service.join {
            let mut joined: Vec<_> =
                rows.iter_mut().map(|own| Candidate { context: &context, own }).collect();
            reader.fill(&[Side::Item], &mut joined);
            join.columns(model, Side::Item).into_iter().for_each(|place| own[place] = true);
        }
        let own = (0..own.len()).filter(|&place| own[place]).collect();
        let k = asked.k.unwrap_or(PLACES);
        // What is answered is as the request wrote it.
        let items: Vec<Bytes> =
            items.iter().map(|item| reader.body.slice_ref(item.get().as_bytes())).collect();
        Ok((Candidates { context, own, rows, k }, items))
    })
    .await?;
    let (candidates, items) = what;
    let (id, trace) = (ask.id.clone(), ask.trace.clone());
    let ranked = service.rank(&model, candidates, ask).await?;
    let place = |&(index, logit, prediction): &(usize, f32, f64)| {
        let item = serde_json::from_slice::<&RawValue>(&items[index]).ok();
        json!({ "index": index, "prediction": prediction, "logit": logit, "item": item })
    };
    Ok(written(&trace, || {
        let ranked: Vec<_> = ranked.iter().map(place).collect();
        json(&json!({ "request": id, "model": model.name, "version": model.version, "items": ranked }))
    }))
}

/// `POST /v1/recommend`
pub(super) async fn recommend(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let Read { model, what, ask } = read(&service, request, |asked, reader| {
        let model = reader.model;
        asked.only(&["user", "k", "filter", "exclude", "exclude_seen"])?;
        let mut user = model.format.missing();
        if let Some(object) = asked.user {
            model.format.read(object, "user", &mut user)?;
        }
        let excluded = asked.exclude.as_deref().unwrap_or_default();
        let excluded = excluded.iter().map(|key| key.to_string()).collect();
        reader.fill(&[Side::User], std::slice::from_mut(&mut user));
        let asked_for = (asked.filter.as_deref(), excluded, asked.exclude_seen == Some(true));
        let wanted = reader.service.wanted(model, &user, asked_for, reader.trace)?;
        Ok((user, wanted, asked.k.unwrap_or(PLACES)))
    })
    .await?;
    let (user, wanted, k) = what;
    let (id, trace) = (ask.id.clone(), ask.trace.clone());
    let (ranked, candidates) = service.recommend(&model, user, (wanted, k), ask).await?;
    let catalogue = model.items.as_ref().map(|items| &items.catalogue);
    let item = |&(place, logit, prediction): &(usize, f32, f64)| {
        let texts = catalogue.map(|catalogue| catalogue.columns().iter().zip(catalogue.fields(place)));
        let item: serde_json::Map<_, _> =
            texts.into_iter().flatten().map(|(name, text)| (name.clone(), json!(text))).collect();
        json!({ "item": item, "prediction": prediction, "logit": logit })
    };
    Ok(written(&trace, || {
        let items: Vec<_> = ranked.iter().map(item).collect();
        json(&json!({
            "request": id,
            "model": model.name,
            "version": model.version,
            "candidates": candidates,
            "items": items,
        }))
    }))
}

/// `GET /v1/live`
pub(super) async fn live(State(service): State<Arc<Service>>) -> Response {
    let (waiting, _) = service.queue.waiting();
    let connections = service.metrics.connections.get();
    json(&json!({ "models": service.live.figures(), "waiting": waiting, "connections": connections }))
}

/// `POST /v1/explain`
pub(super) async fn explain(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let Read { model, what, ask } = read(&service, request, |asked, reader| {
        let model = reader.model;
        asked.only(&["row"])?;
        let row = asked.row.ok_or_else(|| missing("row", "a row"))?;
        let mut texts = model.format.missing();
        model.format.read(row, "row", &mut texts)?;
        reader.fill(&[Side::User, Side::Item], std::slice::from_mut(&mut texts));
        Ok(model.format.read_of(&texts))
    })
    .await?;
    let trace = ask.trace.clone();
    let found = service.explain(&model, what, ask).await?;
    let contribution = |(column, value): (&Column, &f64)| {
        let kind = column.kind.name();
        json!({ "column": column.name, "kind": kind, "contribution": value })
    };
    Ok(written(&trace, || {
        let contributions: Vec<_> = model.columns.iter().zip(&found.values).map(contribution).collect();
        json(&json!({
            "model": model.name,
            "version": model.version,
            "prediction": found.prediction,
            "logit": found.logit,
            "base": found.base,
            "exact": found.exact,
            "contributions": contributions,
        }))
    }))
}

/// `GET /v1/models`
pub(super) async fn models(State(service): State<Arc<Service>>) -> Response {
    let model = |status: crate::models::Status| {
        let current = status.current.as_ref().map(|model| {
            json!({
                "version": model.version,
                "since": model.since,
                "kind": model.predictor.config().model.kind(),
                "task": model.predictor.task(),
                "inputs": model.format.inputs(),
                "keys": model.format.keys(),
                "metrics": model.predictor.metrics(),
                "example": model.example.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "report": model.report.as_ref().map(|_| format!("/report/{}", model.name)),
                "items": model.items.as_ref().map(|items| json!({
                    "columns": items.catalogue.columns(),
                    "key": items.catalogue.key(),
                    "count": items.catalogue.len(),
                })),
            })
        });
        json!({
            "name": status.name,
            "current": current,
            "previous": status.previous.map(|model| model.version.clone()),
            "failed": status.failed,
        })
    };
    let models: Vec<_> = service.registry.statuses().into_iter().map(model).collect();
    json(&json!({ "models": models }))
}

/// Reads a body and makes a request of it.
async fn read<T: Send + 'static>(
    service: &Arc<Service>,
    request: Request,
    make: Make<T>,
) -> Result<Read<T>, Refusal> {
    let Whole { bytes, trace, .. } = body::read(request, &service.limits).await?;
    let room = service.admit()?;
    let begun = Instant::now();
    let (own, noted) = (service.clone(), trace.clone());
    // A store of features is waited for elsewhere too.
    let work = if service.join.is_some() { Work::Waits } else { Work::OfBytes(bytes.len()) };
    let read = beside(work, move || parse((&own, room), &bytes, noted, make)).await;
    service.parsed(&trace, begun);
    read
}

fn parse<T>(
    (service, room): (&Service, Room),
    bytes: &Bytes,
    trace: Trace,
    make: Make<T>,
) -> Result<Read<T>, Refusal> {
    service.limits.check_depth(bytes)?;
    // A list would be taken for an object by its order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Refusal::expected(Code::BadRequest, "body", "an object", "a list"));
    }
    let asked: Asked<'_> = serde_json::from_slice(bytes).map_err(|error| {
        let code = if error.is_data() { Code::BadRequest } else { Code::BadJson };
        Refusal::new(code, format!("body: {error}"))
    })?;
    let id = asked.request.as_deref().map_or_else(|| service.ids.next(), str::to_owned);
    trace.named(&id);
    let named = asked.model.as_deref().or_else(|| service.split.as_ref()?.choose(asked.said()));
    let model = service.model(Which { model: named, version: asked.version.as_deref() })?;
    trace.asks(&model);
    let what = make(&asked, &Reader { service, model: &model, trace: &trace, body: bytes })?;
    let time = asked.timeout_ms.map(Duration::from_millis);
    Ok(Read { model, what, ask: Ask { id, time, trace, room } })
}

impl Asked<'_> {
    /// The object that tells who asks.
    fn said(&self) -> Option<&RawValue> {
        let first = self.rows.and_then(|rows| list(rows, "rows").ok()?.first().copied());
        self.user.or(self.context).or(self.row).or(first)
    }

    /// Refuses what the kind of request has no use for.
    fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let said = [
            ("rows", self.rows.is_some()),
            ("row", self.row.is_some()),
            ("context", self.context.is_some()),
            ("items", self.items.is_some()),
            ("user", self.user.is_some()),
            ("filter", self.filter.is_some()),
            ("exclude", self.exclude.is_some()),
            ("exclude_seen", self.exclude_seen.is_some()),
            ("k", self.k.is_some()),
        ];
        match said.into_iter().find(|(name, said)| *said && !known.contains(name)) {
            Some((name, _)) => {
                let expected = format!("{} beside model, version, request and timeout_ms", known.join(", "));
                Err(Refusal::expected(Code::BadRequest, "body", &expected, format!("\"{name}\"")))
            }
            None => Ok(()),
        }
    }
}

/// The values of a list.
fn list<'a>(value: &'a RawValue, place: &str) -> Result<Vec<&'a RawValue>, Refusal> {
    serde_json::from_str(value.get()).map_err(|_| {
        Refusal::expected(Code::BadRequest, place, "a list", dlrm_data::error::quoted(value.get()))
    })
}

fn missing(key: &str, what: &str) -> Refusal {
    Refusal::expected(Code::BadRequest, "body", &format!("\"{key}\", {what}"), "none")
}
