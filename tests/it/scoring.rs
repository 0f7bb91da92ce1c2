//! What a trained model is asked about and where its answers go: standard input, ids, files, prepared data
//! sets.
use crate::common::{command, copy, demo, demo_copy, fails, finished, piped, scratch, works};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

const USAGE: i32 = 2;
const DATA: i32 = 3;
const RESOURCES: i32 = 5;
const SAMPLE: &str = "runs/demo/sample.csv";

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn rows_of_standard_input_score_as_those_of_a_file() {
    let dir = demo();
    let text = fs::read(dir.join(SAMPLE)).unwrap();
    let expected = works(dir, &["predict", "runs/demo", SAMPLE]).out;
    assert_eq!(piped(dir, &["predict", "runs/demo", "-"], &text).out, expected);
    let packed = gzip_of(&text);
    assert_eq!(piped(dir, &["predict", "runs/demo", "-"], &packed).out, expected, "packed by gzip");
    let tabs = String::from_utf8(text.clone()).unwrap().replace(',', "\t");
    let ran = piped(dir, &["predict", "runs/demo", "-"], tabs.as_bytes());
    assert_eq!(ran.out, expected, "another delimiter is detected: {}", ran.err);
    // The same rows as JSON lines.
    let text_of = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
    let lines = String::from_utf8(text.clone()).unwrap();
    let (names, rows) = lines.split_once('\n').unwrap();
    let object = |row: &str| {
        let fields = text_of(names).into_iter().zip(text_of(row).into_iter().map(Value::String));
        format!("{}\n", Value::Object(fields.collect()))
    };
    let objects: String = rows.lines().map(object).collect();
    let ran = piped(dir, &["predict", "runs/demo", "-"], objects.as_bytes());
    assert_eq!(ran.out, expected, "JSON lines are detected: {}", ran.err);
    for args in [&["evaluate", "runs/demo"][..], &["explain", "runs/demo", "--repeats", "1"]] {
        let file = works(dir, &[args, &["--json", SAMPLE]].concat()).out;
        assert_eq!(piped(dir, &[args, &["--json", "-"]].concat(), &text).out, file, "{args:?}");
    }
    // Malformed rows are told by their place in what came in.
    let broken = [&text[..], b"1,2\n"].concat();
    let ran = piped(dir, &["predict", "runs/demo", "-"], &broken);
    ran.failed(&["-"], DATA, &["standard input:302", "fields", "--max-bad-rows"]);
}

/// `text` packed by gzip, in stored blocks: no packer is needed for that.
fn gzip_of(text: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let blocks: Vec<&[u8]> = text.chunks(60_000).collect();
    for (i, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        packed.push(u8::from(i + 1 == blocks.len()));
        packed.extend(length.to_le_bytes());
        packed.extend((!length).to_le_bytes());
        packed.extend(*block);
    }
    let crc = text.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    packed.extend((!crc).to_le_bytes());
    packed.extend((text.len() as u32).to_le_bytes());
    packed
}

/// As of a shell's `<(…)`.
#[cfg(unix)]
#[test]
fn rows_of_a_pipe_with_a_name() {
    let dir = demo_copy();
    let line = format!(
        "mkfifo rows; (cat {SAMPLE} > rows &); exec {} predict runs/demo rows",
        env!("CARGO_BIN_EXE_dlrm")
    );
    let ran = finished(
        std::process::Command::new("sh").args(["-c", &line]).current_dir(dir.path()).output().unwrap(),
    );
    assert_eq!(
        (ran.code, &ran.out),
        (0, &works(dir.path(), &["predict", "runs/demo", SAMPLE]).out),
        "{}",
        ran.err
    );
}

#[test]
fn standard_input_that_cannot_be_used() {
    let dir = demo();
    let predict = ["predict", "runs/demo", "-"];
    let refused = |bytes: &[u8], code: i32, parts: &[&str]| {
        piped(dir, &predict, bytes).failed(&predict, code, parts);
    };
    refused(b"", DATA, &["standard input", "an empty file"]);
    refused(b"PAR1........PAR1", DATA, &["standard input", "found Parquet", "write it to a file first"]);
    refused(b"a,b\n1,2\n", DATA, &["standard input", "a column"]);
    refused(
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\xce",
        DATA,
        &["standard input", "truncated", "came to its end"],
    );
    let args = ["predict", "runs/demo", SAMPLE, "-"];
    piped(dir, &args, b"").failed(&args, USAGE, &["read only once alone", "cat a.csv -"]);
    // What reads its rows more than once cannot do so from a pipe.
    fails(dir, &["train", "-", "--label", "click"], DATA, &["standard input", "> rows.csv"]);
}

