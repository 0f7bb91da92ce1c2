//! What a model directory holds, and what is made of one that somebody else has made.
use crate::common::{dlrm, fails, scratch, works};
use dlrm::engine::saved::{Kind, Writer};
use serde_json::Value;
use std::fs;
use std::path::Path;

const SAVED: i32 = 4;
const TRAIN: [&str; 9] =
    ["train", "clicks.csv", "--schema", "schema.toml", "--epochs", "2", "--no-baseline", "-q", "-o"];

fn golden(dir: &Path, out: &str) -> Value {
    let text = fs::read(dir.join(out).join("model/golden.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn golden_rows_are_said_and_can_be_nobodys() {
    let dir = scratch(200);
    let rows = fs::read_to_string(dir.path().join("clicks.csv")).unwrap();
    works(dir.path(), &[&TRAIN[..], &["raw"]].concat());
    works(dir.path(), &[&TRAIN[..], &["synthetic", "--set", "golden.rows=\"synthetic\""]].concat());
    // Fields in the order of the schema: age, site, user, tags.
    let is_of_input = |row: &Value| {
        let fields: Vec<&str> = row.as_array().unwrap().iter().map(|field| field.as_str().unwrap()).collect();
        rows.lines().any(|line| line.ends_with(&fields.join(",")))
    };
    let of = |out: &str| golden(dir.path(), out)["rows"].as_array().unwrap().clone();
    assert!(of("raw").iter().all(is_of_input) && of("raw").len() == 8);
    assert!(!of("synthetic").iter().any(is_of_input) && of("synthetic").len() == 8);
    for row in of("synthetic") {
        assert!(row.as_array().unwrap().iter().all(|field| !field.as_str().unwrap().is_empty()), "{row}");
    }
    for (out, said) in
        [("raw", "8 raw rows of the input lie in the model"), ("synthetic", "drawn from the encoder")]
    {
        let shown = works(dir.path(), &["show", out]).out;
        assert!(shown.contains("golden rows: ") && shown.contains(said), "{shown}");
        let page = fs::read_to_string(dir.path().join(out).join("report.html")).unwrap();
        assert!(page.contains(said), "the report of {out}");
    }
    // The weights are the same, and so are the scores.
    let scores = |out| works(dir.path(), &["predict", out, "clicks.csv"]).out;
    assert_eq!(scores("raw"), scores("synthetic"));
}

/// Numbers, times, hexadecimal values, hashes and weights can be drawn too, or are left out.
#[test]
fn golden_rows_of_all_kinds_of_columns_can_be_drawn() {
    let dir = tempfile::tempdir().unwrap();
    works(dir.path(), &["generate", "clicks", "--rows", "400", "-q", "-o", "clicks"]);
    let args =
        ["clicks/clicks.tsv", "-q", "--epochs", "1", "--no-baseline", "--set", "golden.rows=\"synthetic\""];
    works(dir.path(), &[&["train"], &args[..], &["-o", "a"]].concat());
    works(dir.path(), &[&["train"], &args[..], &["--max-ind-range", "50", "-o", "b"]].concat());
    let schema = "label = { column = \"click\" }\ndense = [{ name = \"age\", transform = \"log1p\" }]\n\
        categorical = [\n  { name = \"site\", encoding = { kind = \"hash\", buckets = 50 } },\n\
        { name = \"hour\", time = { column = \"at\", part = \"hour\" } },\n\
        { name = \"tags\", multi = { separator = \"|\", weight_separator = \":\" } },\n\
        { name = \"n\", encoding = { kind = \"identity\", bound = 9 } },\n]\n";
    let row = |i: usize| {
        format!(
            "{},{},s{},2024-01-0{} 1{}:00:00,a:1|b{}:2,{}\n",
            i % 2,
            i,
            i % 7,
            1 + i % 9,
            i % 10,
            i % 3,
            i % 9
        )
    };
    let text: String = (0..200).map(row).collect();
    fs::write(dir.path().join("x.csv"), format!("click,age,site,at,tags,n\n{text}")).unwrap();
    fs::write(dir.path().join("x.toml"), schema).unwrap();
    let more = ["--schema", "x.toml", "-o", "c"];
    works(dir.path(), &[&["train", "x.csv"], &args[1..], &more[..]].concat());
    for out in ["a", "b", "c"] {
        works(dir.path(), &["show", out]);
        assert_eq!(golden(dir.path(), out)["rows"].as_array().unwrap().len(), 8);
    }
}

#[cfg(unix)]
#[test]
fn a_model_has_one_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch(100);
    works(dir.path(), &[&TRAIN[..], &["out", "--keep-optimizer"]].concat());
    let modes = fs::read_dir(dir.path().join("out/model")).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name(), entry.metadata().unwrap().permissions().mode() & 0o777)
    });
    let modes: Vec<_> = modes.collect();
    // What the mask of this process makes of a new file.
    let expected = fs::metadata(dir.path().join("clicks.csv")).unwrap().permissions().mode() & 0o777;
    assert!(modes.iter().any(|(name, _)| name == "optimizer.safetensors"));
    assert!(modes.iter().all(|(_, mode)| *mode == expected), "{modes:?}");
}

/// Whoever made it, a model takes no more memory than its file of weights.
#[test]
fn a_model_that_asks_for_more_than_it_has_is_refused_first() {
    let dir = scratch(200);
    let schema = fs::read_to_string(dir.path().join("schema.toml")).unwrap();
    let hashed = schema
        .replace("{ name = \"user\" }", "{ name = \"user\", encoding = { kind = \"hash\", buckets = 64 } }");
    assert_ne!(schema, hashed);
    fs::write(dir.path().join("schema.toml"), hashed).unwrap();
    works(dir.path(), &[&TRAIN[..], &["out"]].concat());
    for buckets in ["100000000", "4000000000"] {
        let place = dir.path().join(buckets);
        let mut writer = Writer::new(&place, Kind::Model).unwrap();
        for entry in fs::read_dir(dir.path().join("out/model")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            if name == "encoder.json" {
                let text = String::from_utf8(bytes).unwrap();
                let more = text.replace("\"buckets\": 64", &format!("\"buckets\": {buckets}"));
                assert_ne!(text, more);
                writer.file(&name, more.as_bytes()).unwrap();
            } else if name != "manifest.json" {
                writer.file(&name, &bytes).unwrap();
            }
        }
        writer.finish().unwrap();
        let start = std::time::Instant::now();
        let parts = ["weights.safetensors", "tensor", "user", "expected ["];
        fails(dir.path(), &["predict", buckets, "clicks.csv"], SAVED, &parts);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
    let ran = dlrm(dir.path(), &["show", "out"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}
