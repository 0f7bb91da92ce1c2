//! Work that ends in the middle: killed, stopped by a signal, or out of space.
use crate::common::{Ran, clicks, command, dlrm, fails, finished, scratch, works};
use dlrm::data::Stop;
use dlrm::engine::observer::Observer;
use dlrm::engine::plan::Plan;
use dlrm::engine::request::InputRequest;
use dlrm::engine::run::RunObserver;
use dlrm::engine::saved::{Kind, verify};
use dlrm::engine::train_state::TrainState;
use dlrm::engine::{Error, Run, RunRequest, Start};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const USAGE: i32 = 2;
const SAVED: i32 = 4;
const INTERRUPTED: i32 = 130;
const TRAIN: [&str; 8] =
    ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "3", "--no-baseline", "-q"];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&TRAIN[..], more].concat()
}

/// A run of [`scratch`]'s rows in its directory `out`.
fn run(dir: &Path, start: Start) -> Run {
    let resume = start == Start::Resume;
    let input = InputRequest {
        paths: if resume { Vec::new() } else { vec![dir.join("clicks.csv")] },
        ..Default::default()
    };
    let request = RunRequest {
        input,
        schema: (!resume).then(|| dir.join("schema.toml")),
        epochs: (!resume).then_some(3),
        out: Some(dir.join("out")),
        start,
        ..RunRequest::default()
    };
    let mut run = request.resolve().unwrap().0;
    run.resources.isa = crate::common::isa();
    run
}

