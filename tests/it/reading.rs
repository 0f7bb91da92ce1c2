//! What a column, a label or an id is taken for, and what is said of it.
use crate::common::{demo_copy, dlrm, fails, finished, piped, scratch, works};
use std::fs;
use std::path::Path;

/// Input data.
const DATA: i32 = 3;
/// Flags or configuration.
const USAGE: i32 = 2;

fn train<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", file, "--epochs", "1", "--no-baseline", "--model", "lr", "--overwrite", "-o", "run"], more]
        .concat()
}

fn write(dir: &Path, name: &str, header: &str, rows: usize, row: impl Fn(usize) -> String) {
    let rows: String = (0..rows).map(|i| row(i) + "\n").collect();
    fs::write(dir.join(name), format!("{header}\n{rows}")).unwrap();
}

fn schema(dir: &Path, file: &str, more: &[&str]) -> String {
    works(dir, &[&["inspect", file, "--no-estimate", "--overwrite", "-o", "found.toml"], more].concat());
    fs::read_to_string(dir.join("found.toml")).unwrap()
}

#[test]
fn infinite_numbers_are_missing_ones() {
    let dir = scratch(1);
    let x = |i: usize| if i.is_multiple_of(33) { "inf".to_owned() } else { format!("{}.5", i * 7 % 300) };
    write(dir.path(), "inf.csv", "click,x,site", 1000, |i| format!("{},{},s{}", i % 2, x(i), i % 5));
    let found = schema(dir.path(), "inf.csv", &["--label", "click"]);
    assert!(found.contains("[[dense]]") && found.contains("\"inf\""), "{found}");
    let ran = works(dir.path(), &train("inf.csv", &["--label", "click"]));
    assert!(
        ran.err.contains("\"inf\" in 3.1 % of the fields among numbers: taken as missing"),
        "{}",
        ran.err
    );
}

#[test]
fn floats_beyond_the_integers_are_numbers() {
    let dir = scratch(1);
    let x = |i: usize| format!("{}", (i as f64 * 1.37e17).round());
    write(dir.path(), "large.csv", "click,x,site", 1500, |i| format!("{},{},s{}", i % 2, x(i + 1), i % 5));
    let found = schema(dir.path(), "large.csv", &["--label", "click"]);
    assert!(found.contains("[[dense]]\nname = \"x\""), "{found}");
}

#[test]
fn percent_signs_are_said() {
    let dir = scratch(1);
    write(dir.path(), "percent.csv", "click,rate", 400, |i| format!("{},{}.5 %", i % 2, i * 7 % 90));
    let ran = works(dir.path(), &train("percent.csv", &["--label", "click"]));
    let said = "100 % would be numbers if these were written without it (0.5)";
    assert!(ran.err.contains(said), "{}", ran.err);
}

#[test]
fn the_positive_class_and_a_guessed_label_are_said() {
    let dir = scratch(1);
    let outcome = |i: usize| if i.is_multiple_of(3) { "accepted" } else { "rejected" };
    write(dir.path(), "loans.csv", "amount,site,outcome", 600, |i| {
        format!("{},s{},{}", i * 7 % 300, i % 5, outcome(i))
    });
    let ran = works(dir.path(), &train("loans.csv", &[]));
    for said in [
        "label: column \"outcome\", guessed by its name; name another one with --label",
        "label: \"accepted\" of \"outcome\" counts as positive, the rarer of the two texts",
        "(\"rejected\") say so with --positive",
    ] {
        assert!(ran.err.contains(said), "{said}\n{}", ran.err);
    }
    assert!(!ran.err.contains("warning: label"), "{}", ran.err);
    let report = fs::read_to_string(dir.path().join("run/report.json")).unwrap();
    assert!(report.contains("\"label\": \"outcome is \\\"accepted\\\"\""), "{report}");
    let ran = works(dir.path(), &["predict", "run", "loans.csv"]);
    assert!(ran.out.starts_with("probability\n"), "programs look for this name");
    assert!(ran.err.contains("the probability that outcome is \"accepted\""), "{}", ran.err);
    let ran = works(dir.path(), &["evaluate", "run", "loans.csv"]);
    assert!(ran.out.contains("positive: outcome is \"accepted\""), "{}", ran.out);
    // What is said is not said back.
    let ran = works(dir.path(), &train("loans.csv", &["--label", "outcome", "--positive", "rejected"]));
    assert!(!ran.err.contains("label:"), "{}", ran.err);
}

#[test]
fn labels_of_three_numbers_are_said_to_be_a_regression() {
    let dir = scratch(1);
    write(dir.path(), "grades.csv", "x,site,grade", 600, |i| format!("{},s{},{}", i * 7 % 300, i % 5, i % 3));
    let ran = works(dir.path(), &train("grades.csv", &["--label", "grade"]));
    for said in [
        "more than two numbers (\"0\", \"1\", \"2\", …)",
        "a regression",
        "--label-rule, such as \"grade >= 2\"",
    ] {
        assert!(ran.err.contains(said), "{said}\n{}", ran.err);
    }
}

