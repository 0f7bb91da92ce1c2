//! `dlrm tune`: the search for better settings.
use crate::common::{command, data, fails, finished, json, scratch, works};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const USAGE: i32 = 2;
const SAVED: i32 = 4;
const INTERRUPTED: i32 = 130;
const TUNE: [&str; 6] = ["tune", "clicks.csv", "--schema", "schema.toml", "--set", "train.epochs=6"];

/// The lines of a journal without what depends on the clock.
fn journal(dir: &Path, out: &str) -> Vec<Value> {
    let text = fs::read_to_string(dir.join(out).join("journal.jsonl")).expect("a journal");
    let read = |line: &str| {
        let mut value: Value = serde_json::from_str(&line[17..]).expect("JSON behind the checksum");
        value.as_object_mut().expect("an object").remove("seconds");
        value
    };
    text.lines().map(read).collect()
}

fn test_loss(figure: &Value) -> Option<f64> {
    figure["test"]["log_loss"].as_f64()
}

#[test]
fn the_best_of_a_search_is_what_its_configuration_trains() {
    let dir = scratch(500);
    let found = json(dir.path(), &[&TUNE[..], &["--trials", "11", "-o", "a"]].concat());
    let trials = found["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 11);
    let entries = journal(dir.path(), "a");
    let on =
        |rung: u64| entries[1..].iter().filter(move |e| e["rung"] == rung && e["trial"].as_u64() > Some(1));
    assert_eq!(on(0).count(), 9);
    assert!(on(1).count() <= 3 && on(2).count() <= 1, "halved twice");
    let ends = trials.iter().filter(|t| t["complete"] == true);
    let values: Vec<(f64, u64)> = ends
        .map(|t| (t["value"].as_f64().expect("a value"), t["trial"].as_u64().expect("a number")))
        .collect();
    assert!(values.len() >= 3, "the default, the regression and one of the others");
    let best = values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
    let equal = values.iter().filter(|(value, _)| *value <= best * 1.0001).map(|(_, trial)| *trial);
    assert_eq!(found["winner"].as_u64(), equal.min(), "{values:?}");

    let run = json(dir.path(), &["train", "--config", "a/best.toml", "-o", "best"]);
    let splits = run["candidates"][0]["splits"].as_array().expect("parts");
    let loss = |part: &str| {
        splits.iter().find(|s| s["split"] == part).and_then(|s| s["metrics"]["log_loss"].as_f64())
    };
    let figures = found["figures"].as_array().expect("figures");
    assert_eq!(loss("test"), test_loss(&figures[0]));
    assert_eq!(
        figures.iter().map(|f| f["name"].as_str()).collect::<Vec<_>>(),
        [Some("best"), Some("default"), Some("regression")]
    );
    // The default's figure is that of a run without a search.
    let plain = [&["train"], &TUNE[1..], &["-o", "plain"]].concat();
    let plain = json(dir.path(), &plain);
    let test = plain["candidates"][0]["splits"].as_array().unwrap().iter().find(|s| s["split"] == "test");
    assert_eq!(test.and_then(|s| s["metrics"]["log_loss"].as_f64()), test_loss(&figures[1]));
}

#[test]
fn a_trial_is_the_same_whenever_it_is_made() {
    let dir = scratch(400);
    let tune =
        |out: &'static str, more: &[&'static str]| [&TUNE[..], &["--trials", "7", "-o", out], more].concat();
    let whole = json(dir.path(), &tune("whole", &["--threads", "1"]));
    // An interruption after some trials, in the middle of a line.
    let text = fs::read(dir.path().join("whole/journal.jsonl")).unwrap();
    fs::create_dir(dir.path().join("cut")).unwrap();
    fs::write(dir.path().join("cut/journal.jsonl"), &text[..text.len() / 2]).unwrap();
    let ran = works(dir.path(), &tune("cut", &["--threads", "2"]));
    assert!(ran.err.contains("going on after") && !ran.err.contains("trial 0,"), "{}", ran.err);
    assert_eq!(journal(dir.path(), "cut"), journal(dir.path(), "whole"));
    let read = |out: &str| fs::read_to_string(dir.path().join(out)).unwrap();
    assert_eq!(read("cut/best.toml"), read("whole/best.toml"));
    // Nothing is left to do: the same result from the journal alone, and more trials go on from it.
    let again = json(dir.path(), &tune("whole", &[]));
    assert_eq!((&again["winner"], &again["figures"]), (&whole["winner"], &whole["figures"]));
    assert_eq!(fs::read(dir.path().join("whole/journal.jsonl")).unwrap(), text);
    let other = [&TUNE[..], &["--trials", "7", "--seed", "5", "-o", "whole"]].concat();
    fails(dir.path(), &other, SAVED, &["another one", "--overwrite"]);
    works(dir.path(), &[&other[..], &["--overwrite"]].concat());
}

