//! Training that goes on from a saved model: old rows keep their scores until the first step, new values get
//! rows of their own, and day by day it beats a model that was trained once.
use crate::common::{CLICKS_SCHEMA, clicks, data, fails, works};
use dlrm::engine::observer::Observer;
use dlrm::engine::run::RunObserver;
use dlrm::engine::train_state::TrainState;
use dlrm::engine::{Error, RunRequest, Start};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: i32 = 2;
const DATA: i32 = 3;
const SAVED: i32 = 4;

/// Rates of zero: training goes through its motions and changes nothing.
const STANDSTILL: [&str; 4] = ["--set", "train.optimizer.lr=0", "--set", "train.table_optimizer.lr=0"];

/// `clicks.csv`, and `more.csv` with values that it does not have: users v0, v1, … of every fifth row, a site
/// of many rows and one of a single row.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let text = clicks(900);
    let lines: Vec<&str> = text.lines().collect();
    let new = |(i, line): (usize, &&str)| match i {
        100 => line.replace(",site", ",lonely"),
        i if i % 5 == 1 => line.replace(",u", ",v").replace(",site3", ",new"),
        _ => (*line).to_owned(),
    };
    let more: Vec<String> = lines[600..].iter().enumerate().map(new).collect();
    fs::write(dir.path().join("clicks.csv"), lines[..600].join("\n") + "\n").expect("a file");
    fs::write(dir.path().join("more.csv"), format!("{}\n{}\n", lines[0], more.join("\n"))).expect("a file");
    fs::write(dir.path().join("schema.toml"), CLICKS_SCHEMA).expect("a schema");
    dir
}

/// Trains on `clicks.csv` into `out`.
fn first(dir: &Path, out: &str, more: &[&str]) {
    let args = ["train", "clicks.csv", "--schema", "schema.toml", "--no-baseline", "--quiet", "-o", out];
    works(dir, &[&args, &["--epochs", "2", "--set", "train.linear_start=model"][..], more].concat());
}

/// Goes on from `from` on `more.csv` into `out`; what was said beside the result.
fn further(dir: &Path, from: &str, out: &str, more: &[&str]) -> String {
    let args = ["train", "more.csv", "--from", from, "--no-baseline", "-o", out];
    works(dir, &[&args, more].concat()).err
}

fn scores(dir: &Path, model: &str, file: &str) -> String {
    works(dir, &["predict", model, file, "--quiet"]).out
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON")
}

fn vocabulary(dir: &Path, model: &str, table: &str) -> Vec<String> {
    let encoder = json(dir.join(model).join("model/encoder.json"));
    serde_json::from_value(encoder["vocabularies"][table].clone()).expect("a list of texts")
}

#[test]
fn until_the_first_step_every_row_keeps_its_score() {
    let dir = scratch();
    let dir = dir.path();
    let hashed = CLICKS_SCHEMA
        .replace("{ name = \"user\" }", "{ name = \"user\", encoding = { kind = \"hash\", buckets = 30 } }")
        .replace("pooling = \"mean\"", "pooling = \"learned\"");
    fs::write(dir.join("hashed.toml"), hashed).expect("a schema");
    let uncalibrated = ["--set", "calibration=none"];
    for (out, settings) in [
        ("dlrm", &["--keep-optimizer"][..]),
        ("hashed", &["--schema", "hashed.toml"]),
        ("bf16", &["--set", "train.table_precision=bf16"]),
        ("deepfm", &["--model", "deepfm", "--keep-optimizer"]),
        ("lr", &["--model", "lr"]),
        ("qr", &["--set", "model.quotient_remainder={threshold=20}"]),
    ] {
        let schema =
            settings.iter().position(|&s| s == "--schema").map_or("schema.toml", |at| settings[at + 1]);
        let rest: Vec<&str> =
            settings.iter().copied().filter(|s| !["--schema", "hashed.toml"].contains(s)).collect();
        let args = ["train", "clicks.csv", "--schema", schema, "--epochs", "2", "--no-baseline", "--quiet"];
        works(
            dir,
            &[&args, &["--set", "train.linear_start=model", "-o", out][..], &uncalibrated, &rest].concat(),
        );
        let grown = format!("{out}-grown");
        further(dir, out, &grown, &STANDSTILL);
        assert_eq!(scores(dir, out, "clicks.csv"), scores(dir, &grown, "clicks.csv"), "{out}");
        if out != "qr" {
            // A new value is scored as the unseen one that it was.
            assert_eq!(scores(dir, out, "more.csv"), scores(dir, &grown, "more.csv"), "{out}");
        }
        assert_ne!(vocabulary(dir, out, "site"), vocabulary(dir, &grown, "site"), "{out}");
    }
}

