//! The commands do what they say, end to end.
use crate::common::{
    CLICKS_SCHEMA, clicks, command, data, demo, demo_copy, dlrm, finished, json, scratch, works,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

const TRAIN: [&str; 7] = ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "3", "--quiet"];

fn train(dir: &Path, out: &str, more: &[&str]) {
    works(dir, &[&TRAIN[..], &["-o", out], more].concat());
}

fn weights(dir: &Path, out: &str) -> Vec<u8> {
    fs::read(dir.join(out).join("model/weights.safetensors")).unwrap()
}

pub(crate) fn metric(report: &Value, candidate: usize, split: &str, name: &str) -> f64 {
    let splits = report["candidates"][candidate]["splits"].as_array().unwrap();
    splits.iter().find(|s| s["split"] == split).unwrap()["metrics"][name].as_f64().unwrap()
}

#[test]
fn the_demo_comes_close_to_the_optimum() {
    let dir = tempfile::tempdir().unwrap();
    let report = json(dir.path(), &["demo"]);
    let closed = report["gap_closed"].as_f64().unwrap();
    assert!(closed >= 0.8, "closes {closed} of the gap");
    let (best, linear, entropy) = (
        report["optimum"]["log_loss"].as_f64().unwrap(),
        metric(&report, 1, "test", "log_loss"),
        report["label_entropy"].as_f64().unwrap(),
    );
    assert!(best < linear && linear < entropy, "{best} {linear} {entropy}");
    for file in ["model/manifest.json", "report.html", "report.json", "schema.toml", "sample.csv"] {
        assert!(dir.path().join("runs/demo").join(file).exists(), "{file}");
    }
    let page = fs::read_to_string(dir.path().join("runs/demo/report.html")).unwrap();
    assert!(page.len() < 1_000_000 && !page.contains("src=\"http"));
}

#[test]
fn predict_and_evaluate_agree_with_training() {
    let dir = scratch(2000);
    train(dir.path(), "out", &["--set", "data.split.kind=order"]);
    let report: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("out/report.json")).unwrap()).unwrap();
    let rows: Vec<String> = clicks(2000).lines().map(str::to_owned).collect();
    let test = [&rows[..1], &rows[1801..]].concat().join("\n") + "\n";
    fs::write(dir.path().join("test.csv"), test).unwrap();
    let found = json(dir.path(), &["evaluate", "out", "test.csv"]);
    let expected = &report["model"]["splits"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["split"] == "test")
        .unwrap()["metrics"];
    assert_eq!(&found["metrics"], expected, "the same metrics from the file as in training");
    let scores = works(dir.path(), &["predict", "out", "test.csv"]).out;
    assert_eq!(scores.lines().next(), Some("probability"));
    assert_eq!(scores.lines().count(), 201);
    for (row, expected) in [(0, 1), (117, 118), (199, 200)] {
        fs::write(dir.path().join("one.csv"), format!("{}\n{}\n", rows[0], rows[1801 + row])).unwrap();
        let alone = works(dir.path(), &["predict", "out", "one.csv", "--threads", "1"]).out;
        assert_eq!(alone.lines().nth(1), scores.lines().nth(expected), "row {row} alone");
    }
}

#[test]
fn threads_streaming_and_formats() {
    let dir = scratch(900);
    train(dir.path(), "one", &["--threads", "1"]);
    for threads in ["2", "3", "8"] {
        train(dir.path(), threads, &["--threads", threads]);
        assert_eq!(weights(dir.path(), threads), weights(dir.path(), "one"), "{threads} threads");
    }
    train(dir.path(), "stream", &["--stream", "--no-baseline"]);
    works(dir.path(), &["show", "stream"]);
    train(dir.path(), "parsed", &["--stream", "--set", "data.cache=false"]);
    assert_eq!(weights(dir.path(), "stream"), weights(dir.path(), "parsed"), "without a cache");
    assert!(!dir.path().join("stream/checkpoints").exists(), "the cache goes with the checkpoints");
    // The same rows as TSV, compressed, in two files.
    let text = clicks(900).replace(',', "\t");
    let (head, tail) = text.split_at(text.match_indices('\n').nth(400).unwrap().0 + 1);
    let header = text.split_once('\n').unwrap().0;
    fs::write(dir.path().join("a.tsv"), head).unwrap();
    fs::write(dir.path().join("b.tsv"), format!("{header}\n{tail}")).unwrap();
    works(
        dir.path(),
        &["train", "a.tsv", "b.tsv", "--schema", "schema.toml", "--epochs", "3", "--quiet", "-o", "tsv"],
    );
    assert_eq!(weights(dir.path(), "tsv"), weights(dir.path(), "one"), "the same rows in other files");
}

