//! Prepared data sets: the same rows whatever the limits, the interruptions and the files.
use dlrm::data::batches::RowStream;
use dlrm::data::dataset::Fitted;
use dlrm::data::dataset::Sources;
use dlrm::data::prepared::*;
use dlrm::data::readers::Input;
use dlrm::data::schema::{Encoding, Schema};
use dlrm::data::sealed::{CHECKSUM, seal};
use dlrm::data::source::DataSource;
use dlrm::data::split::Part;
use dlrm::data::split::Split;
use dlrm::data::{Batch, Error, Result};
use dlrm::synth::criteo::{CriteoConfig, CriteoProcess};
use dlrm::synth::process::DataGeneratingProcess;
use dlrm::synth::writer::{self, Files, Form as FileForm};
use dlrm::synth::{ClickConfig, ClickSimulator};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Stops after so many reports.
struct Stop(u64);

impl PrepareObserver for Stop {
    fn stage(&mut self, _: &str) {}

    fn rows(&mut self, _: u64) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 > 0
    }
}

const NEVER: u64 = u64::MAX;
const SMALL: Limits =
    Limits { counts: None, vocabularies: None, shard_rows: 512, shard_bytes: 50_000, save_rows: 1000 };

/// A simulated log in a directory of its own.
struct Log {
    dir: tempfile::TempDir,
    schema: Schema,
    split: Split,
}

impl Log {
    fn new(process: &dyn DataGeneratingProcess, form: FileForm, files: Files) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        writer::write_log(process, form, files, dir.path(), 2, &mut |_| true)
            .expect("written")
            .expect("finished");
        Log { schema: process.schema(), split: Split::Random { validation: 0.2, test: 0.1, seed: 3 }, dir }
    }

    fn criteo(rows: u64) -> Self {
        Log::new(
            &CriteoProcess::new(CriteoConfig { rows, ..CriteoConfig::default() }).expect("a law"),
            FileForm::Criteo,
            Files::One,
        )
    }

    fn input(&self) -> Input {
        Input::new([self.dir.path()]).resolve().expect("an input")
    }

    fn prepare(&self, dir: &Path, limits: Limits, observer: &mut dyn PrepareObserver) -> Result<Prepared> {
        let input = self.input();
        let sources = Sources::of(&input, &self.split, 2);
        // The settings name files, which differ between logs of the same rows.
        let settings = Settings { split: self.split.clone(), ..Settings::default() };
        Preparation { sources: &sources, schema: &self.schema, settings, limits, start: Start::Fresh }
            .run(dir, observer)
    }
}

/// The schema without anything that must be fitted: hashed ids, numbers with a value where they are missing.
fn hashed(mut log: Log) -> Log {
    log.schema
        .categorical
        .iter_mut()
        .for_each(|column| column.encoding = Encoding::Hash { buckets: 1000, seed: 1 });
    log.schema.dense.iter_mut().for_each(|column| column.missing_value = Some(0.0));
    log
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| {
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                fs::read(&path).expect("a file"),
            )
        })
        .collect()
}

fn whole(log: &Log, limits: Limits) -> BTreeMap<String, Vec<u8>> {
    let out = tempfile::tempdir().expect("a directory");
    log.prepare(out.path(), limits, &mut Stop(NEVER)).expect("prepared");
    contents(out.path())
}