#[test]
fn old_values_keep_their_ids_and_frequent_new_ones_follow() {
    let dir = scratch();
    let dir = dir.path();
    let rare = CLICKS_SCHEMA.replace(
        "{ name = \"site\" }",
        "{ name = \"site\", encoding = { kind = \"vocabulary\", min_count = 3 } }",
    );
    fs::write(dir.join("schema.toml"), rare).expect("a schema");
    first(dir, "first", &["--keep-optimizer"]);
    further(dir, "first", "memory", &[]);
    further(dir, "first", "stream", &["--stream"]);
    for (table, new) in [("site", &["new"][..]), ("user", &["v1"]), ("tags", &[])] {
        let [old, grown] = ["first", "memory"].map(|model| vocabulary(dir, model, table));
        assert_eq!(old[..], grown[..old.len()], "{table}");
        let added: HashSet<&str> = grown[old.len()..].iter().map(String::as_str).collect();
        assert!(new.iter().all(|text| added.contains(text)), "{table}: {added:?}");
        assert!(!added.contains("lonely"), "once is not three times: {added:?}");
        assert_eq!(grown, vocabulary(dir, "stream", table), "{table}");
    }
    let [old, grown] = ["first", "memory"].map(|model| json(dir.join(model).join("model/encoder.json")));
    assert_eq!(old["dense"], grown["dense"], "numbers keep their scale");
    // What was trained on before counts too.
    let out = works(dir, &["evaluate", "memory", "clicks.csv"]).out;
    assert!(out.contains("was trained on clicks.csv"), "{out}");
}

/// A tensor of a saved optimiser, and the number of its steps.
fn state(dir: &Path, model: &str, name: &str) -> (Vec<f32>, String) {
    let bytes = fs::read(dir.join(model).join("model/optimizer.safetensors")).expect("a file");
    let (length, rest) = bytes.split_first_chunk().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).expect("JSON");
    let at = |i: usize| header[name]["data_offsets"][i].as_u64().expect("an offset") as usize;
    let numbers = data[at(0)..at(1)].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    (numbers.collect(), header["__metadata__"]["steps"].as_str().expect("a number").to_owned())
}

#[test]
fn the_state_of_the_optimiser_goes_on_too() {
    let dir = scratch();
    let dir = dir.path();
    first(dir, "first", &["--keep-optimizer"]);
    further(dir, "first", "still", &STANDSTILL);
    further(dir, "first", "moved", &["--max-steps", "3", "--set", "data.split.validation=0.0"]);
    let [first, still, moved] = ["first", "still", "moved"].map(|model| state(dir, model, "tables.user.sum"));
    let steps = [&first, &moved].map(|(_, steps)| steps.parse::<u64>().expect("a number"));
    assert_eq!((&still.1, steps[1]), (&first.1, steps[0] + 3));
    let (old, new) = still.0.split_at(first.0.len());
    assert_eq!(old, first.0);
    assert!(!new.is_empty() && new.iter().all(|&sum| sum == new[0]), "new rows start afresh: {new:?}");
    assert!(moved.0.iter().zip(&still.0).all(|(moved, still)| moved >= still) && moved.0 != still.0);
}

