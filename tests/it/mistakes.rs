//! Mistakes that people make: each gets an exit code by kind, a message that names the input and what was
//! expected and found, and a hint; none panics, and nothing saved is lost.
use crate::common::{CLICKS_SCHEMA, clicks, demo_copy, dlrm, fails, scratch, works};
use std::fs;

const USAGE: i32 = 2;
const DATA: i32 = 3;
const SAVED: i32 = 4;
const RESOURCES: i32 = 5;
const DIVERGED: i32 = 6;

/// Trains on `clicks.csv` after `change` has been made to its text.
fn spoiled(change: impl Fn(String) -> String, code: i32, parts: &[&str]) {
    let dir = scratch(60);
    let path = dir.path().join("clicks.csv");
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    fails(dir.path(), &["train", "clicks.csv", "--schema", "schema.toml", "-o", "out"], code, parts);
    assert!(!dir.path().join("out/model").exists(), "no model comes of it");
}

#[test]
fn a_mistyped_label_column() {
    let dir = scratch(60);
    fails(
        dir.path(),
        &["train", "clicks.csv", "--label", "clik"],
        DATA,
        &["clicks.csv", "\"clik\"", "did you mean \"click\"?"],
    );
}

#[test]
fn a_label_that_is_no_click() {
    let dir = scratch(60);
    fails(
        dir.path(),
        &["train", "clicks.csv", "--schema", "schema.toml", "--label", "age"],
        DATA,
        &["clicks.csv:2:2", "label of 0 or 1", "--label-rule"],
    );
}

#[test]
fn half_a_row() {
    spoiled(|text| text + "1,30.5,si", DATA, &["clicks.csv:62", "5 fields", "--max-bad-rows"]);
}

#[test]
fn nan_in_a_dense_column() {
    spoiled(
        |text| text + "1,nan,site1,u1,x\n",
        DATA,
        &["clicks.csv:62:2 (column \"age\")", "finite number", "\"nan\"", "missing"],
    );
}

#[test]
fn text_in_a_dense_column() {
    spoiled(
        |text| text + "1,old,site1,u1,x\n",
        DATA,
        &["clicks.csv:62:2 (column \"age\")", "a number", "\"old\""],
    );
}

#[test]
fn an_empty_file() {
    spoiled(|_| String::new(), DATA, &["clicks.csv", "expected"]);
}

#[test]
fn a_header_and_no_rows() {
    spoiled(|text| text.lines().next().unwrap().to_owned() + "\n", DATA, &["clicks.csv", "expected"]);
}

#[test]
fn a_column_of_the_schema_that_is_not_there() {
    spoiled(|text| text.replacen("site", "sight", 1), DATA, &["clicks.csv", "a column \"site\""]);
}

