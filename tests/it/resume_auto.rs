//! `train --resume auto`: one command line for the first start of a run and for every later one.
use crate::common::{command, dlrm, fails, json, scratch, works};
use dlrm::engine::choice::{Choice, ChoiceObserver};
use dlrm::engine::config::Baseline;
use dlrm::engine::folds::{Folded, FoldsObserver};
use dlrm::engine::observer::Observer;
use dlrm::engine::request::InputRequest;
use dlrm::engine::run::RunObserver;
use dlrm::engine::train_state::TrainState;
use dlrm::engine::training::Training;
use dlrm::engine::{Error, RunRequest, Start};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

const USAGE: i32 = 2;
const TRAIN: [&str; 8] =
    ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "3", "--no-baseline", "-q"];
const AUTO: [&str; 4] = ["--resume", "auto", "-o", "out"];

/// The training of [`TRAIN`], with more.
fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&TRAIN[..], more].concat()
}

/// What stops a run: a step, or what came before it.
#[derive(Default)]
struct StopAt {
    step: Option<u64>,
    stop: bool,
}

impl Observer for StopAt {
    fn step(&mut self, state: &TrainState, _: f64) {
        self.stop |= self.step == Some(state.step);
    }
    fn should_stop(&mut self) -> bool {
        self.stop
    }
}

impl RunObserver for StopAt {}

impl ChoiceObserver for StopAt {
    fn chosen(&mut self, _: &Choice) {
        self.stop = true;
    }
}

impl FoldsObserver for StopAt {
    fn measured(&mut self, _: &Folded) {
        self.step = Some(3);
    }
}

/// The request of [`TRAIN`] in `out`.
fn request(dir: &Path, out: &str) -> RunRequest {
    RunRequest {
        input: InputRequest { paths: vec![dir.join("clicks.csv")], ..Default::default() },
        schema: Some(dir.join("schema.toml")),
        epochs: Some(3),
        baseline: Some(Baseline::Mean),
        out: Some(dir.join(out)),
        ..RunRequest::default()
    }
}

/// Stops the run of a request.
fn stopped(request: &RunRequest, chooses: bool, folds: Option<u64>) {
    let mut run = request.resolve().unwrap().0;
    run.resources.isa = crate::common::isa();
    let step = (folds.is_none() && !chooses).then_some(4);
    let mut observer = StopAt { step, stop: false };
    let stopped = Training { run, chooses, folds }.execute(&mut observer).map(drop);
    assert!(matches!(stopped, Err(Error::Interrupted { checkpoint: Some(_), .. })), "{stopped:?}");
}

fn weights(dir: &Path, out: &str) -> Vec<u8> {
    fs::read(dir.join(out).join("model/weights.safetensors")).unwrap()
}

/// What a directory holds, and when it was written.
fn tree(dir: &Path) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|(below, what)| (format!("{name}/{below}"), what)));
            found.insert(name, (written, Vec::new()));
        } else {
            found.insert(name, (written, fs::read(path).unwrap()));
        }
    }
    found
}

#[test]
fn a_first_start_and_a_finished_run() {
    let dir = scratch(300);
    let fresh = works(dir.path(), &[&TRAIN[..7], &AUTO].concat());
    assert!(fresh.err.contains("starting a run in out") && fresh.out.contains("next:"), "{}", fresh.err);
    works(dir.path(), &train(&["-o", "whole"]));
    assert_eq!(weights(dir.path(), "out"), weights(dir.path(), "whole"));
    let before = tree(&dir.path().join("out"));
    for again in [train(&AUTO), [&["train"][..], &AUTO].concat()] {
        let ran = works(dir.path(), &again);
        assert!(
            ran.out.contains("The run in out is finished") && ran.err.is_empty(),
            "{}{}",
            ran.out,
            ran.err
        );
        assert_eq!(json(dir.path(), &again)["finished"], true);
    }
    assert!(tree(&dir.path().join("out")) == before, "something was touched");
}