#[test]
fn a_model_says_where_it_came_from() {
    let dir = scratch();
    let dir = dir.path();
    first(dir, "first", &[]);
    let said = further(dir, "first", "second", &["--keep-optimizer"]);
    assert!(
        said.contains("first keeps no state of its optimiser") && said.contains("--keep-optimizer"),
        "{said}"
    );
    assert!(!further(dir, "second", "third", &[]).contains("keeps no state"));
    let shown = |model: &str| -> Value {
        serde_json::from_str(works(dir, &["--json", "show", model]).out.trim()).expect("JSON")
    };
    let (first, second) = (shown("first"), shown("second"));
    assert_eq!(second["config"]["train"]["from"]["id"], first["id"]);
    assert_eq!(second["config"]["train"]["from"]["model"], "first");
    let text = works(dir, &["show", "second"]).out;
    let from = format!("training went on from first (id {})", first["id"].as_str().expect("an id"));
    assert!(text.contains(&from), "{text}");
    // In the place of the model that it goes on from.
    further(dir, "third", "third", &["--overwrite"]);
    // The stored configuration gives the same model again.
    let again = ["train", "--config", "second/model/config.toml", "--no-baseline", "-o", "again"];
    works(dir, &again);
    let weights = |model: &str| fs::read(dir.join(model).join("model/weights.safetensors")).expect("weights");
    assert!(weights("second") == weights("again"));
    // But not from another model in that place.
    works(
        dir,
        &["train", "more.csv", "--schema", "schema.toml", "--epochs", "1", "-o", "first", "--overwrite"],
    );
    fails(
        dir,
        &["train", "--config", "second/model/config.toml", "-o", "x"],
        SAVED,
        &["first: expected the model"],
    );
}

#[test]
fn a_regression_goes_on_in_steps() {
    let dir = scratch();
    let dir = dir.path();
    works(
        dir,
        &["train", "clicks.csv", "--schema", "schema.toml", "--model", "lr", "--quiet", "-o", "first"],
    );
    let said = further(dir, "first", "second", &[]);
    assert!(said.contains("goes on in steps"), "{said}");
}

/// Stops after so many steps.
struct StopAt(u64, u64);

impl Observer for StopAt {
    fn step(&mut self, state: &TrainState, _: f64) {
        self.1 = state.step;
    }
    fn should_stop(&mut self) -> bool {
        self.0 == self.1
    }
}

impl RunObserver for StopAt {}

#[test]
fn interrupted_and_resumed_it_ends_in_the_same_bytes() {
    let dir = scratch();
    let dir = dir.path();
    first(dir, "first", &["--keep-optimizer"]);
    let run = |out: &str, start: Start, stop: u64| {
        let mut request = RunRequest {
            from: Some(dir.join("first")),
            epochs: Some(3),
            batch_size: Some(16),
            out: Some(dir.join(out)),
            start,
            ..RunRequest::default()
        };
        request.input.paths = vec![dir.join("more.csv")];
        if start == Start::Resume {
            request = RunRequest { out: request.out, start, ..RunRequest::default() };
        }
        request.resolve().expect("a run").0.execute(&mut StopAt(stop, 0))
    };
    let _ = run("whole", Start::Fresh, u64::MAX).expect("a run");
    for (start, stop) in [(Start::Fresh, 7), (Start::Resume, 20)] {
        let stopped = run("pieces", start, stop);
        assert!(matches!(stopped, Err(Error::Interrupted { checkpoint: Some(_), .. })));
    }
    let _ = run("pieces", Start::Resume, u64::MAX).expect("a run");
    for file in ["weights.safetensors", "optimizer.safetensors", "encoder.json"] {
        let [whole, pieces] = ["whole", "pieces"].map(|out| fs::read(dir.join(out).join("model").join(file)));
        assert!(whole.expect("a file") == pieces.expect("a file"), "{file}");
    }
}

#[test]
fn prepared_rows_are_of_the_model_or_refused() {
    let dir = scratch();
    let dir = dir.path();
    works(dir, &["prepare", "clicks.csv", "--schema", "schema.toml", "-o", "set"]);
    works(dir, &["train", "set", "--epochs", "1", "--no-baseline", "-o", "first"]);
    works(dir, &["prepare", "more.csv", "-o", "set", "--extend", "train"]);
    works(dir, &["train", "set", "--from", "first", "--no-baseline", "-o", "second"]);
    assert_eq!(vocabulary(dir, "first", "user"), vocabulary(dir, "second", "user"));
    works(dir, &["prepare", "more.csv", "--schema", "schema.toml", "-o", "other"]);
    let args = ["train", "other", "--from", "first", "-o", "x"];
    fails(dir, &args, DATA, &["that of the model that training goes on from", "train on the raw files"]);
}