#[test]
fn a_missing_file_and_a_missing_directory() {
    let dir = scratch(60);
    fails(dir.path(), &["train", "nowhere.csv", "--label", "click"], RESOURCES, &["nowhere.csv"]);
    fails(dir.path(), &["train", "no/such/dir", "--format", "movielens"], RESOURCES, &["no/such/dir"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let dir = scratch(60);
    fails(
        dir.path(),
        &["train", "clicks.csv", "--schema", "schema.toml", "-o", "clicks.csv/out"],
        RESOURCES,
        &["clicks.csv/out"],
    );
}

#[test]
fn an_output_that_holds_a_model() {
    let dir = demo_copy();
    fs::write(dir.path().join("clicks.csv"), clicks(60)).unwrap();
    fs::write(dir.path().join("schema.toml"), CLICKS_SCHEMA).unwrap();
    let args = ["train", "clicks.csv", "--schema", "schema.toml", "-o", "runs/demo"];
    fails(dir.path(), &args, USAGE, &["runs/demo", "--overwrite"]);
    works(dir.path(), &["show", "runs/demo"]);
}

#[test]
fn nothing_to_resume() {
    let dir = demo_copy();
    fails(
        dir.path(),
        &["train", "--resume", "-o", "runs/demo"],
        SAVED,
        &["runs/demo", "unfinished run", "--resume"],
    );
}

#[test]
fn a_damaged_model() {
    let dir = demo_copy();
    let path = dir.path().join("runs/demo/model/weights.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, &bytes).unwrap();
    fails(dir.path(), &["show", "runs/demo"], SAVED, &["weights.safetensors", "checksum", "restore it"]);
    fs::write(&path, &bytes[..middle]).unwrap();
    fails(
        dir.path(),
        &["predict", "runs/demo", "runs/demo/sample.csv"],
        SAVED,
        &["weights.safetensors", "bytes"],
    );
    fs::remove_file(&path).unwrap();
    fails(dir.path(), &["show", "runs/demo"], SAVED, &["weights.safetensors", "found none", "restore it"]);
}

#[test]
fn a_model_of_a_newer_version() {
    let dir = demo_copy();
    let path = dir.path().join("runs/demo/model/manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"format_version\": 1", "\"format_version\": 7");
    fs::write(&path, text).unwrap();
    fails(dir.path(), &["show", "runs/demo"], SAVED, &["format version", "7", "newer dlrm"]);
}

#[test]
fn any_cut_or_flip_of_a_model_is_refused() {
    let dir = demo_copy();
    let model = dir.path().join("runs/demo/model");
    for entry in fs::read_dir(&model).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            fails(dir.path(), &["show", "runs/demo"], SAVED, &[]);
        }
        fs::write(&path, &whole).unwrap();
    }
    works(dir.path(), &["show", "runs/demo"]);
}

#[test]
fn not_a_model() {
    let dir = scratch(10);
    fails(dir.path(), &["show", "nowhere"], SAVED, &["nowhere", "dlrm train -o"]);
    fails(dir.path(), &["show", "."], SAVED, &["manifest.json"]);
}

#[test]
fn a_mistyped_flag_and_a_mistyped_command() {
    let dir = scratch(1);
    fails(dir.path(), &["train", "clicks.csv", "--lable", "click"], USAGE, &["--lable", "--label"]);
    fails(dir.path(), &["trian", "clicks.csv"], USAGE, &["trian", "train"]);
    fails(dir.path(), &["train", "clicks.csv", "--threads", "0"], USAGE, &["--threads"]);
}

#[test]
fn an_unknown_format_model_and_split() {
    let dir = scratch(60);
    let base = ["train", "clicks.csv", "--schema", "schema.toml"];
    for (flag, value, hint) in
        [("--format", "cvs", "csv"), ("--model", "gbdt", "dlrm"), ("--split", "rand", "random")]
    {
        let ran = dlrm(dir.path(), &[&base[..], &[flag, value]].concat());
        assert!(
            [USAGE, DATA].contains(&ran.code) && ran.err.contains(value) && ran.err.contains(hint),
            "{}",
            ran.err
        );
    }
}

#[test]
fn an_id_beyond_the_bound() {
    let dir = scratch(60);
    let schema = "label = { column = \"click\" }\ncategorical = [{ name = \"n\", encoding = { kind = \
        \"identity\", bound = 500 } }]\n";
    fs::write(dir.path().join("ids.toml"), schema).unwrap();
    fs::write(dir.path().join("ids.csv"), "click,n\n1,499\n0,500\n").unwrap();
    fails(
        dir.path(),
        &["train", "ids.csv", "--schema", "ids.toml"],
        DATA,
        &["ids.csv:3:2 (column \"n\")", "below the bound 500", "\"500\"", "bound"],
    );
}

#[test]
fn too_little_memory() {
    let dir = scratch(60);
    let args = ["train", "clicks.csv", "--schema", "schema.toml", "-o", "out", "--memory-limit", "10kB"];
    fails(dir.path(), &args, RESOURCES, &["memory", "needs", "available 10.0 kB", "hint:"]);
    fails(dir.path(), &[&args[..7], &["plenty"]].concat(), USAGE, &["plenty", "8GB"]);
}

#[test]
fn a_learning_rate_that_diverges() {
    let dir = scratch(600);
    let args = [
        "train",
        "clicks.csv",
        "--schema",
        "schema.toml",
        "--set",
        "train.optimizer.kind=sgd",
        "--set",
        "train.optimizer.lr=1e30",
    ];
    fails(
        dir.path(),
        &[&args[..], &["-o", "out"]].concat(),
        DIVERGED,
        &["diverged", "step", "learning rate", "the model that is saved is that of step 0"],
    );
    // What the best evaluation before saw is kept, and sound.
    assert_eq!(dlrm(dir.path(), &["evaluate", "out", "clicks.csv"]).code, 0);
}

#[test]
fn malformed_rows_within_and_beyond_the_limit() {
    let dir = scratch(60);
    let path = dir.path().join("clicks.csv");
    let text = fs::read_to_string(&path).unwrap() + "1,nan,site1,u1,x\n0,30.5\n1,30.5,site2,u2,y\n";
    fs::write(&path, text).unwrap();
    let train = |limit: &str, out: &str| {
        dlrm(
            dir.path(),
            &["train", "clicks.csv", "--schema", "schema.toml", "--max-bad-rows", limit, "-o", out],
        )
    };
    let ran = train("1", "out");
    assert_eq!(ran.code, DATA, "{}", ran.err);
    assert!(
        ran.err.contains("clicks.csv:63") && ran.err.contains("more than --max-bad-rows 1"),
        "{}",
        ran.err
    );
    let ran = train("2", "out");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("2 malformed rows were skipped"), "{}", ran.out);
    let listed = fs::read_to_string(dir.path().join("out/bad_rows.txt")).unwrap();
    assert!(listed.contains("clicks.csv:62:2") && listed.contains("clicks.csv:63"), "{listed}");
    assert!(
        listed.contains("\n    1,nan,site1,u1,x\n") && listed.contains("\n    0,30.5\n"),
        "the rows themselves: {listed}"
    );
    for command in ["evaluate", "predict"] {
        let ran = works(dir.path(), &[command, "out", "clicks.csv", "--max-bad-rows", "2"]);
        assert!(
            ran.err.contains("skipped: clicks.csv:62:2") && ran.err.contains("note: 2 malformed rows"),
            "{}",
            ran.err
        );
    }
    let ran = works(dir.path(), &["inspect", "clicks.csv"]);
    assert!(ran.err.contains("skipped: clicks.csv:63"), "{}", ran.err);
}