/// Stops at a stage, or at a step.
#[derive(Default)]
struct StopAt {
    stage: &'static str,
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

impl RunObserver for StopAt {
    fn stage(&mut self, name: &str) {
        self.stop |= self.stage == name;
    }
    fn planned(&mut self, _: &Plan) {}
}

#[test]
fn saving_can_be_stopped_and_gone_on_with() {
    let dir = scratch(200);
    run(dir.path(), Start::Fresh).execute(&mut StopAt::default()).unwrap().finish().unwrap();
    let model = dir.path().join("out/model");
    let before = verify(&model, Kind::Model).unwrap();
    let mut stop = StopAt { stage: "saving", ..StopAt::default() };
    let stopped = run(dir.path(), Start::Overwrite).execute(&mut stop).map(drop);
    assert!(matches!(stopped, Err(Error::Interrupted { checkpoint: Some(_), .. })), "{stopped:?}");
    assert_eq!(verify(&model, Kind::Model).unwrap(), before);
    assert!(!dir.path().join("out/.model.partial").exists());
    run(dir.path(), Start::Resume).execute(&mut StopAt::default()).unwrap().finish().unwrap();
    assert_eq!(verify(&model, Kind::Model).unwrap().id(), before.id());
    assert!(!dir.path().join("out/checkpoints").exists());
}

/// Asks threads that read rows to stop, after so many looks.
struct StopReading(Arc<AtomicI64>);

impl Observer for StopReading {
    fn stop(&self) -> Stop {
        let left = self.0.clone();
        Stop::when(move || left.fetch_sub(1, Ordering::Relaxed) <= 0)
    }
}

impl RunObserver for StopReading {}

#[test]
fn reading_rows_can_be_stopped_in_any_pass() {
    let dir = scratch(5000);
    let whole = Arc::new(AtomicI64::new(i64::MAX));
    run(dir.path(), Start::Fresh).execute(&mut StopReading(whole.clone())).unwrap().finish().unwrap();
    let looks = i64::MAX - whole.load(Ordering::Relaxed);
    // A pass to fit the encoder and one to encode, a look for each block of rows.
    assert!(looks >= 2 * 5000 / 512, "{looks}");
    let before = verify(&dir.path().join("out/model"), Kind::Model).unwrap();
    for most in 0..looks {
        let mut stop = StopReading(Arc::new(AtomicI64::new(most)));
        let stopped = run(dir.path(), Start::Overwrite).execute(&mut stop).map(drop);
        assert!(matches!(stopped, Err(Error::Interrupted { step: 0, checkpoint: None })), "{stopped:?}");
        assert_eq!(verify(&dir.path().join("out/model"), Kind::Model).unwrap(), before);
    }
    let stop = Stop::when(|| true);
    let request = RunRequest {
        stop,
        input: InputRequest { paths: vec![dir.path().join("clicks.csv")], ..Default::default() },
        ..RunRequest::default()
    };
    let stopped = request.resolve().map(drop).unwrap_err();
    assert!(matches!(stopped, Error::Data(dlrm::data::Error::Interrupted)), "{stopped}");
}

/// Ended while the checkpoints of a finished run were being removed.
#[test]
fn a_run_that_is_killed_at_its_very_end_is_finished() {
    let dir = scratch(200);
    let stopped = run(dir.path(), Start::Fresh).execute(&mut StopAt { step: Some(2), ..StopAt::default() });
    assert!(matches!(stopped.map(drop), Err(Error::Interrupted { .. })));
    let left = dir.path().join("left");
    crate::common::copy(&dir.path().join("out/checkpoints"), &left);
    works(dir.path(), &["train", "--resume", "-o", "out"]);
    let aside = dir.path().join("out/.checkpoints.old");
    for removed in ["encoder.json", "config.toml", "manifest.json"] {
        fs::remove_file(left.join(removed)).unwrap();
        let _ = fs::remove_dir_all(&aside);
        crate::common::copy(&left, &aside);
        fails(dir.path(), &["train", "--resume", "-o", "out"], SAVED, &["a finished one", "dlrm show"]);
        fails(dir.path(), &train(&["-o", "out"]), USAGE, &["a finished model", "--overwrite"]);
        works(dir.path(), &["show", "out"]);
    }
    works(dir.path(), &train(&["-o", "out", "--overwrite"]));
    assert!(!aside.exists());
}

/// Ended between the two renames of a replacement, where the system cannot exchange two names.
#[test]
fn a_model_that_was_set_aside_is_named_and_put_back() {
    let dir = scratch(200);
    works(dir.path(), &train(&["-o", "out"]));
    let [model, old] = ["out/model", "out/.model.old"].map(|name| dir.path().join(name));
    let set_aside = || fs::rename(&model, &old).unwrap();
    set_aside();
    for path in ["out", "out/model"] {
        let ran = dlrm(dir.path(), &["predict", path, "clicks.csv"]);
        assert!(ran.code == SAVED && ran.err.contains(".model.old"), "{path}: {}", ran.err);
    }
    fails(dir.path(), &train(&["-o", "out"]), USAGE, &["a finished model"]);
    works(dir.path(), &["show", "out"]);
    set_aside();
    fails(dir.path(), &["train", "--resume", "-o", "out"], SAVED, &["a finished one"]);
    works(dir.path(), &["show", "out"]);
    set_aside();
    works(dir.path(), &train(&["-o", "out", "--overwrite"]));
    assert!(model.exists() && !old.exists());
}

fn signal(child: &Child, name: &str) {
    Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
}

/// Sends a signal once standard error has a line with `text`.
fn stopped_after(mut command: Command, text: &str, name: &str) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut err = String::new();
    while !err.contains(text) && lines.read_line(&mut err).unwrap() > 0 {}
    signal(&child, name);
    lines.read_to_string(&mut err).unwrap();
    let ran = finished(child.wait_with_output().unwrap());
    Ran { err, ..ran }
}

#[test]
fn a_comparison_keeps_what_is_finished() {
    let dir = scratch(4000);
    let args = |out: &'static str| {
        let models = ["--models", "lr,fm,dlrm,deepfm", "--seeds", "2", "--epochs", "2", "-o", out];
        [&["compare", "clicks.csv", "--schema", "schema.toml"], &models[..]].concat()
    };
    let ran = stopped_after(command(dir.path(), &args("out")), "[4/8]", "-INT");
    ran.failed(&args("out"), INTERRUPTED, &["out/journal.jsonl", "the same command"]);
    let journal = dir.path().join("out/journal.jsonl");
    let kept = fs::read_to_string(&journal).unwrap().lines().count() - 1;
    assert!(kept >= 3, "{kept}");
    // Cut off in the middle of a line.
    let text = fs::read(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 5]).unwrap();
    let ran = works(dir.path(), &args("out"));
    assert_eq!(ran.err.matches("found finished").count(), kept - 1, "{}", ran.err);
    assert!(!journal.exists());
    works(dir.path(), &args("whole"));
    let lasting = |out: &str| -> Vec<Value> {
        let text = fs::read(dir.path().join(out).join("compare.json")).unwrap();
        let all: Value = serde_json::from_slice(&text).unwrap();
        let models = all["models"].as_array().unwrap();
        let of = |model: &Value| {
            let tests: Vec<&Value> = model["runs"].as_array().unwrap().iter().map(|r| &r["test"]).collect();
            serde_json::json!([model["name"], tests, model["against_best"], model["forward_multiply_adds"]])
        };
        models.iter().map(of).collect()
    };
    assert_eq!(lasting("out"), lasting("whole"));
}