#[test]
fn ids_that_became_floats_are_the_same_ids() {
    let dir = scratch(1);
    let row = |i: usize, user: String| format!("{},{user},s{}", usize::from(i % 40 < 20), i % 3);
    write(dir.path(), "ints.csv", "click,user,site", 800, |i| row(i, format!("{}", 100 + i % 40)));
    write(dir.path(), "floats.csv", "click,user,site", 800, |i| row(i, format!("{}.0", 100 + i % 40)));
    write(dir.path(), "blanks.csv", "click,user,site", 800, |i| row(i, format!("\" {}\"", 100 + i % 40)));
    let found = schema(dir.path(), "ints.csv", &["--label", "click"]);
    assert!(
        found.contains("name = \"user\"\nintegers = true") || found.contains("integers = true"),
        "{found}"
    );
    works(dir.path(), &train("ints.csv", &["--label", "click"]));
    let predict = |file: &str| works(dir.path(), &["predict", "run", file, "--trim", "none"]);
    let (ints, floats, blanks) = (predict("ints.csv"), predict("floats.csv"), predict("blanks.csv"));
    assert_eq!(ints.out, floats.out, "the same ids, the same bits");
    assert_ne!(ints.out, blanks.out);
    assert!(!floats.err.contains("unknown"), "{}", floats.err);
    let said = "warning: column \"user\": 100 % of the values are unknown to the model (0 % of the rows that \
                it was measured on), which knows \"1";
    assert!(blanks.err.contains(said), "{}", blanks.err);
    let ran = works(dir.path(), &["evaluate", "run", "blanks.csv", "--trim", "none"]);
    assert!(ran.err.contains("of the values are unknown to the model"), "{}", ran.err);
    // A model whose schema does not say so keeps its meaning.
    let old = found.replace("integers = true\n", "");
    fs::write(dir.path().join("old.toml"), old).unwrap();
    works(dir.path(), &train("ints.csv", &["--schema", "old.toml"]));
    assert_ne!(predict("floats.csv").out, ints.out);
}

#[test]
fn a_rule_about_numbers_takes_no_text_for_a_click() {
    let dir = scratch(1);
    let label = |i: usize| if i == 300 { "oops".to_owned() } else { format!("{}", i % 2) };
    write(dir.path(), "odd.csv", "x,site,y", 600, |i| format!("{},s{},{}", i * 7 % 300, i % 5, label(i)));
    let rule = ["--label-rule", "y != 0"];
    let parts = ["odd.csv:302:3 (column \"y\"): expected a number for the label rule, found \"oops\""];
    fails(dir.path(), &train("odd.csv", &rule), DATA, &parts);
    let ran = works(dir.path(), &train("odd.csv", &[&rule[..], &["--max-bad-rows", "1"]].concat()));
    assert!(ran.out.contains("1 malformed rows were skipped"), "{}", ran.out);
}

#[test]
fn labels_that_are_read_are_not_called_malformed() {
    let dir = scratch(1);
    let label = |i: usize| if i.is_multiple_of(200) { "1.0".to_owned() } else { format!("{}", i % 2) };
    write(dir.path(), "forms.csv", "x,site,y", 600, |i| format!("{},s{},{}", i * 7 % 300, i % 5, label(i)));
    let ran = works(dir.path(), &train("forms.csv", &["--label", "y"]));
    assert!(!ran.err.contains("malformed"), "{}", ran.err);
}

#[test]
fn numbers_of_columns_are_said_to_be_names() {
    let dir = scratch(1);
    write(dir.path(), "frame.csv", "0,1,2", 300, |i| format!("{},{},s{}", i % 2, i * 7 % 300, i % 5));
    let ran = works(dir.path(), &train("frame.csv", &["--label", "0"]));
    assert!(ran.err.contains("the first line, numbers from 0 on, is taken for the names"), "{}", ran.err);
}

