//! Prepared data sets under faults: killed, changed, asked for twice at once. Nothing is lost, and no number
//! changes without a word.
use crate::common::{clicks, command, dlrm, scratch, works};
use dlrm::data::dataset::Sources;
use dlrm::data::prepared::*;
use dlrm::data::readers::Input;
use dlrm::data::rng::Rng;
use dlrm::data::schema::Schema;
use dlrm::data::sealed::{CHECKSUM, seal};
use dlrm::data::split::{Part, Split};
use dlrm::data::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

struct Silent;

impl PrepareObserver for Silent {
    fn stage(&mut self, _: &str) {}

    fn rows(&mut self, _: u64) -> bool {
        true
    }
}

const SMALL: Limits = Limits {
    counts: Some(200_000),
    vocabularies: Some(1 << 20),
    shard_rows: 256,
    shard_bytes: 50_000,
    save_rows: 512,
};

/// What is done to a directory.
#[derive(Clone, Copy)]
enum Verb {
    Prepare,
    Overwrite,
    Extend,
}

impl Verb {
    const ALL: [(&'static str, Verb); 3] =
        [("prepare", Verb::Prepare), ("overwrite", Verb::Overwrite), ("extend", Verb::Extend)];

    /// Does it to `out`, with files of `dir`.
    fn run(self, dir: &Path, out: &Path) -> Result<Prepared> {
        match self {
            Verb::Prepare => prepare(&dir.join("clicks.csv"), out, Start::Fresh, &mut Silent),
            Verb::Overwrite => prepare(&dir.join("more.csv"), out, Start::Overwrite, &mut Silent),
            Verb::Extend => extend(&dir.join("more.csv"), out, &mut Silent).map(|done| done.prepared),
        }
    }
}

fn prepare(file: &Path, out: &Path, start: Start, observer: &mut dyn PrepareObserver) -> Result<Prepared> {
    let input = Input::new([file]).resolve()?;
    let schema = Schema::from_toml(crate::common::CLICKS_SCHEMA, "schema")?;
    let split = Split::Random { validation: 0.1, test: 0.1, seed: 1 };
    let sources = Sources::of(&input, &split, 2);
    let settings = Settings { input: input.clone(), split: split.clone(), ..Settings::default() };
    Preparation { sources: &sources, schema: &schema, settings, limits: SMALL, start }.run(out, observer)
}

fn extend(file: &Path, out: &Path, observer: &mut dyn PrepareObserver) -> Result<Extended> {
    let input = Input::new([file]).resolve()?;
    Extension { input: &input, part: Part::Train, max_bad_rows: 0, threads: 2 }.run(out, observer)
}

/// A directory with `clicks.csv` and `more.csv`.
fn files(rows: usize) -> tempfile::TempDir {
    let dir = scratch(rows);
    let more = clicks(rows * 3 / 2).lines().rev().take(rows / 2).collect::<Vec<_>>().join("\n");
    fs::write(dir.path().join("more.csv"), format!("click,age,site,user,tags\n{more}\n")).expect("written");
    dir
}

/// All files but the lock, which says who works here while somebody does, and the directory of work, which is
/// the last thing to go.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    let named = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name != ".lock" && name != ".work").then(|| (name, fs::read(&path).expect("a file")))
    };
    entries.filter_map(named).collect()
}

/// Names the directory of the test below, and what to do there, to the process that it starts: itself, to be
/// killed.
const TO_BE_KILLED: &str = "DLRM_TEST_FAULTS_IN";
const VERB: &str = "DLRM_TEST_FAULTS_VERB";

