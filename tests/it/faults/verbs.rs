//! The verbs that write, and what must be true of each after a fault.
use crate::common::{copy, dlrm, scratch, works};
use dlrm::data::prepared::Prepared;
use dlrm::engine::saved::{Kind, verify};
use dlrm::features::{Asked, Side, open};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub(super) const USAGE: i32 = 2;
pub(super) const DATA: i32 = 3;
pub(super) const SAVED: i32 = 4;
pub(super) const RESOURCES: i32 = 5;

pub(super) const ROWS: &[&str] = &["clicks.csv", "--schema", "schema.toml", "-q"];
pub(super) const SHORT: &[&str] = &["--epochs", "2", "--batch-size", "16", "--no-baseline"];

/// A verb that writes: what it is called with, and where its results lie.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) args: Vec<&'static str>,
    /// What went before it.
    pub(super) before: Vec<&'static str>,
    pub(super) out: &'static str,
}

pub(super) fn verbs() -> Vec<Verb> {
    let verb = |name, parts: &[&[&'static str]], before: &[&[&'static str]], out| Verb {
        name,
        args: parts.concat(),
        before: before.concat(),
        out,
    };
    let train: &[&[&str]] = &[&["train"], ROWS, SHORT, &["-o", "out"]];
    let inspect: &[&str] = &["inspect", "clicks.csv", "--label", "click", "--no-estimate", "-o", "out.toml"];
    // A file for results, of the model that was trained before.
    let scored = |name, line: &[&'static str], file| verb(name, &[line, &["-q", "--overwrite"]], train, file);
    let features: &[&str] = &["features", "load", "f.sqlite", "-q", "--users", "clicks.csv", "--key", "user"];
    let prepare: &[&[&str]] = &[&["prepare"], ROWS, &["-o", "out"]];
    vec![
        verb("train", train, &[], "out"),
        verb("train --stream", &[&train.concat(), &["--stream"]], &[], "out"),
        verb("train --overwrite", &[&train.concat(), &["--seed", "7", "--overwrite"]], train, "out"),
        verb(
            "compare",
            &[&["compare"], ROWS, &["--models", "lr,fm", "--seeds", "2", "--epochs", "1", "-o", "out"]],
            &[],
            "out",
        ),
        verb(
            "tune",
            &[&["tune"], ROWS, &["--trials", "4", "--set", "train.epochs=1", "-o", "out"]],
            &[],
            "out",
        ),
        verb("generate", &[&["generate", "clicks", "--rows", "20000", "-q", "-o", "out"]], &[], "out"),
        verb("prepare", prepare, &[], "out"),
        verb("prepare --overwrite", &[&prepare.concat(), &["--seed", "7", "--overwrite"]], prepare, "out"),
        verb("inspect -o", &[inspect, &["--overwrite"]], &[], "out.toml"),
        verb("demo", &[&["demo", "--rows", "1500", "-q", "-o", "out"]], &[], "out"),
        scored("predict -o", &["predict", "out", "clicks.csv", "-o", "scores.csv"], "scores.csv"),
        scored("evaluate -o", &["evaluate", "out", "clicks.csv", "-o", "figures.json"], "figures.json"),
        scored("explain -o", &["explain", "out", "clicks.csv", "-o", "worth.json"], "worth.json"),
        scored("show --graph", &["show", "out", "--graph", "graph.svg"], "graph.svg"),
        verb("features load", &[features], &[], "f.sqlite"),
        verb("features load, anew", &[features, &["--take", "site,tags"]], &[features], "f.sqlite"),
        scored("export --onnx", &["export", "out", "--onnx", "model.onnx"], "model.onnx"),
    ]
}

/// Results of a verb that neither the clock nor an interruption changes.
pub(super) fn lasting(dir: &Path, verb: &Verb) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let out = dir.join(verb.out);
    if verb.name.starts_with("prepare") {
        // Its files are called by what is in them.
        let all = if out.is_dir() { files(&out) } else { Vec::new() };
        for path in all {
            let name = path.strip_prefix(&out).expect("below it");
            if name != Path::new(".lock") && !name.starts_with(".work") {
                found.insert(name.display().to_string(), fs::read(&path).expect("a file"));
            }
        }
        return found;
    }
    if verb.name.starts_with("features") {
        // The same rows need not be the same bytes.
        if out.exists() {
            found.insert(verb.out.to_owned(), store(&out).into_bytes());
        }
        return found;
    }
    let names = [
        "model/weights.safetensors",
        "model/encoder.json",
        "model/golden.json",
        "schema.toml",
        "best.toml",
        "clicks.tsv",
        "truth/probabilities.csv",
        "sample.csv",
    ];
    for path in names.iter().map(|name| out.join(name)).chain([out.clone()]).filter(|path| path.is_file()) {
        found.insert(
            path.display().to_string().replace(&dir.display().to_string(), ""),
            fs::read(&path).unwrap(),
        );
    }
    if let Ok(text) = fs::read(out.join("compare.json")) {
        let all: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let tests = all["models"].as_array().into_iter().flatten().map(|model| {
            model["runs"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|run| run["test"].to_string())
                .collect::<String>()
        });
        found.insert("compare.json".into(), tests.collect::<String>().into_bytes());
    }
    found
}

