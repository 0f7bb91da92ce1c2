//! The bytes of weights, scores and reports are those of before.
//!
//! Small runs of the `dlrm` command leave checksums, and `tests/it/bytes/expected.txt` holds those that are
//! expected: a line per run and artefact, a column for processors with AVX2 or AVX-512, whose bits are equal,
//! and one for the scalar kernels. What depends on the clock, the machine or the version of the program is
//! left out of the checksums (`lasting` in `place`), and nothing else.
//!
//! `cargo test --test it bytes::` compares with the best instruction set, with `DLRM_ISA=scalar` before it
//! with the scalar kernels. Where bytes change on purpose, the table is made anew by the program that counts:
//!
//! ```sh
//! DLRM_BYTES_OF=target/release/dlrm DLRM_DATA=DIR cargo test --test it bytes:: -- --nocapture
//! ```
//!
//! prints it and writes it to `target/tmp/bytes.txt`, to be committed as `tests/it/bytes/expected.txt`. The
//! program may be of another commit, so this also tells whether two commits give the same bytes.
mod cases;
mod place;

use cases::CASES;
use dlrm::kernels::isa::{Isa, Level};
use place::{Found, Place};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The expected checksums.
const TABLE: &str = include_str!("bytes/expected.txt");
/// Names the program that the table is made by.
const MADE_BY: &str = "DLRM_BYTES_OF";

/// Why nothing is compared elsewhere.
const ELSEWHERE: &str = "the checksums are those of x86-64 under Linux";

#[test]
fn the_bytes_of_weights_scores_and_reports_are_those_of_before() {
    if let Some(program) = std::env::var_os(MADE_BY) {
        return print_table(&Path::new(env!("CARGO_MANIFEST_DIR")).join(program));
    }
    let test = "the_bytes_of_weights_scores_and_reports_are_those_of_before";
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("skipped: {test} ({ELSEWHERE})");
        return;
    }
    let isa = crate::common::isa();
    let column = usize::from(isa.level() == Level::Scalar);
    let (found, skipped) = run_all(Path::new(env!("CARGO_BIN_EXE_dlrm")), isa);
    skipped.iter().for_each(|(case, reason)| println!("skipped: {test}: {case} ({reason})"));
    let mut expected = table();
    expected.retain(|name, _| !skipped.contains_key(name.split(SEPARATOR).next().expect("a case")));
    let mut wrong = Vec::new();
    for (name, sum) in &found {
        match expected.remove(name) {
            Some(sums) if sums[column] == *sum => {}
            Some(sums) => wrong.push(format!("{name}: expected {}, found {sum}", sums[column])),
            None => wrong.push(format!("{name}: not in the table")),
        }
    }
    wrong.extend(expected.keys().map(|name| format!("{name}: in the table, but not made")));
    let level = isa.level().name();
    assert!(wrong.is_empty(), "{} of {} differ ({level}):\n{}", wrong.len(), found.len(), wrong.join("\n"));
}

/// Between a case and an artefact.
const SEPARATOR: &str = " / ";

/// The sums of both columns by name of case and artefact.
fn table() -> BTreeMap<String, [String; 2]> {
    let line = |line: &str| {
        let (sums, name) = line.split_at_checked(36).expect("two checksums and a name");
        let sums: Vec<String> = sums.split_whitespace().map(str::to_owned).collect();
        (name.to_owned(), sums.try_into().expect("two checksums"))
    };
    TABLE.lines().filter(|l| !l.starts_with('#')).map(line).collect()
}

/// By name, what was left; by case, why it was skipped.
type Results = (BTreeMap<String, String>, BTreeMap<String, String>);

/// Runs all cases with the program.
fn run_all(program: &Path, isa: Isa) -> Results {
    let place = Place::new(program, isa);
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::default()));
    let work = || {
        while let Some((case, what)) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            let left = place.run(case, what);
            let (found, skipped) = &mut *results.lock().expect("the other worker is well");
            match left {
                Found::Sums(sums) => {
                    let named = |(name, sum)| (format!("{case}{SEPARATOR}{name}"), sum);
                    found.extend(sums.into_iter().map(named));
                }
                Found::Skipped(reason) => drop(skipped.insert((*case).to_owned(), reason)),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    results.into_inner().expect("both workers are done")
}

/// Prints the table that `program` makes.
fn print_table(program: &Path) {
    let isa = Isa::detect();
    assert!(isa.level() != Level::Scalar && !isa.has_bf16(), "{MADE_BY}: expected AVX2, and no AVX-512 BF16");
    let scalar = Isa::of(Level::Scalar).expect("every processor has it");
    let [(vector, skipped), (scalar, _)] = [isa, scalar].map(|isa| run_all(program, isa));
    assert!(skipped.is_empty(), "{MADE_BY}: expected every case to run, found {skipped:?} skipped");
    let mut text = format!("# {:<16}  {:<16}  case / artefact\n", "AVX2 or AVX-512", "scalar");
    for (name, sum) in &vector {
        writeln!(text, "{sum}  {}  {name}", scalar[name]).expect("text");
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bytes.txt");
    std::fs::write(&path, &text).expect("the table is written");
    println!("{text}\nwritten to {}; commit it as tests/it/bytes/expected.txt", path.display());
}