#[test]
fn whatever_is_killed_goes_on_and_loses_nothing() {
    let name = concat!(module_path!(), "::whatever_is_killed_goes_on_and_loses_nothing");
    if let (Some(dir), Ok(verb)) = (std::env::var_os(TO_BE_KILLED), std::env::var(VERB)) {
        let dir = PathBuf::from(dir);
        let (_, verb) = Verb::ALL.into_iter().find(|(name, _)| *name == verb).expect("a verb");
        verb.run(&dir, &dir.join("killed")).expect("done");
        return;
    }
    let dir = files(2500);
    let [old, killed] = ["old", "killed"].map(|name| dir.path().join(name));
    Verb::Prepare.run(dir.path(), &old).expect("prepared");
    let mut rng = Rng::new(16, 0);
    for (verb_name, verb) in Verb::ALL {
        let is_new = matches!(verb, Verb::Prepare);
        let begin = |place: &Path| {
            let _ = fs::remove_dir_all(place);
            if !is_new {
                crate::common::copy(&old, place);
            }
        };
        let whole = dir.path().join(verb_name);
        begin(&whole);
        let took = Instant::now();
        verb.run(dir.path(), &whole).expect("done");
        // On a busy machine it takes long, and the test should not.
        let (took, expected) = ((took.elapsed().as_micros() as usize).min(200_000), contents(&whole));
        let (mut kills, mut done, mut begun) = (0, 0, 0);
        begin(&killed);
        while kills < 60 {
            begun += 1;
            assert!(begun < 2000, "{kills} of {begun} processes were killed: do they begin at all?");
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", name.trim_start_matches("it::")])
                .env(TO_BE_KILLED, dir.path())
                .env(VERB, verb_name)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("this test runs");
            std::thread::sleep(Duration::from_micros(rng.below(took * 2 + 50_000) as u64));
            let ended = child.try_wait().expect("a child");
            if ended.is_none() {
                child.kill().expect("killed");
                child.wait().expect("ended");
                kills += 1;
            }
            if !is_new {
                // At every moment there is the older one or the new one.
                let found = Prepared::open(&killed).expect("a data set");
                found.load(|_| true).expect("all of its rows");
                let bytes = fs::read(killed.join("manifest.json")).expect("a manifest");
                let older = fs::read(old.join("manifest.json")).expect("a manifest");
                assert!(bytes == older || bytes == expected["manifest.json"], "{verb_name}");
            }
            // A killed process may have come to its end all the same.
            let is_done = killed.join("manifest.json").exists() && !killed.join(".work/key.txt").exists();
            match ended {
                Some(status) => {
                    let is_cleared = is_done && !killed.join(".work").exists();
                    assert!(status.success() && is_cleared, "{verb_name} after {kills} kills");
                }
                None if is_new && is_done => {}
                None => continue,
            }
            assert!(contents(&killed) == expected, "{verb_name} after {kills} kills");
            done += 1;
            begin(&killed);
        }
        verb.run(dir.path(), &killed).expect("goes on");
        assert!(contents(&killed) == expected, "{verb_name} after all {kills} kills, {done} times done");
    }
}

#[test]
fn only_one_process_at_a_time_writes_and_the_other_is_told_who() {
    struct Waiting(mpsc::Sender<()>, mpsc::Receiver<()>);
    impl PrepareObserver for Waiting {
        fn stage(&mut self, name: &str) {
            if name == "encoding" {
                self.0.send(()).expect("somebody waits");
                self.1.recv().expect("let go on");
            }
        }
        fn rows(&mut self, _: u64) -> bool {
            true
        }
    }
    let dir = files(400);
    let (out, more) = (dir.path().join("p"), dir.path().join("more.csv"));
    Verb::Prepare.run(dir.path(), &out).expect("prepared");
    let ((begun, began), (go_on, waits)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let first = scope.spawn(|| extend(&more, &out, &mut Waiting(begun, waits)).map(|done| done.added));
        began.recv().expect("begun");
        let named = format!("an extension (process {})", std::process::id());
        for verb in [Verb::Extend, Verb::Overwrite] {
            let error = verb.run(dir.path(), &out).map(drop).expect_err("held").to_string();
            assert!(error.contains(&named), "{error}");
        }
        go_on.send(()).expect("waited for");
        assert_eq!(first.join().expect("no panic").expect("extended").len(), 1);
    });
    // Its end is the end of the lock.
    assert!(Verb::Extend.run(dir.path(), &out).is_ok());
}