/// The encoder of a prepared data set, whose file is called after its contents.
fn encoder_of(prepared: &Path) -> String {
    let manifest = fs::read_to_string(prepared.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    fs::read_to_string(prepared.join(manifest["encoder_file"].as_str().unwrap())).unwrap()
}

#[test]
fn columns_are_what_is_said_of_them() {
    let dir = scratch(1);
    write(dir.path(), "a.csv", "click,x,hour,w,site", 600, |i| {
        format!("{},{},{},{}.5,s{}", i % 2, i * 7 % 300, i % 300, 1 + i % 3, i % 5)
    });
    let said = ["--ignore", "x", "--categorical", "hour", "--weight", "w"];
    let found = schema(dir.path(), "a.csv", &said);
    assert!(found.contains("weight = \"w\"") && !found.contains("name = \"x\""), "{found}");
    assert!(found.contains("[[categorical]]\nname = \"hour\""), "{found}");
    assert!(!found.contains("[[dense]]"), "{found}");
    works(dir.path(), &train("a.csv", &said));
    works(dir.path(), &[&["prepare", "a.csv", "-o", "prepared", "--quiet"], &said[..]].concat());
    let encoder = encoder_of(&dir.path().join("prepared"));
    assert!(encoder.contains("\"weight\":\"w\""), "{encoder}");
    fails(dir.path(), &train("a.csv", &["--ignore", "sites"]), DATA, &["--ignore", "did you mean \"site\"?"]);
    fails(dir.path(), &train("a.csv", &["--label", "click", "--ignore", "click"]), DATA, &["the label"]);
    fails(dir.path(), &train("a.csv", &["--ignore", "x", "--weight", "x"]), DATA, &["\"x\", named twice"]);
    fails(dir.path(), &["train", "prepared", "--ignore", "x"], USAGE, &["--ignore", "prepared data set"]);
    // Of a schema that is given, too.
    fs::write(dir.path().join("own.toml"), schema(dir.path(), "a.csv", &[])).unwrap();
    works(dir.path(), &train("a.csv", &["--schema", "own.toml", "--ignore", "x,w"]));
    let twice = train("a.csv", &["--schema", "own.toml", "--ignore", "x", "--categorical", "x"]);
    fails(dir.path(), &twice, USAGE, &["\"x\", named twice"]);
    let config = fs::read_to_string(dir.path().join("run/model/config.toml")).unwrap();
    assert!(!config.contains("name = \"x\"") && config.contains("name = \"hour\""), "{config}");
    let limited = works(dir.path(), &["inspect", "a.csv", "--no-estimate", "--memory-limit", "300MB"]);
    assert!(limited.out.contains("600 rows"), "{}", limited.out);
}

#[test]
fn json_lines_are_trained_on_and_scored() {
    let dir = scratch(1);
    let row = |i: usize| {
        let user = if i.is_multiple_of(9) { "null".to_owned() } else { format!("\"u{}\"", i % 20) };
        format!("{{\"click\": {}, \"user\": {user}, \"x\": {}.5}}\n", i.is_multiple_of(2), i * 7 % 300)
    };
    fs::write(dir.path().join("rows.jsonl"), (0..600).map(row).collect::<String>()).unwrap();
    let csv = |i: usize| {
        let user = if i.is_multiple_of(9) { String::new() } else { format!("u{}", i % 20) };
        format!("{},{user},{}.5", u8::from(i.is_multiple_of(2)), i * 7 % 300)
    };
    write(dir.path(), "rows.csv", "click,user,x", 600, csv);
    works(dir.path(), &train("rows.jsonl", &["--label", "click"]));
    let [json, csv] = ["rows.jsonl", "rows.csv"].map(|file| works(dir.path(), &["predict", "run", file]).out);
    assert_eq!(json.lines().count(), 601);
    assert_eq!(json, csv, "the same values");
    let more = row(1).replace('{', "{\"new\": {\"a\": 1}, ");
    fs::write(dir.path().join("more.jsonl"), more).unwrap();
    assert_eq!(
        works(dir.path(), &["predict", "run", "more.jsonl"]).out.lines().count(),
        2,
        "a key that is no column"
    );
    // A key that no row has is no column of missing values.
    let renamed = row(1).replace("\"user\"", "\"users\"");
    fs::write(dir.path().join("renamed.jsonl"), &renamed).unwrap();
    let parts = ["a column \"user\"", "did you mean \"users\"?"];
    fails(dir.path(), &["predict", "run", "renamed.jsonl"], DATA, &parts);
    let streamed = ["predict", "run", "-"];
    piped(dir.path(), &streamed, renamed.as_bytes()).failed(&streamed, DATA, &parts);
    works(dir.path(), &["predict", "run", "renamed.jsonl", "--columns", "click,user,x"]);
    let nested = row(1).replace("\"x\": ", "\"x\": {\"a\": 1}, \"y\": ");
    fs::write(dir.path().join("nested.jsonl"), nested).unwrap();
    let parts =
        ["nested.jsonl:1:3 (column \"x\"): expected a single value or a list of them", "keys of their own"];
    fails(dir.path(), &["predict", "run", "nested.jsonl"], DATA, &parts);
}

#[test]
fn nothing_in_a_file_commands_the_terminal() {
    let dir = scratch(1);
    write(dir.path(), "evil.csv", "click,\u{1b}[31mred\u{9b}2J,site", 300, |i| {
        format!("{},{},s{}", i % 2, i * 7 % 300, i % 5)
    });
    for args in [
        &["inspect", "evil.csv", "--no-estimate", "--label", "click"][..],
        &train("evil.csv", &["--label", "click"]),
    ] {
        let ran = works(dir.path(), args);
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\r']), "{text:?}");
        }
    }
    let ran = dlrm(dir.path(), &train("evil.csv", &["--label", "other"]));
    assert!(ran.err.contains("click, \\u001b[31mred\\u009b2J, site"), "{}", ran.err);
    assert!(!ran.err.contains(['\u{1b}', '\u{9b}']), "{:?}", ran.err);
    let ran = works(dir.path(), &["inspect", "evil.csv", "--no-estimate", "--label", "click", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value["profile"]["columns"][1]["name"], "\u{1b}[31mred\u{9b}2J");
}

#[test]
fn the_version_of_a_model_commands_no_terminal_either() {
    let dir = demo_copy();
    let path = dir.path().join("runs/demo/model/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    fs::write(&path, text.replace(&version, "\"\\u001b]0;owned\\u0007\"")).unwrap();
    let ran = dlrm(dir.path(), &["show", "runs/demo"]);
    assert!(!(ran.out.clone() + &ran.err).contains(['\u{1b}', '\u{7}']), "{}{}", ran.out, ran.err);
}