#[test]
fn ids_stand_before_the_predictions() {
    let dir = demo_copy();
    let dir = dir.path();
    let header = read(dir, SAMPLE).lines().next().unwrap().to_owned();
    let [user, price] = ["user_id", "price"].map(|name| header.split(',').position(|c| c == name).unwrap());
    let plain = works(dir, &["predict", "runs/demo", SAMPLE]).out;
    let both = works(dir, &["predict", "runs/demo", SAMPLE, "--id", "user_id,price", "--logits"]).out;
    assert_eq!(
        both,
        works(dir, &["predict", "runs/demo", SAMPLE, "--id=user_id", "--id=price", "--logits"]).out
    );
    assert_eq!(both.lines().next(), Some("user_id,price,probability,logit"));
    for ((row, plain), found) in read(dir, SAMPLE).lines().zip(plain.lines()).zip(both.lines()).skip(1) {
        let (row, found): (Vec<&str>, Vec<&str>) = (row.split(',').collect(), found.split(',').collect());
        assert_eq!(found[..3], [row[user], row[price], plain]);
        let logit: f64 = found[3].parse().unwrap();
        let probability: f64 = plain.parse().unwrap();
        assert!((1.0 / (1.0 + (-logit).exp()) - probability).abs() < 1e-6, "{found:?}");
    }
    // A malformed row keeps its ids where its fields can be told apart, and its place in any case.
    let mut rows: Vec<String> = read(dir, SAMPLE).lines().take(4).map(str::to_owned).collect();
    let mut fields: Vec<&str> = rows[2].split(',').collect();
    fields[price] = "dear";
    fields[user] = "\"u,\"\"1\"\"\"";
    rows[2] = fields.join(",");
    rows.insert(3, "half,a,row".into());
    fs::write(dir.join("bad.csv"), rows.join("\n")).unwrap();
    let args = ["predict", "runs/demo", "bad.csv", "--max-bad-rows", "2"];
    let ran = works(dir, &[&args[..], &["--id", "user_id"]].concat());
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((lines.len(), lines[2], lines[3]), (5, "\"u,\"\"1\"\"\",", ","), "{}", ran.out);
    assert!(ran.err.contains("empty but for their ids"), "{}", ran.err);
    let ran = works(dir, &[&args[..], &["--id", "user_id", "--json"]].concat());
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1], serde_json::json!({"user_id": "u,\"1\"", "probability": null, "logit": null}));
    assert_eq!(lines[2]["user_id"], Value::Null);
    assert!(lines[3]["probability"].is_f64());
    // Without ids nothing has changed.
    let ran = works(dir, &args);
    assert_eq!(ran.out.lines().skip(1).map(str::is_empty).collect::<Vec<_>>(), [false, true, true, false]);
    let ran = works(dir, &[&args[..], &["--json"]].concat());
    assert_eq!(ran.out.lines().nth(1), Some("null"));
}

#[test]
fn ids_that_are_not_there() {
    let dir = demo();
    let predict = ["predict", "runs/demo", SAMPLE];
    for (more, parts) in [
        (&["--id", "user_idd"][..], &["--id", SAMPLE, "\"user_idd\"", "did you mean \"user_id\"?"][..]),
        (&["--id", "session"], &["--id", "\"session\"", "its columns are click, hour"]),
        (&["--id", "user_id,user_id"], &["different names", "\"user_id\" twice"]),
        (&["--id", ""], &["--id", "\"\""]),
    ] {
        fails(dir, &[&predict[..], more].concat(), USAGE, parts);
    }
}

