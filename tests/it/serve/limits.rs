//! What a server does not take, each refused in its own words.
use super::client::{Answer, answer, get, post, raw, with_headers};
use super::{models, options, start};
use dlrm::serve::{Keys, Limits, Server};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn server(limits: Limits) -> Server {
    let mut options = options(&[("m", &models().join("runs/lr"))]);
    options.limits = limits;
    start(options)
}

fn refused(answer: &Answer, status: u16, code: &str, part: &str) {
    let text = String::from_utf8_lossy(&answer.body).replace("\\\"", "\"");
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{text}");
    assert!(text.contains(part), "missing {part} in {text}");
}

#[test]
fn bodies_that_are_too_large_too_deep_or_no_request() {
    let server = server(Limits { body: 10_000, ..Limits::default() });
    let at = server.http();
    let row = json!({ "user": "u1" });
    refused(&post(at, "/v1/predict", " ".repeat(10_001)), 413, "too_large", "at most 10000 bytes");
    let deep = format!("{{\"rows\":{}{}}}", "[".repeat(70), "]".repeat(70));
    refused(&post(at, "/v1/predict", deep), 400, "bad_json", "at most 64 deep");
    for (body, code, part) in [
        ("", "bad_json", "EOF"),
        ("{", "bad_json", "EOF"),
        ("[]", "bad_request", "body"),
        ("{}", "bad_request", "\"rows\""),
        ("{\"rows\":{}}", "bad_request", "rows"),
        ("{\"rows\":[1]}", "bad_request", "rows[0]"),
        ("{\"rows\":[{\"user\":NaN}]}", "bad_json", "body"),
        ("{\"rows\":[{\"price\":\"NaN\"}]}", "bad_value", "rows[0], column \"price\""),
        ("{\"rows\":[{\"price\":1e999}]}", "bad_value", "price"),
        ("{\"rows\":[{\"price\":\"dear\"}]}", "bad_value", "expected a number, found \"dear\""),
        ("{\"rows\":[{\"price\":[1,2]}]}", "bad_value", "price"),
        ("{\"rows\":[{\"tags\":[[1]]}]}", "bad_value", "tags"),
        ("{\"rows\":[{\"user\":1,\"user\":2}]}", "bad_value", "twice"),
        ("{\"rows\":[{\"usr\":1}]}", "unknown_column", "did you mean \"user\"?"),
        ("{\"rows\":[],\"k\":3}", "bad_request", "\"k\""),
        ("{\"rows\":[],\"what\":3}", "bad_request", "what"),
        ("{\"rows\":[],\"model\":\"n\"}", "unknown_model", "among m"),
        ("{\"rows\":[],\"version\":\"0\"}", "unknown_version", "a version"),
    ] {
        let answer = post(at, "/v1/predict", body);
        let status = if code.starts_with("unknown_m") || code.starts_with("unknown_v") { 404 } else { 400 };
        refused(&answer, status, code, part);
    }
    // A label in a row is no input, and no matter.
    assert_eq!(
        post(at, "/v1/predict", json!({ "rows": [{ "click": 1, "user": "u1" }] }).to_string()).status,
        200
    );
    assert_eq!(
        post(at, "/v1/predict", json!({ "rows": [row] }).to_string()).status,
        200,
        "and it still answers"
    );
}

#[test]
fn more_rows_or_pieces_than_there_may_be() {
    let server = server(Limits { rows: 3, chunks: 100, ..Limits::default() });
    let at = server.http();
    let rows = |count: usize| json!({ "rows": vec![json!({ "user": "u1" }); count] }).to_string();
    assert_eq!(post(at, "/v1/predict", rows(3)).status, 200);
    refused(&post(at, "/v1/predict", rows(4)), 422, "too_many_rows", "at most 3, found 4");
    let tensor =
        json!({ "inputs": [{ "name": "user", "shape": [4], "datatype": "INT32", "data": [1, 2, 3, 4] }] });
    refused(&post(at, "/v2/models/m/infer", tensor.to_string()), 422, "too_many_rows", "at most 3");
    let head =
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let pieces = |count: usize| ["1\r\n \r\n".repeat(count).as_bytes(), b"0\r\n\r\n"].concat();
    // Pieces that come together may be taken as one: only too many that come one by one are seen as such.
    let answer = raw(at, &[head, &pieces(50)]);
    refused(&answer, 400, "bad_json", "EOF");
}