#[test]
fn a_replacement_that_fails_leaves_the_older_set() {
    struct Stop;
    impl PrepareObserver for Stop {
        fn stage(&mut self, _: &str) {}
        fn rows(&mut self, _: u64) -> bool {
            false
        }
    }
    let dir = files(600);
    let (out, bad, more) = (dir.path().join("p"), dir.path().join("bad.csv"), dir.path().join("more.csv"));
    Verb::Prepare.run(dir.path(), &out).expect("prepared");
    let before = contents(&out);
    fs::write(&bad, format!("{}1,no number,site1,u1,red\n", clicks(500))).expect("written");
    let error = prepare(&bad, &out, Start::Overwrite, &mut Silent).map(drop).expect_err("a bad row");
    assert!(error.to_string().contains("bad.csv:502"), "{error}");
    assert!(contents(&out) == before, "nothing is left of what cannot be gone on with");
    let error = prepare(&more, &out, Start::Overwrite, &mut Stop).map(drop).expect_err("stopped");
    assert!(matches!(error, Error::Interrupted), "{error}");
    Prepared::open(&out).and_then(|set| set.load(|_| true)).expect("the older one");
    // What waits there is named, and nothing is written over it by chance.
    for error in [
        prepare(&more, &out, Start::Fresh, &mut Silent).map(drop).expect_err("refused"),
        extend(&more, &out, &mut Silent).map(drop).expect_err("refused"),
    ] {
        let hint = error.hint().expect("a hint").to_string();
        assert!(error.to_string().contains("what was to replace it, unfinished"), "{error}");
        let is_extension = error.to_string().contains("expected a finished data set");
        assert!(is_extension || error.to_string().contains("expected a new or empty directory"), "{error}");
        assert!(hint.contains("run.overwrite") && hint.contains(".work"), "{hint}");
    }
    prepare(&more, &out, Start::Overwrite, &mut Silent).expect("gone on with");
    let alone = dir.path().join("alone");
    prepare(&more, &alone, Start::Fresh, &mut Silent).expect("prepared");
    assert!(contents(&out) == contents(&alone));
    // An earlier version removed the manifest first.
    fs::remove_file(out.join("manifest.json")).expect("removed");
    let error = prepare(&more, &out, Start::Fresh, &mut Silent).map(drop).expect_err("remains");
    assert!(error.to_string().contains("without its manifest"), "{error}");
    prepare(&more, &out, Start::Overwrite, &mut Silent).expect("replaced");
    assert!(contents(&out) == contents(&alone));
}

/// All that is read of a data set, as text.
fn all_of(dir: &Path) -> Result<String> {
    let set = Prepared::open(dir)?;
    let rows = set.load(|_| true)?;
    let fitted = set.fitted();
    Ok(format!(
        "{:?} {:?} {:?} {:?} {:?}",
        set.manifest(),
        rows.parts,
        rows.stats,
        fitted.rows,
        fitted.values
    ))
}

#[test]
fn no_changed_byte_is_taken_for_another_number() {
    let dir = files(90);
    let out = dir.path().join("p");
    Verb::Prepare.run(dir.path(), &out).expect("prepared");
    let (expected, mut rng) = (all_of(&out).expect("whole"), Rng::new(7, 0));
    let (mut tried, mut panics, mut accepted) = (0, Vec::new(), Vec::new());
    let mut check = |name: &str, bytes: &[u8], what: String| {
        fs::write(out.join(name), bytes).expect("written");
        tried += 1;
        match catch_unwind(AssertUnwindSafe(|| all_of(&out))) {
            Err(_) => panics.push(format!("{name}: {what}")),
            Ok(Ok(found)) if found != expected => accepted.push(format!("{name}: {what}")),
            Ok(_) => {}
        }
    };
    for (name, whole) in contents(&out) {
        let every = if name.ends_with(".json") { 1 } else { 3 };
        for at in (0..whole.len()).step_by(every) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << rng.below(8);
            check(&name, &flipped, format!("flipped at {at}"));
        }
        for at in (0..whole.len()).step_by(7) {
            check(&name, &whole[..at], format!("cut at {at}"));
            let mut blank = whole.clone();
            let end = whole.len().min(at + 1 + rng.below(64));
            blank[at..end].fill(0);
            check(&name, &blank, format!("zeros in {at}..{end}"));
        }
        fs::write(out.join(&name), &whole).expect("written");
    }
    assert!(tried > 5000, "{tried}");
    assert!(panics.is_empty() && accepted.is_empty(), "{panics:?}\n{accepted:?}");
    assert_eq!(all_of(&out).expect("whole"), expected);
}

