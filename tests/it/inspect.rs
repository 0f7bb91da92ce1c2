//! `dlrm inspect` as a doctor of data: what it says of faults that were planted, and of real data sets.
use crate::common::{clicks, data, demo, dlrm, works};
use dlrm::data::Schema;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn json(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(works(dir, &[&["--json", "inspect"], args].concat()).out.trim()).expect("JSON")
}

/// The column and the severity of every finding of a kind.
fn found(report: &Value, kind: &str) -> Vec<(String, String)> {
    let findings =
        report["doctor"]["findings"].as_array().expect("findings").iter().filter(|f| f["kind"] == kind);
    findings
        .map(|f| {
            (f["column"].as_str().unwrap_or_default().to_owned(), f["severity"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// Irregular numbers, the same every time.
fn random(seed: u64, row: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(&row.to_le_bytes(), seed) >> 20
}

/// A log in the order of time whose columns know nothing of the click.
fn log(rows: std::ops::Range<u64>) -> Vec<String> {
    let line = |r| {
        let click = u8::from(random(1, r).is_multiple_of(4));
        format!(
            "{click},{},u{},{}.{:03}",
            1_600_000_000 + r * 7,
            random(2, r) % 60,
            random(3, r) % 50,
            random(4, r) % 1000
        )
    };
    rows.map(line).collect()
}

const HEADER: &str = "click,event_time,user,price";

fn write(dir: &Path, name: &str, header: &str, rows: &[String]) {
    fs::write(dir.join(name), format!("{header}\n{}\n", rows.join("\n"))).unwrap();
}

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train.csv", HEADER, &log(0..6000));
    write(dir.path(), "test.csv", HEADER, &log(6000..7000));
    dir
}

#[test]
fn clean_data_have_nothing_to_fix() {
    let dir = scratch();
    for args in [
        &["train.csv", "--split", "order"][..],
        &["train.csv", "--split", "time"],
        &["train.csv", "--test", "test.csv"],
    ] {
        let report = json(dir.path(), &[args, &["--no-estimate"]].concat());
        assert_eq!(
            report["doctor"]["findings"].as_array().map(Vec::len),
            Some(0),
            "{args:?}: {}",
            report["doctor"]["findings"]
        );
        assert!(
            report["forecast"]["pace"].is_null()
                && report["forecast"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0)
        );
    }
    // The last of several files is the last day.
    fs::create_dir(dir.path().join("days")).unwrap();
    (0..4).for_each(|day| {
        write(&dir.path().join("days"), &format!("day_{day}.csv"), HEADER, &log(1500 * day..1500 * (day + 1)))
    });
    let report = json(dir.path(), &["days", "--split", "last-day", "--no-estimate"]);
    assert_eq!(report["doctor"]["rows"], serde_json::json!([4500, 750, 750]));
    let text = works(dir.path(), &["inspect", "train.csv", "--test", "test.csv"]).out;
    for part in [
        "Findings: none.",
        "train",
        "test        1,000",
        "user      vocabulary    62",
        "per epoch on this machine, ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let simulated = json(demo(), &["runs/demo/sample.csv", "--no-estimate"]);
    assert!(
        ["leak", "suspicious", "shared_rows", "drift", "label_shift"]
            .iter()
            .all(|kind| found(&simulated, kind).is_empty())
    );
}

#[test]
fn planted_faults_are_told_the_worst_first() {
    let dir = scratch();
    let mut test = log(6000..7000);
    // A leak, a tenth of the test rows from training, another device in test, an early start.
    test.splice(..100, log(3000..3100));
    let more = |rows: &[String], device: &dyn Fn(usize) -> usize| -> Vec<String> {
        let outcome = |row: &String| if row.starts_with('1') { "sold" } else { "none" };
        rows.iter()
            .enumerate()
            .map(|(i, row)| format!("{row},{}{},d{}", outcome(row), i % 7, device(i)))
            .collect()
    };
    let header = format!("{HEADER},outcome,device");
    write(dir.path(), "leaky.csv", &header, &more(&log(0..6000), &|i| i % 3));
    write(dir.path(), "moved.csv", &header, &more(&test, &|i| 2 + i % 2));
    let args = ["leaky.csv", "--test", "moved.csv", "--no-estimate", "-o", "schema.toml"];
    let report = json(dir.path(), &args);
    let critical = |column: &str| (column.to_owned(), "critical".to_owned());
    assert_eq!(found(&report, "leak"), [critical("outcome")]);
    assert_eq!(report["doctor"]["findings"][0]["kind"], "leak");
    assert_eq!(report["profile"]["columns"][4]["leak"]["how"], "values");
    assert_eq!(found(&report, "drift"), [("device".to_owned(), "warning".to_owned())]);
    assert_eq!(found(&report, "unseen").len(), 1);
    assert_eq!(found(&report, "time_order"), [("event_time".to_owned(), "warning".to_owned())]);
    // `outcome` and `device` are made from the place in the file, so the planted rows differ in them:
    // without, they are the same.
    assert!(found(&report, "shared_rows").is_empty());
    write(dir.path(), "shared.csv", HEADER, &test);
    let report = json(dir.path(), &["train.csv", "--test", "shared.csv", "--no-estimate"]);
    assert_eq!(found(&report, "shared_rows"), [critical("")]);
    let share = report["doctor"]["duplicates"]["shared_with_train"][1].as_f64().unwrap();
    assert!((0.08..=0.1).contains(&share), "{share}: some of these rows validate");
    // The schema tells it too, and is one.
    let text = fs::read_to_string(dir.path().join("schema.toml")).unwrap();
    assert!(
        text.contains("# Warning: distributed otherwise in test") && text.contains("# Table of "),
        "{text}"
    );
    Schema::from_toml(&text, "schema.toml").unwrap();
    let text = works(dir.path(), &[&["inspect"], &args[..4]].concat()).out;
    let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    assert!(place("1. critical  outcome: alone it predicts") < place("device: distributed otherwise"));
    assert!(
        place("why: a column that knows the label") < place("do:  leave it out of the schema")
            && place("column  ") > place("why: ")
    );
}

#[test]
fn disorder_in_time_matters_where_order_is_asked() {
    let dir = scratch();
    let mut rows = log(0..6000);
    rows.sort_by_key(|row| random(9, row.len() as u64 ^ random(8, row.bytes().map(u64::from).sum())));
    write(dir.path(), "shuffled.csv", HEADER, &rows);
    let order = json(dir.path(), &["shuffled.csv", "--split", "order", "--no-estimate"]);
    assert_eq!(found(&order, "time_order"), [("event_time".to_owned(), "critical".to_owned())]);
    let first = order["doctor"]["time"]["first"].as_str().unwrap();
    assert!(first.starts_with("shuffled.csv:"), "{first}");
    assert!(
        found(&json(dir.path(), &["shuffled.csv", "--split", "time", "--no-estimate"]), "time_order")
            .is_empty()
    );
    let random = json(dir.path(), &["shuffled.csv", "--no-estimate"]);
    assert_eq!(found(&random, "time_order"), [("event_time".to_owned(), "note".to_owned())]);
}

#[test]
fn rows_that_training_would_refuse_are_told_with_their_place() {
    let dir = scratch();
    let mut test = log(6000..7000);
    test[41] = "maybe,1600050000,u1,3.5".into();
    write(dir.path(), "odd.csv", HEADER, &test);
    let report = json(dir.path(), &["train.csv", "--test", "odd.csv", "--no-estimate"]);
    assert_eq!(found(&report, "malformed"), [(String::new(), "warning".to_owned())]);
    let finding = report["doctor"]["findings"][0]["found"].as_str().unwrap();
    assert!(finding.contains("1 rows of the test input") && finding.contains("odd.csv:43:1"), "{finding}");
}

#[test]
fn mistakes_in_flags() {
    let dir = scratch();
    fs::write(dir.path().join("clicks.csv"), clicks(200)).unwrap();
    fs::write(dir.path().join("other.csv"), "click,age\n1,2.5\n").unwrap();
    for (args, code, parts) in [
        (
            &["inspect", "train.csv", "--split", "randm"][..],
            2,
            &["--split", "random, order, time or last-day"][..],
        ),
        (&["inspect", "clicks.csv", "--split", "time"], 2, &["`time` column"]),
        (&["inspect", "clicks.csv", "--test", "none.csv"], 5, &["none.csv"]),
        (&["inspect", "clicks.csv", "--test", "other.csv"], 3, &["other.csv", "a column \"site\""]),
    ] {
        let ran = dlrm(dir.path(), args);
        assert!(
            ran.code == code && parts.iter().all(|part| ran.err.contains(part)),
            "{args:?}: {} {}",
            ran.code,
            ran.err
        );
    }
}

#[test]
fn known_faults_of_known_data_sets() {
    let Some(root) = data("known_faults_of_known_data_sets", "") else { return };
    let path = |name: &str| root.join(name).display().to_string();
    let dir = tempfile::tempdir().unwrap();
    // The labels of adult.test end in a full stop.
    let adult = json(
        dir.path(),
        &[&path("adult-census/adult.data"), "--test", &path("adult-census/adult.test"), "--no-estimate"],
    );
    assert_eq!((found(&adult, "malformed").len(), &adult["doctor"]["malformed"]), (1, &Value::from(16_281)));
    assert!(found(&adult, "leak").is_empty() && found(&adult, "drift").is_empty());
    // Criteo's sample is clean.
    let criteo = json(dir.path(), &[&path("criteo-kaggle-sample/train_first10000.txt"), "--no-estimate"]);
    assert_eq!(
        criteo["doctor"]["findings"].as_array().map(Vec::len),
        Some(0),
        "{}",
        criteo["doctor"]["findings"]
    );
    // u1.test holds the first users only, and is split at random in time.
    let columns = ["--columns", "user_id,item_id,rating,timestamp", "--no-estimate"];
    let folds = json(
        dir.path(),
        &[&[&*path("movielens-100k/u1.base"), "--test", &path("movielens-100k/u1.test")], &columns[..]]
            .concat(),
    );
    assert_eq!(found(&folds, "drift"), [("user_id".to_owned(), "warning".to_owned())]);
    assert_eq!(found(&folds, "time_order").len(), 1);
}

#[test]
fn a_given_schema_is_what_the_data_are_looked_at_by() {
    let dir = scratch();
    let schema = "time = \"event_time\"\nlabel = { column = \"click\" }\n\
        categorical = [{ name = \"user\", encoding = { kind = \"hash\", buckets = 40 } }, { name = \"price\" \
        }]\n";
    fs::write(dir.path().join("own.toml"), schema).unwrap();
    let report = json(dir.path(), &["train.csv", "--schema", "own.toml", "--split", "time", "--no-estimate"]);
    let tables: Vec<(&str, u64)> = report["doctor"]["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| (table["column"].as_str().unwrap(), table["table_rows"].as_u64().unwrap()))
        .collect();
    assert_eq!((tables[0], tables[1].0), (("user", 41), "price"));
    let said = works(
        dir.path(),
        &["inspect", "train.csv", "--schema", "own.toml", "-o", "annotated.toml", "--no-estimate"],
    )
    .out;
    assert!(said.contains("hash"), "{said}");
    let written = fs::read_to_string(dir.path().join("annotated.toml")).unwrap();
    assert_eq!(Schema::from_toml(&written, "annotated").unwrap(), Schema::from_toml(schema, "own").unwrap());
    let ran = dlrm(dir.path(), &["inspect", "train.csv", "--schema", "nowhere.toml"]);
    assert!(ran.code == 5 && ran.err.contains("nowhere.toml"), "{}", ran.err);
    fs::write(
        dir.path().join("other.toml"),
        "label = { column = \"clik\" }\ncategorical = [{ name = \"user\" }]\n",
    )
    .unwrap();
    let ran = dlrm(dir.path(), &["inspect", "train.csv", "--schema", "other.toml"]);
    assert!(
        ran.code == 3 && ran.err.contains("\"clik\"") && ran.err.contains("did you mean \"click\"?"),
        "{}",
        ran.err
    );
}
