//! `dlrm prepare`: whatever rows are trained from, and whatever happens on the way, the result is the same
//! bytes.

use crate::common::{dlrm, works};
use dlrm::data::dataset::Sources;
use dlrm::data::prepared::{Limits, Preparation, PrepareObserver, Settings, Start};
use dlrm::data::readers::Input;
use dlrm::data::rng::Rng;
use dlrm::data::schema::Schema;
use dlrm::data::split::Split;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A scratch directory with simulated clicks as text (`clicks.tsv`), as Parquet and packed.
fn scratch(rows: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory");
    for form in ["criteo", "parquet"] {
        works(dir.path(), &["-q", "generate", "clicks", "--rows", rows, "--form", form, "-o", form]);
    }
    dir
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    let named = |path: PathBuf| {
        (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&path).expect("a file"))
    };
    // What is killed has no time to empty its lock, or to remove the directory of work, the last thing to go.
    entries.filter(|path| !path.ends_with(".lock") && !path.ends_with(".work")).map(named).collect()
}

#[test]
fn training_from_text_prepared_rows_and_parquet_gives_the_same_model() {
    let dir = scratch("4000");
    let schema = ["--schema", "criteo/schema.toml", "--split", "order"];
    for (text, prepared) in [("criteo/clicks.tsv", "from-text"), ("parquet/clicks.parquet", "from-parquet")] {
        let said = works(dir.path(), &[&["-q", "prepare", text, "-o", prepared], &schema[..]].concat()).out;
        assert!(said.contains("train") && said.contains(&format!("dlrm train {prepared}")), "{said}");
    }
    let model = |paths: &str, out: &str, extra: &[&str]| {
        let set = "model.bottom=[16]";
        let args = [
            "-q",
            "train",
            paths,
            "-o",
            out,
            "--epochs",
            "2",
            "--no-baseline",
            "--set",
            set,
            "--set",
            "model.top=[16]",
        ];
        works(dir.path(), &[&args[..], extra].concat());
        ["weights.safetensors", "encoder.json", "golden.json", "metrics.json"]
            .map(|name| fs::read(dir.path().join(out).join("model").join(name)).expect(name))
    };
    let expected = model("criteo/clicks.tsv", "a", &schema);
    assert!(expected == model("parquet/clicks.parquet", "b", &schema), "Parquet");
    assert!(expected == model("from-text", "c", &[]), "prepared from text");
    assert!(expected == model("from-parquet", "d", &[]), "prepared from Parquet");
    let streamed = model("criteo/clicks.tsv", "e", &[&schema[..], &["--stream"]].concat());
    assert!(streamed == model("from-text", "f", &["--stream"]), "a prepared stream");
    let said = works(
        dir.path(),
        &["-q", "compare", "from-text", "--models", "lr,dlrm", "--seeds", "1", "--epochs", "1", "-o", "g"],
    )
    .out;
    assert!(said.contains("dlrm"), "{said}");
    // A model trained on prepared rows scores raw ones.
    let scores = |out: &str| works(dir.path(), &["-q", "predict", out, "criteo/clicks.tsv"]).out;
    assert_eq!(scores("a"), scores("c"));
}

#[test]
fn rows_are_encoded_as_the_reference_encodes_them() {
    let dir = scratch("2000");
    let input = [
        "criteo/clicks.tsv",
        "--reference-compat",
        "--max-ind-range",
        "500",
        "--set",
        "data.split={kind=\"last_day\",days=4}",
    ];
    let said = works(dir.path(), &[&["prepare", "-o", "p"], &input[..]].concat()).err;
    assert!(said.contains("the dictionary knows the rows to validate and to test"), "{said}");
    let small = ["-q", "--no-baseline", "--set", "model.bottom=[16]", "--set", "model.top=[16]"];
    works(dir.path(), &[&["train", "-o", "a"], &input[..], &small[..]].concat());
    works(dir.path(), &[&["train", "p", "-o", "b"], &small[..]].concat());
    let weights =
        |out: &str| fs::read(dir.path().join(out).join("model/weights.safetensors")).expect("weights");
    assert!(weights("a") == weights("b"), "prepared or not");
    let report = fs::read_to_string(dir.path().join("a/report.html")).expect("a report");
    assert!(report.contains("first seen (as the reference), hexadecimal modulo 500"));
    let encoder = fs::read_to_string(dir.path().join("a/model/encoder.json")).expect("an encoder");
    assert!(encoder.contains("\"kind\": \"first_seen\""), "{}", &encoder[..400]);
    // Later rows have values that the dictionary lacks.
    works(dir.path(), &["-q", "generate", "clicks", "--rows", "300", "--seed", "9", "-o", "later"]);
    works(dir.path(), &["-q", "predict", "a", "later/clicks.tsv"]);
}

