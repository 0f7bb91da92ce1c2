//! Mistakes of the first ten minutes: the message says what is wrong and what to do, and what is no error is
//! said where people look.
use crate::common::{clicks, command, demo_copy, dlrm, fails, finished, scratch, works};
use std::fs;
use std::path::Path;

const USAGE: i32 = 2;
const DATA: i32 = 3;
const SAVED: i32 = 4;
const RESOURCES: i32 = 5;
const DIVERGED: i32 = 6;

/// A scratch directory with `clicks.csv`, and in it a file `name` of what `change` makes of the lines.
fn changed(name: &str, change: impl Fn(usize, &str) -> String) -> tempfile::TempDir {
    let dir = scratch(600);
    let text: String = clicks(600).lines().enumerate().map(|(i, line)| change(i, line) + "\n").collect();
    fs::write(dir.path().join(name), text).unwrap();
    dir
}

/// A short training on `file` into `out`.
fn training<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", file, "--label", "click", "--epochs", "1", "--no-baseline", "-o", "out"], more].concat()
}

/// Trains, which must succeed; the first line of the result.
fn headline(dir: &Path, args: &[&str]) -> String {
    let ran = works(dir, args);
    ran.out.lines().find(|line| !line.is_empty()).unwrap().to_owned()
}

#[test]
fn a_wrong_path_names_the_nearest_and_what_is_there() {
    let dir = scratch(10);
    fs::create_dir(dir.path().join("logs")).unwrap();
    let holds = "this directory holds clicks.csv, logs/, schema.toml";
    fails(
        dir.path(),
        &["train", "click.csv", "--label", "click"],
        RESOURCES,
        &["cannot open click.csv", "did you mean clicks.csv?", holds],
    );
    fails(
        dir.path(),
        &["inspect", "lgos/clicks.csv"],
        RESOURCES,
        &["lgos/clicks.csv", "did you mean logs?", holds],
    );
    fails(dir.path(), &["inspect", "logs/day.csv"], RESOURCES, &["logs/day.csv", "logs is empty"]);
    fails(dir.path(), &training("clicks.csv", &["--test", "tset.csv"]), RESOURCES, &["tset.csv", holds]);
    let args = training("clicks.csv", &["--schema", "shema.toml"]);
    fails(dir.path(), &args, RESOURCES, &["shema.toml", "did you mean schema.toml?"]);
}

#[test]
fn a_model_that_is_not_there_and_a_model_named_last() {
    let dir = demo_copy();
    fails(
        dir.path(),
        &["show", "runs/dmo"],
        SAVED,
        &["runs/dmo", "found nothing", "did you mean runs/demo?"],
    );
    fails(
        dir.path(),
        &["predict", "runs/demo/sample.csv", "runs/demo"],
        SAVED,
        &["found a file", "the model is named first"],
    );
}

#[test]
fn empty_files_and_headers_alone() {
    let dir = demo_copy();
    let header = fs::read_to_string(dir.path().join("runs/demo/sample.csv")).unwrap();
    fs::write(dir.path().join("empty.csv"), "").unwrap();
    fs::write(dir.path().join("header.csv"), header.lines().next().unwrap().to_owned() + "\n").unwrap();
    for command in [&["train"][..], &["inspect"], &["evaluate", "runs/demo"], &["predict", "runs/demo"]] {
        let args = [command, &["empty.csv"]].concat();
        fails(
            dir.path(),
            &args,
            DATA,
            &["empty.csv: expected rows, found an empty file", "hint:", "the program that wrote it"],
        );
    }
    for command in [&["train"][..], &["inspect"], &["evaluate", "runs/demo"]] {
        let args = [command, &["header.csv"]].concat();
        let parts = [
            "header.csv: expected at least one row, found none below the names of the columns, click, ",
            "--header absent",
        ];
        fails(dir.path(), &args, DATA, &parts);
    }
}

