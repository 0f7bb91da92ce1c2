//! Memory that the system refuses: a message and an exit code, no abort.
#![cfg(target_os = "linux")]
use crate::common::{demo_copy, finished, scratch};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs `dlrm` where it may have so many megabytes of addresses.
fn within(dir: &Path, megabytes: u64, args: &str) -> crate::common::Ran {
    let line = format!("ulimit -v {}; exec {} {args}", megabytes << 10, env!("CARGO_BIN_EXE_dlrm"));
    finished(Command::new("sh").args(["-c", &line]).current_dir(dir).output().unwrap())
}

#[test]
fn memory_that_the_system_refuses() {
    let dir = scratch(60);
    let large = CLICKS_IN_LARGE_TABLES;
    fs::write(dir.path().join("large.toml"), large).unwrap();
    // The plan is given more than there is, as where another program takes it in between.
    for (name, args) in [
        ("tables", "train clicks.csv --schema large.toml --memory-limit 1TB --threads 1 -o tables"),
        (
            "layers",
            "train clicks.csv --schema schema.toml --set model.top=[9000,9000] --memory-limit 1TB \
             --threads 1",
        ),
    ] {
        let ran = within(dir.path(), 700, args);
        ran.failed(&[name], 5, &["out of memory", "refused", "--memory-limit"]);
        assert!(!ran.err.contains("memory allocation of"), "{}", ran.err);
        let json: serde_json::Value =
            serde_json::from_str(within(dir.path(), 700, &format!("{args} --json -q")).err.trim()).unwrap();
        assert_eq!(json["exit_code"], 5, "{name}");
    }
    // There is room for what the command itself needs.
    assert_eq!(within(dir.path(), 700, "models").code, 0);
}

/// Tables of 2 GB.
const CLICKS_IN_LARGE_TABLES: &str = r#"
label = { column = "click" }
dense = [{ name = "age" }]
categorical = [{ name = "user", encoding = { kind = "hash", buckets = 33_000_000 } }, { name = "site" }]
"#;

#[test]
fn a_row_that_is_too_long_for_memory() {
    let dir = demo_copy();
    let header = fs::read_to_string(dir.path().join("runs/demo/sample.csv")).unwrap();
    let header = header.lines().next().unwrap();
    // No line end and no end of quotes.
    let quoted = format!("{header}\n\"{}", "x".repeat(30 << 20));
    fs::write(dir.path().join("long.csv"), quoted).unwrap();
    let ran = within(dir.path(), 700, "predict runs/demo long.csv --threads 1");
    ran.failed(&["long.csv"], 3, &["long.csv"]);
}