#[test]
fn who_is_slow() {
    let times = Duration::from_millis(300);
    let server = server(Limits { header_time: times, body_time: times, ..Limits::default() });
    let begun = Instant::now();
    let mut silent = TcpStream::connect(server.http()).expect("a connection");
    silent.write_all(b"POST /v1/predict HTTP/1.1\r\nHo").expect("a part of a header");
    let mut slow = TcpStream::connect(server.http()).expect("a connection");
    slow.write_all(b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        .expect("a part of a body");
    refused(&answer(&mut slow), 408, "timeout", "all of it within");
    let mut rest = Vec::new();
    // The connection is closed, with or without a word.
    let _ = std::io::Read::read_to_end(&mut silent, &mut rest);
    assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for ever");
}

#[test]
fn paths_methods_and_names() {
    let server = server(Limits::default());
    let at = server.http();
    for path in
        ["/nothing", "/v1", "/v2/models/", "/../etc/passwd", "/page/..%2f..%2fCargo.toml", "/page/none.js"]
    {
        refused(&get(at, path), 404, "not_found", "");
    }
    for path in ["/v2/models/%2e%2e", "/v2/models/..%2fm/ready", "/v2/models/n/versions/1", "/report/n"] {
        refused(&get(at, path), 404, "unknown_model", "a model among m");
    }
    refused(&get(at, "/v2/models/m/versions/x/ready"), 404, "unknown_version", "a version");
    refused(&get(at, "/v1/predict"), 405, "method_not_allowed", "GET");
    refused(&with_headers(at, "DELETE", "/v2/models/m", "", b""), 405, "method_not_allowed", "DELETE");
    // What changes models is no business of this address.
    refused(&post(at, "/v2/repository/models/m/unload", ""), 404, "not_found", "");
    refused(&post(at, "/v1/recommend", "{}"), 404, "not_found", "no catalogue");
    for path in ["/", "/docs", "/page/page.css", "/openapi.json", "/metrics", "/v1/live", "/v1/models"] {
        assert_eq!(get(at, path).status, 200, "{path}");
    }
    let page = get(at, "/");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

#[test]
fn tensors_that_do_not_fit() {
    let server = server(Limits::default());
    let at = server.http();
    let input = |more: serde_json::Value| {
        let mut input = json!({ "name": "user", "shape": [2], "datatype": "BYTES", "data": ["u1", "u2"] });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "inputs": [input] }).to_string()
    };
    assert_eq!(post(at, "/v2/models/m/infer", input(json!({}))).status, 200);
    for (more, part) in [
        (json!({ "shape": [3] }), "as many values as the shape [3]"),
        (json!({ "shape": [-2] }), "a shape of sizes from 0 on"),
        (json!({ "shape": [1, 2] }), "a shape [N] or [N, 1]"),
        (json!({ "shape": [9_000_000_000_000_000_000u64, 9] }), "shape"),
        (json!({ "datatype": "TEXT" }), "a datatype among"),
        (json!({ "name": "usr" }), "did you mean"),
        (json!({ "data": null }), "data"),
        (json!({ "parameters": { "binary_data_size": 4 } }), "data or binary_data_size"),
    ] {
        let answer = post(at, "/v2/models/m/infer", input(more.clone()));
        assert_eq!(answer.status, 400, "{more}");
        assert!(String::from_utf8_lossy(&answer.body).contains(part), "{more}: {:?}", answer.json());
    }
    let binary = |length: &str, size: i64, bytes: &[u8]| {
        let size = json!({ "binary_data_size": size });
        let input = json!({ "name": "user", "shape": [1], "datatype": "BYTES", "parameters": size });
        let mut body = json!({ "inputs": [input] }).to_string().into_bytes();
        let length = if length.is_empty() { body.len().to_string() } else { length.to_owned() };
        body.extend(bytes);
        with_headers(
            at,
            "POST",
            "/v2/models/m/infer",
            &format!("Inference-Header-Content-Length: {length}\r\n"),
            &body,
        )
    };
    assert_eq!(binary("", 6, b"\x02\0\0\0u1").status, 200);
    for (answer, part) in [
        (binary("-1", 6, b"\x02\0\0\0u1"), "a number of bytes"),
        (binary("+9", 6, b"\x02\0\0\0u1"), "a number of bytes"),
        (binary("many", 6, b"\x02\0\0\0u1"), "a number of bytes"),
        (binary("99999", 6, b"\x02\0\0\0u1"), "a number of bytes"),
        (binary("", 7, b"\x02\0\0\0u1"), "binary_data_size up to the 6 bytes"),
        (binary("", -1, b"\x02\0\0\0u1"), "binary_data_size"),
        (binary("", 5, b"\x02\0\0\0u1"), "the end within one"),
        (binary("", 6, b"\x02\0\0\0u1more"), "no bytes behind"),
        (binary("", 6, b"\x03\0\0\0u1"), "the end within one"),
        (binary("", 6, b"\x02\0\0\0\xff\xfe"), "UTF-8"),
    ] {
        assert_eq!(answer.status, 400, "{part}");
        assert!(String::from_utf8_lossy(&answer.body).contains(part), "{part}: {:?}", answer.json());
    }
}

#[test]
fn keys_are_asked_for_where_there_are_any() {
    let mut options = options(&[("m", &models().join("runs/lr"))]);
    options.keys = Keys::parse("secret");
    let server = start(options);
    let at = server.http();
    refused(&get(at, "/v1/models"), 401, "unauthorized", "a key");
    refused(
        &with_headers(at, "GET", "/v1/models", "Authorization: Bearer secret2\r\n", b""),
        401,
        "unauthorized",
        "",
    );
    assert_eq!(with_headers(at, "GET", "/v1/models", "Authorization: Bearer secret\r\n", b"").status, 200);
    assert_eq!(with_headers(at, "GET", "/v1/models", "X-Api-Key: secret\r\n", b"").status, 200);
    assert_eq!(get(at, "/v2/health/live").status, 200, "whether it lives is no secret");
}