#[test]
fn mistakes_name_what_does_not_fit() {
    let dir = scratch();
    let dir = dir.path();
    first(dir, "first", &["--keep-optimizer"]);
    let refused = |more: &[&str], code: i32, parts: &[&str]| {
        fails(dir, &[&["train", "more.csv", "--from", "first", "-o", "x"], more].concat(), code, parts);
        assert!(!dir.join("x/model").exists());
    };
    fs::create_dir(dir.join("empty")).expect("a directory");
    let no_model = ["train", "more.csv", "--from", "empty", "-o", "x"];
    fails(dir, &no_model, SAVED, &["empty", "expected a saved model"]);
    fails(dir, &["train", "more.csv", "--from", "nowhere", "-o", "x"], SAVED, &["nowhere", "found nothing"]);
    refused(&["--model", "fm"], USAGE, &["--model", "as in first", "fm"]);
    refused(&["--set", "model.embedding_dim=3"], USAGE, &["model.embedding_dim", "expected 16", "found 3"]);
    refused(&["--label", "age"], USAGE, &["--label", "as in first"]);
    refused(&["--cross", "site,user"], USAGE, &["--cross", "as in first"]);
    refused(&["--set", "train.optimizer.kind=sgd"], USAGE, &["train.optimizer.kind", "adam", "sgd"]);
    refused(&["--set", "train.table_precision=f16"], USAGE, &["train.table_precision"]);
    fs::write(dir.join("c.toml"), "[train]\nepochs = 1\n").expect("a file");
    refused(&["--config", "c.toml"], USAGE, &["--config", "--from"]);
    fs::write(dir.join("age.csv"), "click,years,site,user,tags\n1,3,a,b,c\n").expect("a file");
    fails(dir, &["train", "age.csv", "--from", "first", "-o", "x"], DATA, &["age"]);
    fails(
        dir,
        &[
            "compare",
            "--models",
            "lr",
            "--config",
            "first/model/config.toml",
            "--set",
            "train.from.model=first",
        ],
        USAGE,
        &["--from"],
    );
    fails(dir, &["train", "--model", "auto", "more.csv", "--from", "first", "-o", "x"], USAGE, &["--from"]);
    let seen = CLICKS_SCHEMA
        .replace("{ name = \"user\" }", "{ name = \"user\", encoding = { kind = \"first_seen\" } }");
    fs::write(dir.join("seen.toml"), seen).expect("a schema");
    // Such values are hexadecimal numbers.
    for name in ["clicks.csv", "more.csv"] {
        let rows = fs::read_to_string(dir.join(name)).expect("rows");
        let rows = rows.replace(",user", ",USER").replace(",u", ",").replace(",v", ",f");
        fs::write(dir.join(format!("hex-{name}")), rows.replace(",USER", ",user")).expect("rows");
    }
    works(
        dir,
        &["train", "hex-clicks.csv", "--schema", "seen.toml", "--epochs", "1", "--no-baseline", "-o", "seen"],
    );
    fails(dir, &["train", "hex-more.csv", "--from", "seen", "-o", "x"], DATA, &["\"user\"", "first_seen"]);
    let state = dir.join("first/model/optimizer.safetensors");
    let mut bytes = fs::read(&state).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&state, bytes).expect("a file");
    refused(&[], SAVED, &["optimizer.safetensors", "expected checksum", "restore it from a copy"]);
}