#[test]
fn an_interrupted_search_goes_on_with_the_same_command() {
    let dir = scratch(3000);
    let args = [&TUNE[..], &["--trials", "6", "-o", "out"]].concat();
    let mut child = command(dir.path(), &args).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let path = dir.path().join("out/journal.jsonl");
    let lines = || fs::read_to_string(&path).map_or(0, |text| text.lines().count());
    while lines() < 3 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let ran = finished(child.wait_with_output().unwrap());
    assert!(ran.code == INTERRUPTED || ran.code == 0, "{}\n{}", ran.code, ran.err);
    if ran.code == INTERRUPTED {
        assert!(ran.err.contains("journal.jsonl") && ran.err.contains("the same command"), "{}", ran.err);
    }
    works(dir.path(), &args);
    let at_once = [&TUNE[..], &["--trials", "6", "-o", "at-once"]].concat();
    works(dir.path(), &at_once);
    assert_eq!(journal(dir.path(), "out"), journal(dir.path(), "at-once"));
}

#[test]
fn a_search_ends_when_its_time_is_up_and_says_what_it_found() {
    let dir = scratch(300);
    let ran = works(dir.path(), &[&TUNE[..], &["--budget", "0.1s", "-o", "out"]].concat());
    for part in ["0 (default)", "1 (regression)", "which took no part", "best:   out/best.toml", "next:"] {
        assert!(ran.out.contains(part), "missing {part} in\n{}", ran.out);
    }
}

#[test]
fn searches_that_cannot_be_made() {
    let dir = scratch(80);
    let tune = |more: &[&'static str]| [&TUNE[..], &["--trials", "3", "-o", "out"], more].concat();
    let none = tune(&["--set", "data.split.test=0.0"]);
    fails(dir.path(), &none, USAGE, &["test rows", "at least one", "--test"]);
    fails(dir.path(), &tune(&["--budget", "soon"]), USAGE, &["--budget", "\"soon\""]);
    fails(dir.path(), &tune(&["--set", "data.loading=stream"]), USAGE, &["in memory"]);
    fails(dir.path(), &["tune", "none.csv"], 5, &["none.csv"]);
    works(dir.path(), &tune(&[]));
    let path = dir.path().join("out/journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"rung\":2", "\"rung\":1", 1)).unwrap();
    fails(dir.path(), &tune(&[]), SAVED, &["journal.jsonl", "damaged", "--overwrite"]);
}

#[test]
fn a_search_on_adult_is_no_worse_than_its_start() {
    let Some(path) = data("a_search_on_adult_is_no_worse_than_its_start", "adult-census") else { return };
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(path.join("adult.data")).unwrap();
    let some: Vec<&str> = text.lines().take(3000).collect();
    fs::write(dir.path().join("adult.data"), some.join("\n") + "\n").unwrap();
    let recipe = format!("{}/recipes/adult.toml", env!("CARGO_MANIFEST_DIR"));
    let test = path.join("adult.test").display().to_string();
    let args = ["tune", "--config", &recipe, "adult.data", "--test", &test, "--trials", "11", "-o", "out"];
    let found = json(dir.path(), &args);
    let trials = found["trials"].as_array().expect("trials");
    let value = |number: u64| {
        let trial = trials.iter().find(|t| t["trial"] == number).expect("a trial");
        trial["value"].as_f64().expect("a value")
    };
    let winner = found["winner"].as_u64().expect("a winner");
    assert!(value(winner) <= value(0) * 1.0001 && value(winner) <= value(1) * 1.0001);
    let figures = found["figures"].as_array().expect("figures");
    assert_eq!(figures[0]["test"]["rows"], 16_281);
    assert!(figures[0]["test"]["auc"].as_f64() > Some(0.88), "{}", figures[0]["test"]);
}
