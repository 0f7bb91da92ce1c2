//! Cross-validation of runs and comparisons.
use crate::common::{data, dlrm, fails, json, scratch, works};
use serde_json::Value;
use std::fs;
use std::path::Path;

const USAGE: i32 = 2;
const TRAIN: [&str; 7] = ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "3", "-o"];

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("JSON")
}

/// The values of a candidate's metric on the folds, and their interval.
fn over(candidate: &Value, list: &str, metric: &str) -> (Vec<f64>, [f64; 3]) {
    let all = candidate[list].as_array().expect("a list");
    let found = all.iter().find(|over| over["metric"] == metric).expect("the metric");
    let values = found["values"].as_array().expect("values").iter().map(|v| v.as_f64().expect("a number"));
    let ends = ["estimate", "low", "high"].map(|end| found["interval"][end].as_f64().expect("an end"));
    (values.collect(), ends)
}

#[test]
fn each_row_tests_once_and_a_fold_repeats_what_training_on_it_alone_gives() {
    let dir = scratch(400);
    let run = json(dir.path(), &[&TRAIN[..], &["out", "--folds", "4", "--seed", "3"]].concat());
    let folds = &run["folds"];
    let parts = folds["rows"].as_array().expect("rows of each fold");
    let tested: u64 = parts.iter().map(|rows| rows[2].as_u64().expect("test rows")).sum();
    assert_eq!((parts.len(), tested), (4, 400));
    assert_eq!(&read(&dir.path().join("out/folds.json")), folds, "it is kept beside the model");
    let [model, linear] = [0, 1].map(|k| &folds["candidates"][k]);
    assert_eq!(
        (model["name"].as_str(), linear["name"].as_str()),
        (Some("DLRM"), Some("logistic regression"))
    );

    let (values, [mean, low, high]) = over(model, "values", "log_loss");
    assert!((values.iter().sum::<f64>() / 4.0 - mean).abs() < 1e-12 && low < mean && mean < high);
    let (differences, [difference, ..]) = over(model, "against", "log_loss");
    let (others, [other, ..]) = over(linear, "values", "log_loss");
    assert!((mean - other - difference).abs() < 1e-12);
    assert_eq!(differences[1], values[1] - others[1], "paired fold by fold");
    assert_eq!(linear["against"], serde_json::json!([]), "the others are compared with it");

    let alone = ["alone", "--seed", "3", "--set", "data.split={kind=\"folds\",folds=4,fold=2,seed=3}"];
    works(dir.path(), &[&TRAIN[..], &alone].concat());
    let report = read(&dir.path().join("alone/report.json"));
    let splits = report["model"]["splits"].as_array().expect("parts");
    let test = splits.iter().find(|s| s["split"] == "test").expect("test rows");
    assert_eq!(test["metrics"]["log_loss"].as_f64(), Some(values[2]));
    assert!(report["data"]["split_by"].as_str().expect("text").starts_with("fold 3 of 4 tests"), "{report}");
}

