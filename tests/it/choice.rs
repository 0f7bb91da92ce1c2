//! `--model auto`: the model that the validation rows choose.
use crate::common::{data, fails, json, scratch, works};
use serde_json::Value;
use std::fs;
use std::path::Path;

const USAGE: i32 = 2;
// Candidates are told by what they are before calibration.
const TRAIN: [&str; 8] =
    ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "3", "--set", "calibration=none"];

fn weights(dir: &Path, out: &str) -> Vec<u8> {
    fs::read(dir.join(out).join("model/weights.safetensors")).expect("weights")
}

/// The log loss of a candidate on the validation rows.
fn loss(candidate: &Value) -> f64 {
    candidate["validation"]["log_loss"].as_f64().expect("a log loss")
}

#[test]
fn the_best_on_the_validation_rows_is_what_training_it_alone_gives() {
    let dir = scratch(500);
    let auto = [&TRAIN[..], &["--model", "auto", "-o", "auto"]].concat();
    let run = json(dir.path(), &auto);
    let choice = &run["choice"];
    let candidates = choice["candidates"].as_array().expect("candidates");
    let mut kinds: Vec<&str> = candidates.iter().map(|c| c["kind"].as_str().expect("a kind")).collect();
    let winner = kinds[0].to_owned();
    assert_eq!(choice["winner"].as_str(), Some(&*winner));
    assert!(candidates[1..].windows(2).all(|pair| loss(&pair[0]) <= loss(&pair[1])), "the best first");
    let least = candidates.iter().map(loss).fold(f64::INFINITY, f64::min);
    let parameters = |c: &Value| c["parameters"].as_u64().expect("a number");
    let equal = candidates.iter().filter(|c| loss(c) <= least * 1.0001);
    assert_eq!(equal.map(parameters).min(), Some(parameters(&candidates[0])), "the smallest of equal ones");
    kinds.sort_unstable();
    assert_eq!(kinds, ["dcn_v2", "deepfm", "dlrm", "fm", "lr"]);
    for (place, other) in candidates.iter().enumerate() {
        let difference = other["winner_minus"]["interval"]["estimate"].as_f64();
        assert_eq!(difference.is_none(), place == 0);
        let expected = loss(&candidates[0]) - loss(other);
        assert!(difference.is_none_or(|found| (found - expected).abs() < 1e-9), "{other}");
    }
    let own = run["candidates"][0]["splits"][0]["metrics"]["log_loss"].as_f64();
    assert_eq!(own, Some(loss(&candidates[0])), "the saved model is the one that was chosen");

    let alone = [&TRAIN[..], &["--model", &winner, "-o", "alone", "--threads", "1"]].concat();
    works(dir.path(), &alone);
    assert_eq!(weights(dir.path(), "auto"), weights(dir.path(), "alone"));
    for args in [["evaluate", "auto", "clicks.csv"], ["predict", "auto", "clicks.csv"]] {
        works(dir.path(), &args);
    }
    let shown = json(dir.path(), &["show", "auto"]);
    assert!(shown.to_string().contains(&winner), "{shown}");
    let kept: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("auto/candidates.json")).unwrap()).unwrap();
    assert_eq!(&kept, choice);
    assert!(!dir.path().join("auto/checkpoints").exists());
    // The candidates of one model do not outlive it.
    works(dir.path(), &[&TRAIN[..], &["--overwrite", "-o", "auto"]].concat());
    assert!(!dir.path().join("auto/candidates.json").exists());
}

#[test]
fn the_choice_is_told_in_the_text_and_on_the_page() {
    let dir = scratch(300);
    let ran = works(dir.path(), &[&TRAIN[..], &["--model", "auto", "--budget", "1h"]].concat());
    for part in ["Candidates on the", "of the winner minus its own", "on the validation rows (95 % interval"]
    {
        assert!(ran.out.contains(part), "missing {part} in\n{}", ran.out);
    }
    assert!(ran.err.contains("[5/5] dcn_v2") && ran.err.contains("validation rows choose"), "{}", ran.err);
    let page = fs::read_to_string(dir.path().join("runs/model/report.html")).unwrap();
    assert!(page.contains("Choice of the model") && page.contains("the fewest parameters"));
}

#[test]
fn time_that_is_up_still_gives_a_model_that_can_be_repeated() {
    let dir = scratch(400);
    let auto = ["train", "clicks.csv", "--schema", "schema.toml", "--model", "auto", "--budget", "0.02s"];
    let run = json(dir.path(), &[&auto[..], &["-o", "auto"]].concat());
    assert_eq!(run["choice"]["candidates"].as_array().expect("candidates").len(), 5);
    works(dir.path(), &["train", "--config", "auto/model/config.toml", "-o", "again"]);
    assert_eq!(weights(dir.path(), "auto"), weights(dir.path(), "again"));
}

#[test]
fn rows_that_no_model_can_be_chosen_on() {
    let dir = scratch(80);
    let train = |more: &[&'static str]| [&TRAIN[..], &["--model", "auto", "-o", "out"], more].concat();
    let none = train(&["--set", "data.split.validation=0.0"]);
    fails(dir.path(), &none, USAGE, &["validation rows", "at least one", "--validation"]);
    fails(dir.path(), &train(&["--stream"]), USAGE, &["--model", "in memory"]);
    fails(
        dir.path(),
        &train(&["--folds", "3"]),
        USAGE,
        &["--folds", "`dlrm compare` compares several on folds"],
    );
    assert!(!dir.path().join("out/model").exists());
}

#[test]
fn what_is_chosen_on_movielens_is_no_worse_than_the_regression() {
    let Some(path) = data("what_is_chosen_on_movielens_is_no_worse_than_the_regression", "movielens-100k")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = path.display().to_string();
    let args = ["train", &path, "--label-rule", "rating >= 4", "--model", "auto", "--epochs", "2"];
    let more = ["--set", "calibration=none", "-o", "out"];
    let run = json(dir.path(), &[&args[..], &more].concat());
    let candidates = run["choice"]["candidates"].as_array().expect("candidates");
    let linear = candidates.iter().find(|c| c["kind"] == "lr").expect("the regression");
    assert!(loss(&candidates[0]) <= loss(linear) * 1.0001);
    assert_eq!(run["candidates"][0]["splits"][0]["metrics"]["log_loss"].as_f64(), Some(loss(&candidates[0])));
}
