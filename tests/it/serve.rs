//! The server, asked over sockets: the bits of `dlrm predict`, and what is not answered.
mod client;
mod items;
mod joined;
mod limits;
mod load;
mod notes;
mod operation;

use crate::common::works;
use client::{get, post, with_headers};
use dlrm::kernels::isa::Isa;
use dlrm::serve::{Catalogue, Event, Keys, Limits, ModelSource, Options, Server, ServerObserver};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

/// Irregular numbers, the same every time.
fn number(seed: u64, row: u64, below: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&row.to_le_bytes(), seed) % below
}

/// Rows with every kind of column: numbers with gaps, ids, several values, a point in time.
fn rows(count: u64) -> String {
    let row = |r: u64| {
        let (user, item, x) = (number(1, r, 20), number(2, r, 30), number(3, r, 1000));
        let click = u8::from((user + item) % 3 == 0) ^ u8::from(number(4, r, 10) == 0);
        let x = if x < 100 { String::new() } else { format!("{:.2}", x as f64 / 100.0) };
        let tags: Vec<String> =
            (0..1 + number(5, r, 3)).map(|k| format!("t{}", number(6 + k, r, 9))).collect();
        let time = 1_700_000_000 + number(9, r, 40 * 86_400);
        format!("{click},u{user},i{item},{x},{},{time},{}\n", tags.join("|"), number(2, r, 30) % 4)
    };
    "click,user,item,price,tags,time,shelf\n".to_owned() + &(0..count).map(row).collect::<String>()
}

/// A directory with rows and a model of each kind in `runs/KIND`, made once.
fn models() -> &'static Path {
    static MODELS: OnceLock<tempfile::TempDir> = OnceLock::new();
    MODELS
        .get_or_init(|| {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join("rows.csv"), rows(1500)).expect("a file");
            fs::write(dir.path().join("new.csv"), rows(60)).expect("a file");
            let items = (0..30).map(|item| format!("i{item},{},Item {item}\n", item % 4)).collect::<String>();
            fs::write(dir.path().join("items.csv"), "item,shelf,title\n".to_owned() + &items)
                .expect("a file");
            for kind in kinds() {
                let out = format!("runs/{kind}");
                let mut args =
                    vec!["-q", "train", "rows.csv", "--label", "click", "--model", &kind, "-o", &out];
                args.extend(["--no-baseline", "--epochs", "2", "--set", "train.keep=last"]);
                if !["mf", "ncf"].contains(&&*kind) {
                    works(dir.path(), &args);
                    continue;
                }
                // These know two columns.
                args.extend(["--ignore", "price,tags,time,shelf"]);
                works(dir.path(), &args);
            }
            dir
        })
        .path()
}

fn kinds() -> Vec<String> {
    let listed = works(Path::new("."), &["models", "--json"]).out;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let all = listed.as_array().or_else(|| listed["models"].as_array()).expect("a list").iter();
    all.map(|model| model["kind"].as_str().expect("a kind").to_owned()).collect()
}

/// Notes what happens.
#[derive(Default)]
struct Noted(Mutex<Vec<Event>>);