#[test]
fn rows_to_score_that_lack_a_column() {
    let dir = demo_copy();
    fs::write(dir.path().join("rows.csv"), "user_id,price\nu1,3.5\n").unwrap();
    fails(dir.path(), &["predict", "runs/demo", "rows.csv"], DATA, &["rows.csv", "a column"]);
    fails(dir.path(), &["evaluate", "runs/demo", "rows.csv"], DATA, &["rows.csv", "the label column"]);
}

#[test]
fn a_truncated_gzip_file_and_bytes_that_are_no_text() {
    let dir = scratch(60);
    fs::write(dir.path().join("cut.csv.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0xce]).unwrap();
    fails(dir.path(), &["train", "cut.csv.gz", "--label", "click"], DATA, &["cut.csv.gz"]);
    let mut bytes = clicks(60).into_bytes();
    bytes.extend(b"1,30.5,s\xff,u1,x\n");
    fs::write(dir.path().join("clicks.csv"), bytes).unwrap();
    fails(
        dir.path(),
        &["train", "clicks.csv", "--schema", "schema.toml", "-o", "out"],
        DATA,
        &["clicks.csv:62", "UTF-8"],
    );
}

#[test]
fn errors_are_json_where_asked() {
    let dir = scratch(60);
    let ran = dlrm(dir.path(), &["--json", "train", "nowhere.csv", "--label", "click"]);
    let value: serde_json::Value = serde_json::from_str(ran.err.trim()).unwrap();
    assert_eq!(value["exit_code"], ran.code);
    assert!(value["error"].as_str().unwrap().contains("nowhere.csv"));
}

#[test]
fn models_that_cannot_be_compared() {
    let dir = scratch(60);
    fn compare<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["compare", "clicks.csv", "--schema", "schema.toml"][..], more].concat()
    }
    fails(
        dir.path(),
        &compare(&["--models", "lr,deepmf"]),
        USAGE,
        &["--models", "\"deepmf\"", "did you mean \"deepfm\"?"],
    );
    fails(dir.path(), &compare(&[]), USAGE, &["nothing to compare", "--models"]);
    fails(dir.path(), &compare(&["--models", "lr", "-o", "clicks.csv/out"]), RESOURCES, &["clicks.csv/out"]);
    fs::write(dir.path().join("a.toml"), "[model]\nkind = \"lr\"\n").unwrap();
    fs::write(dir.path().join("b.toml"), "[data]\nmax_bad_rows = 3\n").unwrap();
    fails(dir.path(), &compare(&["--config", "a.toml", "b.toml"]), USAGE, &["b.toml", "a.toml", "extends"]);
}