#[test]
fn day_by_day_it_beats_a_model_trained_once_while_clicks_drift() {
    const DAYS: u64 = 6;
    let dir = tempfile::tempdir().expect("a scratch directory");
    let dir = dir.path();
    let days = DAYS.to_string();
    works(
        dir,
        &[
            "generate",
            "clicks",
            "--rows",
            "24000",
            "--days",
            &days,
            "--drift",
            "1.2",
            "--new-ids",
            "0.4",
            "--teacher",
            "lr",
            "--form",
            "csv",
            "--file-per-day",
            "--quiet",
            "-o",
            "log",
        ],
    );
    // The columns of a few thousand values at most: more rows than these would be needed to learn of the
    // others.
    let text = fs::read_to_string(dir.join("log/schema.toml")).expect("a schema");
    let large =
        ["C3", "C4", "C10", "C12", "C16", "C21", "C24", "C26"].map(|name| format!("name = \"{name}\"\n"));
    let kept = text.split("[[").filter(|part| !large.iter().any(|name| part.contains(name)));
    fs::write(dir.join("schema.toml"), kept.collect::<Vec<_>>().join("[[")).expect("a schema");
    let train = |day: u64, out: &str, more: &[&str]| {
        let file = format!("log/day_{day:02}.csv");
        works(dir, &[&["train", file.as_str(), "--no-baseline", "--quiet", "-o", out], more].concat());
    };
    let loss = |model: &str, day: u64| {
        let file = format!("log/day_{day:02}.csv");
        let out = works(dir, &["--json", "--quiet", "evaluate", model, &file]).out;
        let value: Value = serde_json::from_str(out.trim()).expect("JSON");
        value["metrics"]["log_loss"].as_f64().expect("a loss")
    };
    let settings = ["--epochs", "2", "--keep-optimizer", "--set", "train.linear_start=model"];
    train(0, "day0", &[&["--schema", "schema.toml"], &settings[..]].concat());
    let (mut wins, mut once, mut chain) = (0, 0.0, 0.0);
    for day in 1..DAYS - 1 {
        let (before, now) = (format!("day{}", day - 1), format!("day{day}"));
        train(day, &now, &["--from", &before]);
        let losses = [loss("day0", day + 1), loss(&now, day + 1)];
        wins += u64::from(losses[1] < losses[0]);
        (once, chain) = (once + losses[0], chain + losses[1]);
    }
    let later = (DAYS - 2) as f64;
    assert!(2 * wins > DAYS - 2, "{wins} of {later} days");
    assert!(chain / later < once / later - 0.003, "{} against {}", chain / later, once / later);
}

#[test]
fn part_by_part_it_beats_a_model_trained_once_on_ratings_in_the_order_of_time() {
    let name = "part_by_part_it_beats_a_model_trained_once_on_ratings_in_the_order_of_time";
    let Some(movielens) = data(name, "movielens-latest-small") else { return };
    let dir = tempfile::tempdir().expect("a scratch directory");
    let dir = dir.path();
    let text = fs::read_to_string(movielens.join("ratings.csv")).expect("ratings");
    let (header, rows) = text.trim_end().split_once('\n').expect("a header");
    let mut rows: Vec<&str> = rows.lines().collect();
    let time = |row: &str| -> u64 { row.trim().rsplit(',').next().expect("fields").parse().expect("a time") };
    rows.sort_by_key(|row| time(row));
    for (part, rows) in rows.chunks(rows.len().div_ceil(5)).enumerate() {
        let text = format!("{}\n{}\n", header.trim(), rows.join("\n"));
        fs::write(dir.join(format!("{part}.csv")), text).expect("a part");
    }
    let schema = r#"
label = { column = "rating", rule = "rating >= 4" }
categorical = [{ name = "userId" }, { name = "movieId", encoding = { kind = "vocabulary", min_count = 2 } }]
"#;
    fs::write(dir.join("schema.toml"), schema).expect("a schema");
    let loss = |model: &str, part: usize| {
        let out = works(dir, &["--json", "--quiet", "evaluate", model, &format!("{part}.csv")]).out;
        let value: Value = serde_json::from_str(out.trim()).expect("JSON");
        value["metrics"]["log_loss"].as_f64().expect("a loss")
    };
    let first = ["train", "0.csv", "--schema", "schema.toml", "--epochs", "3", "--keep-optimizer"];
    works(dir, &[&first[..], &["--model", "dlrm", "--no-baseline", "--quiet", "-o", "part0"]].concat());
    for part in 1..4 {
        let (before, now) = (format!("part{}", part - 1), format!("part{part}"));
        let file = format!("{part}.csv");
        works(dir, &["train", &file, "--from", &before, "--no-baseline", "--quiet", "-o", &now]);
        let [once, chain] = [loss("part0", part + 1), loss(&now, part + 1)];
        assert!(chain < once, "part {}: {chain} against {once}", part + 1);
    }
}
