//! `train.tensorboard`: event files beside a run. That TensorBoard reads them is tested with its own reader
//! in `python/tests/test_tensorboard.py`.
use crate::common::{fails, scratch, works};
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: i32 = 2;

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args =
        ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "3", "--no-baseline", "-q", "-o", out];
    [&args[..], more].concat()
}

const EVENTS: [&str; 2] = ["--set", "train.tensorboard=\"events\""];

/// The event files of a directory, in the order of their names.
fn events(dir: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The data of the records of an event file.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let (mut rest, mut found) = (&file[..], Vec::new());
    while !rest.is_empty() {
        let len = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        found.push(rest[12..12 + len].to_vec());
        rest = &rest[16 + len..];
    }
    found
}

fn says(record: &[u8], text: &str) -> bool {
    record.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn evaluations_are_events_and_weights_are_the_same() {
    let dir = scratch(400);
    works(dir.path(), &train("without", &[]));
    works(dir.path(), &train("with", &EVENTS));
    for name in ["model/weights.safetensors", "model/config.toml", "model/golden.json"] {
        let [without, with] =
            ["without", "with"].map(|out| fs::read(dir.path().join(out).join(name)).unwrap());
        assert!(without == with, "{name}");
    }
    let files = events(&dir.path().join("events"));
    assert_eq!(files.len(), 1);
    let records = records(&files[0]);
    assert!(says(&records[0], "brain.Event:2"));
    let told = records.iter().filter(|record| says(record, "validation/log_loss")).count();
    assert!(told >= 3, "{told} evaluations");
    for tag in ["train/loss", "validation/auc", "learning_rate/dense", "speed/rows_per_second"] {
        assert!(records.iter().any(|record| says(record, tag)), "{tag}");
    }
    // A second run adds a file and leaves the first one as it is.
    let before = fs::read(&files[0]).unwrap();
    works(dir.path(), &train("again", &EVENTS));
    assert_eq!(events(&dir.path().join("events")).len(), 2);
    assert_eq!(fs::read(&files[0]).unwrap(), before);
}

#[test]
fn the_model_that_was_chosen_and_the_one_behind_folds_are_shown() {
    let dir = scratch(400);
    for (out, flag) in [("chosen", ["--model", "auto"]), ("folded", ["--folds", "3"])] {
        let place = format!("train.tensorboard=\"{out}-events\"");
        works(dir.path(), &train(out, &[&flag[..], &["--set", &place]].concat()));
        let files = events(&dir.path().join(format!("{out}-events")));
        assert_eq!(files.len(), 1, "{out}");
        assert!(records(&files[0]).iter().any(|record| says(record, "validation/log_loss")), "{out}");
    }
}

#[test]
fn places_that_cannot_be_written_are_named_before_the_work() {
    let dir = scratch(100);
    fs::write(dir.path().join("events"), "mine").unwrap();
    for more in [&[][..], &["--folds", "3"], &["--model", "auto"]] {
        let args = train("out", &[&EVENTS[..], more].concat());
        fails(
            dir.path(),
            &args,
            USAGE,
            &["train.tensorboard", "a directory that can be written to", "events"],
        );
        assert!(!dir.path().join("out").exists());
    }
    assert_eq!(fs::read_to_string(dir.path().join("events")).unwrap(), "mine");
}

#[test]
fn a_run_that_fails_early_leaves_no_event_file() {
    let dir = scratch(100);
    let args = train("out", &["--memory-limit", "10kB", "--set", "train.tensorboard=\"events\""]);
    fails(dir.path(), &args, 5, &["memory"]);
    assert_eq!(events(&dir.path().join("events")), [] as [PathBuf; 0]);
}

#[test]
fn work_on_several_models_has_no_event_files() {
    let dir = scratch(100);
    let rows = ["clicks.csv", "--schema", "schema.toml", "-q", "-o", "out"];
    for verb in [&["compare", "--models", "lr,fm"][..], &["tune", "--trials", "2"]] {
        let args = [verb, &rows[..], &EVENTS[..]].concat();
        fails(dir.path(), &args, USAGE, &["train.tensorboard", "a run of one model"]);
    }
}