#[test]
fn files_of_each_kind_hold_the_same_scores() {
    let dir = demo_copy();
    let dir = dir.path();
    let printed = works(dir, &["predict", "runs/demo", SAMPLE, "--id", "user_id", "--logits"]).out;
    for name in ["scores.csv", "scores.jsonl", "scores.parquet"] {
        let args = ["predict", "runs/demo", SAMPLE, "--id", "user_id", "--logits", "-o", name];
        let ran = works(dir, &args);
        assert!(ran.out.is_empty() && ran.err.contains("300 rows scored: scores."), "{}", ran.err);
        fails(dir, &args, USAGE, &[name, "expected a new file", "--overwrite"]);
        let ran = works(dir, &[&args[..], &["--overwrite", "--json", "-q"]].concat());
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(told, serde_json::json!({"output": name, "rows": 300, "skipped_rows": 0}));
        assert!(ran.err.is_empty(), "{}", ran.err);
    }
    assert_eq!(read(dir, "scores.csv"), printed);
    let lines = read(dir, "scores.jsonl");
    for (line, printed) in lines.lines().zip(printed.lines().skip(1)) {
        let value: Value = serde_json::from_str(line).unwrap();
        let cells = [&value["probability"], &value["logit"]].map(|cell| cell.as_f64().unwrap().to_string());
        assert_eq!(
            format!("{},{}", value["user_id"].as_str().unwrap(), cells[0]),
            printed.rsplit_once(',').unwrap().0
        );
    }
    // Our own reader is a second opinion on Parquet.
    let schema = "label = { column = \"probability\", task = \"rating\" }\n\
        categorical = [{ name = \"user_id\" }]\ndense = [{ name = \"logit\" }]\n";
    fs::write(dir.join("scores.toml"), schema).unwrap();
    let mean = |name: &str| -> Value {
        let args =
            ["train", name, "--schema", "scores.toml", "--model", "lr", "--overwrite", "-q", "-o", "fit"];
        works(dir, &args);
        serde_json::from_str(&works(dir, &["evaluate", "fit", name, "--json", "-q"]).out).unwrap()
    };
    assert_eq!(mean("scores.parquet")["metrics"], mean("scores.csv")["metrics"]);
    assert!(!names(dir).iter().any(|name| name.contains("partial")), "{:?}", names(dir));
}

#[test]
fn outputs_that_cannot_be() {
    let dir = demo_copy();
    let dir = dir.path();
    let before = read(dir, SAMPLE);
    let predict = ["predict", "runs/demo", SAMPLE, "-o"];
    for (name, code, parts) in [
        ("scores.xlsx", USAGE, &["scores.xlsx", ".csv, .jsonl or .parquet", "\".xlsx\""][..]),
        ("scores", USAGE, &["found none"]),
        ("-", USAGE, &["-o", "leave -o out for standard output"]),
        ("nowhere/scores.csv", RESOURCES, &["nowhere/scores.csv", "nothing can be made"]),
        (SAMPLE, USAGE, &["those that are read", "name a new file"]),
    ] {
        fails(dir, &[&predict[..], &[name, "--overwrite"]].concat(), code, parts);
    }
    fs::create_dir(dir.join("dir.csv")).unwrap();
    fails(dir, &[&predict[..], &["dir.csv"]].concat(), RESOURCES, &["a directory", "name a file in it"]);
    fails(dir, &["predict", "runs/demo", SAMPLE, "--overwrite"], USAGE, &["--output"]);
    fails(dir, &["evaluate", "runs/demo", SAMPLE, "-o", "e.csv"], USAGE, &["-o", "ends in .json", "e.csv"]);
    // A failure on the way leaves what stood there.
    fs::write(dir.join("scores.csv"), "mine").unwrap();
    fs::write(dir.join("bad.csv"), format!("{before}half,a,row\n")).unwrap();
    let args = ["predict", "runs/demo", "bad.csv", "-o", "scores.csv", "--overwrite"];
    fails(dir, &args, DATA, &["bad.csv:302"]);
    assert_eq!((read(dir, "scores.csv"), read(dir, SAMPLE)), ("mine".into(), before));
    assert!(!names(dir).iter().any(|name| name.contains("partial")), "{:?}", names(dir));
}