#[test]
fn rows_to_measure_without_a_column_or_the_label() {
    let dir = demo_copy();
    let sample = fs::read_to_string(dir.path().join("runs/demo/sample.csv")).unwrap();
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    let without = |column: usize| {
        let keep = |line: &str| {
            let fields = line.split(',').enumerate().filter(|(i, _)| *i != column).map(|(_, field)| field);
            fields.collect::<Vec<_>>().join(",") + "\n"
        };
        sample.lines().map(keep).collect::<String>()
    };
    let names: Vec<&str> = sample.lines().next().unwrap().split(',').collect();
    let label = names.iter().position(|name| *name == "click").unwrap();
    let other = names.iter().rposition(|name| *name != "click").unwrap();
    write("unlabelled.csv", without(label));
    write("narrow.csv", without(other));
    write("semicolons.csv", sample.replace(',', ";"));
    let evaluate = |file: &'static str| ["evaluate", "runs/demo", file];
    let parts =
        ["expected the label column \"click\"", "found columns ", names[other], "delimiter and header"];
    fails(dir.path(), &evaluate("unlabelled.csv"), DATA, &parts);
    works(dir.path(), &["predict", "runs/demo", "unlabelled.csv"]);
    let missing = format!("expected a column \"{}\"", names[other]);
    let parts = [missing.as_str(), "found columns ", "hint:"];
    fails(dir.path(), &evaluate("narrow.csv"), DATA, &parts);
    let args = [&evaluate("semicolons.csv")[..], &["--delimiter", ","]].concat();
    fails(dir.path(), &args, DATA, &["the label column", "is the delimiter another?", "--delimiter \";\""]);
}

#[test]
fn an_output_that_is_a_file() {
    let dir = scratch(60);
    let parts = ["cannot create clicks.csv", "clicks.csv is a file", "a new or empty directory with -o"];
    let to = |out: &'static str| ["train", "clicks.csv", "--label", "click", "-o", out];
    fails(dir.path(), &to("clicks.csv"), RESOURCES, &parts);
    fails(dir.path(), &to("clicks.csv/out"), RESOURCES, &["clicks.csv/out", parts[1], parts[2]]);
    fs::create_dir(dir.path().join("there")).unwrap();
    let inspect = ["inspect", "clicks.csv", "--no-estimate", "-o", "there"];
    fails(
        dir.path(),
        &inspect,
        RESOURCES,
        &["cannot write there", "there is a directory: name a file in it"],
    );
    if cfg!(target_os = "linux") {
        fails(dir.path(), &to("/proc/out"), RESOURCES, &["/proc/out", "nothing can be made in /proc"]);
    }
}

#[test]
fn two_rows() {
    let dir = scratch(1);
    let few = "click,age,site,user\n1,20.5,a,u1\n0,30.5,b,u2\n";
    fs::write(dir.path().join("few.csv"), few).unwrap();
    let ran = works(dir.path(), &training("few.csv", &["--set", "model.kind=lr"]));
    let line = ran.out.lines().find(|line| !line.is_empty()).unwrap();
    assert!(line.starts_with("Nothing says how good LR is: all 2 rows were trained on"), "{}", ran.out);
    assert!(
        ran.out.contains("Name a file of them (--test)") && ran.out.contains("collect more"),
        "{}",
        ran.out
    );
}

#[test]
fn a_constant_label_is_the_headline() {
    let dir = changed("never.csv", |i, line| if i == 0 { line.into() } else { format!("0{}", &line[1..]) });
    let line = headline(dir.path(), &training("never.csv", &[]));
    assert!(line.starts_with("The label \"click\" is 0 in every training row: there is nothing"), "{line}");
    let report = fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    assert!(report.contains("is 0 in every training row"), "the page says so too");
    let ran = works(dir.path(), &["inspect", "never.csv", "--label", "click", "--no-estimate"]);
    let said = "label \"click\": it holds one value only, \"0\"; there is nothing to learn";
    assert!(ran.out.replace("\n      ", " ").contains(said), "{}", ran.out);
    // The schema is given, so no pass looks for its classes before.
    let schema = ["--schema", "schema.toml", "--overwrite"];
    let line = headline(dir.path(), &training("never.csv", &schema));
    assert!(line.starts_with("The label \"click\" is 0 in every training row"), "{line}");
}