impl ServerObserver for Noted {
    fn event(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

fn options(models: &[(&str, &Path)]) -> Options {
    let source = |(name, dir): &(&str, &Path)| ModelSource { name: (*name).into(), dir: dir.to_path_buf() };
    let free = "127.0.0.1:0".parse().expect("an address");
    Options {
        models: models.iter().map(source).collect(),
        http: free,
        grpc: Some(free),
        admin: Some(free),
        threads: 2,
        isa: Isa::detect(),
        memory_limit: None,
        watch: false,
        catalogue: None,
        features: None,
        tls: None,
        log: None,
        request_log: None,
        split: None,
        shadow: None,
        keys: Keys::default(),
        limits: Limits::default(),
        probe: None,
    }
}

fn start(options: Options) -> Server {
    Server::start(options, Arc::new(Noted::default())).unwrap_or_else(|error| panic!("{error}"))
}

/// The fields of rows by column, from a file without quotes.
fn table(text: &str) -> Vec<Value> {
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().expect("a header");
    let object = |fields: Vec<&str>| {
        Value::Object(
            names.iter().zip(fields).map(|(name, field)| ((*name).to_owned(), json!(field))).collect(),
        )
    };
    lines.map(object).collect()
}

/// What `dlrm predict` says of `new.csv`: predictions and logits.
fn predicted(dir: &Path, model: &str) -> (Vec<f64>, Vec<f32>) {
    let out = works(dir, &["--json", "-q", "predict", model, "new.csv"]).out;
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines
        .map(|l| {
            (l["probability"].as_f64().expect("a number"), l["logit"].as_f64().expect("a number") as f32)
        })
        .unzip()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{value}"))
        .iter()
        .map(|v| v.as_f64().expect("a number"))
        .collect()
}

#[test]
fn every_kind_answers_with_the_bits_of_predict() {
    let dir = models();
    let new = table(&fs::read_to_string(dir.join("new.csv")).expect("rows"));
    for kind in kinds() {
        let out = dir.join("runs").join(&kind);
        let (predictions, logits) = predicted(dir, &format!("runs/{kind}"));
        let server = start(options(&[("m", &out)]));
        let at = server.http();
        // In one request, and row by row.
        let answer = post(at, "/v1/predict", json!({ "rows": new }).to_string());
        if kind == "mf" || kind == "ncf" {
            // Columns that the model does not know are named.
            assert_eq!((answer.status, answer.code().as_str()), (400, "unknown_column"), "{kind}");
        }
        let known: Vec<String> = get(at, "/v1/models").json()["models"][0]["current"]["inputs"]
            .as_array()
            .expect("inputs")
            .iter()
            .map(|input| input["name"].as_str().expect("a name").to_owned())
            .collect();
        let own = |row: &Value| {
            let fields = row.as_object().expect("an object").iter().filter(|(name, _)| known.contains(name));
            Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let new: Vec<Value> = new.iter().map(own).collect();
        let answer = post(at, "/v1/predict", json!({ "rows": new }).to_string()).json();
        assert_eq!(numbers(&answer["predictions"]), predictions, "{kind}");
        assert!(numbers(&answer["logits"]).iter().zip(&logits).all(|(a, b)| *a as f32 == *b), "{kind}");
        for (row, prediction) in new.iter().zip(&predictions).take(5) {
            let answer = post(at, "/v1/predict", json!({ "rows": [row] }).to_string()).json();
            assert_eq!(numbers(&answer["predictions"]), [*prediction], "{kind}");
        }
        tensors(at, &kind, &known, &new, &predictions);
        ranking(at, &kind, &known, &new);
        server.stop();
    }
}

/// The Open Inference Protocol with JSON and with bytes says the same.
fn tensors(at: std::net::SocketAddr, kind: &str, known: &[String], new: &[Value], predictions: &[f64]) {
    let data = |name: &String| new.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    let input = |name: &String| {
        let shape = [new.len()];
        json!({ "name": name, "shape": shape, "datatype": "BYTES", "data": data(name) })
    };
    let inputs: Vec<Value> = known.iter().map(input).collect();
    let answer = post(at, "/v2/models/m/infer", json!({ "id": "7", "inputs": inputs }).to_string()).json();
    assert_eq!(
        (answer["id"].as_str(), numbers(&answer["outputs"][0]["data"])),
        (Some("7"), predictions.to_vec()),
        "{kind}"
    );
    let mut bytes = Vec::new();
    let inputs: Vec<Value> = known
        .iter()
        .map(|name| {
            let before = bytes.len();
            for value in data(name) {
                let text = value.as_str().expect("a text");
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            let size = json!({ "binary_data_size": bytes.len() - before });
            json!({ "name": name, "shape": [new.len(), 1], "datatype": "BYTES", "parameters": size })
        })
        .collect();
    let outputs = [json!({ "name": "prediction", "parameters": { "binary_data": true } })];
    let mut body = json!({ "inputs": inputs, "outputs": outputs }).to_string().into_bytes();
    let length = format!("Inference-Header-Content-Length: {}\r\n", body.len());
    body.extend(bytes);
    let answer = with_headers(at, "POST", "/v2/models/m/infer", &length, &body);
    let head: usize =
        answer.header("inference-header-content-length").and_then(|l| l.parse().ok()).expect("a length");
    let found: Vec<f64> = answer.body[head..]
        .chunks_exact(8)
        .map(|v| f64::from_le_bytes(v.try_into().expect("8 bytes")))
        .collect();
    assert_eq!(found, predictions, "{kind}");
}

/// Ranking candidates is sorting what `predict` says of the joined rows.
fn ranking(at: std::net::SocketAddr, kind: &str, known: &[String], new: &[Value]) {
    let of_item = |name: &String| ["item", "shelf", "tags"].contains(&name.as_str());
    let part = |row: &Value, item: bool| {
        let fields = known.iter().filter(|name| of_item(name) == item);
        Value::Object(fields.map(|name| (name.clone(), row[name].clone())).collect())
    };
    let context = part(&new[0], false);
    let items: Vec<Value> = new.iter().map(|row| part(row, true)).collect();
    let joined: Vec<Value> = items
        .iter()
        .map(|item| {
            let mut row = context.clone();
            row.as_object_mut().expect("an object").extend(item.as_object().expect("an object").clone());
            row
        })
        .collect();
    let scored = post(at, "/v1/predict", json!({ "rows": joined }).to_string()).json();
    let logits = numbers(&scored["logits"]);
    let ranked =
        post(at, "/v1/rank", json!({ "context": context, "items": items, "k": 7 }).to_string()).json();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let found = ranked["items"].as_array().unwrap_or_else(|| panic!("{kind}: {ranked}"));
    let places: Vec<usize> =
        found.iter().map(|item| item["index"].as_u64().expect("a place") as usize).collect();
    assert_eq!(places, order[..7], "{kind}");
    for item in found {
        let place = item["index"].as_u64().expect("a place") as usize;
        assert_eq!(item["logit"].as_f64(), Some(logits[place]), "{kind}");
        assert_eq!(item["item"], items[place], "{kind}");
    }
}

#[test]
fn contributions_add_up_and_are_exact_where_they_can_be() {
    let dir = models();
    let row =
        json!({ "user": "u3", "item": "i7", "price": 4.5, "tags": ["t1", "t2"], "time": 1_700_000_000 });
    for (kind, exact) in [("lr", true), ("fm", true), ("dlrm", false), ("dcn_v2", false)] {
        let server = start(options(&[("m", &dir.join("runs").join(kind))]));
        let explained = post(server.http(), "/v1/explain", json!({ "row": row }).to_string()).json();
        let again = post(server.http(), "/v1/explain", json!({ "row": row }).to_string()).json();
        assert_eq!(explained["contributions"], again["contributions"], "{kind}");
        let sum: f64 = explained["contributions"]
            .as_array()
            .unwrap_or_else(|| panic!("{kind}: {explained}"))
            .iter()
            .map(|c| c["contribution"].as_f64().expect("a number"))
            .sum();
        let [logit, base] = ["logit", "base"].map(|name| explained[name].as_f64().expect("a number"));
        assert!((sum - (logit - base)).abs() < 1e-6, "{kind}: {sum} {logit} {base}");
        let nothing = post(server.http(), "/v1/predict", json!({ "rows": [{}] }).to_string()).json();
        assert_eq!(
            numbers(&nothing["logits"]),
            [base],
            "{kind}: the base is a row in which everything is missing"
        );
        assert_eq!(explained["exact"], exact, "{kind}");
    }
}

#[test]
fn what_is_recommended_is_the_best_of_the_catalogue() {
    let dir = models();
    let scratch = tempfile::tempdir().expect("a directory");
    let table = Catalogue::open(&dir.join("items.csv"), None, scratch.path()).expect("items");
    works(dir, &["-q", "items", "items.csv", "-o", "items.arrow", "--overwrite"]);
    let mapped = Catalogue::open(&dir.join("items.arrow"), Some("item"), scratch.path()).expect("items");
    let catalogues = [table, mapped].map(Arc::new);
    for (kind, catalogue) in [("dlrm", 0), ("deepfm", 1), ("lr", 1), ("dlrm", 1)] {
        let mut options = options(&[("m", &dir.join("runs").join(kind))]);
        options.catalogue = Some(catalogues[catalogue].clone());
        let server = start(options);
        let user = json!({ "user": "u3", "time": 1_700_000_000 });
        let items: Vec<Value> =
            (0..30).map(|i| json!({ "item": format!("i{i}"), "shelf": format!("{}", i % 4) })).collect();
        let ask = json!({ "context": user, "items": items, "k": 30 }).to_string();
        let ranked = post(server.http(), "/v1/rank", ask).json();
        let ask = json!({ "user": user, "k": 30 }).to_string();
        let recommended = post(server.http(), "/v1/recommend", ask).json();
        assert_eq!(recommended["candidates"], 30, "{kind}");
        let names = |value: &Value| {
            let all = value["items"].as_array().unwrap_or_else(|| panic!("{kind}: {value}")).iter();
            all.map(|i| (i["item"]["item"].clone(), i["logit"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(names(&recommended), names(&ranked), "{kind}");
        let ask = json!({
            "user": user, "k": 3, "exclude": ["i1", "i5"], "filter": "shelf = 1 and title contains \"Item\"",
        });
        let some = names(&post(server.http(), "/v1/recommend", ask.to_string()).json());
        let allowed = |(item, _): &&(Value, Value)| {
            let number: u64 = item.as_str().and_then(|i| i[1..].parse().ok()).expect("an item");
            number % 4 == 1 && number != 1 && number != 5
        };
        assert_eq!(
            some,
            names(&ranked).iter().filter(allowed).take(3).cloned().collect::<Vec<_>>(),
            "{kind}"
        );
    }
}

/// What a ranking computes once where the context has all numbers, the user and the time: operations of each
/// kind.
#[test]
fn what_the_context_decides_is_computed_once() {
    use dlrm::engine::{Parallel, Predictor, Workspace};
    use dlrm::nn::SharedInputs;
    let dir = models();
    for kind in kinds() {
        let predictor = Predictor::load(&dir.join("runs").join(&kind), Isa::detect()).expect("a model");
        let (network, encoder) = (predictor.network(), predictor.encoder());
        let columns: Vec<String> = encoder.schema().inputs().into_iter().map(str::to_owned).collect();
        let mut scorer = predictor.row_scorer(&columns).expect("its columns");
        let golden = predictor.golden();
        let place =
            |name: &String| golden.columns.iter().position(|column| column == name).expect("a column");
        for row in &golden.rows {
            scorer.push(columns.iter().map(|name| row[place(name)].as_str())).expect("a golden row");
        }
        let rows = scorer.encode().clone();
        let of_item = |name: &str| ["item", "shelf", "tags"].contains(&name);
        let layout = encoder.layout();
        let features: Vec<bool> = layout.features.iter().map(|feature| !of_item(&feature.name)).collect();
        // Every row with the context of the first.
        let (mut joined, mut row) = (rows.clone(), dlrm::data::Batch::new(&layout));
        row.push_row_of(&rows, 0);
        let width = row.dense.len();
        joined.dense.chunks_exact_mut(width.max(1)).for_each(|dense| dense.copy_from_slice(&row.dense));
        let mut open = joined.clone();
        for (feature, _) in features.iter().enumerate().filter(|(_, shared)| **shared) {
            joined.bags[feature].clear();
            (0..rows.len()).for_each(|_| joined.bags[feature].push_row_of(&row.bags[feature], 0));
            open.bags[feature].clear();
            open.bags[feature].offsets.resize(rows.len() + 1, 0);
        }
        let context = network.context(&row, SharedInputs { dense: true, features: &features });
        let (mut workspace, mut expected) = (Workspace::new(), vec![0.0; rows.len()]);
        network.logits(&joined, &mut expected, &mut workspace, Parallel::Single);
        let mut found = vec![1.0; rows.len()];
        network.logits_in(&context, &open, &mut found, &mut workspace);
        assert_eq!(found, expected, "{kind}");
        let (shared, all) = context.counts();
        println!("{kind}: {shared} of {all} operations once");
        assert!(
            kind != "dlrm" || shared >= 2,
            "the bottom MLP of DLRM reads nothing of an item: {shared} of {all}"
        );
    }
}
