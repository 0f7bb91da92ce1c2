//! Every command in the README is run, in order, in one directory; those on data sets where `DLRM_DATA` is set.
mod common;
use common::{copy, data, dlrm};
use std::fs;
use std::path::Path;

/// Lines of the shell blocks of a Markdown text.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => found.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// Words of a command line, with quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in line.split('"').enumerate() {
        if i % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let gate = fs::read_to_string(root.join(".ci/run")).expect("the gate");
    let dir = tempfile::tempdir().expect("a scratch directory");
    copy(&root.join("recipes"), &dir.path().join("recipes"));
    let commands = commands(&fs::read_to_string(root.join("README.md")).expect("the README"));
    assert!(commands.len() >= 10, "{commands:?}");
    for line in commands {
        let Some(rest) = line.strip_prefix("cargo run --release -- ") else {
            assert!(gate.contains(&line), "the gate runs it: {line}");
            continue;
        };
        let rest = if rest.contains("$DLRM_DATA") {
            let Some(path) = data(&format!("README: {line}"), "") else { continue };
            rest.replace("$DLRM_DATA/", &path.display().to_string())
        } else {
            rest.to_owned()
        };
        let (rest, output) =
            rest.split_once(" > ").map_or((rest.as_str(), None), |(rest, output)| (rest, Some(output)));
        let words = words(rest);
        let ran = dlrm(dir.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.code, 0, "{line}\n{}", ran.err);
        if let Some(output) = output {
            fs::write(dir.path().join(output), ran.out).expect("an output");
        }
    }
    assert!(dir.path().join("runs/demo/report.html").exists() && dir.path().join("runs/scores.csv").exists());
}

#[test]
fn every_recipe_is_a_valid_configuration() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("recipes") {
            let path = entry.expect("a recipe").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                dlrm::engine::RunConfig::read(&path, &[])
                    .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            }
        }
    }
}
