//! A directory with input files in which a program runs, and checksums of what it leaves.
use super::cases::What;
use crate::common::copy;
use dlrm::kernels::isa::Isa;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xxhash_rust::xxh3::xxh3_64;

/// What a case leaves.
pub(super) enum Found {
    /// Checksums by artefact.
    Sums(Vec<(String, String)>),
    /// Nothing, for this reason.
    Skipped(String),
}

/// Input files, and the program.
pub(super) struct Place {
    dir: tempfile::TempDir,
    program: PathBuf,
    isa: Isa,
}

/// Keys of the configuration whose name is `.1` in older programs.
const FORMER: [(&str, &str); 2] =
    [("data.negative_downsampling_rate", "data.negative_share"), ("data.loading", "data.residence")];

/// Leaves scores as training made them, as programs did that do not know the key.
const RAW: &str = "--set calibration=none";

/// Lines of JSON files with these keys depend on the clock, the machine or the version; the configuration has
/// a sum of its own.
const UNSTABLE: [&str; 12] = [
    "checksum",
    "command",
    "config_toml",
    "dlrm",
    "dlrm_version",
    "inference_rows_per_second",
    "memory_bytes",
    "peak_bytes",
    "rows_per_second",
    "seconds",
    "seconds_to_best",
    "threads",
];

/// How the models of [`What::Model`] are trained.
const MODEL: &str = "train rows.csv --schema rows.toml --epochs 2 --batch-size 64 --no-baseline -q";

impl Place {
    /// Writes the input files.
    pub(super) fn new(program: &Path, isa: Isa) -> Self {
        let place = Place {
            dir: tempfile::tempdir().expect("a scratch directory"),
            program: program.to_owned(),
            isa,
        };
        for (name, text) in inputs() {
            place.write(name, &text);
        }
        place.public_data();
        place.print("-q generate clicks --rows 1500 -o clicks");
        place.print("-q generate clicks --rows 300 --seed 9 -o later");
        place.print("-q prepare clicks/clicks.tsv --split order -o prepared");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("an input file");
    }

    /// Copies what is used of the public data sets that are there.
    fn public_data(&self) {
        let Some(from) = std::env::var_os("DLRM_DATA").filter(|dir| !dir.is_empty()).map(PathBuf::from)
        else {
            return;
        };
        if from.join("movielens-100k").exists() {
            copy(&from.join("movielens-100k"), &self.path("movielens-100k"));
        }
        if let Ok(text) = fs::read_to_string(from.join("criteo-kaggle-sample/train_first10000.txt")) {
            self.write("criteo-kaggle-sample/rows.txt", &first(&text, 3000));
        }
        let ncf = |name: &str| fs::read_to_string(from.join("movielens-1m-ncf").join(name));
        if let (Ok(train), Ok(test)) = (ncf("ml-1m.train.rating"), ncf("ml-1m.test.negative")) {
            // The first users; the files are in their order.
            let users = 40;
            let of_them = |line: &&str| {
                line.split('\t')
                    .next()
                    .and_then(|user| user.parse().ok())
                    .is_some_and(|user: usize| user < users)
            };
            let train: String = train.lines().filter(of_them).map(|line| format!("{line}\n")).collect();
            self.write("movielens-1m-ncf/ml-1m.train.rating", &train);
            self.write("movielens-1m-ncf/ml-1m.test.negative", &first(&test, users));
            self.write("movielens-1m-ncf/ncf.toml", &RANKING.replace("\"x.", "\"movielens-1m-ncf/ml-1m."));
        }
    }