#[test]
fn an_unfinished_run_is_gone_on_with() {
    let dir = scratch(300);
    works(dir.path(), &train(&["-o", "whole"]));
    // Equal settings, in other words too; or none at all.
    fs::write(dir.path().join("run.toml"), "[train]\nepochs = 3\n[data]\nbaseline = \"mean\"\n").unwrap();
    let named = ["train", "--config", "run.toml", "./clicks.csv", "--set", "train.seed=0", "--resume=auto"];
    for args in [
        train(&AUTO[..2]),
        vec!["train", "--resume", "auto"],
        vec!["train", "--resume", "auto", "clicks.csv", "--label", "click", "--split", "random"],
        [&named[..], &["--seed", "0", "--model", "dlrm", "--format", "csv"]].concat(),
    ] {
        stopped(&request(dir.path(), "out"), false, None);
        let ran = works(dir.path(), &[&args[..], &["-o", "out"]].concat());
        let quiet = args.contains(&"-q");
        assert!(quiet || ran.err.contains("going on with the run in out"), "{args:?}: {}", ran.err);
        assert_eq!(weights(dir.path(), "out"), weights(dir.path(), "whole"), "{args:?}");
        assert!(!dir.path().join("out/checkpoints").exists(), "{args:?}");
        fs::remove_dir_all(dir.path().join("out")).unwrap();
    }
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_begins_again() {
    let dir = scratch(3000);
    let long = ["--batch-size", "2", "--max-steps", "200", "--set", "train.evaluate_every=1000000"];
    works(dir.path(), &[&train(&long)[..], &["-o", "whole"]].concat());
    let args = [&train(&long)[..], &AUTO].concat();
    for again in [args.clone(), [&["train"][..], &AUTO].concat()] {
        let mut child = command(dir.path(), &args).stdout(Stdio::null()).spawn().unwrap();
        let checkpoints = dir.path().join("out/checkpoints");
        while !checkpoints.join("config.toml").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the run ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Had it come so far, it would be an ordinary resumption.
        for entry in fs::read_dir(&checkpoints).into_iter().flatten().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().contains("step-") {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
        fails(dir.path(), &["train", "--resume", "-o", "out"], 4, &["an unfinished run", "found none"]);
        works(dir.path(), &again);
        assert_eq!(weights(dir.path(), "out"), weights(dir.path(), "whole"));
        fs::remove_dir_all(dir.path().join("out")).unwrap();
    }
}

#[test]
fn other_settings_than_the_stored_ones_are_refused() {
    let dir = scratch(300);
    stopped(&RunRequest { seed: Some(7), ..request(dir.path(), "out") }, false, None);
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("other.csv", &crate::common::clicks(300));
    write("other.toml", &crate::common::CLICKS_SCHEMA.replace("  { name = \"user\" },\n", ""));
    write("run.toml", "[train.optimizer]\nkind = \"adam\"\nlr = 0.5\n");
    let before = tree(&dir.path().join("out"));
    for (more, parts) in [
        (&["--epochs", "5"][..], ["train.epochs: expected 3, with which the run in out", "found 5"]),
        (&["--seed", "8"], ["seed: expected 7", "found 8"]),
        (&["--batch-size", "9"], ["train.batch_size: expected ", "found 9"]),
        (&["--max-steps", "9"], ["train.max_steps: expected none", "found 9"]),
        (&["--model", "fm"], ["--model: expected \"dlrm\"", "found \"fm\""]),
        (&["--model", "auto"], ["--model: expected one kind of model", "found auto"]),
        (&["--folds", "4"], ["--folds: expected none", "found 4"]),
        (&["--stream"], ["--stream: expected \"memory\"", "found \"stream\""]),
        (&["--split", "order"], ["kind: expected \"random\"", "found \"order\""]),
        (&["--set", "train.clip_norm=0.1"], ["train.clip_norm: expected none", "found 0.1"]),
        (&["--set", "model.embedding_dim=64"], ["model.embedding_dim: expected 16", "found 64"]),
        (&["--config", "run.toml"], ["train.optimizer.lr: expected 0.001", "found 0.5"]),
        (&["--preset", "paper"], ["with which the run in out was started", "found "]),
        (&["--schema", "other.toml"], ["--schema: expected categorical = ", "found categorical = "]),
        (&["--label", "site"], ["expected \"click\"", "found \"site\""]),
        (&["--ignore", "age"], ["--schema: expected dense = ", "found dense = none"]),
        (&["--cross", "site,user"], ["--schema: expected crosses = none", "found crosses = "]),
        (&["other.csv"], ["input.paths: expected ", "--resume alone takes new paths"]),
        (&["--test", "other.csv"], ["--test: expected none", "found "]),
        (&["--delimiter", ";"], ["--delimiter: expected \",\"", "found \";\""]),
        (&["--max-bad-rows", "3"], ["--max-bad-rows: expected 0", "found 3"]),
    ] {
        let args = [&["train"][..], &AUTO, more].concat();
        fails(dir.path(), &args, USAGE, &[parts[0], parts[1], "hint: leave it out to go on"]);
    }
    assert!(tree(&dir.path().join("out")) == before, "something was touched");
    fails(
        dir.path(),
        &[&["train"][..], &AUTO, &["--overwrite"]].concat(),
        USAGE,
        &["--resume", "--overwrite"],
    );
    works(dir.path(), &train(&[&AUTO[..], &["--seed", "7"]].concat()));
}

#[test]
fn a_prepared_set_is_named_or_not() {
    let dir = scratch(300);
    for out in ["prepared", "other"] {
        works(dir.path(), &["prepare", "clicks.csv", "--schema", "schema.toml", "-q", "-o", out]);
    }
    let prepared = RunRequest {
        input: InputRequest { paths: vec![dir.path().join("prepared")], ..Default::default() },
        schema: None,
        ..request(dir.path(), "out")
    };
    let auto = |more: &[&'static str]| [&["train", "-q"][..], &AUTO, more].concat();
    stopped(&prepared, false, None);
    fails(dir.path(), &auto(&["other"]), USAGE, &["--data-dir: expected ", "other"]);
    fails(dir.path(), &auto(&["prepared", "--label", "click"]), USAGE, &["--label", "where this is decided"]);
    works(dir.path(), &auto(&["prepared", "--seed", "0", "--epochs", "3"]));
    works(dir.path(), &["train", "prepared", "--epochs", "3", "--no-baseline", "-q", "-o", "whole"]);
    assert_eq!(weights(dir.path(), "out"), weights(dir.path(), "whole"));
}

#[test]
fn what_came_before_a_run_is_not_done_again() {
    let dir = scratch(300);
    stopped(&request(dir.path(), "out"), true, None);
    // The validation rows have chosen the model, and what is said of models is no contradiction.
    let auto = ["--model", "auto", "--set", "model.embedding_dim=16"];
    let ran = works(dir.path(), &train(&[&AUTO[..], &auto].concat()));
    assert!(ran.out.contains("next:"), "{}", ran.out);
    assert!(dir.path().join("out/candidates.json").exists());
    fs::remove_dir_all(dir.path().join("out")).unwrap();
    stopped(&request(dir.path(), "out"), false, Some(3));
    let folds = |k| train(&[&AUTO[..], &["--folds", k]].concat());
    fails(dir.path(), &folds("4"), USAGE, &["--folds: expected 3", "found 4"]);
    works(dir.path(), &folds("3"));
    assert!(dir.path().join("out/folds.json").exists());
}

#[test]
fn without_rows_there_has_to_be_a_run() {
    let dir = scratch(100);
    let bare = [&["train"][..], &AUTO].concat();
    let parts =
        ["input.paths: expected files to train on, or a run to go on with", "nothing of a run in out", "-o"];
    fails(dir.path(), &bare, USAGE, &parts);
    assert!(!dir.path().join("out").exists());
    // What is not ours is refused whatever is asked for.
    for theirs in ["out/model", "out/checkpoints"] {
        fs::create_dir_all(dir.path().join(theirs)).unwrap();
        fs::write(dir.path().join(theirs).join("mine.txt"), "mine").unwrap();
        for args in [&bare[..], &train(&AUTO)] {
            fails(dir.path(), args, USAGE, &[theirs, "which dlrm did not write"]);
        }
        fs::remove_dir_all(dir.path().join("out")).unwrap();
    }
}

#[test]
fn without_auto_paths_may_stand_behind_the_flag() {
    let dir = scratch(300);
    stopped(&request(dir.path(), "out"), false, None);
    fs::rename(dir.path().join("clicks.csv"), dir.path().join("moved.csv")).unwrap();
    let ran = dlrm(dir.path(), &["train", "--resume", "-o", "out"]);
    assert!(ran.code == 5 && ran.err.contains("clicks.csv"), "{}", ran.err);
    fails(
        dir.path(),
        &["train", "--resume", "moved.csv", "-o", "out", "--stream"],
        USAGE,
        &["found --stream"],
    );
    works(dir.path(), &["train", "--resume", "moved.csv", "-o", "out", "-q"]);
}

/// Directories and requests of the library, as programs see them.
#[test]
fn requests_know_where_they_start() {
    let dir = scratch(100);
    let start = || request(dir.path(), "out").at_its_start().unwrap().map(|request| request.start);
    assert_eq!(start(), Some(Start::Fresh));
    stopped(&request(dir.path(), "out"), false, None);
    assert_eq!(start(), Some(Start::GoOn));
    works(dir.path(), &["train", "-q", "--resume", "-o", "out"]);
    assert_eq!(start(), None);
}
