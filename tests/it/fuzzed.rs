//! Mutated inputs, in process: whatever the bytes of rows, a schema, a configuration or an encoder, reading
//! them ends with an answer or an error, in bounded time.
//!
//! A small number in every run; `DLRM_FUZZED=20000 cargo test --test it fuzzed::` tries so many of each
//! kind, and then also looks at the memory that was taken.
use crate::common::{clicks, works};
use dlrm::data::readers::{Format, Input};
use dlrm::data::{Encoder, Error, RawRow, Schema};
use dlrm::engine::RunConfig;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How many of each kind, where nothing is said.
const FEW: usize = 60;
/// Longest time for one input.
const LONGEST: Duration = Duration::from_secs(20);
/// Most memory of the process, in bytes.
const MOST: u64 = 1 << 30;

/// Small deterministic random numbers (PCG's multiplier; the high bits are good enough).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// What is put in: marks of all formats, and numbers that overflow.
const SPICE: [&[u8]; 24] = [
    b"\"",
    b",",
    b"\t",
    b"\n",
    b"\r\n",
    b"::",
    b":",
    b"|",
    b"\xff",
    b" ",
    b"#",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"-1",
    b"1e999",
    b"inf",
    b"9223372036854775808",
    b"4294967295",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
];

fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..1 + random.below(5) {
        let at = random.below(bytes.len());
        match random.below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            2 => {
                let end = (at + random.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            3 => bytes.truncate(bytes.len() - random.below(bytes.len() / 3 + 1)),
            _ => {
                let end = (at + random.below(5)).min(bytes.len());
                let spice = SPICE[random.below(SPICE.len())];
                bytes.splice(at.min(end)..end, spice.iter().copied());
            }
        }
    }
    bytes
}

/// Reads an input.
type Read = Box<dyn Fn(&[u8]) + Send>;

/// A kind of input: a valid one, and what reads it.
struct Kind {
    name: &'static str,
    seed: Vec<u8>,
    read: Read,
}

/// Reads rows of a file to their end, or to the first error that is final.
fn rows(input: &Input) {
    let Ok(mut source) = input.open() else { return };
    let mut row = RawRow::default();
    while !matches!(source.next_row(&mut row), Ok(false) | Err(Error::Io { .. } | Error::Input { .. })) {}
}

/// Files of a format, and the same bytes with the format detected.
fn file(dir: &Path, format: Format, name: &'static str, seed: impl Into<Vec<u8>>) -> Kind {
    let path = dir.join(name);
    let read = move |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        rows(&Input::new([&path]).with_format(format));
        rows(&Input::new([&path]));
    };
    Kind { name, seed: seed.into(), read: Box::new(read) }
}