#[test]
fn a_comparison_on_folds_goes_on_too() {
    let dir = scratch(3000);
    let args = |out: &'static str| {
        let models = ["--models", "lr,fm", "--folds", "3", "--epochs", "2", "-o", out];
        [&["compare", "clicks.csv", "--schema", "schema.toml"], &models[..]].concat()
    };
    let ran = stopped_after(command(dir.path(), &args("out")), "[4/6]", "-TERM");
    ran.failed(&args("out"), INTERRUPTED, &["out/journal.jsonl"]);
    let ran = works(dir.path(), &args("out"));
    assert!(ran.err.contains("found finished"), "{}", ran.err);
    works(dir.path(), &args("whole"));
    let read = |out: &str| fs::read_to_string(dir.path().join(out).join("folds.json")).unwrap();
    assert_eq!(read("out"), read("whole"));
}

/// `nohup` lets a run outlive its terminal; without it the run is stopped, and can be resumed.
#[test]
fn an_ignored_hangup_stays_ignored() {
    if !Path::new("/proc/self/status").exists() {
        println!("skipped: an_ignored_hangup_stays_ignored (the system does not tell)");
        return;
    }
    let dir = scratch(3000);
    let shell = |setup: &str, out: &str| {
        let train = "train clicks.csv --schema schema.toml --epochs 3 --no-baseline --batch-size 16";
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{setup} exec {} {train} -o {out}", env!("CARGO_BIN_EXE_dlrm")));
        shell.current_dir(dir.path());
        shell
    };
    let ran = stopped_after(shell("trap '' HUP;", "ignored"), "training …", "-HUP");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = stopped_after(shell("", "stopped"), "training …", "-HUP");
    assert_eq!(ran.code, INTERRUPTED, "{}", ran.err);
    assert!(ran.err.contains("--resume"), "{}", ran.err);
    works(dir.path(), &["train", "--resume", "-o", "stopped"]);
}

#[test]
fn what_a_run_was_started_with_has_checksums() {
    let dir = scratch(200);
    let stop = || StopAt { step: Some(3), ..StopAt::default() };
    assert!(run(dir.path(), Start::Fresh).execute(&mut stop()).is_err());
    let path = dir.path().join("out/checkpoints/config.toml");
    let whole = fs::read_to_string(&path).unwrap();
    // One bit: another learning rate.
    let changed = whole.replacen("lr = 0.0", "lr = 0.1", 1);
    assert_ne!(whole, changed);
    for damaged in [&changed, &whole[..whole.len() / 2]] {
        fs::write(&path, damaged).unwrap();
        fails(dir.path(), &["train", "--resume", "-o", "out"], SAVED, &["config.toml", "expected"]);
    }
    fs::write(&path, &whole).unwrap();
    // Runs that earlier versions have started have none.
    for later in ["manifest.json", "isa.txt"] {
        fs::remove_file(dir.path().join("out/checkpoints").join(later)).unwrap();
    }
    works(dir.path(), &["train", "--resume", "-o", "out"]);
}

