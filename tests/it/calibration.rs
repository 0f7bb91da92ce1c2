//! Probabilities that are calibrated at the end of training: where it helps, stored with the model, and the
//! same bits everywhere.
use crate::common::{data, fails, json, works};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number, not {value}"))
}

/// Clicks whose chance depends on a number.
fn clicks(rows: usize) -> String {
    let mut state = 3u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut text = "click,age,site\n".to_owned();
    for _ in 0..rows {
        let (age, site) = (below(60), below(5));
        text.push_str(&format!("{},{age},s{site}\n", u8::from(below(100) < age / 2 + 5 * site)));
    }
    text
}

const TRAIN: [&str; 10] = [
    "train",
    "clicks.csv",
    "--label",
    "click",
    "--model",
    "lr",
    "--epochs",
    "4",
    "--no-baseline",
    "--overwrite",
];

/// Positives that count four times move every probability up: calibration moves them back.
const SKEWED: [&str; 2] = ["--set", "train.loss={kind='bce',positive_weight=4.0}"];

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory");
    fs::write(dir.path().join("clicks.csv"), clicks(8000)).expect("a file");
    dir
}

fn train(dir: &Path, out: &str, more: &[&str]) -> Value {
    json(dir, &[&TRAIN[..], &["-o", out], more].concat())
}

/// A metric of the model on the test rows.
fn test(report: &Value, name: &str) -> f64 {
    let splits = report["candidates"][0]["splits"].as_array().expect("splits");
    number(&splits.iter().find(|split| split["split"] == "test").expect("test rows")["metrics"][name])
}

#[test]
fn skewed_probabilities_are_mended_and_nothing_else_changes() {
    let dir = scratch();
    let raw = train(dir.path(), "raw", &[&SKEWED[..], &["--set", "calibration=none"]].concat());
    let mended = train(dir.path(), "mended", &SKEWED);
    let ratio = |report: &Value| test(report, "mean_prediction") / test(report, "mean_label");
    assert!(ratio(&raw) > 1.5 && (0.8..1.2).contains(&ratio(&mended)), "{} {}", ratio(&raw), ratio(&mended));
    assert!(test(&mended, "log_loss") < test(&raw, "log_loss") - 0.02);
    assert!((test(&mended, "auc") - test(&raw, "auc")).abs() < 1e-9, "the ranking stays");
    assert!(raw["calibration"].is_null());
    let found = &mended["calibration"];
    assert_ne!(found["kept"]["method"], "temperature", "an offset is needed: {found}");
    let part = found["parts"].as_array().expect("parts").iter().find(|p| p["part"] == "test").expect("test");
    assert_eq!(number(&part["before"]["log_loss"]), test(&raw, "log_loss"));
    assert_eq!(number(&part["after"]["log_loss"]), test(&mended, "log_loss"));
    let weights =
        |out: &str| fs::read(dir.path().join(out).join("model/weights.safetensors")).expect("weights");
    assert_eq!(weights("raw"), weights("mended"));
    // The model that is loaded scores as the one that was trained, whoever asks and on how many threads.
    let shown = works(dir.path(), &["show", "mended"]).out;
    assert!(shown.contains("calibration: ") && shown.contains("test log loss"), "{shown}");
    let page = fs::read_to_string(dir.path().join("mended/report.html")).expect("a page");
    assert!(page.contains("Every score passes through a map"));
    for method in ["platt", "isotonic"] {
        let set = format!("calibration={method}");
        let again = train(dir.path(), method, &[&SKEWED[..], &["--set", &set, "--threads", "3"]].concat());
        assert_eq!(again["calibration"]["kept"]["method"], method);
        agrees(dir.path(), method);
    }
    let temperature = train(dir.path(), "t", &[&SKEWED[..], &["--set", "calibration=temperature"]].concat());
    assert!(test(&temperature, "log_loss") <= test(&raw, "log_loss"));
    agrees(dir.path(), "mended");
}