#[test]
fn prepared_rows_are_the_rows_encoded_in_memory() {
    let multi = Log::new(
        &ClickSimulator::new(ClickConfig { rows: 5000, ..ClickConfig::default() }),
        FileForm::Csv,
        Files::One,
    );
    let (mut reference, mut limited) = (Log::criteo(5000), Log::criteo(5000));
    reference.schema.follow_reference().expect("Criteo's columns");
    limited.schema.limit_indices(300).expect("vocabularies");
    for log in [Log::criteo(5000), multi, reference, limited, hashed(Log::criteo(5000))] {
        let out = tempfile::tempdir().expect("a directory");
        let prepared = log.prepare(out.path(), SMALL, &mut Stop(NEVER)).expect("prepared");
        assert!(prepared.manifest().files.len() > 6, "several files a part");
        let input = log.input();
        let sources = Sources::of(&input, &log.split, 2);
        let (raw, made) = (DataSource::Raw(&sources), DataSource::Prepared(&prepared));
        let (fitted, found) = (raw.fit(&log.schema).expect("fitted"), made.fit(&log.schema).expect("found"));
        assert_eq!((fitted.rows, fitted.values), (found.rows, found.values));
        let json = |fitted: &Fitted| serde_json::to_string(&*fitted.encoder).expect("json");
        assert_eq!(json(&fitted), json(&found));
        let (expected, loaded) =
            (raw.encode(&fitted, |_| true).expect("encoded"), made.encode(&found, |_| true).expect("loaded"));
        assert_eq!((&expected.parts, &expected.stats), (&loaded.parts, &loaded.stats));
        let (mut rows, mut batch) =
            (made.stream(&found).expect("a stream"), Batch::new(&fitted.encoder.layout()));
        while rows.append_rows(&mut batch, 300).expect("rows") > 0 {}
        assert_eq!(batch, expected.parts[Part::Train]);
        let sample =
            |source: DataSource<'_>, fitted: &Fitted| source.sample(fitted, Part::Test, 5).expect("a sample");
        assert_eq!(sample(raw, &fitted), sample(made, &found));
    }
}

#[test]
fn neither_files_nor_memory_decide_a_byte() {
    let process =
        CriteoProcess::new(CriteoConfig { rows: 6000, days: 5, ..CriteoConfig::default() }).expect("a law");
    let expected = whole(&Log::new(&process, FileForm::Criteo, Files::One), SMALL);
    assert_eq!(expected, whole(&Log::new(&process, FileForm::Criteo, Files::PerDay), SMALL));
    assert_eq!(expected, whole(&Log::new(&process, FileForm::Parquet, Files::One), SMALL));
    let (log, mut reference) =
        (Log::new(&process, FileForm::Csv, Files::One), Log::new(&process, FileForm::Criteo, Files::PerDay));
    reference.schema.follow_reference().expect("Criteo's columns");
    let in_order = whole(&reference, SMALL);
    for (counts, vocabularies) in [(Some(1 << 20), None), (Some(100_000), Some(300_000)), (Some(0), Some(0))]
    {
        assert_eq!(
            expected,
            whole(&log, Limits { counts, vocabularies, ..SMALL }),
            "{counts:?} {vocabularies:?}"
        );
        assert_eq!(
            in_order,
            whole(&reference, Limits { counts, vocabularies, ..SMALL }),
            "{counts:?} {vocabularies:?}"
        );
    }
}