    /// Runs the program, which must succeed; what it prints.
    fn print(&self, line: &str) -> String {
        let ran = |line: &str| {
            let mut command = Command::new(&self.program);
            command
                .args(line.split_whitespace())
                .args(["--threads", "2", "--isa", self.isa.level().name()])
                .current_dir(self.dir.path());
            command.env("NO_COLOR", "1").env_remove("DLRM_ISA");
            let output = command.output().expect("the program starts");
            let [out, err] =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
            if output.status.success() { Ok(out) } else { Err(format!("dlrm {line}\n{err}")) }
        };
        let former =
            FORMER.iter().fold(line.replace(RAW, ""), |line, (now, former)| line.replace(now, former));
        ran(line)
            .or_else(|error| if former == line { Err(error) } else { ran(&former) })
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs a case.
    pub(super) fn run(&self, case: &str, what: &What) -> Found {
        let data = ["movielens-100k", "movielens-1m-ncf", "criteo-kaggle-sample"]
            .into_iter()
            .find(|data| case.starts_with(data));
        if let Some(data) = data.filter(|data| !self.path(data).exists()) {
            return Found::Skipped(format!("DLRM_DATA names no directory with {data}"));
        }
        if case.contains("bf16 products") && self.isa.has_bf16() {
            return Found::Skipped("this processor adds products of bf16 in an order of its own".into());
        }
        let out = case.replace([' ', ','], "-");
        Found::Sums(match what {
            What::Demo(args) => {
                self.print(&format!("demo -q {args} -o {out}"));
                self.trained(&out, &format!("{out}/sample.csv"))
            }
            What::Model(args) => {
                self.print(&format!("{MODEL} {RAW} -o {out} {args}"));
                self.trained(&out, "rows.csv")
            }
            What::Train(args, rows) => {
                self.print(&format!("train -q {RAW} -o {out} {args}"));
                self.trained(&out, rows)
            }
            What::Compare(args) => {
                self.print(&format!("compare -q {RAW} -o {out} {args}"));
                vec![("compare.json".into(), sum(lasting(&self.read(&format!("{out}/compare.json")))))]
            }
            What::Files(lines) => {
                lines.iter().for_each(|line| drop(self.print(&format!("{line} -q -o {out}"))));
                let files = files(&self.path(&out)).into_iter().filter(|(name, _)| !name.starts_with('.'));
                files.map(|(name, bytes)| (without_sum(&name), sum(bytes))).collect()
            }
            What::Prints(lines) => {
                let printed = lines
                    .iter()
                    .enumerate()
                    .map(|(i, line)| (format!("output {}", i + 1), sum(self.print(line))));
                printed.collect()
            }
        })
    }

    /// Checksums of a trained model, of its report and of its scores of `rows`.
    fn trained(&self, out: &str, rows: &str) -> Vec<(String, String)> {
        let model = |name: &str| self.read(&format!("{out}/model/{name}"));
        let mut golden: Value = serde_json::from_slice(&model("golden.json")).expect("JSON");
        // AVX2 and AVX-512 differ in nothing but their names.
        golden.as_object_mut().expect("an object").remove("isa");
        let config = String::from_utf8(model("config.toml")).expect("UTF-8");
        let printed = |lines: &[&str]| {
            lines.iter().map(|line| self.print(&format!("{line} {out} {rows}"))).collect::<String>()
        };
        let sums = [
            ("weights.safetensors", sum(model("weights.safetensors"))),
            ("encoder.json", sum(model("encoder.json"))),
            ("metrics.json", sum(model("metrics.json"))),
            ("golden.json", sum(golden.to_string())),
            ("config.toml", sum(settings(&config))),
            ("report.json", sum(lasting(&self.read(&format!("{out}/report.json"))))),
            ("predict", sum(printed(&["predict -q", "predict -q --json"]))),
            ("evaluate", sum(printed(&["evaluate -q --json"]))),
        ];
        sums.map(|(name, sum)| (name.to_owned(), sum)).into()
    }
}

/// The name of a file of a prepared data set without the checksum in it, which says what the file's own does.
fn without_sum(name: &str) -> String {
    let parts = name.rsplit_once('.').and_then(|(stem, end)| Some((stem.rsplit_once('-')?, end)));
    match parts {
        Some(((stem, sum), end)) if sum.len() == 16 => format!("{stem}.{end}"),
        _ => name.to_owned(),
    }
}

fn sum(bytes: impl AsRef<[u8]>) -> String {
    format!("{:016x}", xxh3_64(bytes.as_ref()))
}

/// Sections of reports that came after the table was made, and tests of their own.
const LATER: [&str; 2] = ["calibrated", "importance"];
/// Stages of runs that did.
const LATER_STAGES: [&str; 1] = ["explain"];

/// The lines of a JSON file that data and configuration alone decide.
fn lasting(json: &[u8]) -> String {
    let (mut facts, mut later) = (false, None);
    let mut kept = String::new();
    for line in std::str::from_utf8(json).expect("UTF-8").lines() {
        let start = line.trim_start();
        let key = start.strip_prefix('"').and_then(|rest| rest.split_once("\":")).map(|(key, _)| key);
        let indent = line.len() - start.len();
        if later.is_some() {
            later = later.filter(|&begun| begun != indent);
            continue;
        }
        if key.is_some_and(|key| LATER.contains(&key)) && line.ends_with('{') {
            later = Some(indent);
            continue;
        }
        if LATER_STAGES.iter().any(|stage| start == format!("\"name\": \"{stage}\",")) {
            // Its brace is already there.
            kept.truncate(kept.trim_end().len() - 1);
            kept.truncate(kept.trim_end_matches(' ').len());
            later = Some(indent - 2);
            continue;
        }
        // Versions and instruction set of the run.
        facts = key == Some("facts") || facts && !start.starts_with(']');
        if !facts && !key.is_some_and(|key| UNSTABLE.contains(&key)) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The settings of a configuration in alphabetical order, by the newest names of their keys.
fn settings(text: &str) -> String {
    fn walk(path: &str, value: &toml::Value, found: &mut BTreeMap<String, String>) {
        match value {
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| walk(&format!("{path}.{key}"), value, found))
            }
            toml::Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| walk(&format!("{path}.{i:03}"), item, found))
            }
            value => drop(found.insert(path[1..].to_owned(), value.to_string())),
        }
    }
    let mut found = BTreeMap::new();
    walk("", &toml::Value::Table(toml::from_str(text).expect("TOML")), &mut found);
    found.remove("calibration");
    for (now, former) in FORMER {
        if let Some(value) = found.remove(former) {
            found.insert(now.to_owned(), value);
        }
    }
    found.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