#[test]
fn train_infers_a_schema() {
    let dir = scratch(3000);
    works(dir.path(), &["train", "clicks.csv", "--label", "click", "--epochs", "1", "--quiet", "-o", "out"]);
    let shown = works(dir.path(), &["show", "out"]).out;
    for column in ["age", "site", "user", "tags"] {
        assert!(shown.contains(column), "{shown}");
    }
    // What inspect writes, train accepts.
    works(dir.path(), &["inspect", "clicks.csv", "--label", "click", "-o", "found.toml"]);
    works(
        dir.path(),
        &["train", "clicks.csv", "--schema", "found.toml", "--epochs", "1", "--quiet", "-o", "again"],
    );
    assert_eq!(weights(dir.path(), "out"), weights(dir.path(), "again"));
}

#[test]
fn inspect_describes_columns() {
    let dir = scratch(3000);
    let text = works(dir.path(), &["inspect", "clicks.csv"]).out;
    for part in ["click", "age", "dense", "categorical", "multi '|'"] {
        assert!(text.contains(part), "{text}");
    }
    let value = json(dir.path(), &["inspect", "clicks.csv", "--label", "click"]);
    assert_eq!(value["schema"]["label"]["column"], "click");
}

#[test]
fn ratings_are_predicted_as_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String =
        (0..2000).map(|i| format!("u{},i{},{}\n", i % 37, i % 11, 1 + (i % 37 + i % 11) % 5)).collect();
    fs::write(dir.path().join("ratings.csv"), format!("user,item,rating\n{rows}")).unwrap();
    let schema = "label = { column = \"rating\", task = \"rating\" }\ncategorical = [{ name = \"user\" }, { \
        name = \"item\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).unwrap();
    let report = json(dir.path(), &["train", "ratings.csv", "--schema", "schema.toml", "-o", "out"]);
    assert!(metric(&report, 0, "test", "rmse") < metric(&report, 2, "test", "rmse"), "better than the mean");
    let scores = works(dir.path(), &["predict", "out", "ratings.csv"]).out;
    let first: f64 = scores.lines().nth(1).unwrap().parse().unwrap();
    assert!(scores.starts_with("rating\n") && (0.0..7.0).contains(&first));
}

#[test]
fn rows_with_labels_to_leave_out() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..500).map(|i| format!("u{},i{},{}\n", i % 37, i % 11, 1 + i % 5)).collect();
    fs::write(dir.path().join("ratings.csv"), format!("user,item,rating\n{rows}")).unwrap();
    let schema = "label = { column = \"rating\", rule = \"rating >= 4\", leave_out = [\"3\"] }\ncategorical \
        = [{ name = \"user\" }, { name = \"item\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).unwrap();
    works(dir.path(), &["train", "ratings.csv", "--schema", "schema.toml", "-q", "-o", "out"]);
    let found = json(dir.path(), &["evaluate", "out", "ratings.csv", "--json"]);
    assert_eq!(
        (found["metrics"]["rows"].as_u64(), found["metrics"]["mean_label"].as_f64()),
        (Some(400), Some(0.5))
    );
    assert_eq!(
        works(dir.path(), &["predict", "out", "ratings.csv"]).out.lines().count(),
        501,
        "every row is scored"
    );
}

