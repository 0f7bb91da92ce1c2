//! A verb replaces and removes only what is known to be ours; whatever else stands in its way stays, and is
//! named.
use crate::common::{clicks, command, dlrm, fails, finished, scratch, works};
use std::fs;
use std::path::Path;

const USAGE: i32 = 2;
const TRAIN: [&str; 9] =
    ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "1", "--no-baseline", "-q", "-o"];

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&TRAIN[..], &[out], more].concat()
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn training_leaves_alone_what_it_did_not_write() {
    let dir = scratch(80);
    let foreign = [
        "schema.toml",
        "report.html",
        "report.json",
        "bad_rows.txt",
        "checkpoints/epoch-3.pt",
        "checkpoints/step-7/weights.bin",
        "model/thesis.tex",
        "model",
    ];
    for (number, name) in foreign.into_iter().enumerate() {
        let out = format!("out{number}");
        let path = dir.path().join(&out).join(name);
        put(&path, "mine");
        for more in [&[][..], &["--overwrite"]] {
            let found = name.split('/').next().unwrap();
            let ran = dlrm(dir.path(), &train(&out, more));
            ran.failed(&train(&out, more), USAGE, &[found, "which dlrm did not write", "move it away", "-o"]);
            assert!(!ran.err.contains("finished"), "{}", ran.err);
            assert_eq!(text(&path), "mine");
        }
        // What a run would resume is not there either.
        assert_ne!(dlrm(dir.path(), &["train", "--resume", "-o", &out]).code, 0);
        assert_eq!(text(&path), "mine");
    }
}

#[test]
fn training_beside_what_is_somebody_elses() {
    let dir = scratch(80);
    put(&dir.path().join("out/notes.txt"), "mine");
    works(dir.path(), &train("out", &[]));
    // A file in the model or among checkpoints would be lost with them.
    put(&dir.path().join("out/model/notes.txt"), "mine");
    fails(dir.path(), &train("out", &["--overwrite"]), USAGE, &["out/model/notes.txt", "move it away"]);
    fs::remove_file(dir.path().join("out/model/notes.txt")).unwrap();
    // What was changed by hand is replaced where that is said, and else not.
    let schema = dir.path().join("out/schema.toml");
    let written = text(&schema);
    put(&schema, &format!("# looked at\n{written}"));
    fs::remove_dir_all(dir.path().join("out/model")).unwrap();
    fails(dir.path(), &train("out", &[]), USAGE, &["out/schema.toml", "was changed", "--overwrite"]);
    assert!(text(&schema).starts_with("# looked at"));
    works(dir.path(), &train("out", &["--overwrite"]));
    assert_eq!(text(&schema), written);
    // A list of skipped rows of an earlier run does not stand beside a later one.
    fs::write(dir.path().join("clicks.csv"), clicks(80) + "1,2\n").unwrap();
    works(dir.path(), &train("out", &["--overwrite", "--max-bad-rows", "3"]));
    assert!(dir.path().join("out/bad_rows.txt").exists());
    fs::write(dir.path().join("clicks.csv"), clicks(80)).unwrap();
    works(dir.path(), &train("out", &["--overwrite"]));
    assert!(!dir.path().join("out/bad_rows.txt").exists());
    assert_eq!(text(&dir.path().join("out/notes.txt")), "mine");
    works(dir.path(), &["show", "out"]);
}

#[test]
fn a_directory_of_an_earlier_version_is_ours() {
    let dir = scratch(80);
    works(dir.path(), &train("out", &[]));
    fs::remove_file(dir.path().join("out/.dlrm-files")).unwrap();
    works(dir.path(), &train("out", &["--overwrite"]));
    works(dir.path(), &train("out", &["--overwrite"]));
}

