//! A campaign of faults: kills at random moments, files that cannot grow, flipped and cut files, two
//! processes on one output, models that are replaced while they are loaded. What was whole stays whole, what
//! is damaged is refused, and the same command puts everything right.
//!
//! In an ordinary run each part takes a few seconds. `cargo xtask faults --minutes N` takes as long as it is
//! told and prints the figures of each part; DLRM_FAULTS_SEED, which it prints too, repeats its choices.
mod library;
mod threads;
mod verbs;

use crate::common::{Ran, command, copy, dlrm, finished, scratch, works};
use dlrm::data::rng::Rng;
use dlrm::engine::Predictor;
use dlrm::engine::saved::{Kind, Writer, verify};
use dlrm::nn::Isa;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use verbs::*;

/// How long each part goes on, in seconds.
const SECONDS: &str = "DLRM_FAULTS_SECONDS";
/// What decides all that is chosen at random; where nothing is said, always the same.
const SEED: &str = "DLRM_FAULTS_SEED";
/// Figures of a part of the campaign.
#[derive(Default)]
struct Figures(BTreeMap<&'static str, BTreeMap<&'static str, u64>>);

impl Figures {
    fn count(&mut self, row: &'static str, what: &'static str) {
        *self.0.entry(row).or_default().entry(what).or_default() += 1;
    }

    fn print(&self, part: &str) {
        println!("\n{part}");
        for (row, counts) in &self.0 {
            let counts: Vec<String> = counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
            println!("  {row:<20} {}", counts.join(", "));
        }
    }
}

fn until() -> Instant {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    Instant::now() + Duration::from_secs_f64(seconds)
}

fn rng() -> Rng {
    let seed = std::env::var(SEED).map_or(1, |text| text.parse().expect("a whole number as the seed"));
    println!("{SEED}={seed}");
    Rng::new(seed, 0)
}

