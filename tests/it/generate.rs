//! `dlrm generate`: what it makes can be trained on, and is the same for the same seed.

use crate::common::{dlrm, works};
use std::fs;

#[test]
fn random_rows_train_by_their_schema() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    for (ids, out) in [("uniform", "u"), ("power-law", "p"), ("gaussian", "g")] {
        let args = [
            "-q",
            "generate",
            "random",
            "--rows",
            "2000",
            "--tables",
            "50-7",
            "--ids",
            ids,
            "--ids-per-bag",
            "3",
            "-o",
            out,
        ];
        works(dir.path(), &args);
        let (rows, schema) = (format!("{out}/clicks.csv"), format!("{out}/schema.toml"));
        works(
            dir.path(),
            &["-q", "train", &rows, "--schema", &schema, "--epochs", "1", "-o", &format!("{out}/run")],
        );
    }
    let rows = |out: &str| fs::read(dir.path().join(out).join("clicks.csv")).expect("rows");
    works(
        dir.path(),
        &[
            "-q",
            "--threads",
            "1",
            "generate",
            "random",
            "--rows",
            "2000",
            "--tables",
            "50-7",
            "--ids-per-bag",
            "3",
            "-o",
            "again",
        ],
    );
    assert_eq!(rows("u"), rows("again"));
    let ran = dlrm(dir.path(), &["generate", "random", "--tables", "3-0", "-o", "x"]);
    assert!(ran.code == 2 && ran.err.contains("tables: expected rows in every table"), "{}", ran.err);
}

#[test]
fn traces_go_through_their_profile() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let ids: Vec<String> = (0u64..4000).map(|i| (i * i % 97).to_string()).collect();
    fs::write(dir.path().join("trace.txt"), ids.join(" ")).expect("a trace");
    works(dir.path(), &["generate", "trace", "profile", "trace.txt", "-o", "profile.txt"]);
    assert_eq!(fs::read_to_string(dir.path().join("profile.txt")).expect("a profile").lines().count(), 3);
    works(
        dir.path(),
        &["generate", "trace", "synthesize", "profile.txt", "-n", "5000", "--unique", "20", "-o", "made.txt"],
    );
    let made = fs::read_to_string(dir.path().join("made.txt")).expect("a trace");
    let unique: std::collections::HashSet<&str> = made.lines().collect();
    assert!(made.lines().count() == 5000 && unique.len() <= 20);
    let said =
        works(dir.path(), &["generate", "trace", "compare", "trace.txt", "made.txt", "--sizes", "5,100"]).out;
    assert!(said.contains("made.txt") && said.lines().count() == 3, "{said}");
    fs::write(dir.path().join("bad.txt"), "1 2 x").expect("a trace");
    for (args, code, expected) in [
        (["profile", "bad.txt", "-o", "p"], 3, "bad.txt:1:3"),
        (["synthesize", "trace.txt", "-o", "p"], 3, "three lines"),
        (["profile", "none.txt", "-o", "p"], 5, "none.txt"),
    ] {
        let ran = dlrm(dir.path(), &[&["generate", "trace"], &args[..]].concat());
        assert!(ran.code == code && ran.err.contains(expected), "{args:?}: {}", ran.err);
    }
}

#[test]
fn clicks_know_their_optimum() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    for args in [
        &["--label-noise", "0.1"][..],
        &["--position-bias", "0.5"],
        &["--like", "demo"],
        &["--form", "parquet", "--teacher", "fm"],
    ] {
        let out = args.concat().replace("--", "");
        works(dir.path(), &[&["-q", "generate", "clicks", "--rows", "3000", "-o", &out], args].concat());
        let text = fs::read_to_string(dir.path().join(&out).join("manifest.json")).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let auc = manifest["written"]["all"]["auc"].as_f64().expect("an AUC");
        assert!((0.6..0.95).contains(&auc), "{args:?}: {auc}");
        let truth =
            fs::read_to_string(dir.path().join(&out).join("truth/probabilities.csv")).expect("probabilities");
        assert_eq!(truth.lines().count(), 3001);
    }
    for (args, expected) in [
        (&["--click-rate", "2"][..], "click rate: expected a number from"),
        (&["--like", "demo", "--drift", "1"], "--drift: expected a shape that has it"),
        (&["--position-bias", "1", "--form", "criteo"], "--form criteo: expected the columns of Criteo"),
    ] {
        let ran = dlrm(dir.path(), &[&["generate", "clicks", "--rows", "100", "-o", "x"], args].concat());
        assert!(ran.code == 2 && ran.err.contains(expected), "{args:?}: {}", ran.err);
    }
}

#[cfg(unix)]
#[test]
fn a_log_has_more_days_than_a_process_may_have_files() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let line = format!(
        "ulimit -n 50; exec {} -q generate clicks --rows 1000 --days 200 --file-per-day -o log",
        env!("CARGO_BIN_EXE_dlrm")
    );
    let ran = std::process::Command::new("sh").args(["-c", &line]).current_dir(&dir).output().expect("sh");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let files = fs::read_dir(dir.path().join("log")).expect("a directory").flatten();
    let days = files.filter(|file| file.file_name().to_string_lossy().starts_with("day_"));
    assert_eq!(days.count(), 200);
}