/// Name and bytes of the files below a directory, in order; of JSON what lasts.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            let bytes = fs::read(&path).expect("a file");
            let is_json = name.ends_with(".json");
            found.insert(name, if is_json { lasting(&bytes).into_bytes() } else { bytes });
        }
    }
    found
}

fn first(text: &str, lines: usize) -> String {
    text.lines().take(lines).map(|line| format!("{line}\n")).collect()
}

/// Names and texts of the input files, which no later change of the program reaches.
fn inputs() -> [(&'static str, String); 9] {
    let (rows, svm) = rows(1500);
    let ratings =
        (0..1200).map(|i| format!("u{},i{},{}\n", i % 37, i * i % 23, 1 + (i % 37 + i * i % 23) % 5));
    let trace = (0u64..2000).map(|i| format!("{} ", i * i % 97));
    let (taken, candidates) = interactions();
    [
        ("rows.csv", rows),
        ("rows.svm", svm),
        ("rows.toml", ROWS.into()),
        ("ratings.csv", format!("user,item,rating\n{}", ratings.collect::<String>())),
        ("ratings.toml", RATINGS.into()),
        ("trace.txt", trace.collect()),
        ("x.train.rating", taken),
        ("x.test.negative", candidates),
        ("ranking.toml", RANKING.into()),
    ]
}

/// Rows with every kind of column, of which some tell of the click, as CSV; a few of their values as libsvm.
fn rows(count: usize) -> (String, String) {
    let (mut csv, mut svm) =
        ("click,weight,time,age,price,site,user,friend,tags,likes,page\n".to_owned(), String::new());
    let mut state = 7u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for row in 0..count {
        let (site, user, friend, age, page) =
            (below(7), below(40).min(below(40)), below(40), below(50), below(300));
        let chosen: Vec<u64> = (0..5).filter(|_| below(3) == 0).collect();
        let click = u64::from(below(10) + 2 * (site % 3) + user % 4 + 2 * chosen.len() as u64 > 10);
        let price = if below(12) == 0 {
            String::new()
        } else {
            format!("{}.{:02}", below(90) * below(9), below(100))
        };
        let tags: Vec<&str> =
            chosen.iter().map(|&tag| ["red", "green", "blue", "grey", "pink"][tag as usize]).collect();
        let likes: Vec<String> =
            chosen.iter().map(|like| format!("l{}:{}.5", like * 3 + site, like)).collect();
        let (weight, time) = (1 + below(3), 1000 + row as u64 * 3 + below(50));
        let (tags, likes) = (tags.join("|"), likes.join("|"));
        csv.push_str(&format!(
            "{click},{weight},{time},{age}.5,{price},s{site},u{user},u{friend},{tags},{likes},p{page}\n"
        ));
        svm.push_str(&format!("{click} {}:1 {}:1 60:0.{age:02}\n", 1 + site, 10 + user));
    }
    (csv, svm)
}

const ROWS: &str = r#"
weight = "weight"
time = "time"
label = { column = "click" }
dense = [
  { name = "age", clip_quantiles = [0.05, 0.95] },
  { name = "price", transform = "log1p", missing_indicator = true },
]
categorical = [
  { name = "user", table = "people" },
  { name = "friend", table = "people" },
  { name = "site", encoding = { kind = "vocabulary", min_count = 2 } },
  { name = "tags", multi = { separator = "|" }, pooling = "mean" },
  { name = "likes", multi = { separator = "|", weight_separator = ":" } },
  { name = "page", encoding = { kind = "hash", buckets = 64, seed = 3 } },
]
"#;

const RATINGS: &str = r#"
label = { column = "rating", task = "rating" }
categorical = [{ name = "user" }, { name = "item" }]
"#;

/// Ranking among candidates, trained on what was taken.
const RANKING: &str = r#"
[input]
paths = ["x.train.rating"]
[data]
test = ["x.test.negative"]
validation = ["x.test.negative"]
split = { kind = "random", validation = 0.0, test = 0.0 }
negatives = { per_positive = 4, user = "user_id", item = "item_id" }
[model]
kind = "mf"
dim = 4
[train]
epochs = 3
batch_size = 64
monitor = "ndcg_at_10"
patience = 0
table_optimizer = { kind = "adam_lazy", lr = 0.02 }
"#;

/// Twenty users of two tastes and what they took of forty items; for each a further one among nineteen that
/// the user would not take.
fn interactions() -> (String, String) {
    let (mut taken, mut candidates) = (String::new(), String::new());
    for user in 0..20 {
        let item = |n: usize| 2 * n + user % 2;
        (0..19)
            .filter(|n| *n != user / 2)
            .for_each(|n| taken.push_str(&format!("{user}\t{}\t5\t{n}\n", item(n))));
        let others: Vec<String> = (0..19).map(|n| (2 * n + 1 - user % 2).to_string()).collect();
        candidates.push_str(&format!("({user},{})\t{}\n", item(user / 2), others.join("\t")));
    }
    (taken, candidates)
}
