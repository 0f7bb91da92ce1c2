//! The programs in `examples/`, run as a reader would run them.
use crate::common::{clicks, works};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where cargo puts the examples, which it builds with the tests.
fn example(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_BIN_EXE_dlrm")).parent().expect("a directory of binaries");
    let file = directory.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(file.exists(), "{} is built by `cargo test`, or by `cargo build --examples`", file.display());
    file
}

fn run(name: &str, directory: &Path, args: &[&str], input: &str) -> String {
    let mut command = Command::new(example(name));
    command
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("ended");
    assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

#[test]
fn a_model_is_trained_from_a_file_and_its_rows_are_scored() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("clicks.csv"), clicks(400)).expect("written");
    let said = run("train", dir.path(), &["clicks.csv", "click", "out"], "");
    assert!(said.contains("test: ") && said.contains("saved in out/model"), "{said}");
    let columns = run("score", dir.path(), &["out"], "");
    let columns: Vec<&str> = columns.trim_start_matches("# ").trim().split(',').collect();
    let text = fs::read_to_string(dir.path().join("clicks.csv")).expect("read");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let place = |name: &&str| header.iter().position(|h| h == name).expect("a column of the file");
    let rows: Vec<String> = lines
        .take(5)
        .map(|row| columns.iter().map(|c| row[place(c)]).collect::<Vec<_>>().join(","))
        .collect();
    let scores = run("score", dir.path(), &["out"], &(rows.join("\n") + "\n"));
    let predicted = works(dir.path(), &["predict", "out", "clicks.csv"]).out;
    let same = |text: &str| text.lines().skip(1).take(5).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(same(&scores), same(&predicted), "the command and the program score alike, to the last digit");
}

#[test]
fn a_model_of_ones_own_learns() {
    let said = run("own_model", Path::new("."), &[], "");
    let auc: f64 = said.trim().rsplit(' ').next().and_then(|auc| auc.parse().ok()).expect("an AUC");
    assert!(auc > 0.7, "{said}");
}