#[test]
fn new_days_are_added_and_mistakes_are_named() {
    let dir = scratch("3000");
    works(dir.path(), &["-q", "prepare", "criteo/clicks.tsv", "--memory-limit", "512MB"]);
    works(dir.path(), &["-q", "generate", "clicks", "--rows", "3000", "--seed", "9", "-o", "later"]);
    let said = works(dir.path(), &["-q", "prepare", "later/clicks.tsv", "--extend", "test"]).out;
    assert!(said.lines().any(|line| line.starts_with("test") && line.contains("3,300")), "{said}");
    let again = works(dir.path(), &["prepare", "later/clicks.tsv", "--extend", "test"]);
    assert_eq!(rows_of(&again.out), rows_of(&said));
    assert!(again.err.contains("later/clicks.tsv is in the data set already"), "{}", again.err);
    let first = works(dir.path(), &["prepare", "criteo/clicks.tsv", "--extend", "train"]);
    assert_eq!(rows_of(&first.out), rows_of(&said));
    assert!(first.err.contains("nothing was added"), "{}", first.err);
    for (args, code, expected) in [
        (&["prepare", "criteo/clicks.tsv"][..], 2, "found a finished data set"),
        (
            &["prepare", "criteo/clicks.tsv", "-o", "p", "--memory-limit", "100MB"],
            2,
            "memory limit: expected at least",
        ),
        (&["prepare", "criteo/clicks.tsv", "--extend", "tset"], 2, "expected train, validation or test"),
        (&["prepare", "prepared", "-o", "p"], 2, "found the prepared data set prepared"),
        (&["prepare", "nothing.tsv", "-o", "p"], 5, "nothing.tsv"),
        (&["train", "prepared", "--schema", "criteo/schema.toml"], 2, "--schema: expected raw files"),
        (&["train", "prepared", "--split", "random"], 2, "--split: expected raw files"),
        (&["train", "prepared", "--reference-compat"], 2, "--reference-compat: expected raw files"),
    ] {
        let ran = dlrm(dir.path(), args);
        let message = ran.err;
        assert_eq!(ran.code, code, "{args:?}: {message}");
        assert!(message.contains(expected) && message.contains("hint:") | (code == 5), "{args:?}: {message}");
    }
}

/// The lines about parts, without what depends on the clock.
fn rows_of(said: &str) -> Vec<&str> {
    said.lines().filter(|line| ["train", "validation", "test"].iter().any(|p| line.starts_with(p))).collect()
}

struct Silent;

impl PrepareObserver for Silent {
    fn stage(&mut self, _: &str) {}

    fn rows(&mut self, _: u64) -> bool {
        true
    }
}

/// Names the directory of the test below to the process that it starts: itself, to be killed.
const TO_BE_KILLED: &str = "DLRM_TEST_PREPARE_IN";

fn prepare(dir: &Path, out: &Path) {
    let input = Input::new([dir.join("criteo/clicks.tsv")]).resolve().expect("an input");
    let text = fs::read_to_string(dir.join("criteo/schema.toml")).expect("a schema");
    let schema = Schema::from_toml(&text, "schema.toml").expect("a schema");
    let split = Split::Random { validation: 0.1, test: 0.1, seed: 1 };
    let sources = Sources::of(&input, &split, 2);
    let limits = Limits {
        counts: Some(200_000),
        vocabularies: Some(1 << 20),
        shard_rows: 256,
        save_rows: 512,
        ..Limits::default()
    };
    let preparation = Preparation {
        sources: &sources,
        schema: &schema,
        settings: Settings::default(),
        limits,
        start: Start::Fresh,
    };
    preparation.run(out, &mut Silent).expect("prepared");
}

#[test]
fn two_hundred_kills_change_nothing() {
    if let Some(dir) = std::env::var_os(TO_BE_KILLED).map(PathBuf::from) {
        return prepare(&dir, &dir.join("killed"));
    }
    let dir = scratch("2500");
    prepare(dir.path(), &dir.path().join("whole"));
    let expected = contents(&dir.path().join("whole"));
    let (mut rng, mut kills, mut begun) = (Rng::new(5, 0), 0, 0);
    while kills < 200 {
        begun += 1;
        assert!(begun < 5000, "{kills} of {begun} preparations were killed: do the children prepare at all?");
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args([
                "--exact",
                concat!(module_path!(), "::two_hundred_kills_change_nothing").trim_start_matches("it::"),
            ])
            .env(TO_BE_KILLED, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test runs");
        std::thread::sleep(Duration::from_micros(rng.below(150_000) as u64));
        // Not killed where it has ended already.
        match child.try_wait().expect("a child") {
            None => {
                child.kill().expect("killed");
                child.wait().expect("ended");
                kills += 1;
            }
            Some(status) => assert!(status.success()),
        }
        // A kill between the manifest and the removal of `.work` leaves that to the next process.
        let killed = dir.path().join("killed");
        if killed.join("manifest.json").exists() && !killed.join(".work/key.txt").exists() {
            assert!(contents(&dir.path().join("killed")) == expected, "after {kills} kills");
            fs::remove_dir_all(dir.path().join("killed")).expect("removed");
        }
    }
    prepare(dir.path(), &dir.path().join("killed"));
    assert!(contents(&dir.path().join("killed")) == expected, "after all kills");
    assert!(!dir.path().join("killed/.work").exists());
}