#[cfg(unix)]
#[test]
fn paths_that_are_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = scratch(300);
    let name = OsStr::from_bytes(b"cl\xffcks.csv");
    fs::copy(dir.path().join("clicks.csv"), dir.path().join(name)).unwrap();
    for verb in ["train", "prepare"] {
        let mut command = crate::common::command(dir.path(), &[verb, "--label", "click", "-o", "out"]);
        let ran = finished(command.arg(name).output().unwrap());
        ran.failed(&[verb], USAGE, &["input.paths", "a path in UTF-8", "rename the file"]);
    }
    works(dir.path(), &train("clicks.csv", &["--label", "click"]));
    let mut command = crate::common::command(dir.path(), &["predict", "run"]);
    let ran = finished(command.arg(name).output().unwrap());
    assert_eq!(ran.code, 0, "nothing is kept: {}", ran.err);
    let out = OsStr::from_bytes(b"r\xffn");
    let mut command =
        crate::common::command(dir.path(), &["train", "clicks.csv", "--label", "click", "--json", "-o"]);
    let ran = finished(command.arg(out).output().unwrap());
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

#[test]
fn a_preparation_says_which_pass_it_is_in() {
    let dir = scratch(600);
    let ran = works(
        dir.path(),
        &["prepare", "clicks.csv", "--label", "click", "--split", "order", "-o", "prepared"],
    );
    for said in ["(pass 1 of 3)", "(pass 2 of 3)", "encoding (pass 3 of 3)"] {
        assert!(ran.err.contains(said), "{said}\n{}", ran.err);
    }
    let ran = works(dir.path(), &train("prepared", &[]));
    assert!(
        !ran.err.contains("fitting the encoder") && ran.err.contains("opening the prepared data set"),
        "{}",
        ran.err
    );
}

#[test]
fn the_recipe_of_the_paper_has_the_inputs_of_the_paper() {
    let dir = scratch(1);
    let row = |i: usize| {
        let integers: Vec<String> = (0..13)
            .map(|c| if (i + c).is_multiple_of(4) { String::new() } else { format!("{}", i % 50) })
            .collect();
        let categories: Vec<String> = (0..26).map(|c| format!("{:08x}", i * (c + 1) % 97)).collect();
        format!("{}\t{}\t{}\n", i % 2, integers.join("\t"), categories.join("\t"))
    };
    fs::write(dir.path().join("train.txt"), (0..700).map(row).collect::<String>()).unwrap();
    for recipe in ["recipes/criteo-kaggle.toml", "recipes/section-5.1/dlrm-sgd.toml"] {
        let recipe = format!("{}/{recipe}", env!("CARGO_MANIFEST_DIR"));
        works(
            dir.path(),
            &["prepare", "train.txt", "--config", &recipe, "-o", "prepared", "--overwrite", "--quiet"],
        );
        let encoder = encoder_of(&dir.path().join("prepared"));
        let encoder: dlrm::data::Encoder = serde_json::from_str(&encoder).unwrap();
        let names: Vec<String> = (1..=13).map(|i| format!("I{i}")).collect();
        assert_eq!(encoder.layout().dense, names, "{recipe}");
        assert!(
            encoder.dense().iter().all(|scale| scale.apply(f64::NAN) == 0.0 && scale.apply(1.0) == 2f32.ln())
        );
        let counts = encoder.schema().categorical.iter().map(|column| &column.encoding);
        assert!(counts.clone().all(|encoding| *encoding == dlrm::data::schema::Encoding::vocabulary(1)));
    }
}