/// Every place of a JSON value.
fn places(value: &Value, place: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| places(inner, format!("{place}/{name}"), all));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, inner)| places(inner, format!("{place}/{i}"), all));
        }
        _ => {}
    }
    all.push(place);
}

#[test]
fn a_manifest_that_contradicts_itself_is_an_error() {
    let dir = files(90);
    let out = dir.path().join("p");
    let prepared = Verb::Prepare.run(dir.path(), &out).expect("prepared");
    let path = out.join("manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let mut whole: Value = serde_json::from_str(&text).expect("json");
    whole.as_object_mut().expect("an object").remove(CHECKSUM);
    let write = |value: &Value| fs::write(&path, seal(&value.to_string())).expect("written");
    for (what, found) in
        [("/parts/0/counts", "counts of 3 columns"), ("/samples/0/rows/0", "samples of 5 fields")]
    {
        let mut short = whole.clone();
        short.pointer_mut(what).and_then(Value::as_array_mut).expect("a list").pop();
        write(&short);
        let error = Prepared::open(&out).map(drop).expect_err("short");
        assert!(error.to_string().contains(found) && error.hint().is_some(), "{error}");
    }
    let mut all = Vec::new();
    places(&whole, String::new(), &mut all);
    for place in all {
        let others = [Value::Null, 0.into(), u64::MAX.into(), "x".into(), Vec::<Value>::new().into()];
        for other in others {
            let mut changed = whole.clone();
            *changed.pointer_mut(&place).expect("a place") = other.clone();
            write(&changed);
            let ended = catch_unwind(|| {
                let Ok(set) = Prepared::open(&out) else { return };
                let _ = set.load(|_| true);
                Part::ALL.iter().for_each(|&part| drop(set.sample(part).clone()));
                let _ = set.fitted().encoded_bytes();
            });
            assert!(ended.is_ok(), "{place} = {other}");
        }
    }
    // One of an earlier version has no checksum of its own.
    let mut older = whole.clone();
    older["format_version"] = 1.into();
    older.as_object_mut().expect("an object").remove("taken");
    fs::write(&path, older.to_string()).expect("written");
    let found = Prepared::open(&out).expect("an older one");
    assert_eq!(found.manifest().parts, prepared.manifest().parts);
    fs::write(&path, whole.to_string()).expect("written");
    assert!(Prepared::open(&out).is_err(), "a newer one must have it");
}

#[test]
fn an_unfinished_set_is_named_and_signals_are_honoured_from_the_beginning() {
    let dir = scratch(100);
    fs::create_dir_all(dir.path().join("p/.work")).expect("made");
    fs::write(dir.path().join("p/.work/key.txt"), "key\n\n").expect("written");
    let ran = dlrm(dir.path(), &["train", "p"]);
    ran.failed(&["train", "p"], 2, &["an unfinished preparation in p", "hint:"]);
    if !cfg!(unix) {
        return;
    }
    // So many rows that looking at them takes longer than it takes to stop.
    fs::write(dir.path().join("many.csv"), clicks(1_000_000)).expect("written");
    for args in [&["train", "many.csv", "--label", "click"][..], &["prepare", "many.csv", "--label", "click"]]
    {
        let mut child = command(dir.path(), args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the dlrm command");
        std::thread::sleep(Duration::from_millis(300));
        works_by_name("kill", &["-INT", &child.id().to_string()]);
        let sent = Instant::now();
        let status = child.wait().expect("ended");
        assert!(!status.success() && sent.elapsed() < Duration::from_secs(5), "{args:?}: {status}");
        assert!(!dir.path().join("prepared/manifest.json").exists() && !dir.path().join("runs").exists());
    }
    works(dir.path(), &["-q", "prepare", "clicks.csv", "--schema", "schema.toml"]);
}

fn works_by_name(program: &str, args: &[&str]) {
    assert!(Command::new(program).args(args).status().expect(program).success());
}