/// Texts that are read as a whole.
fn text(name: &'static str, seed: impl Into<Vec<u8>>, read: impl Fn(&str) + Send + 'static) -> Kind {
    let read = move |bytes: &[u8]| read(&String::from_utf8_lossy(bytes));
    Kind { name, seed: seed.into(), read: Box::new(read) }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    // Stored and not compressed, so that no library is needed to make it.
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    let length = u16::try_from(text.len()).unwrap();
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(text);
    let mut crc = !0u32;
    for &byte in text {
        crc ^= u32::from(byte);
        (0..8).for_each(|_| crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    }
    bytes.extend((!crc).to_le_bytes());
    bytes.extend(u32::from(length).to_le_bytes());
    bytes
}

/// Files that the command makes: Parquet, and a model's encoder and configuration.
fn made(dir: &Path) -> [Vec<u8>; 3] {
    works(dir, &["generate", "clicks", "--rows", "200", "--form", "parquet", "-o", "generated", "--quiet"]);
    let mut parquet = fs::read_dir(dir.join("generated")).unwrap().map(|entry| entry.unwrap().path());
    let parquet: PathBuf = parquet.find(|path| path.extension().is_some_and(|e| e == "parquet")).unwrap();
    fs::write(dir.join("clicks.csv"), clicks(200)).unwrap();
    works(dir, &["train", "clicks.csv", "--label", "click", "--epochs", "1", "-o", "run", "--quiet"]);
    let model = dir.join("run/model");
    [parquet, model.join("encoder.json"), model.join("config.toml")].map(|path| fs::read(path).unwrap())
}

fn kinds(dir: &Path) -> Vec<Kind> {
    let [parquet, encoder, config] = made(dir);
    let csv = clicks(30);
    let criteo = format!("1{}{}\n", "\t5".repeat(13), "\t68fd1e64".repeat(26)).repeat(5);
    let json = "{\"click\": 1, \"user\": \"a\", \"x\": 0.5, \"tags\": [\"x\", null]}\n".repeat(5);
    let ncf = "0\t25\t5\t978824351\n0\t133\t3\t978300019\n";
    let schema = fs::read_to_string(dir.join("run/schema.toml"))
        .unwrap_or_else(|_| crate::common::CLICKS_SCHEMA.into());
    vec![
        file(dir, Format::Csv, "a.csv", csv.clone()),
        file(dir, Format::Tsv, "a.tsv", csv.replace(',', "\t")),
        file(dir, Format::Csv, "a.csv.gz", gzip(csv.as_bytes())),
        file(dir, Format::Criteo, "train.txt", criteo),
        file(dir, Format::Libsvm, "a.svm", "1 qid:3 3:0.5 7:1 # x\n-1 qid:4 2:1\n0\n"),
        file(dir, Format::Libffm, "a.ffm", "1 0:3:0.5 1:7:1\n0 0:2:1\n1 2:2:2\n"),
        file(dir, Format::Movielens, "ratings.csv", "userId,movieId,rating,timestamp\n1,2,3,4\n1,3,3.5,4\n"),
        file(dir, Format::Ncf, "a.train.rating", ncf),
        file(dir, Format::Jsonl, "a.jsonl", json),
        file(dir, Format::Parquet, "a.parquet", parquet),
        text("schema.toml", schema, |text| drop(Schema::from_toml(text, "schema.toml"))),
        text("encoder.json", encoder, |text| {
            let Ok(encoder) = serde_json::from_str::<Encoder>(text) else { return };
            let _ = encoder.layout();
        }),
        text("config.toml", config, |text| {
            let Ok(config) = RunConfig::load(text, "config.toml", &[], &mut Vec::new()) else { return };
            let _ = config.check();
            // What is read can be written.
            let _ = config.to_toml();
        }),
    ]
}

/// Tries so many mutations; the names of inputs that panicked or took too long, which are kept in `dir`.
fn tried(kind: Kind, number: usize, dir: &Path) -> Vec<String> {
    let (begun, wait) = mpsc::channel::<(usize, Vec<u8>)>();
    let (name, seed) = (kind.name, kind.seed);
    let worker = std::thread::spawn(move || {
        let (mut random, mut panicked) = (Random(name.len() as u64 + seed.len() as u64), Vec::new());
        for input in 0..number {
            let bytes = if input == 0 { seed.clone() } else { mutated(&seed, &mut random) };
            if begun.send((input, bytes.clone())).is_err() {
                break;
            }
            if catch_unwind(AssertUnwindSafe(|| (kind.read)(&bytes))).is_err() {
                panicked.push((input, bytes));
            }
        }
        panicked
    });
    let keep = |input: usize, bytes: &[u8], what: &str| {
        let path = dir.join(format!("{what}-{input}-{name}"));
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let mut last = (0, Vec::new());
    loop {
        match wait.recv_timeout(LONGEST) {
            Ok(next) => last = next,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            // The thread is left behind.
            Err(mpsc::RecvTimeoutError::Timeout) => return vec![keep(last.0, &last.1, "hang")],
        }
    }
    let panicked = worker.join().expect("panics are caught");
    panicked.iter().map(|(input, bytes)| keep(*input, bytes, "panic")).collect()
}

/// The most memory that this process has had, in bytes, where the system says.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().trim_end_matches(" kB").parse::<u64>().ok()?)
}

#[test]
fn whatever_the_bytes_reading_ends() {
    let asked = std::env::var("DLRM_FUZZED").ok().map(|text| text.parse().expect("DLRM_FUZZED: a number"));
    let dir = tempfile::tempdir().unwrap();
    // What fails is kept, to be looked at.
    let failed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzzed");
    fs::create_dir_all(&failed).unwrap();
    let mut all = Vec::new();
    for kind in kinds(dir.path()) {
        let (name, number) = (kind.name, asked.unwrap_or(FEW));
        let found = tried(kind, number, &failed);
        println!("{name}: {number} inputs, {} failed", found.len());
        all.extend(found);
    }
    assert!(all.is_empty(), "{} inputs fail:\n{}", all.len(), all.join("\n"));
    if let (Some(_), Some(peak)) = (asked, peak()) {
        println!("memory: at most {} MB", peak >> 20);
        assert!(peak < MOST, "{} MB of memory", peak >> 20);
    }
}
