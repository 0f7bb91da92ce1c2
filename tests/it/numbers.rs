//! How numbers and times become inputs, from the command line to scores.
use crate::common::works;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Irregular numbers in 0…1, the same every time.
fn uniform(seed: u64, row: u64) -> f64 {
    (xxhash_rust::xxh3::xxh3_64_with_seed(&row.to_le_bytes(), seed) >> 11) as f64 / (1u64 << 53) as f64
}

/// Clicks far from the middle of `x` alone; a tenth of `x` is missing, one value is far away.
fn far_from_the_middle() -> String {
    let row = |r: u64| {
        let (x, z) = (uniform(1, r) * 40.0 - 20.0, uniform(2, r));
        let click = u8::from((x.abs() > 10.0) ^ (uniform(3, r) < 0.05));
        let x = match r {
            7 => "1e12".to_owned(),
            _ if r % 10 == 3 => String::new(),
            _ => format!("{x:.3}"),
        };
        format!("{click},{x},{z:.3},u{}\n", r % 7)
    };
    "click,x,z,user\n".to_owned() + &(0..3000).map(row).collect::<String>()
}

fn auc(dir: &Path, out: &str, args: &[&str]) -> f64 {
    let args = [&["--json", "-q", "train", "--model", "lr", "--epochs", "20", "-o", out], args].concat();
    let report: Value = serde_json::from_str(works(dir, &args).out.trim()).expect("JSON");
    let test = report["candidates"][0]["splits"].as_array().and_then(|all| all.last()).expect("test rows");
    let of = |kind: &str| {
        let all = test["intervals"].as_array().expect("intervals").iter();
        all.clone().find(|m| m["metric"] == kind).expect(kind)["interval"]["estimate"].as_f64()
    };
    of("auc").expect("a number")
}

#[test]
fn piecewise_linear_inputs_tell_what_a_line_cannot() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("rows.csv"), far_from_the_middle()).expect("a file");
    let plain = auc(dir.path(), "plain", &["rows.csv", "--label", "click"]);
    let with = &["rows.csv", "--label", "click", "--set", "data.dense_transform=piecewise_linear"];
    let pieces = auc(dir.path(), "pieces", with);
    assert!(plain < 0.6 && pieces > 0.85, "{plain} {pieces}");
    let report = fs::read_to_string(dir.path().join("pieces/report.html")).expect("a report");
    assert!(report.contains("piecewise linear in 16 bins"));
    // A schema that is given says it for each column.
    let schema = "label = { column = \"click\" }\ndense = [{ name = \"x\", transform = \"piecewise_linear\", \
        bins = 4, clip_quantiles = [0.01, 0.99], missing_indicator = true }, { name = \"z\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).expect("a file");
    let given = &[with, &["--schema", "schema.toml"][..]].concat();
    assert!(auc(dir.path(), "given", given) > 0.85);
    let encoder = fs::read_to_string(dir.path().join("given/model/encoder.json")).expect("an encoder");
    let encoder: Value = serde_json::from_str(&encoder).expect("JSON");
    let dense = &encoder["dense"];
    assert_eq!(dense[0]["pieces"]["edges"].as_array().map(Vec::len), Some(5), "{dense}");
    assert_eq!((&dense[1]["transform"], &dense[1]["pieces"]), (&Value::from("standardize"), &Value::Null));
    assert_eq!(dense[0]["clip"][0], dense[0]["pieces"]["edges"][0], "the range that was asked for");
}

#[test]
fn piecewise_linear_inputs_are_the_same_from_text_and_prepared_and_in_scores() {
    let dir = tempfile::tempdir().expect("a directory");
    let (root, rows) = (dir.path(), far_from_the_middle());
    fs::write(root.join("rows.csv"), &rows).expect("a file");
    let config = "[data]\ndense_transform = \"piecewise_linear\"\n[schema]\nlabel = { column = \"click\" }\n\
        dense = [{ name = \"x\", transform = \"piecewise_linear\", missing_indicator = true }, { name = \"z\", \
        transform = \"piecewise_linear\", bins = 3 }]\ncategorical = [{ name = \"user\" }]\n";
    fs::write(root.join("mine.toml"), config).expect("a file");
    works(root, &["-q", "prepare", "rows.csv", "--config", "mine.toml", "-o", "prepared"]);
    let model = |input: &str, out: &str, more: &[&str]| {
        let own = if input == "prepared" { &[][..] } else { &["--config", "mine.toml"] };
        let small = ["--epochs", "2", "--no-baseline", "--set", "model.bottom=[16]", "-o", out];
        works(root, &[&["-q", "train", input], own, &small, more].concat());
        ["weights.safetensors", "golden.json", "encoder.json"]
            .map(|name| fs::read(root.join(out).join("model").join(name)).expect(name))
    };
    let expected = model("rows.csv", "text", &[]);
    assert!(expected == model("prepared", "set", &[]), "prepared");
    assert!(expected == model("rows.csv", "threads", &["--threads", "1"]), "one thread");
    let streamed = model("rows.csv", "stream", &["--stream"]);
    assert!(streamed == model("prepared", "set-stream", &["--stream"]), "a prepared stream");
    assert!(expected[2] == streamed[2], "one encoder");
    // Rows in another order, scored by another reading of them: the same scores.
    let scores = works(root, &["-q", "predict", "text", "rows.csv"]).out;
    let mut lines: Vec<&str> = rows.lines().collect();
    lines[1..].reverse();
    fs::write(root.join("reversed.csv"), lines.join("\n")).expect("a file");
    let reversed = works(root, &["-q", "predict", "set", "reversed.csv"]).out;
    let forward: Vec<&str> =
        scores.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    let backward: Vec<&str> =
        reversed.lines().rev().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!((forward.len(), &forward), (3000, &backward));
    works(root, &["-q", "evaluate", "text", "rows.csv"]);
    assert!(works(root, &["show", "text"]).out.contains('x'));
}