#[test]
fn a_positive_value_and_a_rule_that_never_occur() {
    let dir = scratch(60);
    for schema in [&[][..], &["--schema", "schema.toml"]] {
        let parts = [
            "clicks.csv: --positive: expected a value that the label column \"site\" holds, found \"ZZ\"",
            "the column holds \"site",
            " rows)",
        ];
        let args = [&["train", "clicks.csv", "--label", "site", "--positive", "ZZ"], schema].concat();
        fails(dir.path(), &args, DATA, &parts);
        let args = [&["train", "clicks.csv", "--label-rule", "age >= 90"], schema].concat();
        let parts =
            ["--label-rule: expected a rule that some row fulfils", "\"age >= 90\"", "numbers from 20.5 to"];
        fails(dir.path(), &args, DATA, &parts);
    }
    let args = ["inspect", "clicks.csv", "--label", "site", "--positive", "ZZ", "--no-estimate"];
    let ran = works(dir.path(), &args);
    assert!(ran.out.contains("no value of it counts as a click; it holds \"site"), "{}", ran.out);
}

#[test]
fn a_header_that_is_repeated() {
    let dir = changed("joined.csv", |i, line| {
        if i == 300 { format!("{}\n{line}", clicks(0).trim_end()) } else { line.to_owned() }
    });
    let parts = [
        "joined.csv:301: expected a row, found the names of the columns again",
        "remove this line",
        "--max-bad-rows N",
    ];
    fails(dir.path(), &training("joined.csv", &[]), DATA, &parts);
    let ran = works(dir.path(), &training("joined.csv", &["--max-bad-rows", "1"]));
    assert!(ran.out.contains("1 malformed rows were skipped"), "{}", ran.out);
    let ran = works(dir.path(), &["inspect", "joined.csv", "--label", "click", "--no-estimate"]);
    let said = "joined.csv:301: expected a row, found the names of the columns again";
    assert!(ran.out.replace("\n      ", " ").contains(said), "{}", ran.out);
    let twice = clicks(60).replacen("user", "site", 1);
    fs::write(dir.path().join("twice.csv"), twice).unwrap();
    let parts = ["twice.csv:1 (header)", "\"site\" for columns 3 and 4", "--columns A,B,… --header present"];
    fails(dir.path(), &training("twice.csv", &[]), DATA, &parts);
}

#[test]
fn a_decimal_comma() {
    let dir = scratch(1);
    let row = |i: usize| format!("{};{},{:02};s{};u{}\n", i % 2, i * 7 % 900, i % 100, i % 5, i % 31);
    let text = format!("click;price;site;user\n{}", (0..600).map(row).collect::<String>());
    fs::write(dir.path().join("comma.csv"), &text).unwrap();
    let said =
        ["written with a decimal comma, such as \"0,00\"", "written with a point (0.00)", "decimal=\",\""];
    let ran = works(dir.path(), &training("comma.csv", &[]));
    for part in said {
        assert!(ran.err.contains(part) && ran.out.contains(part), "{part}: {}\n{}", ran.err, ran.out);
    }
    let ran = works(dir.path(), &["inspect", "comma.csv", "--no-estimate"]);
    let found = ran.out.replace("\n      ", " ");
    assert!(
        found.contains("warning  price: looks like") && said.iter().all(|part| found.contains(part)),
        "{found}"
    );
    // Where the schema says that the column is a number, it is an error.
    let schema = "label = { column = \"click\" }\ndense = [{ name = \"price\" }]\n";
    fs::write(dir.path().join("numbers.toml"), schema).unwrap();
    let parts =
        ["comma.csv:2:2 (column \"price\")", "a number, found \"0,00\"", "a decimal point, as 508.46"];
    fails(dir.path(), &training("comma.csv", &["--schema", "numbers.toml", "--overwrite"]), DATA, &parts);
    let thousands = text.replace(',', ",0");
    fs::write(dir.path().join("thousands.csv"), thousands).unwrap();
    let ran = works(dir.path(), &["inspect", "thousands.csv", "--no-estimate"]);
    assert!(ran.out.contains("with commas between thousands"), "{}", ran.out);
}