#[test]
fn searches_and_comparisons_leave_alone_what_they_did_not_write() {
    let dir = scratch(120);
    let rows = ["clicks.csv", "--schema", "schema.toml", "-q", "--set", "train.epochs=1", "-o"];
    let compare = |out: &'static str, more: &[&'static str]| {
        [&["compare"], &rows[..], &[out, "--models", "lr,fm", "--seeds", "1"], more].concat()
    };
    let tune = |out: &'static str, more: &[&'static str]| {
        [&["tune"], &rows[..], &[out, "--trials", "2"], more].concat()
    };
    for more in [&[][..], &["--overwrite"]] {
        for name in ["compare.json", "compare.html", "journal.jsonl"] {
            let path = dir.path().join("compared").join(name);
            put(&path, "mine\n");
            fails(dir.path(), &compare("compared", more), USAGE, &[name, "which dlrm did not write"]);
            assert_eq!(text(&path), "mine\n");
            fs::remove_file(path).unwrap();
        }
        for name in ["best.toml", "tune.json", "journal.jsonl"] {
            let path = dir.path().join("tuned").join(name);
            put(&path, "mine\n");
            fails(dir.path(), &tune("tuned", more), USAGE, &[name, "which dlrm did not write"]);
            assert_eq!(text(&path), "mine\n");
            fs::remove_file(path).unwrap();
        }
    }
    // Its own results are replaced, and a configuration that was edited only where that is said.
    works(dir.path(), &compare("compared", &[]));
    works(dir.path(), &compare("compared", &[]));
    works(dir.path(), &tune("tuned", &[]));
    let best = dir.path().join("tuned/best.toml");
    put(&best, &format!("# edited\n{}", text(&best)));
    fails(dir.path(), &tune("tuned", &[]), USAGE, &["best.toml", "was changed", "--overwrite"]);
    // Whoever trains with it is told.
    let ran = works(dir.path(), &["train", "--config", "tuned/best.toml", "-o", "trained"]);
    assert!(ran.err.contains("best.toml was changed since dlrm wrote it"), "{}", ran.err);
    works(dir.path(), &tune("tuned", &["--overwrite"]));
    assert!(!text(&best).starts_with("# edited"));
}

#[test]
fn generated_rows_replace_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let args = |out: &'static str| {
        let like = ["--like", "demo", "--rows", "200"];
        [&["generate", "clicks", "-q", "-o", out], &like[..]].concat()
    };
    for name in ["clicks.csv", "schema.toml", "truth/probabilities.csv", "manifest.json"] {
        let path = dir.path().join("out").join(name);
        put(&path, "mine");
        fails(dir.path(), &args("out"), USAGE, &["output directory", "found", "out", "-o"]);
        assert_eq!(text(&path), "mine");
        fs::remove_file(path).unwrap();
    }
    works(dir.path(), &args("out"));
    fails(dir.path(), &args("out"), USAGE, &["a data set in out"]);
}

/// Single files that are named on the command line: nothing is replaced unasked, rows never, and nothing is
/// left where writing fails.
#[test]
fn files_that_are_named_replace_nothing_unasked() {
    let dir = scratch(80);
    let rows = text(&dir.path().join("clicks.csv"));
    let inspect = |out: &'static str, more: &[&'static str]| {
        [&["inspect", "clicks.csv", "--label", "click", "--no-estimate", "-o", out], more].concat()
    };
    for more in [&[][..], &["--overwrite"]] {
        for same in ["clicks.csv", "./clicks.csv"] {
            fails(dir.path(), &inspect(same, more), USAGE, &["-o", "another file than those that are read"]);
        }
        fails(dir.path(), &inspect(".", more), 5, &["is a directory"]);
    }
    assert_eq!(text(&dir.path().join("clicks.csv")), rows);
    let own = text(&dir.path().join("schema.toml"));
    fails(dir.path(), &inspect("schema.toml", &[]), USAGE, &["-o", "schema.toml", "--overwrite"]);
    assert_eq!(text(&dir.path().join("schema.toml")), own);
    works(dir.path(), &inspect("schema.toml", &["--overwrite"]));
    assert!(text(&dir.path().join("schema.toml")).contains("[label]"));
    // A terminal or a pipe is written to as it is.
    if cfg!(target_os = "linux") {
        let ran = works(dir.path(), &inspect("/dev/stdout", &["-q"]));
        assert!(ran.out.contains("[label]"), "{}", ran.out);
        let ran = finished(command(dir.path(), &inspect("/dev/full", &[])).output().unwrap());
        assert_eq!(ran.code, 5, "{}", ran.err);
    }
    works(dir.path(), &train("out", &[]));
    put(&dir.path().join("picture.svg"), "mine");
    put(&dir.path().join("trace.txt"), "1 2 3 1 2 3 1");
    let trace = ["generate", "trace", "profile", "trace.txt", "-o"];
    for args in [
        &["show", "out", "--graph", "picture.svg"][..],
        &["export", "out", "--onnx", "picture.svg"],
        &["bench", "--quick", "--svg", "picture.svg"],
        &[&trace[..], &["picture.svg"]].concat(),
    ] {
        fails(dir.path(), args, USAGE, &["picture.svg", "--overwrite"]);
        assert_eq!(text(&dir.path().join("picture.svg")), "mine");
    }
    works(dir.path(), &["show", "out", "--graph", "picture.svg", "--overwrite"]);
    assert!(text(&dir.path().join("picture.svg")).contains("<svg"));
    let onto_itself = [&trace[..], &["trace.txt", "--overwrite"]].concat();
    fails(dir.path(), &onto_itself, USAGE, &["-o", "another file than those that are read"]);
    let left = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.contains("partial")));
}