#[cfg(unix)]
#[test]
fn an_interrupted_prediction_leaves_nothing() {
    let dir = demo_copy();
    let dir = dir.path();
    let args = ["predict", "runs/demo", "-", "-o", "scores.csv"];
    let mut child = command(dir, &args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = fs::read(dir.join(SAMPLE)).unwrap();
    // Enough for the beginning that is looked at; more never comes.
    let rows = &text[text.iter().position(|&byte| byte == b'\n').unwrap() + 1..];
    input.write_all(&text).unwrap();
    (0..40).for_each(|_| input.write_all(rows).unwrap());
    let begun = dir.join(".scores.csv.partial");
    let since = std::time::Instant::now();
    while !begun.exists() {
        assert!(since.elapsed().as_secs() < 60, "{:?}", names(dir));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!begun.exists() && !dir.join("scores.csv").exists(), "{:?}", names(dir));
}

#[test]
fn measures_and_explanations_go_to_files_too() {
    let dir = demo_copy();
    let dir = dir.path();
    for (name, args) in [
        ("measured.json", &["evaluate", "runs/demo", SAMPLE][..]),
        ("worth.json", &["explain", "runs/demo", SAMPLE, "--repeats", "1"]),
        ("rows.jsonl", &["explain", "runs/demo", SAMPLE, "--rows", "2"]),
    ] {
        let printed = works(dir, &[args, &["--json"]].concat()).out;
        let to_file = [args, &["-o", name]].concat();
        assert_eq!(works(dir, &to_file).out, "");
        assert_eq!(read(dir, name), printed, "{args:?}");
        fails(dir, &to_file, USAGE, &[name, "--overwrite"]);
        works(dir, &[&to_file[..], &["--overwrite"]].concat());
    }
    let show = ["show", "runs/demo", "--graph", "graph.svg"];
    works(dir, &show);
    fails(dir, &show, USAGE, &["graph.svg", "--overwrite"]);
    works(dir, &[&show[..], &["--overwrite"]].concat());
    assert!(read(dir, "graph.svg").starts_with("<svg"));
}

/// A directory with a prepared data set, a model trained on it, and its test rows as a file.
fn on_prepared() -> tempfile::TempDir {
    let dir = scratch(900);
    let text = read(dir.path(), "clicks.csv");
    let lines: Vec<&str> = text.lines().collect();
    fs::write(dir.path().join("test.csv"), [&lines[..1], &lines[801..]].concat().join("\n")).unwrap();
    fs::write(dir.path().join("train.csv"), lines[..801].join("\n")).unwrap();
    let split = ["train.csv", "--test", "test.csv", "--schema", "schema.toml"];
    works(dir.path(), &[&["prepare"][..], &split, &["-o", "set", "-q"]].concat());
    // A network whatever the regression has to say.
    let network = ["--epochs", "2", "--set", "train.linear_start=model"];
    works(dir.path(), &[&["train", "set", "-q", "-o", "out"], &network[..]].concat());
    dir
}

#[test]
fn prepared_rows_score_as_the_raw_ones() {
    let dir = on_prepared();
    let dir = dir.path();
    let raw = works(dir, &["predict", "out", "test.csv", "--logits"]).out;
    assert_eq!(works(dir, &["predict", "out", "set", "--logits"]).out, raw);
    assert_eq!(works(dir, &["predict", "out", "set", "--logits", "--part", "test"]).out, raw);
    let measured = works(dir, &["evaluate", "out", "test.csv", "--json"]).out;
    assert_eq!(works(dir, &["evaluate", "out", "set", "--json"]).out, measured);
    let worth = works(dir, &["explain", "out", "test.csv", "--json"]).out;
    assert_eq!(works(dir, &["explain", "out", "set", "--json"]).out, worth);
    let known = works(dir, &["evaluate", "out", "set", "--part", "train"]).out;
    assert!(known.contains("the model was trained on train rows of set"), "{known}");
    let chose = works(dir, &["evaluate", "out", "set", "--part", "validation"]).out;
    assert!(chose.contains("validation rows of set chose the weights"), "{chose}");
    assert!(!chose.contains("was trained on"), "{chose}");
    // A regression is trained on them too, where there are test rows.
    works(dir, &["train", "set", "--model", "lr", "-q", "-o", "lr"]);
    let known = works(dir, &["evaluate", "lr", "set", "--part", "validation"]).out;
    assert!(known.contains("the model was trained on validation rows of set"), "{known}");
}

#[test]
fn prepared_rows_that_a_model_cannot_score() {
    let dir = on_prepared();
    let dir = dir.path();
    for (args, code, parts) in [
        (&["predict", "out", "set", "--id", "user"][..], USAGE, &["--id", "rows of set", "no text"][..]),
        (&["predict", "out", "set", "--format", "csv"], USAGE, &["--format", "prepared data set"]),
        (&["predict", "out", "set", "--part", "tests"], USAGE, &["--part", "\"tests\""]),
        (&["predict", "out", "test.csv", "--part", "test"], USAGE, &["--part", "raw files"]),
        (&["explain", "out", "set", "--row", "1"], USAGE, &["--row", "no text"]),
    ] {
        fails(dir, args, code, parts);
    }
    works(dir, &["prepare", "test.csv", "--schema", "schema.toml", "-o", "other", "-q"]);
    fails(dir, &["predict", "out", "other"], DATA, &["other: encoder of column", "that of the model"]);
    copy(demo(), &dir.join("demo"));
    fails(dir, &["predict", "demo/runs/demo", "set"], DATA, &["set: schema", "that of the model"]);
    works(
        dir,
        &[
            "prepare",
            "train.csv",
            "--schema",
            "schema.toml",
            "-o",
            "all",
            "-q",
            "--set",
            "data.split.kind=order",
            "--set",
            "data.split.test=0",
            "--set",
            "data.split.validation=0",
        ],
    );
    works(dir, &["train", "all", "-q", "-o", "of_all", "--epochs", "1"]);
    fails(dir, &["predict", "of_all", "all"], USAGE, &["--part", "0 of test", "800 of train"]);
    works(dir, &["predict", "of_all", "all", "--part", "train"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let dir = demo();
    let verbs = [
        "demo",
        "inspect",
        "prepare",
        "train",
        "compare",
        "tune",
        "evaluate",
        "predict",
        "explain",
        "show",
        "bench",
        "generate",
        "models",
        "completions",
        "man",
    ];
    let helps = verbs.iter().map(|verb| vec![*verb, "--help"]);
    let others = [
        vec!["--help"],
        vec!["--version"],
        vec!["models"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["predict", "runs/demo", SAMPLE],
        vec!["evaluate", "runs/demo", SAMPLE],
    ];
    for args in helps.chain(others) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ran = finished(command(dir, &args).stdout(full).output().unwrap());
        ran.failed(&args, RESOURCES, &["standard output", "No space left"]);
        // Whoever has seen enough is no fault.
        let mut child = command(dir, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ran = finished(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.contains("error")), (0, false), "{args:?}\n{}", ran.err);
    }
}

#[test]
fn completions_and_manual_pages_know_all_commands() {
    let dir = tempfile::tempdir().unwrap();
    let help = works(dir.path(), &["--help"]).out;
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|verb| !verb.is_empty())
        .collect();
    assert!(verbs.len() >= 15 && verbs.contains(&"predict"), "{verbs:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = works(dir.path(), &["completions", shell]).out;
        for word in verbs.iter().copied().chain(["overwrite", "memory-limit"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = works(dir.path(), &["man"]).out;
    let of_predict = works(dir.path(), &["man", "predict"]).out;
    assert!(verbs.iter().all(|verb| page.contains(verb)) && page.contains("\nExit codes"), "{page}");
    assert!(of_predict.contains("logits") && of_predict.contains("dlrm predict"), "{of_predict}");
    works(dir.path(), &["man", "-o", "pages"]);
    // What stands there is a page of somebody's until they say otherwise.
    fs::write(dir.path().join("pages/dlrm-train.1"), "mine").unwrap();
    fs::remove_file(dir.path().join("pages/dlrm-show.1")).unwrap();
    fails(dir.path(), &["man", "-o", "pages"], USAGE, &["-o", "a new file", "--overwrite"]);
    assert_eq!(read(dir.path(), "pages/dlrm-train.1"), "mine");
    assert!(!dir.path().join("pages/dlrm-show.1").exists(), "all names are looked at first");
    works(dir.path(), &["man", "-o", "pages", "--overwrite"]);
    assert_ne!(read(dir.path(), "pages/dlrm-train.1"), "mine");
    let pages = names(&dir.path().join("pages"));
    for verb in verbs.iter().filter(|&&verb| verb != "help") {
        assert!(pages.contains(&format!("dlrm-{verb}.1")), "{verb}: {pages:?}");
    }
    fails(dir.path(), &["man", "predcit"], USAGE, &["\"predcit\"", "predict"]);
    fails(dir.path(), &["completions", "tcsh"], USAGE, &["tcsh", "bash"]);
}