#[test]
fn folds_are_told_in_the_text_and_on_the_page_and_the_model_is_as_without_them() {
    let dir = scratch(300);
    let told = works(dir.path(), &[&TRAIN[..], &["out", "--folds", "3"]].concat());
    for part in ["3 folds (seed 0)", "Nadeau and Bengio", "log loss against logistic regression", "± "] {
        assert!(told.out.contains(part), "missing {part} in\n{}", told.out);
    }
    assert!(told.err.contains("fold 3 of 3") && !told.err.contains("panicked"), "{}", told.err);
    let page = fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    assert!(page.contains("Over folds") && page.contains("Nadeau and Bengio"));
    works(dir.path(), &[&TRAIN[..], &["plain", "--threads", "1"]].concat());
    let weights = |out: &str| fs::read(dir.path().join(out).join("model/weights.safetensors")).unwrap();
    assert_eq!(weights("out"), weights("plain"));
    // What is measured on folds belongs to one model and does not outlive it.
    let args = [&TRAIN[..], &["out", "--overwrite"]].concat();
    works(dir.path(), &args);
    assert!(!dir.path().join("out/folds.json").exists());
    let shown = dlrm(dir.path(), &["show", "out"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
}

#[test]
fn models_are_compared_on_folds() {
    let dir = scratch(300);
    let args = ["compare", "clicks.csv", "--schema", "schema.toml", "--epochs", "2", "--folds", "3"];
    let more = ["--models", "lr,fm", "-o", "cmp"];
    let folded = json(dir.path(), &[&args[..], &more].concat());
    let candidates = folded["candidates"].as_array().expect("candidates");
    assert_eq!(candidates.iter().filter(|c| c["against"].as_array().unwrap().is_empty()).count(), 1);
    for candidate in candidates {
        let (values, _) = over(candidate, "values", "auc");
        assert!(values.len() == 3 && values.iter().all(|auc| (0.0..=1.0).contains(auc)));
    }
    assert_eq!(read(&dir.path().join("cmp/folds.json")), folded);
    let told = works(dir.path(), &[&["-q"], &args[..], &more].concat());
    assert!(
        told.out.contains("AUC against") && told.out.contains("report: cmp/compare.html"),
        "{}",
        told.out
    );
    let page = std::fs::read_to_string(dir.path().join("cmp/compare.html")).unwrap();
    for part in
        ["2 models on clicks.csv", "Nadeau and Bengio", "Fold by fold", "Test AUC of each fold", "lr, fold 2"]
    {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn rows_that_folds_would_mix_up() {
    let dir = scratch(60);
    fs::copy(dir.path().join("clicks.csv"), dir.path().join("more.csv")).unwrap();
    let train = |more: &[&'static str]| [&TRAIN[..], &["out", "--folds", "3"], more].concat();
    fails(dir.path(), &train(&["--split", "order"]), USAGE, &["--folds", "at random", "--split random"]);
    fails(dir.path(), &train(&["--test", "more.csv"]), USAGE, &["--folds", "--test"]);
    fails(dir.path(), &train(&["--folds", "1"]), USAGE, &["--folds"]);
    assert!(!dir.path().join("out/model").exists());
    let few = ["train", "clicks.csv", "--schema", "schema.toml", "-q", "--folds", "80", "-o", "few"];
    fails(dir.path(), &few, USAGE, &["--folds", "fewer folds"]);
    works(dir.path(), &[&TRAIN[..], &["out"]].concat());
    fails(dir.path(), &train(&[]), USAGE, &["a finished model", "--overwrite"]);
}

#[test]
fn intervals_of_folds_hold_the_figure_of_other_rows() {
    let Some(path) = data("intervals_of_folds_hold_the_figure_of_other_rows", "adult-census") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, test) = (path.join("adult.data"), path.join("adult.test"));
    let text = fs::read_to_string(file).unwrap();
    let some: Vec<&str> = text.lines().take(3000).collect();
    fs::write(dir.path().join("adult.data"), some.join("\n") + "\n").unwrap();
    let columns = "age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,\
        sex,capital_gain,capital_loss,hours_per_week,native_country,income";
    let common = ["--columns", columns, "--label", "income", "--positive", ">50K", "--positive", ">50K."];
    let args = ["train", "adult.data", "--model", "lr", "--folds", "5", "-o", "out"];
    let run = json(dir.path(), &[&args[..], &common].concat());
    let (values, [mean, low, high]) = over(&run["folds"]["candidates"][0], "values", "auc");
    assert!(values.iter().all(|auc| *auc > 0.85) && mean > 0.88, "{values:?}");
    let found = json(dir.path(), &["evaluate", "out", &test.display().to_string(), "--max-bad-rows", "1"]);
    let auc = found["metrics"]["auc"].as_f64().unwrap();
    assert!(low < auc && auc < high, "{auc} in {low} to {high}");
}