/// `evaluate`, `predict` and golden rows of a model tell one story.
fn agrees(dir: &Path, out: &str) {
    let evaluated = json(dir, &["evaluate", out, "clicks.csv"]);
    let scores = works(dir, &["predict", "-q", out, "clicks.csv", "--threads", "2"]).out;
    let scores: Vec<f64> = scores.lines().skip(1).map(|line| line.parse().expect("a number")).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((mean - number(&evaluated["metrics"]["mean_prediction"])).abs() < 1e-9, "{out}");
    let path = dir.join(out).join("model");
    let golden: Value =
        serde_json::from_slice(&fs::read(path.join("golden.json")).expect("rows")).expect("JSON");
    let columns: Vec<&str> =
        golden["columns"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    let mut text = columns.join(",") + "\n";
    for row in golden["rows"].as_array().expect("rows") {
        let fields: Vec<&str> = row.as_array().expect("fields").iter().filter_map(Value::as_str).collect();
        text.push_str(&(fields.join(",") + "\n"));
    }
    fs::write(dir.join("golden.csv"), text).expect("a file");
    let printed = works(dir, &["predict", "-q", "--json", out, "golden.csv"]).out;
    let logits = printed.lines().map(|line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        (number(&value["logit"]) as f32).to_bits()
    });
    let expected = golden["logit_bits"].as_array().expect("bits").iter();
    assert!(logits.eq(expected.map(|bits| bits.as_u64().expect("bits") as u32)), "{out}: the stored bits");
    // A changed map is noticed.
    let file = path.join("calibration.json");
    let kept = fs::read_to_string(&file).expect("a calibration");
    fs::write(&file, kept.replacen("1", "2", 1)).expect("a file");
    fails(dir, &["predict", out, "clicks.csv"], 4, &["calibration.json", "checksum"]);
    fs::write(&file, kept).expect("a file");
}

#[test]
fn models_without_a_calibration_load() {
    let dir = scratch();
    train(dir.path(), "out", &["--set", "calibration=none"]);
    assert!(!dir.path().join("out/model/calibration.json").exists());
    // As models were before the key was there.
    let path = dir.path().join("out/model/config.toml");
    let config = fs::read_to_string(&path).expect("a configuration");
    let older = config.replace("calibration = \"none\"\n", "");
    assert_ne!(config, older);
    fs::write(&path, &older).expect("a file");
    let path = dir.path().join("out/model/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    manifest["files"]["config.toml"]["bytes"] = older.len().into();
    manifest["files"]["config.toml"]["xxh3"] =
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(older.as_bytes())).into();
    manifest.as_object_mut().expect("an object").remove("checksum");
    fs::write(&path, manifest.to_string()).expect("a file");
    let shown = works(dir.path(), &["show", "out"]).out;
    assert!(!shown.contains("calibration: "), "{shown}");
}

#[test]
fn too_few_rows_and_ratings_are_left_alone() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    fs::write(dir.path().join("clicks.csv"), clicks(1500)).expect("a file");
    assert!(train(dir.path(), "out", &SKEWED)["calibration"].is_null(), "150 validation rows");
    let ratings: String = (0..3000).map(|i| format!("u{},i{},{}\n", i % 37, i % 11, 1 + i % 5)).collect();
    fs::write(dir.path().join("ratings.csv"), format!("user,item,rating\n{ratings}")).expect("a file");
    let train =
        ["train", "ratings.csv", "--label", "rating", "--model", "mf", "--epochs", "1", "--no-baseline"];
    let schema = "label = { column = \"rating\", task = \"rating\" }\n\
                  categorical = [{ name = \"user\" }, { name = \"item\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).expect("a file");
    let train = [&train[..2], &["--schema", "schema.toml"], &train[4..]].concat();
    assert!(json(dir.path(), &[&train[..], &["-o", "ratings"]].concat())["calibration"].is_null());
    let platt = [&train[..], &["--set", "calibration=platt", "-o", "platt"]].concat();
    fails(dir.path(), &platt, 2, &["calibration", "binary", "ratings"]);
    let unknown = [&TRAIN[..], &["--set", "calibration=plat", "-o", "x"]].concat();
    fails(dir.path(), &unknown, 2, &["plat", "platt"]);
}

#[test]
fn real_probabilities_do_not_get_worse() {
    let Some(path) = data("real_probabilities_do_not_get_worse", "adult-census") else { return };
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (recipe, path) =
        (format!("{}/recipes/adult.toml", env!("CARGO_MANIFEST_DIR")), path.display().to_string());
    let args =
        ["train", "--config", &recipe, "--data-dir", &path, "--no-baseline", "--overwrite", "-o", "adult"];
    let run = |more: &[&str]| json(dir.path(), &[&args[..], more].concat());
    let automatic = ["--set", "calibration=auto"];
    let (raw, auto) = (run(&["--set", "calibration=none"]), run(&automatic));
    assert_eq!(auto["calibration"]["folds"], 5);
    assert!(test(&auto, "log_loss") < test(&raw, "log_loss") + 5e-4);
    // A model that trained for too long is too sure of itself.
    let long =
        ["--model", "dlrm", "--epochs", "12", "--set", "train.patience=0", "--set", "train.monitor=auc"];
    let skew = [&long[..], &SKEWED].concat();
    let (raw, auto) =
        (run(&[&skew[..], &["--set", "calibration=none"]].concat()), run(&[&skew[..], &automatic].concat()));
    assert!(test(&auto, "log_loss") < test(&raw, "log_loss") - 0.01, "{}", auto["calibration"]);
    assert!(
        test(&auto, "calibration_error") < 0.5 * test(&raw, "calibration_error"),
        "{}",
        auto["calibration"]
    );
}
