//! What a server writes down of what it is asked: a line for each request, and figures.
use super::client::{Answer, get, post, with_headers};
use super::{models, options, start};
use dlrm::serve::{Keys, LineSink};
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};

/// Lines as they were written, and what takes them.
fn lines() -> (Arc<Mutex<String>>, LineSink) {
    let written = Arc::new(Mutex::new(String::new()));
    let own = written.clone();
    let sink: LineSink = Arc::new(move |lines: &str| {
        own.lock().map_err(|_| io::Error::other("a fault")).map(|mut text| text.push_str(lines))
    });
    (written, sink)
}

fn asked(at: std::net::SocketAddr, path: &str, body: &str) -> Answer {
    with_headers(at, "POST", path, "X-Api-Key: secret\r\n", body.as_bytes())
}

#[test]
fn every_request_has_a_line_without_keys_and_values() {
    let (written, sink) = lines();
    let mut options = options(&[("m", &models().join("runs/dlrm"))]);
    (options.request_log, options.keys) = (Some(sink), Keys::parse("secret"));
    let server = start(options);
    let (at, admin) = (server.http(), server.admin().expect("an address"));
    let rows = json!({ "rows": [{ "user": "raw-value" }, {}], "request": "mine" }).to_string();
    let version = asked(at, "/v1/predict", &rows).json()["version"].clone();
    asked(at, "/v1/predict", "{\"rows\":[{\"price\":\"raw-value\"}]}");
    asked(at, "/v1/predict?token=secret", "{\"rows\":[],\"model\":\"raw-value\"}");
    asked(at, "/v1/rank", "{\"context\":{},\"items\":[{},{},{}]}");
    asked(at, "/v1/explain", "{\"row\":{}}");
    let input = json!({ "name": "user", "shape": [1], "datatype": "BYTES", "data": ["a"] });
    let inputs = json!({ "id": "7", "inputs": [input] });
    asked(at, "/v2/models/m/infer", &inputs.to_string());
    post(at, "/v1/predict", "{}");
    let long = json!({ "rows": [], "request": "é".repeat(100_000) }).to_string();
    assert_eq!(asked(at, "/v1/predict", &long).status, 200);
    get(at, "/v2/health/live");
    asked(admin, "/v1/models/m/rollback", "");
    server.stop();
    let text = written.lock().expect("no panic").clone();
    assert!(!text.contains("secret") && !text.contains("raw-value"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let brief = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        let rows = line["rows"].as_u64().map_or("-".to_owned(), |rows| rows.to_string());
        format!("{} {} {} {} {rows}", text("method"), text("path"), line["status"], text("code"))
    };
    let mut found: Vec<String> = lines.iter().map(brief).collect();
    found.sort();
    let expected = [
        "GET /v2/health/live 200 - -",
        "POST /v1/explain 200 - 1",
        "POST /v1/models/m/rollback 404 not_found -",
        "POST /v1/predict 200 - 0",
        "POST /v1/predict 200 - 2",
        "POST /v1/predict 400 bad_value 1",
        "POST /v1/predict 401 unauthorized -",
        "POST /v1/predict 404 unknown_model -",
        "POST /v1/rank 200 - 3",
        "POST /v2/models/m/infer 200 - 1",
    ];
    assert_eq!(found, expected);
    assert!(lines.iter().all(|line| line.to_string().len() < 1000), "{lines:?}");
    let of = |name: &str| lines.iter().find(|line| line["request"] == name).expect("a line");
    let line = of("mine");
    assert_eq!(
        (&line["model"], &line["version"], &line["protocol"]),
        (&json!("m"), &version, &json!("http"))
    );
    let stages: Vec<&String> = line["ms"].as_object().expect("an object").keys().collect();
    for stage in ["total", "parse", "queue", "encode", "score", "write"] {
        assert!(stages.iter().any(|name| *name == stage), "{stage} in {stages:?}");
    }
    assert!(of("7")["time"].as_str().expect("a time").ends_with('Z'));
}

/// A figure of `/metrics`.
fn figure(at: std::net::SocketAddr, name: &str) -> u64 {
    let text = String::from_utf8_lossy(&get(at, "/metrics").body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {text}"))
}

#[test]
fn values_that_the_model_does_not_know_are_counted() {
    let server = start(options(&[("m", &models().join("runs/dlrm"))]));
    let at = server.http();
    let of = |what: &str, feature: &str| {
        figure(at, &format!("dlrm_feature_{what}_total{{model=\"m\",feature=\"{feature}\"}}"))
    };
    let user = || ["values", "unseen", "missing"].map(|what| of(what, "user"));
    let rows = json!({ "rows": [
        { "user": "u1", "tags": ["t1", "never"] }, { "user": "nobody" }, { "item": "i2", "tags": [] },
    ]});
    assert_eq!(post(at, "/v1/predict", rows.to_string()).status, 200);
    assert_eq!(user(), [3, 1, 1]);
    assert_eq!(["values", "unseen", "missing"].map(|what| of(what, "tags")), [4, 1, 2]);
    // A context is looked up once, whatever the number of candidates.
    let rank = json!({ "context": { "user": "nobody" }, "items": [{ "item": "i1" }, { "item": "new" }] });
    assert_eq!(post(at, "/v1/rank", rank.to_string()).status, 200);
    assert_eq!(user(), [4, 2, 1]);
    assert_eq!(["values", "unseen", "missing"].map(|what| of(what, "item")), [5, 1, 2]);
    // What is refused was not looked up.
    assert_eq!(post(at, "/v1/predict", "{\"rows\":[{\"user\":\"u1\"},{\"price\":\"x\"}]}").status, 400);
    assert_eq!(user(), [4, 2, 1]);
    for stage in ["parse", "queue", "encode", "score", "write"] {
        assert!(figure(at, &format!("dlrm_stage_seconds_count{{stage=\"{stage}\"}}")) >= 2, "{stage}");
    }
}
