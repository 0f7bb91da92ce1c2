//! The part of the document that is the Open Inference Protocol's.
use super::{asked_with, reference, told};
use crate::data_type::DataType;
use crate::models::Loaded;
use crate::oip::inputs;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Paths, with the names of the models that are loaded.
pub(super) fn paths(models: &[Arc<Loaded>]) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut put = |path: &str, method: &str, operation: Value| {
        paths.insert(path.to_owned(), json!({ method: operation }));
    };
    put("/v2", "get", told("The server, by the Open Inference Protocol", "server"));
    put("/v2/health/live", "get", told("Whether it lives", "live_v2"));
    put("/v2/health/ready", "get", told("Whether it is ready", "ready_v2"));
    let mut index = told("The models and their versions", "index_v2");
    index["responses"]["200"]["content"]["application/json"]["schema"] =
        json!({ "type": "array", "items": reference("Object") });
    put("/v2/repository/index", "post", index);
    put("/v2/models/stats", "get", told("Counts of all models", "all_stats_v2"));
    for (version, place) in [(false, "/v2/models/{model}"), (true, "/v2/models/{model}/versions/{version}")] {
        let parameters = parameters(models, version);
        let id = |id: &str| if version { format!("version_{id}_v2") } else { format!("{id}_v2") };
        for (behind, summary, name) in [
            ("", "What a model reads and answers", "metadata"),
            ("/ready", "Whether a model is ready", "model_ready"),
            ("/config", "The configuration of a model", "config"),
            ("/stats", "Counts of a model", "stats"),
        ] {
            let mut operation = told(summary, &id(name));
            operation["parameters"] = parameters.clone();
            put(&format!("{place}{behind}"), "get", operation);
        }
        let mut infer = infer(models, &id("infer"));
        infer["parameters"] = parameters;
        put(&format!("{place}/infer"), "post", infer);
    }
    paths
}

/// What a path says of the model.
fn parameters(models: &[Arc<Loaded>], version: bool) -> Value {
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    // A list of no names would be no schema.
    let known = if names.is_empty() { json!({ "type": "string" }) } else { json!({ "enum": names }) };
    let mut all = vec![json!({ "name": "model", "in": "path", "required": true, "schema": known })];
    if version {
        let text = json!({ "type": "string", "minLength": 1 });
        let mut version = json!({ "name": "version", "in": "path", "required": true, "schema": text });
        if let Some(first) = models.first() {
            version["example"] = json!(first.version);
        }
        all.push(version);
    }
    Value::Array(all)
}

fn infer(models: &[Arc<Loaded>], id: &str) -> Value {
    let schema = reference("InferenceRequest");
    let example = models.first().map_or_else(|| json!({ "inputs": [] }), |model| example(model));
    let mut operation = asked_with("Score rows as tensors", id, "InferenceResponse", (schema, example));
    operation["description"] = json!(
        "A tensor of N values for each column; columns without one are missing. Values may also stand as \
         bytes behind the JSON, whose length the header Inference-Header-Content-Length then says: each \
         input has the parameter binary_data_size in the place of data, and outputs with the parameter \
         binary_data come so too."
    );
    operation
}

/// The example row of a model as tensors of one value.
fn example(model: &Loaded) -> Value {
    let tensor = |(name, text): &(String, String)| {
        let data = [text];
        json!({ "name": name, "shape": [1], "datatype": "BYTES", "data": data })
    };
    json!({ "inputs": model.example.iter().map(tensor).collect::<Vec<_>>() })
}

/// Schemas of tensors.
pub(super) fn schemas(models: &[Arc<Loaded>]) -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let scalar = json!(["string", "number", "boolean", "null"]);
    let parameters =
        json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } });
    let names: BTreeSet<String> =
        models.iter().flat_map(|model| inputs(model)).map(|(name, _)| name).collect();
    let name = if names.is_empty() { text.clone() } else { json!({ "enum": names }) };
    let list = |of: Value| json!({ "type": "array", "items": of });
    let size = json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    let kind = json!({ "enum": DataType::names().collect::<Vec<_>>() });
    let input = json!({
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": name,
            "shape": list(size.clone()),
            "datatype": kind,
            "parameters": parameters,
            "data": list(json!({ "anyOf": [{ "type": scalar }, list(json!({ "type": scalar }))] })),
        },
    });
    let wanted = json!({
        "type": "object",
        "required": ["name"],
        "properties": { "name": { "enum": ["prediction", "logit"] }, "parameters": parameters },
    });
    let output = json!({
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": text, "shape": list(size), "datatype": kind, "parameters": parameters,
            "data": list(json!({ "type": "number" })),
        },
    });
    let mut schemas = Map::new();
    schemas.insert(
        "InferenceRequest".into(),
        json!({
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": text, "parameters": parameters, "inputs": list(input), "outputs": list(wanted),
            },
        }),
    );
    schemas.insert(
        "InferenceResponse".into(),
        json!({
            "type": "object",
            "required": ["model_name", "model_version", "outputs"],
            "properties": { "id": text, "model_name": text, "model_version": text, "outputs": list(output) },
        }),
    );
    schemas
}