#[test]
fn kills_at_random_moments() {
    let (mut rng, mut figures) = (rng(), Figures::default());
    let all: Vec<_> = verbs().into_iter().map(Undisturbed::of).collect();
    let until = until();
    for Undisturbed { verb, took, before, after } in all.iter().cycle().take(all.len() * 100_000) {
        if Instant::now() > until {
            break;
        }
        let dir = place(verb);
        let mut child = command(dir.path(), &verb.args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        std::thread::sleep(took.mul_f64(rng.uniform() * 1.1));
        child.kill().expect("killed");
        child.wait().expect("ended");
        // Whatever had been there is there, or what takes its place.
        assert_whole(dir.path(), verb);
        for (name, bytes) in before {
            let now = lasting(dir.path(), verb).remove(name);
            assert!(now.as_ref() == Some(bytes) || now.as_ref() == after.get(name), "{}: {name}", verb.name);
        }
        figures.count(verb.name, put_right(dir.path(), verb, after));
    }
    figures.print("kills at random moments (0 with a wrong byte)");
}

/// A limit on the length of files stands for a full disk: it needs no rights, and hits the n-th byte.
#[test]
fn files_that_cannot_grow() {
    if !cfg!(unix) {
        println!("skipped: files_that_cannot_grow (the system has no limit of this kind)");
        return;
    }
    let (mut rng, mut figures) = (rng(), Figures::default());
    let all: Vec<_> = verbs().into_iter().map(Undisturbed::of).collect();
    let until = until();
    for Undisturbed { verb, before, after, .. } in all.iter().cycle().take(all.len() * 100_000) {
        if Instant::now() > until {
            break;
        }
        let dir = place(verb);
        // Blocks of 512 bytes, up to half a megabyte: any number of them, but small ones more often.
        let most = 1 << rng.below(11);
        let blocks = 1 + rng.below(most);
        let mut shell = std::process::Command::new("sh");
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(line).arg(env!("CARGO_BIN_EXE_dlrm")).args(&verb.args);
        let ran = finished(shell.current_dir(dir.path()).env("NO_COLOR", "1").output().expect("started"));
        let shown = format!("{} within {blocks} blocks: exit {}\n{}", verb.name, ran.code, ran.err);
        assert!([0, RESOURCES].contains(&ran.code), "{shown}");
        assert_nothing_aside(dir.path(), &shown);
        if ran.code == 0 {
            figures.count(verb.name, "had room");
            continue;
        }
        assert_whole(dir.path(), verb);
        for (name, bytes) in before {
            assert!(lasting(dir.path(), verb).get(name) == Some(bytes), "{shown}\n{name} was changed");
        }
        figures.count(verb.name, put_right(dir.path(), verb, after));
    }
    figures.print("files that cannot grow (0 left aside, 0 lost)");
}

/// The disk is full at the n-th operation that takes space, from then on or for this one: a file is created,
/// written, put on the disk or renamed, a directory is made.
#[test]
fn space_that_ends_at_an_operation() {
    let Some(library) = library::made("no_space") else {
        println!("skipped: space_that_ends_at_an_operation (it takes Linux and a C compiler)");
        return;
    };
    let (mut rng, mut figures) = (rng(), Figures::default());
    let run = |dir: &Path, verb: &Verb, settings: &[(&str, String)]| {
        let mut command = command(dir, &verb.args);
        command.env("LD_PRELOAD", &library).envs(settings.iter().map(|(key, value)| (*key, value)));
        finished(command.output().expect("started"))
    };
    let operations = |verb: &Verb| {
        let dir = place(verb);
        let count = dir.path().join("count");
        let ran = run(dir.path(), verb, &[("FAULT_COUNT", count.display().to_string())]);
        assert_eq!(ran.code, 0, "{}: {}", verb.name, ran.err);
        let count: usize = fs::read_to_string(count).expect("a count").parse().expect("a number");
        assert!(count > 3, "{}: {count} operations", verb.name);
        count
    };
    let all: Vec<_> = verbs().into_iter().map(|verb| (operations(&verb), Undisturbed::of(verb))).collect();
    let until = until();
    let rounds = all.iter().cycle().take(all.len() * 100_000);
    for (number, (count, Undisturbed { verb, before, after, .. })) in rounds.enumerate() {
        if Instant::now() > until {
            break;
        }
        let dir = place(verb);
        // The last operation first, which chance seldom hits: all is done by then but to clear away.
        let last = number < all.len();
        let (at, once) = if last { (*count, false) } else { (1 + rng.below(*count), rng.below(2) == 0) };
        let mut settings = vec![("FAULT_AT", at.to_string())];
        settings.extend(once.then(|| ("FAULT_ONCE", "yes".to_owned())));
        let ran = run(dir.path(), verb, &settings);
        let shown = format!("{}, {settings:?} of {count}: exit {}\n{}", verb.name, ran.code, ran.err);
        assert!([0, RESOURCES].contains(&ran.code), "{shown}");
        assert_nothing_aside(dir.path(), &shown);
        assert_whole(dir.path(), verb);
        let found = lasting(dir.path(), verb);
        if ran.code == 0 {
            assert!(found == *after, "{shown}");
            figures.count(verb.name, "done all the same");
            continue;
        }
        for (name, bytes) in before {
            let now = found.get(name);
            assert!(now == Some(bytes) || now == after.get(name), "{shown}\n{name} was changed");
        }
        figures.count(verb.name, put_right(dir.path(), verb, after));
    }
    figures.print("space that ends at an operation on files (0 left aside, 0 lost)");
}

/// Flips a bit or cuts the file, calls `refused`, and puts the file back.
fn spoil(path: &Path, rng: &mut Rng, refused: &mut dyn FnMut() -> bool) -> bool {
    let whole = fs::read(path).expect("a file");
    let mut spoiled = whole.clone();
    if rng.below(3) == 0 {
        spoiled.truncate(rng.below(whole.len()));
    } else {
        spoiled[rng.below(whole.len())] ^= 1 << rng.below(8);
    }
    fs::write(path, spoiled).expect("spoiled");
    let was = refused();
    fs::write(path, whole).expect("put back");
    was
}

#[test]
fn flips_and_cuts_of_every_file() {
    let (mut rng, mut figures) = (rng(), Figures::default());
    let dir = scratch(200);
    let train = [&["train"], ROWS, SHORT, &["--keep-optimizer", "-o", "out"]].concat();
    works(dir.path(), &train);
    // A run that is killed as soon as it has a checkpoint.
    let often: &[&str] =
        &["--epochs", "12", "--set", "train.patience=0", "--set", "train.checkpoint_every=1", "-o", "run"];
    let slow = [&["train"], ROWS, &["--batch-size", "16", "--no-baseline"], often].concat();
    let checkpoints = dir.path().join("run/checkpoints");
    let step = || {
        let names = fs::read_dir(&checkpoints).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut steps: Vec<PathBuf> = names
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-")))
            .collect();
        steps.sort();
        steps.pop()
    };
    let mut child = command(dir.path(), &slow).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    while step().is_none() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let step = step().expect("a checkpoint of a run that was killed before its end");
    let isa = Isa::detect();
    let model = dir.path().join("out/model");
    let begun: Vec<PathBuf> =
        files(&checkpoints).into_iter().filter(|p| p.parent() == Some(&checkpoints)).collect();
    let until = until();
    for number in 0.. {
        if Instant::now() > until && number > 60 {
            break;
        }
        for path in files(&model) {
            let accepted = spoil(&path, &mut rng, &mut || Predictor::load(&model, isa).is_ok());
            assert!(!accepted, "{} was accepted", path.display());
            figures.count("model", "refused");
        }
        for path in files(&step) {
            assert!(
                !spoil(&path, &mut rng, &mut || verify(&step, Kind::Checkpoint).is_ok()),
                "{}",
                path.display()
            );
            figures.count("checkpoint", "refused");
        }
        for path in &begun {
            assert!(
                !spoil(path, &mut rng, &mut || verify(&checkpoints, Kind::Run).is_ok()),
                "{}",
                path.display()
            );
            figures.count("start of a run", "refused");
        }
        let list = dir.path().join("out/.dlrm-files");
        let accepted = spoil(&list, &mut rng, &mut || {
            dlrm::engine::own_files::OwnFiles::open(&dir.path().join("out"), false).is_ok()
        });
        assert!(!accepted, "the list of files was accepted");
        figures.count("list of files", "refused");
    }
    // As a person meets it.
    for path in begun.iter().chain(&files(&step)) {
        spoil(path, &mut rng, &mut || {
            let ran = dlrm(dir.path(), &["train", "--resume", "-q", "-o", "run"]);
            assert_eq!(ran.code, SAVED, "{}: {}", path.display(), ran.err);
            false
        });
        figures.count("--resume", "refused");
    }
    works(dir.path(), &["train", "--resume", "-q", "-o", "run"]);
    Predictor::load(&model, isa).expect("put back");
    figures.print("flips and cuts (0 accepted)");
}

/// One of two may do the work; the other one says that it is going on or done, and nothing is mixed.
#[test]
fn two_processes_on_one_output() {
    let mut figures = Figures::default();
    let all: Vec<_> = verbs()
        .into_iter()
        // Preparing has tests of its own.
        .filter(|verb| !verb.name.starts_with("prepare"))
        .map(Undisturbed::of)
        .collect();
    let until = until();
    for Undisturbed { verb, after, .. } in all.iter().cycle().take(all.len() * 100_000) {
        if Instant::now() > until {
            break;
        }
        let dir = place(verb);
        let start = || {
            let mut command = command(dir.path(), &verb.args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
        };
        let both = [start(), start()].map(|child| finished(child.wait_with_output().expect("ended")));
        let shown: String =
            both.iter().map(|Ran { code, err, .. }| format!("exit {code}: {err}\n")).collect();
        assert!(both.iter().any(|ran| ran.code == 0), "{}\n{shown}", verb.name);
        let refused = |ran: &&Ran| [USAGE, DATA, SAVED].contains(&ran.code);
        assert!(both.iter().filter(|ran| ran.code != 0).all(|ran| refused(&ran)), "{}\n{shown}", verb.name);
        assert!(left_aside(dir.path()).is_empty(), "{}", verb.name);
        let found = lasting(dir.path(), verb);
        assert!(found.keys().eq(after.keys()), "{}: other files: {:?}\n{shown}", verb.name, found.keys());
        for (name, bytes) in found {
            assert!(after[&name] == bytes, "{}: other bytes in {name}\n{shown}", verb.name);
        }
        let done = both.iter().filter(|ran| ran.code == 0).count();
        figures.count(verb.name, if done == 2 { "done one after the other" } else { "refused the second" });
    }
    figures.print("two processes on one output (0 mixed)");
}

/// One thread replaces a model by another and back while others load it.
#[test]
fn a_model_that_is_replaced_while_it_is_loaded() {
    let mut figures = Figures::default();
    let dir = scratch(200);
    for (seed, out) in [("1", "a"), ("2", "b")] {
        works(dir.path(), &[&["train"], ROWS, SHORT, &["--seed", seed, "-o", out]].concat());
    }
    let both = ["a", "b"].map(|name| dir.path().join(name).join("model"));
    let ids = both.clone().map(|model| verify(&model, Kind::Model).expect("whole").id());
    let place = dir.path().join("changing/model");
    copy(&both[0], &place);
    let (done, isa, until) = (AtomicBool::new(false), Isa::detect(), until());
    std::thread::scope(|scope| {
        let loaders: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = [0u64; 2];
                    while !done.load(Ordering::Relaxed) {
                        // The golden rows tell if weights and encoder were not of one model.
                        let loaded = Predictor::load(&place, isa).expect("one of the two");
                        let id = loaded.manifest().id();
                        seen[ids.iter().position(|known| *known == id).expect("a, or b")] += 1;
                    }
                    seen
                })
            })
            .collect();
        let mut replaced = 0;
        while Instant::now() < until || replaced < 50 {
            replaced += 1;
            let mut writer = Writer::new(&place, Kind::Model).expect("begun");
            for path in files(&both[replaced % 2]).iter().filter(|path| !path.ends_with("manifest.json")) {
                let name = path.file_name().expect("a name").to_string_lossy();
                writer.file(&name, &fs::read(path).expect("a file")).expect("written");
            }
            writer.finish().expect("replaced");
            figures.count("model", "replaced");
        }
        done.store(true, Ordering::Relaxed);
        for loader in loaders {
            let seen = loader.join().expect("no load failed");
            (0..seen[0]).for_each(|_| figures.count("load", "of the first"));
            (0..seen[1]).for_each(|_| figures.count("load", "of the second"));
        }
    });
    figures.print("a model that is replaced while it is loaded (0 mixed, 0 failed)");
}