/// Scalar code adds in another order than vectors do.
#[test]
fn a_run_is_not_resumed_on_instructions_that_give_other_bits() {
    let test = "a_run_is_not_resumed_on_instructions_that_give_other_bits";
    let best = dlrm::nn::Isa::detect().level().name();
    if best == "scalar" {
        println!("skipped: {test} (there are no others here)");
        return;
    }
    let dir = scratch(200);
    let mut first = run(dir.path(), Start::Fresh);
    first.resources.isa = dlrm::nn::Isa::detect();
    assert!(first.execute(&mut StopAt { step: Some(3), ..StopAt::default() }).is_err());
    let resume = ["train", "--resume", "-o", "out", "--isa"];
    let scalar = [&resume[..], &["scalar"]].concat();
    fails(dir.path(), &scalar, SAVED, &["the vector instructions that the run started with", "--isa"]);
    works(dir.path(), &[&resume[..], &[best]].concat());
    // On a processor that does not have them, it is said.
    assert!(
        run(dir.path(), Start::Overwrite)
            .execute(&mut StopAt { step: Some(3), ..StopAt::default() })
            .is_err()
    );
    let checkpoints = dir.path().join("out/checkpoints");
    fs::remove_file(checkpoints.join("manifest.json")).unwrap();
    fs::write(checkpoints.join("isa.txt"), "matrix").unwrap();
    let ran = works(dir.path(), &["train", "--resume", "-o", "out"]);
    assert!(ran.err.contains("warning: the run was started with matrix instructions"), "{}", ran.err);
}

#[test]
fn an_interrupted_run_resumes_to_the_same_bytes() {
    resumes(&[], &[]);
}

#[test]
fn an_interrupted_stream_resumes_to_the_same_bytes_with_and_without_a_cache() {
    resumes(&["--stream"], &["--set", "data.cache=false"]);
}

/// A run of these flags that is cut and resumed equals one with `more` that is not.
fn resumes(flags: &[&str], more: &[&str]) {
    let dir = scratch(3000);
    let args =
        ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "400", "--set", "train.patience=0"];
    let args = [&args[..], flags].concat();
    let mut child = command(dir.path(), &[&args[..], &["-o", "cut"]].concat())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("epoch")).expect("a line of progress");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(
        rest.iter().any(|l| l.contains("saved in")) && rest.iter().any(|l| l.contains("--resume")),
        "{rest:?}"
    );
    assert!(!dir.path().join("cut/model").exists());
    let refused = dlrm(dir.path(), &[&args[..], &["-o", "cut"]].concat());
    assert!(refused.code == 2 && refused.err.contains("--resume"), "{}", refused.err);
    works(dir.path(), &["train", "--resume", "--quiet", "--threads", "1", "-o", "cut"]);
    works(dir.path(), &[&args[..], more, &["--quiet", "-o", "whole"]].concat());
    let weights = |out: &str| fs::read(dir.path().join(out).join("model/weights.safetensors")).unwrap();
    assert_eq!(weights("cut"), weights("whole"));
    assert!(!dir.path().join("cut/checkpoints").exists(), "a finished run needs none");
}

#[test]
fn changed_data_is_not_resumed_on() {
    let dir = scratch(300);
    let child = |out: &str| {
        let args = [
            "train",
            "clicks.csv",
            "--schema",
            "schema.toml",
            "--epochs",
            "100000",
            "--set",
            "train.patience=0",
            "-o",
            out,
        ];
        let mut child = command(dir.path(), &args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("epoch")).expect("progress");
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        lines.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    };
    child("out");
    fs::write(dir.path().join("clicks.csv"), clicks(310)).unwrap();
    let ran = dlrm(dir.path(), &["train", "--resume", "-o", "out"]);
    assert!(ran.code == 4 && ran.err.contains("found other values"), "{}", ran.err);
    // Other labels leave the encoder as it was.
    let flipped: String = clicks(300)
        .lines()
        .map(|l| match l.split_at(1) {
            ("0", rest) => format!("1{rest}\n"),
            ("1", rest) => format!("0{rest}\n"),
            _ => format!("{l}\n"),
        })
        .collect();
    fs::write(dir.path().join("clicks.csv"), flipped).unwrap();
    let ran = dlrm(dir.path(), &["train", "--resume", "-o", "out"]);
    assert!(ran.code == 4 && ran.err.contains("found others"), "{}", ran.err);
    // The run itself is untouched: the first data go on.
    fs::write(dir.path().join("clicks.csv"), clicks(300)).unwrap();
    assert!(dir.path().join("out/checkpoints/rows.txt").exists());
}
