//! What can be asked over HTTP, as a document for programs (OpenAPI 3.1), made from the models that are
//! loaded.
mod protocol;

use super::answers::json;
use crate::inputs::InputKind;
use crate::models::Loaded;
use crate::service::Service;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `GET /openapi.json`
pub(super) async fn document(State(service): State<Arc<Service>>) -> Response {
    let statuses = service.registry.statuses();
    let models: Vec<Arc<Loaded>> = statuses.into_iter().filter_map(|status| status.current).collect();
    let first = models.first();
    let mut schemas = common();
    schemas.extend(protocol::schemas(&models));
    schemas.insert("Row".into(), first.map_or_else(|| json!({ "type": "object" }), |model| row(model)));
    let example = first.map_or_else(|| json!({}), |model| example(model));
    let mut paths = paths(&example, service.limits.rows);
    paths.extend(protocol::paths(&models));
    json(&json!({
        "openapi": "3.1.0",
        "info": {
            "title": "dlrm serve",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Scores of recommendation models. Raw values go in as the training data has them; \
                a column that a row does not name is missing.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    }))
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn example(model: &Loaded) -> Value {
    Value::Object(model.example.iter().map(|(name, text)| (name.clone(), json!(text))).collect())
}

/// A row of the model's columns.
fn row(model: &Loaded) -> Value {
    let property = |input: &crate::inputs::Input| {
        let what = match input.kind {
            InputKind::Numeric => "a number",
            InputKind::Categorical => "one of many values",
            InputKind::MultiValued { .. } => "several values",
            InputKind::Moment => "a point in time",
            InputKind::Key => "a key of the store of features",
        };
        let single = json!(["string", "number", "boolean", "null"]);
        let mut schema = json!({ "description": what, "type": single });
        if let InputKind::MultiValued { .. } = input.kind {
            schema = json!({ "description": what, "anyOf": [
                { "type": single },
                { "type": "array", "items": { "type": single } },
            ]});
        }
        (input.name.clone(), schema)
    };
    let properties: Map<String, Value> = model.format.columns().iter().map(property).collect();
    json!({ "type": "object", "properties": properties, "example": example(model) })
}

fn common() -> Map<String, Value> {
    let scores = json!({ "type": "array", "items": { "type": "number" } });
    let texts = |names: &[&str]| {
        let all = names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" })));
        all.collect::<Map<_, _>>()
    };
    let answer = |more: Value| {
        let mut properties = texts(&["request", "model", "version"]);
        if let Value::Object(more) = more {
            properties.extend(more);
        }
        let required: Vec<String> = properties.keys().cloned().collect();
        json!({ "type": "object", "properties": properties, "required": required })
    };
    let number = json!({ "type": "number" });
    let ranked = json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "index": { "type": "integer" }, "item": { "type": "object" },
                "prediction": number, "logit": number,
            },
            "required": ["item", "prediction", "logit"],
        },
    });
    let mut schemas = Map::new();
    schemas.insert(
        "Error".into(),
        json!({
            "type": "object",
            "properties": texts(&["error", "code", "hint"]),
            "required": ["error", "code"],
        }),
    );
    schemas.insert("Predicted".into(), answer(json!({ "predictions": scores, "logits": scores })));
    schemas.insert("Ranked".into(), answer(json!({ "items": ranked })));
    schemas.insert(
        "Recommended".into(),
        answer(json!({ "items": ranked, "candidates": { "type": "integer" } })),
    );
    schemas.insert("Explained".into(), {
        let mut of = answer(json!({
            "prediction": number, "logit": number, "base": number, "exact": { "type": "boolean" },
            "contributions": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "column": { "type": "string" }, "kind": { "type": "string" }, "contribution": number,
                },
                "required": ["column", "kind", "contribution"],
            }},
        }));
        of["required"] = json!(["model", "version", "prediction", "logit", "base", "contributions"]);
        of
    });
    schemas.insert("Object".into(), json!({ "type": "object" }));
    schemas
}