#[test]
fn what_was_interrupted_goes_on_to_the_same_bytes() {
    let (log, hashed) = (Log::criteo(9000), hashed(Log::criteo(9000)));
    let limited = Limits { counts: Some(100_000), vocabularies: Some(400_000), ..SMALL };
    for (log, limits) in [(&log, SMALL), (&log, limited), (&hashed, SMALL)] {
        let expected = whole(log, limits);
        let (out, mut stops) = (tempfile::tempdir().expect("a directory"), 0);
        // One block of rows an attempt, or two: each keeps what it has done.
        for reports in [1, 2].into_iter().cycle() {
            match log.prepare(out.path(), limits, &mut Stop(reports)) {
                Ok(_) => break,
                Err(Error::Interrupted) => stops += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(stops > 5, "{stops}");
        assert_eq!(contents(out.path()), expected);
    }
}

#[test]
fn each_attempt_goes_on_where_the_one_before_stood() {
    let process =
        CriteoProcess::new(CriteoConfig { rows: 8000, days: 5, ..CriteoConfig::default() }).expect("a law");
    let (log, mut reference) =
        (Log::new(&process, FileForm::Criteo, Files::PerDay), Log::new(&process, FileForm::Csv, Files::One));
    reference.schema.follow_reference().expect("Criteo's columns");
    for (log, limits) in [
        (&log, SMALL),
        (&reference, Limits { counts: Some(100_000), vocabularies: Some(2_000_000), ..SMALL }),
    ] {
        let (expected, out) = (whole(log, limits), tempfile::tempdir().expect("a directory"));
        let mut attempts = 0;
        // Two blocks of rows an attempt, the one that it stops at included: none would come to an end from
        // the beginning.
        while let Err(error) = log.prepare(out.path(), limits, &mut Stop(2)) {
            assert!(matches!(error, Error::Interrupted), "{error}");
            attempts += 1;
            assert!(attempts < 200, "no attempt gets any further");
        }
        assert!(attempts > 10, "{attempts}");
        assert_eq!(contents(out.path()), expected);
    }
}

#[test]
fn an_attempt_does_not_go_on_with_what_was_damaged() {
    let log = Log::criteo(4000);
    let limits = Limits { counts: Some(100_000), ..SMALL };
    let expected = whole(&log, limits);
    let places = [(5, "counts"), (14, "begun-"), (14, "train-")];
    for ((reports, name), is_cut) in places.into_iter().flat_map(|place| [(place, true), (place, false)]) {
        let out = tempfile::tempdir().expect("a directory");
        log.prepare(out.path(), limits, &mut Stop(reports)).expect_err("stopped");
        let work = out.path().join(".work");
        let dir = if name == "train-" { out.path().to_owned() } else { work.clone() };
        let dir = if name == "counts" { work.join(name) } else { dir };
        let prefix = if name == "counts" { "table-" } else { name };
        let files = fs::read_dir(&dir).expect("listed").map(|entry| entry.expect("an entry").path());
        let file = files
            .filter(|path| path.file_name().expect("a name").to_string_lossy().starts_with(prefix))
            .min();
        let file = file.unwrap_or_else(|| panic!("no {prefix} in {}", dir.display()));
        let mut bytes = fs::read(&file).expect("a file");
        if is_cut {
            bytes.pop();
        } else {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        fs::write(&file, bytes).expect("damaged");
        log.prepare(out.path(), limits, &mut Stop(NEVER)).expect("prepared");
        assert_eq!(contents(out.path()), expected, "{name}");
    }
}

#[test]
fn new_rows_are_added_without_refitting() {
    let (log, more) = (Log::criteo(3000), Log::criteo(1000));
    let out = tempfile::tempdir().expect("a directory");
    let before = log.prepare(out.path(), SMALL, &mut Stop(NEVER)).expect("prepared");
    let input = more.input();
    let extension = Extension { input: &input, part: Part::Train, max_bad_rows: 0, threads: 2 };
    // The first report is of the file being looked at, the second of its rows.
    for reports in [1, 3] {
        assert!(matches!(extension.run(out.path(), &mut Stop(reports)), Err(Error::Interrupted)));
    }
    let kept = Prepared::open(out.path()).expect("as it was");
    assert_eq!(kept.manifest(), before.manifest());
    let Extended { prepared: after, added, known } =
        extension.run(out.path(), &mut Stop(NEVER)).expect("extended");
    assert_eq!((added.len(), known.len()), (1, 0));
    // The files that were added, whatever stood for them.
    assert_eq!(after.manifest().settings.input.paths, [added[0].file.clone()]);
    let rows = |prepared: &Prepared| prepared.load(|_| true).expect("loaded").parts;
    let (old, new) = (rows(&before), rows(&after));
    assert_eq!(new[Part::Train].len(), old[Part::Train].len() + 1000);
    for part in [Part::Validation, Part::Test] {
        assert_eq!(new[part], old[part]);
    }
    assert_eq!(new[Part::Train].labels[..old[Part::Train].len()], old[Part::Train].labels[..]);
    assert!(
        after.manifest().parts[Part::Train]
            .counts
            .iter()
            .any(|counts| counts.unseen.is_some_and(|unseen| unseen > 0))
    );
    // The same contents add nothing, whatever the name and the part.
    let copy = Log::criteo(1000);
    for (input, part) in [(&input, Part::Train), (&copy.input(), Part::Test)] {
        let again = Extension { input, part, ..extension }.run(out.path(), &mut Stop(NEVER)).expect("said");
        assert_eq!((again.added.len(), again.known.len()), (0, 1));
        assert_eq!(again.known[0].1.part, Some(Part::Train));
        assert_eq!(again.prepared.manifest(), after.manifest());
    }
}

#[test]
fn torn_and_foreign_files_are_named() {
    let log = Log::criteo(2000);
    let out = tempfile::tempdir().expect("a directory");
    let prepared = log.prepare(out.path(), SMALL, &mut Stop(NEVER)).expect("prepared");
    let file = out.path().join(&prepared.manifest().files[0].name);
    let good = fs::read(&file).expect("a file");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let other = fs::read(out.path().join(&prepared.manifest().files[1].name)).expect("a file");
    for bad in [&good[..good.len() - 1], &flipped, &other, b"", b"ARROW1"] {
        fs::write(&file, bad).expect("written");
        let error = prepared.load(|_| true).map(|_| ()).expect_err("a torn file");
        assert!(error.to_string().contains("train-00000-") && error.hint().is_some(), "{error}");
    }
    fs::write(&file, &good).expect("written");
    prepared.load(|_| true).expect("whole again");
    let encoder = out.path().join(&prepared.manifest().encoder_file);
    let fitted = fs::read(&encoder).expect("an encoder");
    fs::write(&encoder, "{}").expect("written");
    assert!(
        Prepared::open(out.path())
            .map(drop)
            .expect_err("another encoder")
            .to_string()
            .contains(&prepared.manifest().encoder_file)
    );
    fs::write(&encoder, fitted).expect("written");
    let manifest = out.path().join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, text.replace("\"format_version\": 2", "\"format_version\": 3")).expect("written");
    assert!(
        Prepared::open(out.path())
            .map(drop)
            .expect_err("newer")
            .to_string()
            .contains("format version 2 or older, found 3")
    );
    fs::write(&manifest, &text[..text.len() / 2]).expect("written");
    assert!(Prepared::open(out.path()).map(drop).expect_err("torn").to_string().contains("manifest.json"));
}

#[test]
fn another_directory_is_not_written_over() {
    let (log, other) = (Log::criteo(2000), Log::criteo(1000));
    let out = tempfile::tempdir().expect("a directory");
    log.prepare(out.path(), SMALL, &mut Stop(5)).map(drop).expect_err("interrupted");
    let error = other
        .prepare(out.path(), SMALL, &mut Stop(NEVER))
        .map(drop)
        .expect_err("an unfinished one of other files");
    assert!(error.to_string().contains("unfinished preparation of other files"), "{error}");
    log.prepare(out.path(), SMALL, &mut Stop(NEVER)).expect("gone on with");
    let error = log.prepare(out.path(), SMALL, &mut Stop(NEVER)).map(drop).expect_err("a finished one");
    assert!(error.to_string().contains("a finished data set"), "{error}");
    let foreign = tempfile::tempdir().expect("a directory");
    fs::write(foreign.path().join("mine.arrow"), "x").expect("written");
    let error = log.prepare(foreign.path(), SMALL, &mut Stop(NEVER)).map(drop).expect_err("other files");
    assert!(error.to_string().contains("found other files (\"mine.arrow\")"), "{error}");
    let names = |dir: &Path| fs::read_dir(dir).expect("listed").count();
    assert_eq!(names(foreign.path()), 1, "nothing is made there");
    for (name, file) in [(".lock", ".lock"), (".work", ".work/mine.txt")] {
        let foreign = tempfile::tempdir().expect("a directory");
        let mine = foreign.path().join(file);
        fs::create_dir_all(mine.parent().expect("a directory")).expect("made");
        fs::write(&mine, "mine").expect("written");
        let error = log.prepare(foreign.path(), SMALL, &mut Stop(NEVER)).map(drop).expect_err("other files");
        assert!(error.to_string().contains(&format!("other files (\"{name}\")")), "{error}");
        assert_eq!((fs::read(&mine).expect("still there"), names(foreign.path())), (b"mine".to_vec(), 1));
    }
    // What is ours is replaced, what lies beside it stays.
    let input = log.input();
    let sources = Sources::of(&input, &log.split, 2);
    fs::write(out.path().join("mine.txt"), "x").expect("written");
    let settings = Settings { max_bad_rows: 1, ..Settings::default() };
    let again = Preparation {
        sources: &sources,
        schema: &log.schema,
        settings,
        limits: SMALL,
        start: Start::Overwrite,
    };
    again.run(out.path(), &mut Stop(NEVER)).expect("replaced");
    assert!(out.path().join("mine.txt").exists());
    let few = Limits::of_memory(Some(1 << 20)).expect_err("too little").to_string();
    assert!(few.contains("memory limit: expected at least"), "{few}");
}

#[test]
fn a_file_of_rows_that_was_made_up_is_an_error() {
    let multi = Log::new(
        &ClickSimulator::new(ClickConfig { rows: 300, ..ClickConfig::default() }),
        FileForm::Csv,
        Files::One,
    );
    let (out, mut rng) = (tempfile::tempdir().expect("a directory"), dlrm::data::rng::Rng::new(1, 1));
    let prepared = multi.prepare(out.path(), Limits::default(), &mut Stop(NEVER)).expect("prepared");
    let (file, part) = (&prepared.manifest().files[0], prepared.manifest().files[0].part);
    let place = out.path().join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&place).expect("a manifest")).expect("json");
    manifest.as_object_mut().expect("an object").remove(CHECKSUM);
    let whole = fs::read(out.path().join(&file.name)).expect("a file");
    // What describes the columns lies at both ends; the rest is numbers, most of which are as good as others.
    let (mut refused, edge) = (0usize, 3000.min(whole.len() / 2));
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + rng.below(3) {
            let at = rng.below(edge);
            let at = if rng.below(2) == 0 { at } else { whole.len() - 1 - at };
            bytes[at] = rng.next_u64() as u8;
        }
        // The checksum is that of the changed file.
        fs::write(out.path().join(&file.name), &bytes).expect("written");
        manifest["files"][0]["sum"] = serde_json::to_value(FileSum::of(&bytes)).expect("plain data");
        fs::write(&place, seal(&manifest.to_string())).expect("written");
        let changed = Prepared::open(out.path()).expect("the manifest is in order");
        refused += usize::from(changed.load(|wanted| wanted == part).is_err());
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn hashed_rows_are_read_once() {
    struct Stages(Vec<String>);
    impl PrepareObserver for Stages {
        fn stage(&mut self, name: &str) {
            self.0.push(name.to_owned());
        }
        fn rows(&mut self, _: u64) -> bool {
            true
        }
    }
    let stages = |log: &Log| {
        let (out, mut stages) = (tempfile::tempdir().expect("a directory"), Stages(Vec::new()));
        log.prepare(out.path(), SMALL, &mut stages).expect("prepared");
        stages.0
    };
    let mut log = hashed(Log::criteo(500));
    assert_eq!(stages(&log), ["encoding", "saving"]);
    log.schema.dense[3].missing_value = None;
    assert_eq!(stages(&log), ["fitting the encoder", "encoding", "saving"], "the mean must be known");
    log.schema.dense[3].missing_value = Some(1.0);
    log.split = Split::Order { validation: 0.1, test: 0.1 };
    assert_eq!(
        stages(&log),
        ["fitting the encoder", "encoding", "saving"],
        "the number of rows must be known"
    );
}

/// A rank reads the columns whose tables it holds.
#[test]
fn columns_can_be_left_out() {
    let dir = crate::common::scratch(300);
    crate::common::works(
        dir.path(),
        &["prepare", "clicks.csv", "--schema", "schema.toml", "-q", "-o", "set"],
    );
    let set = Prepared::open(&dir.path().join("set")).expect("a data set");
    let read = |without: &[usize]| {
        let mut batch = Batch::new(&set.encoder().layout());
        let mut rows = set.stream(Part::Train).without(without.to_vec());
        while rows.append_rows(&mut batch, 70).expect("rows") > 0 {}
        batch
    };
    let mut expected = read(&[]);
    for feature in 0..expected.bags.len() {
        let one = read(&[feature]);
        let kept = std::mem::take(&mut expected.bags[feature]);
        expected.bags[feature].offsets = vec![0; expected.len() + 1];
        if kept.weights.is_some() {
            expected.bags[feature].weights = Some(Vec::new());
        }
        assert!(one == expected, "without feature {feature}");
        expected.bags[feature] = kept;
    }
}

/// Rows are mapped: pages that are cut off are gone, and reading them would end the process.
#[test]
fn a_file_that_is_cut_short_while_it_is_read_is_named() {
    let dir = crate::common::scratch(2000);
    crate::common::works(
        dir.path(),
        &["prepare", "clicks.csv", "--schema", "schema.toml", "-q", "-o", "set"],
    );
    let set = Prepared::open(&dir.path().join("set")).expect("a data set");
    let mut rows = set.stream(Part::Train);
    let mut batch = Batch::new(&set.encoder().layout());
    assert_eq!(rows.append_rows(&mut batch, 100).expect("rows"), 100);
    for entry in fs::read_dir(dir.path().join("set")).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "arrow") {
            fs::OpenOptions::new().write(true).open(path).expect("opened").set_len(64).expect("cut");
        }
    }
    let error = rows.append_rows(&mut batch, 100).expect_err("a file without its rows").to_string();
    assert!(error.contains(".arrow: expected") && error.contains("64 since it was opened"), "{error}");
}