#[test]
fn files_of_formats_that_are_not_read() {
    let dir = scratch(1);
    for (name, bytes, parts) in [
        ("rows.json", &b"[{\"click\": 1},\n{\"click\": 0}]\n"[..], ["found JSON", "pandas.read_json(FILE)"]),
        ("rows.xlsx", b"PK\x03\x04........", ["a zip archive", "save the sheet as CSV"]),
        ("page.csv", b"<!DOCTYPE html>\n<html></html>\n", ["a web page", "may be an error page"]),
        ("picture.png", b"\x89PNG\r\n\x1a\n........", ["a picture", "name the file with the rows"]),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
        for command in ["train", "inspect"] {
            fails(
                dir.path(),
                &[command, name, "--label", "click"],
                DATA,
                &[name, "expected", parts[0], parts[1]],
            );
        }
    }
}

#[test]
fn resuming_what_is_finished_or_with_other_settings() {
    let dir = demo_copy();
    let resume = ["train", "--resume", "-o", "runs/demo"];
    let parts = [
        "runs/demo: expected an unfinished run to resume, found a finished one",
        "dlrm show runs/demo",
        "start again without --resume, with more epochs and --overwrite",
    ];
    fails(dir.path(), &resume, SAVED, &parts);
    fails(dir.path(), &["train", "--resume", "-o", "none"], SAVED, &["none", "interrupted run with -o"]);
    for more in [&["--epochs", "3"], &["--label", "click"], &["--set", "train.seed=1"]] {
        let args = [&resume[..], more].concat();
        let parts = [
            "--resume: expected the settings that the run was started with, found ",
            more[0],
            "start again without --resume",
        ];
        fails(dir.path(), &args, USAGE, &parts);
    }
}

#[test]
fn a_batch_of_more_rows_than_there_are() {
    let dir = scratch(600);
    let ran = works(dir.path(), &training("clicks.csv", &["--batch-size", "100000"]));
    let said = "note: a batch of 100,000 rows is more than there are to train on: each step takes all 4";
    assert!(ran.err.contains(said) && ran.err.contains("--batch-size"), "{}", ran.err);
    let ran = works(dir.path(), &training("clicks.csv", &["--batch-size", "100", "--overwrite"]));
    assert!(!ran.err.contains("a batch of"), "{}", ran.err);
}

#[test]
fn a_rate_that_diverges_names_the_key_and_a_value() {
    let dir = scratch(600);
    let settings = ["--set", "train.optimizer.kind=sgd", "--set", "train.optimizer.lr=1e30"];
    let parts = [
        "training diverged: expected a finite loss, found ",
        "at step ",
        "train.optimizer.lr = 1e30",
        "--set train.optimizer.lr=1e29",
        "--set train.clip_norm=1",
    ];
    fails(dir.path(), &training("clicks.csv", &settings), DIVERGED, &parts);
}

#[test]
fn keys_of_other_tables_and_flags_of_other_programs() {
    let dir = scratch(60);
    for (setting, meant) in [
        ("train.lr=0.1", "--set train.optimizer.lr=0.1"),
        ("train.learning_rate=0.1", "--set train.optimizer.lr=0.1"),
        ("optimizer.lr=0.1", "--set train.optimizer.lr=0.1"),
        ("train.batch=32", "--set train.batch_size=32"),
        ("train.optimizer.lr=0,1", "--set train.optimizer.lr=0.1"),
    ] {
        let key = setting.split('=').next().unwrap();
        fails(dir.path(), &training("clicks.csv", &["--set", setting]), USAGE, &[key, "expected", meant]);
    }
    for (flag, meant) in
        [("--lr", "--set train.optimizer.lr=RATE"), ("--target", "--label"), ("-y", "--label")]
    {
        fails(dir.path(), &["train", "clicks.csv", flag, "1"], USAGE, &[flag, "found", meant]);
    }
}

