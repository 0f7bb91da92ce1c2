//! Rules of the house that no compiler checks.
use std::fs;
use std::path::{Path, PathBuf};

/// The only crate with `unsafe` anywhere.
const UNSAFE_CRATE: &str = "crates/kernels";
/// The only other file with any, and its crate: it maps files.
const UNSAFE_FILE: &str = "crates/data/src/prepared/map.rs";
const MAPPING_CRATE: &str = "crates/data";
/// A file is one noun.
const MOST_LINES: usize = 600;

/// Checks the tree below the current directory.
pub fn check() -> Result<(), String> {
    let mut faults = Vec::new();
    let mut files = Vec::new();
    for root in ["src", "crates", "tests", "benches", "xtask"] {
        collect(Path::new(root), &mut files).map_err(|e| format!("{root}: {e}"))?;
    }
    for path in &files {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        if text.lines().count() > MOST_LINES {
            faults.push(format!("{}: more than {MOST_LINES} lines", path.display()));
        }
        let root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
        let denial =
            if path.starts_with(MAPPING_CRATE) { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        if root && !path.starts_with(UNSAFE_CRATE) && !text.contains(denial) {
            faults.push(format!("{}: expected {denial}", path.display()));
        }
        // In two pieces, so that this file does not name itself.
        let allowed = path.starts_with(UNSAFE_CRATE) || path == Path::new(UNSAFE_FILE);
        if !allowed && text.contains(concat!("allow(", "unsafe_code)")) {
            faults.push(format!(
                "{}: expected unsafe code in {UNSAFE_CRATE} and {UNSAFE_FILE} alone",
                path.display()
            ));
        }
    }
    faults.extend(dependencies()?);
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Every dependency is named once, with a reason, and used through the workspace.
fn dependencies() -> Result<Vec<String>, String> {
    let text = fs::read_to_string("Cargo.toml").map_err(|e| format!("Cargo.toml: {e}"))?;
    let named = text
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .unwrap_or_default();
    let mut faults = Vec::new();
    for line in named.lines().filter(|line| line.contains('=') && !line.contains("path =")) {
        if !line.contains('#') {
            faults.push(format!("Cargo.toml: expected a reason behind: {line}"));
        }
    }
    for entry in fs::read_dir("crates").map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path().join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let own = text
            .split("dependencies]\n")
            .skip(1)
            .flat_map(|part| part.split("\n[").next().unwrap_or_default().lines());
        for line in own.filter(|line| line.contains('=') && !line.contains("workspace = true")) {
            faults.push(format!("{}: expected `workspace = true`: {line}", path.display()));
        }
    }
    Ok(faults)
}