#[test]
fn show_and_help() {
    let shown = works(demo(), &["show", "runs/demo"]).out;
    assert!(
        shown.contains("checksums and golden rows agree") && shown.contains("bottom.0.weight"),
        "{shown}"
    );
    let value = json(demo(), &["show", "runs/demo"]);
    assert_eq!(value["manifest"]["format_version"], 1);
    for args in [&["--help"][..], &["train", "--help"], &["--version"]] {
        works(demo(), args);
    }
    // A reader that has seen enough is no error.
    let mut child = command(demo(), &["predict", "runs/demo", "runs/demo/sample.csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(finished(child.wait_with_output().unwrap()).code, 0);
}

#[test]
fn movielens_beats_logistic_regression() {
    let Some(path) = data("movielens_beats_logistic_regression", "movielens-100k") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = path.display().to_string();
    let report = json(
        dir.path(),
        &[
            "train",
            &path,
            "--format",
            "movielens",
            "--label-rule",
            "rating >= 4",
            "--model",
            "fm",
            "-o",
            "ml",
        ],
    );
    let rows: u64 = report["candidates"][0]["splits"][1]["metrics"]["rows"].as_u64().unwrap();
    assert!((9_500..10_500).contains(&rows), "{rows} test rows");
    let comparison = report["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["metric"] == "auc" && c["baseline"] == "logistic regression")
        .unwrap();
    let low = comparison["difference"]["interval"]["low"].as_f64().unwrap();
    assert!(low > 0.0, "the interval of the AUC difference starts at {low}");
    let found = json(dir.path(), &["evaluate", "ml", &format!("{path}/u1.test")]);
    assert_eq!(found["metrics"]["rows"], 20_000);
}

#[test]
fn adult_reaches_its_known_auc() {
    let Some(path) = data("adult_reaches_its_known_auc", "adult-census") else { return };
    let dir = tempfile::tempdir().unwrap();
    let recipe = format!("{}/recipes/adult.toml", env!("CARGO_MANIFEST_DIR"));
    let report = json(
        dir.path(),
        &["train", "--config", &recipe, "--data-dir", &path.display().to_string(), "-o", "adult"],
    );
    assert_eq!(report["candidates"][0]["splits"][1]["metrics"]["rows"], 16_281);
    let auc = metric(&report, 0, "test", "auc");
    assert!(auc >= 0.905, "AUC {auc}");
    let rows = path.join("adult.test").display().to_string();
    let found = json(dir.path(), &["evaluate", "adult", &rows]);
    assert_eq!(found["metrics"]["auc"].as_f64(), Some(auc), "a headerless file is read as in training");
}

#[test]
fn criteo_runs_by_time() {
    let Some(path) = data("criteo_runs_by_time", "criteo-kaggle-sample/train_first10000.txt") else { return };
    let dir = tempfile::tempdir().unwrap();
    let ran =
        works(dir.path(), &["train", &path.display().to_string(), "--format", "criteo", "-o", "criteo"]);
    assert!(!ran.err.contains("warning"), "{}", ran.err);
    assert!(ran.err.contains("8,000 training, 1,000 validation, 1,000 test rows"), "{}", ran.err);
    works(dir.path(), &["show", "criteo"]);
}

#[test]
fn models_are_listed_and_each_trains() {
    let dir = scratch(300);
    let models = json(dir.path(), &["models"]);
    let kinds: Vec<&str> = models.as_array().unwrap().iter().map(|m| m["kind"].as_str().unwrap()).collect();
    assert!(kinds.len() >= 12 && works(dir.path(), &["models"]).out.contains("DCN-V2"));
    let args = [
        "compare",
        "clicks.csv",
        "--schema",
        "schema.toml",
        "--epochs",
        "2",
        "--seeds",
        "2",
        "-o",
        "cmp",
        "--models",
    ];
    let compared = json(dir.path(), &[&args[..], &[&kinds.join(",")]].concat());
    let rows = compared["models"].as_array().unwrap();
    assert_eq!(rows.len(), kinds.len());
    for model in rows {
        assert_eq!(model["runs"].as_array().unwrap().len(), 2);
        let auc = |run: usize| model["runs"][run]["test"]["auc"].as_f64().unwrap();
        assert!(
            (0.0..=1.0).contains(&auc(0)) && model["forward_multiply_adds"].as_f64().unwrap() > 0.0,
            "{}",
            model["name"]
        );
    }
    assert_eq!(
        rows.iter().filter(|m| m["against_best"].is_null()).count(),
        1,
        "only the best has nothing to be compared with"
    );
    let page = fs::read_to_string(dir.path().join("cmp/compare.html")).unwrap();
    assert!(page.len() < 1_000_000 && page.contains("Accuracy against cost") && !page.contains("src=\"http"));
}

#[test]
fn a_comparison_repeats_what_training_alone_gives() {
    let dir = scratch(600);
    train(dir.path(), "alone", &["--model", "fm", "--no-baseline"]);
    let alone: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("alone/report.json")).unwrap()).unwrap();
    let args = [
        "compare",
        "clicks.csv",
        "--schema",
        "schema.toml",
        "--epochs",
        "3",
        "--seeds",
        "1",
        "--models",
        "lr,fm",
        "-o",
        "cmp",
    ];
    let compared = json(dir.path(), &args);
    let models = compared["models"].as_array().unwrap();
    let fm = models.iter().find(|m| m["name"] == "fm").unwrap();
    let splits = alone["model"]["splits"].as_array().unwrap();
    let test = splits.iter().find(|s| s["split"] == "test").unwrap();
    assert_eq!(
        fm["runs"][0]["test"]["log_loss"], test["metrics"]["log_loss"],
        "the same rows, the same bits"
    );
}

#[test]
fn the_label_mean_is_the_same_when_streaming_and_follows_the_weights() {
    let dir = scratch(400);
    let mean_loss = |more: &[&str]| {
        let args = [
            &["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "1", "--overwrite", "-o", "out"]
                [..],
            more,
        ]
        .concat();
        let report = json(dir.path(), &args);
        let last = report["candidates"].as_array().unwrap().len() - 1;
        metric(&report, last, "test", "log_loss")
    };
    let in_memory = mean_loss(&[]);
    assert!((in_memory - mean_loss(&["--stream"])).abs() < 1e-12);
    // Positive rows weigh four times as much: the mean that minimises the weighted loss is the weighted one.
    let text = fs::read_to_string(dir.path().join("clicks.csv")).unwrap();
    let weighted: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(i, l)| {
            if i == 0 { format!("{l},w") } else { format!("{l},{}", if l.starts_with('1') { 4 } else { 1 }) }
        })
        .collect();
    fs::write(dir.path().join("clicks.csv"), weighted.join("\n") + "\n").unwrap();
    fs::write(dir.path().join("schema.toml"), format!("weight = \"w\"\n{CLICKS_SCHEMA}")).unwrap();
    let weighted = mean_loss(&[]);
    assert!(weighted < 0.7, "near the entropy of the weighted mean, not {weighted}");
}

#[test]
fn show_draws_the_graph_and_counts_what_it_costs() {
    let dir = demo_copy();
    let shown = works(dir.path(), &["show", "runs/demo", "--graph", "graph.svg"]).out;
    assert!(shown.contains("dot interaction") && shown.contains("multiply-adds per row"), "{shown}");
    let svg = fs::read_to_string(dir.path().join("graph.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("dot interaction"));
}

#[test]
fn a_closed_standard_error_does_not_stop_training() {
    let dir = scratch(400);
    let args =
        ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "2", "--no-baseline", "-o", "out"];
    let mut child = command(dir.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    works(dir.path(), &["show", "out"]);
}

#[test]
fn text_is_read_as_in_training() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String =
        (0..400).map(|i| format!("{},red{},{}.5\n", u8::from(i % 3 == 0), i % 5, i % 37)).collect();
    fs::write(dir.path().join("rows.csv"), format!("click,colour,price\n{rows}")).unwrap();
    works(dir.path(), &["train", "rows.csv", "--label", "click", "--epochs", "1", "--quiet", "-o", "out"]);
    // Blanks behind every delimiter belonged to no value in training, and quotes meant something.
    let score = |text: &str, flags: &[&str]| {
        fs::write(dir.path().join("one.csv"), text).unwrap();
        works(dir.path(), &[&["predict", "out", "one.csv", "--quiet"], flags].concat()).out
    };
    let expected = score("colour,price\nred1,3.5\n", &[]);
    assert_eq!(score("colour,price\n\"red1\",3.5\n", &[]), expected);
    assert_ne!(
        score("price,colour\n3.5, red1\n3.5, red2\n", &[]).lines().nth(1),
        expected.lines().nth(1),
        "\" red1\" is unseen"
    );
    assert_eq!(score("price,colour\n3.5, red1\n", &["--trim", "blanks"]), expected);
    assert_eq!(score("price;colour\n3.5;red1\n", &[]), expected, "another delimiter is detected");
    assert_eq!(score("price^colour\n3.5^red1\n", &["--delimiter", "^"]), expected);
    assert_eq!(score("3.5,red1\n", &["--columns", "price,colour"]), expected);
    let ran = dlrm(dir.path(), &["predict", "out", "one.csv", "--trim", "blank"]);
    assert!(ran.code == 2 && ran.err.contains("did you mean \"blanks\"?"), "{}", ran.err);
    // A headerless file in training, with the names by hand; later files may have a header.
    fs::write(dir.path().join("bare.csv"), &rows).unwrap();
    let columns = ["--columns", "click,colour,price"];
    works(
        dir.path(),
        &[&["train", "bare.csv", "--label", "click", "--epochs", "1", "--quiet", "-o", "bare"], &columns[..]]
            .concat(),
    );
    let found = json(dir.path(), &["evaluate", "bare", "bare.csv"]);
    assert_eq!(found["metrics"], json(dir.path(), &["evaluate", "bare", "rows.csv"])["metrics"]);
}

/// What training has never seen: a further column is not read, a further feature of a sparse row is *unseen*,
/// a further field of libffm is refused, since it would be left out silently.
#[test]
fn fields_that_only_test_rows_have() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, header: &str, row: &dyn Fn(usize) -> String| {
        fs::write(dir.path().join(name), header.to_owned() + &(0..40).map(row).collect::<String>()).unwrap();
    };
    write("a.csv", "click,a,b\n", &|i| format!("{},x{},y{}\n", i % 2, i % 7, i % 2));
    write("more.csv", "z,click,b,a\n", &|i| format!("z{i},{},y{},x{}\n", i % 2, i % 2, i % 7));
    write("a.svm", "", &|i| format!("{} {}:1 {}:1\n", i % 2, i % 7 + 1, 10 + i % 2));
    write("more.svm", "", &|i| format!("{} {}:1 {}:1 77:1\n", i % 2, i % 7 + 1, 10 + i % 2));
    write("a.ffm", "", &|i| format!("{} 0:{}:1 1:{}:1\n", i % 2, i % 7, 10 + i % 2));
    write("more.ffm", "", &|i| format!("{} 0:{}:1 1:{}:1 2:30:1\n", i % 2, i % 7, 10 + i % 2));
    let train = |kind: &str, test: &str, out: &str| {
        let (own, other) = (format!("a.{kind}"), format!("{test}.{kind}"));
        dlrm(
            dir.path(),
            &["train", &own, "--test", &other, "--model", "fm", "--epochs", "2", "-q", "--json", "-o", out],
        )
    };
    for kind in ["csv", "svm"] {
        let ran = train(kind, "more", kind);
        assert_eq!(ran.code, 0, "{kind}: {}", ran.err);
    }
    let same = train("csv", "a", "same");
    let of = |ran: &str| metric(&serde_json::from_str(ran).unwrap(), 0, "test", "log_loss");
    let again = json(dir.path(), &["evaluate", "csv", "a.csv", "--json"]);
    assert_eq!(
        again["metrics"]["log_loss"].as_f64(),
        Some(of(&same.out)),
        "the further column changes nothing"
    );
    let refused = train("ffm", "more", "ffm");
    assert!(
        refused.code == 3 && refused.err.contains("more.ffm:1:4") && refused.err.contains("field_2"),
        "{}",
        refused.err
    );
}

#[test]
fn the_unseen_rate_is_absent_where_no_encoding_knows_it() {
    let dir = scratch(300);
    let hashed = CLICKS_SCHEMA
        .replace("{ name = \"user\" }", "{ name = \"user\", encoding = { kind = \"hash\", buckets = 16 } }");
    fs::write(dir.path().join("schema.toml"), hashed).unwrap();
    train(dir.path(), "out", &["--set", "data.split.validation=0.2"]);
    let found = json(dir.path(), &["evaluate", "out", "clicks.csv"]);
    assert_eq!(
        (&found["columns"][0]["unseen"], &found["columns"][1]["unseen"]),
        (&Value::from(0.0), &Value::Null)
    );
    let text = works(dir.path(), &["evaluate", "out", "clicks.csv"]).out;
    let line = text.lines().find(|line| line.starts_with("user")).unwrap();
    assert!(line.trim_end().ends_with('-'), "{line}");
}