#[test]
fn a_model_that_diverges_does_not_spoil_a_comparison() {
    let dir = scratch(200);
    for (name, rate) in [("wild", "1e30"), ("tame", "0.01")] {
        let config = format!(
            "[model]\nkind = \"fm\"\n[train]\nepochs = 2\noptimizer = {{ kind = \"sgd\", lr = {rate} }}\n"
        );
        let tables = format!(
            "table_optimizer = {{ kind = \"sgd\", lr = {rate} }}\nlinear_optimizer = {{ kind = \"sgd\", lr = \
                {rate} }}\n"
        );
        fs::write(dir.path().join(format!("{name}.toml")), config + &tables).unwrap();
    }
    let compare =
        ["compare", "clicks.csv", "--schema", "schema.toml", "--seeds", "1", "-o", "out", "--config"];
    let ran = dlrm(dir.path(), &[&compare[..], &["wild.toml", "tame.toml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("warning: wild, seed 0: diverged at step"), "{}", ran.err);
    assert!(ran.out.contains("wild is left out: with seed 0 it diverged at step"), "{}", ran.out);
    assert!(ran.out.lines().any(|line| line.starts_with("tame")), "{}", ran.out);
    fails(dir.path(), &[&compare[..], &["wild.toml"]].concat(), DIVERGED, &["diverged", "learning rate"]);
}

#[test]
fn a_model_of_nan_is_not_saved() {
    let dir = scratch(200);
    let settings = [
        "train.optimizer.kind=sgd",
        "train.optimizer.lr=1e30",
        "train.linear_start=model",
        "train.epochs=1",
        "data.split.validation=0",
        "data.split.test=0",
    ];
    let mut args = vec![
        "train",
        "clicks.csv",
        "--schema",
        "schema.toml",
        "--no-baseline",
        "--batch-size",
        "200",
        "-o",
        "out",
    ];
    settings.iter().for_each(|s| args.extend(["--set", s]));
    fails(dir.path(), &args, DIVERGED, &["diverged", "learning rate"]);
    assert!(!dir.path().join("out/model").exists());
}

#[test]
fn flags_that_resuming_would_ignore() {
    let dir = scratch(60);
    fails(dir.path(), &["train", "--resume", "--epochs", "3", "-o", "out"], USAGE, &["--resume", "--epochs"]);
}

#[test]
fn one_bad_label_among_many_is_a_bad_row() {
    let dir = scratch(600);
    let text = fs::read_to_string(dir.path().join("clicks.csv")).unwrap();
    for odd in ["2", "oops"] {
        fs::write(dir.path().join("clicks.csv"), format!("{text}{odd},30.5,site1,u1,x\n")).unwrap();
        let args = [
            "train",
            "clicks.csv",
            "--label",
            "click",
            "--epochs",
            "1",
            "--quiet",
            "--overwrite",
            "-o",
            "out",
        ];
        fails(
            dir.path(),
            &args,
            DATA,
            &["clicks.csv:602:1 (column \"click\")", "a label of 0 or 1", odd, "--max-bad-rows"],
        );
        let ran = works(dir.path(), &[&args[..], &["--max-bad-rows", "1"]].concat());
        assert!(ran.out.contains("1 malformed rows were skipped"), "{}", ran.out);
    }
    // Of two texts, a third one.
    let words = text.replace("\n1,", "\nyes,").replace("\n0,", "\n no ,");
    fs::write(dir.path().join("clicks.csv"), words.clone() + "yes.,30.5,site1,u1,x\n").unwrap();
    let args = ["train", "clicks.csv", "--label", "click", "--epochs", "1", "-o", "out2"];
    fails(dir.path(), &args, DATA, &["clicks.csv:602:1", "one of \"yes\", \"no\" as label, found \"yes.\""]);
}

#[test]
fn splits_that_leave_a_part_without_rows() {
    let dir = scratch(600);
    let text = fs::read_to_string(dir.path().join("clicks.csv")).unwrap();
    let with = |name: &str, value: &dyn Fn(usize) -> String| {
        let line = |(i, line): (usize, &str)| {
            format!("{},{line}\n", if i == 0 { name.to_owned() } else { value(i) })
        };
        fs::write(
            dir.path().join(format!("{name}.csv")),
            text.lines().enumerate().map(line).collect::<String>(),
        )
        .unwrap();
    };
    with("fold", &|i| (i % 10).to_string());
    with("day", &|i| format!("2024-01-0{}", 1 + i / 560));
    with("same", &|_| "2024-01-01".to_owned());
    let train = |name: &str, more: &[&str]| {
        let file = format!("{name}.csv");
        dlrm(
            dir.path(),
            &[
                &["train", file.as_str(), "--label", "click", "--epochs", "1", "--overwrite", "-o", "out"],
                more,
            ]
            .concat(),
        )
    };
    let folds = |test: &str| {
        let test = format!("data.split.test=[\"{test}\"]");
        train("fold", &["--set", "data.split.kind=column", "--set", "data.split.column=fold", "--set", &test])
    };
    assert_eq!(folds("3").code, 0);
    let schema = fs::read_to_string(dir.path().join("out/schema.toml")).unwrap();
    assert!(!schema.contains("\"fold\""), "given folds are no input: {schema}");
    let ran = folds("03");
    assert!(
        ran.code == DATA
            && ran.err.contains("data.split.test")
            && ran.err.contains("\"03\", which no row holds"),
        "{}",
        ran.err
    );
    let ran = train("day", &["--split", "time"]);
    assert!(ran.code == 0 && ran.err.contains("559 training, 0 validation, 41 test rows"), "{}", ran.err);
    fs::write(dir.path().join("time.toml"), format!("time = \"same\"\n{CLICKS_SCHEMA}")).unwrap();
    let ran = train("same", &["--schema", "time.toml", "--split", "time"]);
    assert!(
        ran.code == DATA && ran.err.contains("different times") && ran.err.contains("hint: split at random"),
        "{}",
        ran.err
    );
}

#[test]
fn a_model_that_scores_otherwise_than_when_it_was_saved() {
    let dir = demo_copy();
    let model = dir.path().join("runs/demo/model");
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(model.join(name)).unwrap()).unwrap()
    };
    // The checksums are right, so only the replay can notice.
    let mut golden = json("golden.json");
    golden["logit_bits"][0] = 7.0f32.to_bits().into();
    let text = golden.to_string();
    let mut manifest = json("manifest.json");
    let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
    manifest["files"]["golden.json"] =
        serde_json::json!({"bytes": text.len(), "xxh3": format!("{hash:032x}")});
    // As in models of earlier versions.
    manifest.as_object_mut().unwrap().remove("checksum").unwrap();
    fs::write(model.join("golden.json"), text).unwrap();
    fs::write(model.join("manifest.json"), manifest.to_string()).unwrap();
    fails(dir.path(), &["show", "runs/demo"], SAVED, &["golden row 0", "expected logit 7"]);
}
