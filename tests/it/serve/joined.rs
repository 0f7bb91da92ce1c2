//! Rows that are joined to a store of features before they are scored.
use super::client::{get, post};
use super::{numbers, options, rows, start};
use crate::common::works;
use dlrm::serve::{Catalogue, Server};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A directory with a model that knows neither users nor items by their ids, and a store that is asked by
/// them.
fn place() -> &'static Path {
    static PLACE: OnceLock<tempfile::TempDir> = OnceLock::new();
    PLACE
        .get_or_init(|| {
            let dir = tempfile::tempdir().expect("a directory");
            let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
            write("rows.csv", &rows(1500));
            write("users.csv", "user,price\nu1,2.5\nu2,9\n");
            write("items.csv", "item,shelf,tags\ni1,1,t1|t2\ni2,2,t3\ni3,3,\n");
            write("seen.csv", "user,item\nu1,i2\n");
            let load = "features load f.sqlite --users users.csv --key user --items items.csv --key item \
                --seen seen.csv --key user --key item";
            works(dir.path(), &load.split_whitespace().collect::<Vec<_>>());
            let train = "-q train rows.csv --label click --ignore user,item --model dlrm -o run \
                --no-baseline --epochs 1 --set train.keep=last";
            works(dir.path(), &train.split_whitespace().collect::<Vec<_>>());
            dir
        })
        .path()
}

fn server(with_store: bool) -> Server {
    let mut options = options(&[("m", &place().join("run"))]);
    if with_store {
        options.features = Some(format!("sqlite:{}", place().join("f.sqlite").display()));
        let items = Catalogue::open(&place().join("items.csv"), None, place()).expect("items");
        options.catalogue = Some(Arc::new(items));
    }
    start(options)
}

/// What is answered. A look-up that takes too long leaves columns missing, on a slow machine too: then it is
/// asked again.
fn ask(server: &Server, path: &str, body: &Value) -> Value {
    let late = || {
        let text = String::from_utf8_lossy(&get(server.http(), "/metrics").body).into_owned();
        text.lines()
            .find(|line| line.starts_with("dlrm_feature_lookups_total{result=\"failed\"}"))
            .map(str::to_owned)
    };
    loop {
        let before = late();
        let answer = post(server.http(), path, body.to_string()).json();
        if late() == before {
            return answer;
        }
    }
}

#[test]
fn keys_that_the_model_does_not_read_are_for_the_look_up_alone() {
    let (server, plain) = (server(true), server(false));
    let keys = [json!({ "user": "u1", "item": "i1" }), json!({ "user": "u2", "item": "i3", "price": 7 })];
    let whole =
        [json!({ "price": 2.5, "shelf": "1", "tags": ["t1", "t2"] }), json!({ "price": 7, "shelf": "3" })];
    let predict = |server: &Server, rows: &[Value]| {
        let answer = ask(server, "/v1/predict", &json!({ "rows": rows }));
        numbers(&answer["logits"])
    };
    let expected = predict(&plain, &whole);
    assert_eq!(predict(&server, &keys), expected);
    assert_ne!(expected[0], expected[1]);
    let explained = |server: &Server, row: &Value| {
        let answer = ask(server, "/v1/explain", &json!({ "row": row }));
        answer["contributions"].clone()
    };
    assert_eq!(explained(&server, &keys[0]), explained(&plain, &whole[0]));
    // As tensors.
    let tensor = |name: &str, data: [&str; 2]| {
        let shape = [2];
        json!({ "name": name, "shape": shape, "datatype": "BYTES", "data": data })
    };
    let inputs = [tensor("user", ["u1", "u2"]), tensor("item", ["i1", "i3"]), tensor("price", ["", "7"])];
    let answer = ask(&server, "/v2/models/m/infer", &json!({ "inputs": inputs }));
    assert_eq!(numbers(&answer["outputs"][1]["data"]), expected);
    let told = get(server.http(), "/v1/models").json()["models"][0]["current"]["keys"].clone();
    assert_eq!(told, json!([{ "name": "user", "kind": "key" }, { "name": "item", "kind": "key" }]));
    // Without a store there is nothing that a key is for.
    let refused = post(plain.http(), "/v1/predict", json!({ "rows": [keys[0]] }).to_string());
    assert_eq!((refused.status, refused.code().as_str()), (400, "unknown_column"));
}

#[test]
fn rankings_and_recommendations_by_keys_that_the_model_does_not_read() {
    let (server, plain) = (server(true), server(false));
    let candidates = [("i1", "1", "t1|t2"), ("i2", "2", "t3"), ("i3", "3", "")];
    let by_key: Vec<Value> = candidates.iter().map(|(item, ..)| json!({ "item": item })).collect();
    let whole: Vec<Value> =
        candidates.iter().map(|(_, shelf, tags)| json!({ "shelf": shelf, "tags": tags })).collect();
    let ranked = |server: &Server, context: Value, items: &[Value]| {
        let answer =
            post(server.http(), "/v1/rank", json!({ "context": context, "items": items }).to_string());
        let all = answer.json()["items"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
        all.iter().map(|item| (item["index"].clone(), item["logit"].clone())).collect::<Vec<_>>()
    };
    let found = ranked(&server, json!({ "user": "u1" }), &by_key);
    let expected = ranked(&plain, json!({ "price": 2.5 }), &whole);
    assert_eq!(found, expected);
    let user = json!({ "user": { "user": "u1" }, "exclude_seen": true });
    let answer = ask(&server, "/v1/recommend", &user);
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let logits: Vec<&Value> = items.iter().map(|item| &item["logit"]).collect();
    let unseen: Vec<&Value> =
        expected.iter().filter(|(place, _)| *place != 1).map(|(_, logit)| logit).collect();
    assert_eq!(logits, unseen);
}