#[test]
fn numbers_that_are_none() {
    let dir = scratch(60);
    for (flag, value) in
        [("--epochs", "-1"), ("--batch-size", "-5"), ("--seed", "-1"), ("--max-bad-rows", "-2")]
    {
        let found = format!("{flag}: expected a number of 0 or more, found {value}");
        let args = training("clicks.csv", &[]);
        let args = [&args[..4], &[flag, value]].concat();
        fails(dir.path(), &args, USAGE, &[&found, "hint:"]);
    }
    let args = ["train", "clicks.csv", "--epochs", "three"];
    fails(dir.path(), &args, USAGE, &["--epochs: expected a whole number, found \"three\"", "hint:"]);
    let ran = dlrm(dir.path(), &["--json", "train", "clicks.csv", "--epochs", "-1"]);
    let value: serde_json::Value = serde_json::from_str(ran.err.trim()).unwrap();
    assert_eq!(value["exit_code"], ran.code);
}

#[test]
fn rows_that_were_trained_on() {
    let dir = scratch(600);
    let out = dir.path();
    let ran = works(out, &training("clicks.csv", &[]));
    let next = ran.out.lines().find(|line| line.starts_with("next:")).unwrap();
    assert!(!next.contains("evaluate out clicks.csv") && next.contains("dlrm evaluate out FILE"), "{next}");
    // Known under any name.
    fs::copy(out.join("clicks.csv"), out.join("copy.csv")).unwrap();
    let ran = works(out, &["evaluate", "out", "copy.csv"]);
    let line = ran.out.lines().next().unwrap();
    assert!(
        line.starts_with("note: the model was trained on copy.csv: these figures tell what it"),
        "{line}"
    );
    let json = finished(command(out, &["evaluate", "--json", "out", "copy.csv"]).output().unwrap());
    assert!(
        json.err.starts_with("note: the model was trained on") && json.out.starts_with('{'),
        "{}",
        json.err
    );
    // Other rows, and rows given to test with.
    fs::write(out.join("new.csv"), clicks(700)).unwrap();
    let ran = works(out, &["evaluate", "out", "new.csv"]);
    assert!(!ran.out.contains("trained on") && !ran.err.contains("trained on"), "{}", ran.out);
    let ran = works(out, &training("clicks.csv", &["--test", "new.csv", "--overwrite"]));
    assert!(ran.out.contains("dlrm evaluate out new.csv"), "{}", ran.out);
    let ran = works(out, &training("clicks.csv", &["--test", "copy.csv", "--overwrite"]));
    assert!(ran.err.contains("warning: copy.csv: trained on and measured with too"), "{}", ran.err);
    let line = ran.out.lines().find(|line| !line.is_empty()).unwrap();
    assert!(line.starts_with("The test rows were trained on (copy.csv)"), "{line}");
    assert!(ran.out.contains("dlrm evaluate out FILE"), "{}", ran.out);
}

#[test]
fn what_else_goes_wrong_at_first() {
    let dir = scratch(60);
    let base = ["train", "clicks.csv", "--label", "click"];
    let headless: String = clicks(60).lines().skip(1).map(|line| format!("{line}\n")).collect();
    fs::write(dir.path().join("headless.csv"), headless).unwrap();
    let args = ["train", "headless.csv", "--label", "click"];
    fails(dir.path(), &args, DATA, &["headless.csv", "the file names no columns", "--columns A,B,…"]);
    let args = [&base[..], &["--delimiter", ";"]].concat();
    fails(dir.path(), &args, DATA, &["clicks.csv", "is the delimiter another?"]);
    let args = [&base[..], &["--schema", "clicks.csv"]].concat();
    fails(dir.path(), &args, DATA, &["clicks.csv", "TOML", "`dlrm inspect` writes"]);
    let args = [&base[..], &["--config", "clicks.csv"]].concat();
    fails(dir.path(), &args, USAGE, &["clicks.csv", "a configuration is TOML"]);
    let args = [&base[..], &["--cross", "site"]].concat();
    fails(dir.path(), &args, USAGE, &["\"site\"", "two or more", "A,B"]);
    let args = ["train", "clicks.csv", "--label-rule", "click = 1"];
    fails(dir.path(), &args, DATA, &["label rule", "\"click = 1\"", "texts with =="]);
    let args = ["compare", "clicks.csv", "--schema", "schema.toml", "--models", "lr, fm", "--seeds", "1"];
    works(dir.path(), &[&args[..], &["--epochs", "1"]].concat());
}