/// Paths of our own interface.
fn paths(example: &Value, most: usize) -> Map<String, Value> {
    let rows = json!({ "type": "array", "items": reference("Row"), "maxItems": most });
    let whole = json!({ "anyOf": [reference("Row"), { "type": "null" }] });
    let count = json!({ "type": ["integer", "null"], "minimum": 0, "default": 10 });
    let own = json!({
        "/v1/predict": { "post": asked("Score rows", "predict", "Predicted",
            json!({ "rows": rows }), &["rows"],
            json!({ "rows": [example] })) },
        "/v1/rank": { "post": asked("Rank candidates of one context", "rank", "Ranked",
            json!({ "context": whole, "items": rows, "k": count }), &["items"],
            json!({ "context": {}, "items": [example], "k": 1 })) },
        "/v1/recommend": { "post": asked("Recommend items of the catalogue", "recommend", "Recommended",
            json!({
                "user": whole,
                "k": count,
                "filter": {
                    "type": ["string", "null"],
                    "description": "such as: genre contains \"Drama\" and year >= 1990",
                },
                "exclude_seen": { "type": ["boolean", "null"] },
                "exclude": { "type": ["array", "null"], "items": { "type": "string" } },
            }), &[], json!({ "user": {}, "k": 10 })) },
        "/v1/explain": { "post": asked("What moves the score of a row", "explain", "Explained",
            json!({ "row": reference("Row") }), &["row"], json!({ "row": example })) },
        "/v1/models": { "get": told("The models", "models") },
        "/v1/live": { "get": told("Figures of the last seconds", "live") },
    });
    match own {
        Value::Object(paths) => paths,
        _ => Map::new(),
    }
}

/// A question with a body.
fn asked(
    summary: &str,
    id: &str,
    answer: &str,
    properties: Value,
    required: &[&str],
    example: Value,
) -> Value {
    let mut all = Map::new();
    if let Value::Object(own) = properties {
        all.extend(own);
    }
    for name in ["model", "version", "request"] {
        all.insert(name.into(), json!({ "type": ["string", "null"] }));
    }
    let time = json!({ "type": ["integer", "null"], "minimum": 0 });
    all.insert("timeout_ms".into(), time);
    let schema = json!({
        "type": "object", "properties": all, "required": required, "additionalProperties": false,
    });
    asked_with(summary, id, answer, (schema, example))
}

/// A question with a body of this schema, such as `example`.
fn asked_with(summary: &str, id: &str, answer: &str, (schema, example): (Value, Value)) -> Value {
    let mut operation = told(summary, id);
    operation["requestBody"] = json!({
        "required": true,
        "content": { "application/json": { "schema": schema, "example": example } },
    });
    operation["responses"]["200"]["content"]["application/json"]["schema"] = reference(answer);
    operation
}

/// A question without one.
fn told(summary: &str, id: &str) -> Value {
    let content = |name: &str| json!({ "application/json": { "schema": reference(name) } });
    let mut responses = Map::new();
    responses.insert("200".into(), json!({ "description": "The answer", "content": content("Object") }));
    for (code, what) in [
        ("400", "The request is not what it should be"),
        ("401", "A key is asked for"),
        ("404", "There is no such model or version"),
        ("405", "It is not asked so"),
        ("408", "The body came too slowly, or there was no answer in the time that was asked for"),
        ("413", "The body is too large"),
        ("415", "The body is packed in a way that is not understood"),
        ("422", "Too many rows"),
        ("429", "Too many requests wait: try again in a moment"),
        ("500", "A fault of the server"),
        ("503", "The server is about to end, or the model is not loaded"),
        ("504", "There was no answer in time"),
    ] {
        responses.insert(code.into(), json!({ "description": what, "content": content("Error") }));
    }
    let tag = if id.ends_with("_v2") || id == "server" { "Open Inference Protocol" } else { "dlrm" };
    json!({
        "summary": summary,
        "operationId": id,
        "tags": [tag],
        "responses": responses,
        "security": [{}, { "key": [] }],
    })
}