/// What a store of users holds.
fn store(path: &Path) -> String {
    let store = open(&path.display().to_string()).expect("a whole store at every moment");
    let keys: Vec<String> = (0..40).map(|user| format!("u{user}")).collect();
    let asked: Vec<Asked<'_>> = keys.iter().map(|key| Asked { side: Side::User, key }).collect();
    let rows = store.look_up(&asked, Duration::from_secs(5)).expect("an answer");
    format!("{:?} {rows:?}", store.sides())
}

/// Names of files below `dir` that are set aside while something is written.
pub(super) fn left_aside(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(left_aside(&path));
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".partial") || name.ends_with(".old") {
            found.push(path);
        }
    }
    found
}

/// A directory with rows, and what goes before the verb, which is done once for all that have it in common.
pub(super) fn place(verb: &Verb) -> tempfile::TempDir {
    static DONE: Mutex<BTreeMap<String, tempfile::TempDir>> = Mutex::new(BTreeMap::new());
    if verb.before.is_empty() {
        return scratch(300);
    }
    let mut done = DONE.lock().expect("what goes before works");
    let before = done.entry(verb.before.join(" ")).or_insert_with(|| {
        let dir = scratch(300);
        works(dir.path(), &verb.before);
        dir
    });
    let dir = tempfile::tempdir().expect("a scratch directory");
    copy(before.path(), dir.path());
    dir
}

/// A verb that no fault has hit.
pub(super) struct Undisturbed {
    pub(super) verb: Verb,
    pub(super) took: Duration,
    /// What it found, and what it made of that.
    pub(super) before: BTreeMap<String, Vec<u8>>,
    pub(super) after: BTreeMap<String, Vec<u8>>,
}

impl Undisturbed {
    pub(super) fn of(verb: Verb) -> Self {
        let dir = place(&verb);
        let before = lasting(dir.path(), &verb);
        let start = Instant::now();
        works(dir.path(), &verb.args);
        let (took, after) = (start.elapsed(), lasting(dir.path(), &verb));
        // Else nothing would be compared below.
        assert!(!after.is_empty() && after.values().all(|bytes| !bytes.is_empty()), "{}", verb.name);
        Undisturbed { verb, took, before, after }
    }
}

/// What was there before the verb is whole, or what takes its place.
pub(super) fn assert_whole(dir: &Path, verb: &Verb) {
    match verb.before.first() {
        Some(&"prepare") => {
            let set = Prepared::open(&dir.join("out")).expect("a data set at every moment");
            set.load(|_| true).expect("all of its rows");
        }
        // Whoever looks at what lasts reads all of it.
        Some(&"features") => drop(store(&dir.join(verb.out))),
        Some(_) => {
            verify(&dir.join("out/model"), Kind::Model).expect("a whole model at every moment");
        }
        None => {}
    }
}

/// How what others have written in a directory is refused.
pub(super) const NOT_EMPTY: &str = "output directory: expected a new or empty directory, found ";

/// After a fault the same command, or resuming where it says so, brings everything to the same end.
pub(super) fn put_right(dir: &Path, verb: &Verb, expected: &BTreeMap<String, Vec<u8>>) -> &'static str {
    let again = dlrm(dir, &verb.args);
    let end = match again.code {
        0 => "done again",
        // The rows of the demo are in no file that a run could be resumed from.
        USAGE if ["generate", "demo"].contains(&verb.name) && again.err.contains(NOT_EMPTY) => {
            fs::remove_dir_all(dir.join(verb.out)).unwrap();
            works(dir, &verb.args);
            "refused by name"
        }
        USAGE if again.err.contains("--resume") => {
            works(dir, &["train", "--resume", "-q", "-o", verb.out]);
            "resumed"
        }
        USAGE if again.err.contains("a finished model") => {
            // Its report may not have been written; what is left of the run does it.
            let ran = dlrm(dir, &["train", "--resume", "-q", "-o", verb.out]);
            assert!(ran.code == 0 || ran.err.contains("a finished one"), "{}: {}", verb.name, ran.err);
            "was finished"
        }
        USAGE if again.err.contains("a finished data set") => "was finished",
        code => panic!("{}: exit {code}\n{}", verb.name, again.err),
    };
    assert_eq!(
        lasting(dir, verb).keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "{}",
        verb.name
    );
    for (name, bytes) in lasting(dir, verb) {
        assert!(expected[&name] == bytes, "{}: other bytes in {name}", verb.name);
    }
    end
}

/// What could not be written leaves nothing aside, but what an unfinished preparation goes on from.
pub(super) fn assert_nothing_aside(dir: &Path, shown: &str) {
    let left = left_aside(dir);
    let working = |path: &PathBuf| path.components().any(|part| part.as_os_str() == ".work");
    assert!(left.iter().all(working), "{shown}\n{left:?}");
}

/// Files below `dir`.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}
