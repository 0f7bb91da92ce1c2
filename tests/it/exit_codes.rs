//! The table of exit codes (docs/getting-started.md) holds for all verbs.
use crate::common::{command, demo_copy, finished};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is done to the directory of the demo before, the command, its exit code.
type Case<Line = String> = (fn(&Path), Line, i32);

fn as_it_is(_: &Path) {}

fn damaged(dir: &Path) {
    let path = dir.join("runs/demo/model/encoder.json");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn incomplete(dir: &Path) {
    fs::remove_file(dir.join("runs/demo/model/weights.safetensors")).unwrap();
}

fn no_file(dir: &Path) {
    incomplete(dir);
    fs::create_dir(dir.join("runs/demo/model/weights.safetensors")).unwrap();
}

#[cfg(unix)]
fn a_pipe(dir: &Path) {
    incomplete(dir);
    let path = dir.join("runs/demo/model/weights.safetensors");
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[cfg(unix)]
fn a_device(dir: &Path) {
    incomplete(dir);
    std::os::unix::fs::symlink("/dev/zero", dir.join("runs/demo/model/weights.safetensors")).unwrap();
}

/// Bytes that are no text.
fn latin_1(dir: &Path) {
    fs::write(dir.join("schema.toml"), b"# caf\xe9\nlabel = { column = \"click\" }\n").unwrap();
    fs::write(dir.join("config.toml"), b"# caf\xe9\n[train]\nepochs = 1\n").unwrap();
}

fn a_bad_row(dir: &Path) {
    let text = fs::read_to_string(dir.join("runs/demo/sample.csv")).unwrap();
    fs::write(dir.join("bad.csv"), text + "1,2\n").unwrap();
}

const SAMPLE: &str = "runs/demo/sample.csv";

/// Verbs that load a model.
const LOADING: [&str; 6] = [
    "show runs/demo",
    "export runs/demo --onnx model.onnx",
    "predict runs/demo SAMPLE",
    "evaluate runs/demo SAMPLE",
    "explain runs/demo SAMPLE",
    "train SAMPLE --from runs/demo -o next",
];

/// Verbs that read rows.
const READING: [&str; 8] = [
    "inspect INPUT --label click",
    "prepare INPUT --label click -o prepared",
    "train INPUT --label click -o trained",
    "compare INPUT --label click --models lr -o compared",
    "tune INPUT --label click --trials 2 -o tuned",
    "predict runs/demo INPUT",
    "evaluate runs/demo INPUT",
    "explain runs/demo INPUT",
];

fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (before, line, code) in cases {
        let dir = demo_copy();
        before(dir.path());
        let line = line.replace("SAMPLE", SAMPLE);
        let args: Vec<&str> = line.split_whitespace().collect();
        let mut command = Command::new("timeout");
        command.args(["60", env!("CARGO_BIN_EXE_dlrm")]).args(&args).current_dir(dir.path());
        let ran = finished(command.output().unwrap());
        let told = *code == 0 || ran.err.contains("error: ") || ran.err.contains("Usage");
        if ran.code != *code || !told || ran.err.contains("panicked") {
            wrong.push(format!("dlrm {line}: expected {code}, found {}\n{}", ran.code, ran.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_model_that_cannot_be_trusted_is_4_for_all_verbs() {
    let mut states: Vec<fn(&Path)> = vec![damaged, incomplete, no_file];
    #[cfg(unix)]
    states.extend([a_pipe as fn(&Path), a_device]);
    let cases: Vec<_> = LOADING
        .iter()
        .flat_map(|line| states.iter().map(|state| (*state, (*line).to_owned(), 4)))
        .chain(LOADING.iter().map(|line| (as_it_is as fn(&Path), line.replace("runs/demo", "none"), 4)))
        .collect();
    check(&cases);
}

#[test]
fn data_and_files_are_3_and_5_for_all_verbs() {
    let of = |before: fn(&Path), input: &str, code| {
        READING.iter().map(|line| (before, line.replace("INPUT", input), code)).collect::<Vec<_>>()
    };
    let mut cases = of(as_it_is, "none.csv", 5);
    cases.extend(of(a_bad_row, "bad.csv", 3).into_iter().filter(|(_, line, _)| !line.starts_with("inspect")));
    let with_schema = READING.iter().take(5).map(|line| {
        let line = line.replace("INPUT", SAMPLE).replace("--label click", "--schema schema.toml");
        (latin_1 as fn(&Path), line, 3)
    });
    cases.extend(with_schema);
    check(&cases);
}

#[test]
fn what_was_said_wrongly_is_2_and_the_rest_of_the_table() {
    let cases: &[Case<&str>] = &[
        (as_it_is, "show runs/demo", 0),
        (as_it_is, "models", 0),
        (as_it_is, "--help", 0),
        (as_it_is, "train --help", 0),
        (as_it_is, "--version", 0),
        (as_it_is, "trian", 2),
        (as_it_is, "show", 2),
        (as_it_is, "predict runs/demo SAMPLE --format cvs", 2),
        (as_it_is, "train SAMPLE --label click -o runs/demo", 2),
        (as_it_is, "demo -o runs/demo", 2),
        (as_it_is, "generate clicks --rows 10 --like nothing -o out", 2),
        (as_it_is, "bench --quick none.toml", 5),
        (as_it_is, "show runs/demo --graph none/picture.svg", 5),
        (as_it_is, "export runs/demo", 2),
        (as_it_is, "export runs/demo --onnx none/model.onnx", 5),
        (as_it_is, "export runs/demo --onnx model.onnx --onnx-ids rows", 2),
        (as_it_is, "inspect SAMPLE --label click -o none/schema.toml", 5),
        (latin_1, "train SAMPLE --config config.toml -o out", 2),
        (as_it_is, "train SAMPLE --schema runs/demo/schema.toml --memory-limit 10kB -o out", 5),
        (as_it_is, "train --resume -o runs/demo", 4),
    ];
    check(&cases.iter().map(|(before, line, code)| (*before, (*line).to_owned(), *code)).collect::<Vec<_>>());
}

#[test]
fn results_that_cannot_be_written_are_5() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: results_that_cannot_be_written_are_5 (there is no /dev/full)");
        return;
    }
    let dir = demo_copy();
    for line in
        ["--help", "train --help", "--version", "models", "show runs/demo", "predict runs/demo SAMPLE"]
    {
        let line = line.replace("SAMPLE", SAMPLE);
        let args: Vec<&str> = line.split_whitespace().collect();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = finished(command(dir.path(), &args).stdout(full).output().unwrap());
        assert!(ran.code == 5 && ran.err.contains("standard output"), "{line}: {} {}", ran.code, ran.err);
    }
}

/// Waits until a process that has just begun catches SIGTERM, the last but one of the signals that it asks
/// for, and then until it has begun to work.
#[cfg(unix)]
fn until_it_listens(child: u32) {
    const SIGTERM: u64 = 1 << (15 - 1);
    let catches = || {
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(caught.trim(), 16).ok().map(|caught| caught & SIGTERM != 0)
    };
    let begun = Instant::now();
    // Where the system does not tell, the time has to do.
    while catches() == Some(false) && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(if catches().is_some() { 50 } else { 250 }));
}

/// Ctrl-C, SIGTERM and SIGHUP: 130 for all verbs.
#[cfg(unix)]
#[test]
fn an_interruption_is_130_for_all_verbs() {
    let dir = demo_copy();
    // A row again and again.
    let text = fs::read_to_string(dir.path().join(SAMPLE)).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    fs::write(dir.path().join("long.csv"), format!("{header}\n{}", rows.repeat(2000))).unwrap();
    let lines = [
        "generate clicks --rows 100000000 -o generated",
        "bench k --scale 1000 --seconds 60",
        "train long.csv --label click --epochs 100 -o trained",
        "compare long.csv --label click --models dlrm,fm -o compared",
        "tune long.csv --label click -o tuned",
        "inspect long.csv --label click",
        "prepare long.csv --label click -o prepared",
        // They wait for rows that do not come.
        "predict runs/demo -",
        "evaluate runs/demo -",
        "demo --rows 50000000 -o demo",
    ];
    for (number, line) in lines.iter().enumerate() {
        let args: Vec<&str> = line.split_whitespace().collect();
        let mut child = command(dir.path(), &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until_it_listens(child.id());
        let name = ["-INT", "-TERM", "-HUP"][number % 3];
        Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        // The first one may only ask; the second one is meant.
        let mut waited = 0;
        while child.try_wait().unwrap().is_none() && waited < 100 {
            std::thread::sleep(Duration::from_millis(50));
            waited += 1;
        }
        Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
        let ran = finished(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "dlrm {line} ({name}): {}", ran.err);
    }
}
