//! Directories as data: what is read of them, what is not, and in which order.
use crate::common::{CLICKS_SCHEMA, clicks, fails, works};
use std::fs;
use std::path::Path;

/// Writes `rows` rows of [`clicks`] from number `first` on.
fn write(path: &Path, first: usize, rows: usize) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    let all = clicks(first + rows);
    let lines = all.lines().take(1).chain(all.lines().skip(1 + first));
    fs::write(path, lines.collect::<Vec<_>>().join("\n") + "\n").expect("written");
}

#[test]
fn partitions_are_columns_and_what_is_not_read_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    for day in 1..4 {
        write(&dir.path().join(format!("log/dt={day}/part-0.csv")), day * 300, 300);
    }
    fs::write(dir.path().join("log/dt=2/part-1.csv"), "").expect("an empty part");
    fs::write(dir.path().join("log/_SUCCESS"), "").expect("a mark");
    fs::write(dir.path().join("log/old.csv.bz2"), "BZh").expect("a packed file");
    let schema = CLICKS_SCHEMA.replace("{ name = \"site\" }", "{ name = \"site\" }, { name = \"dt\" }");
    fs::write(dir.path().join("schema.toml"), schema).expect("written");
    let train =
        ["-q", "train", "log", "--schema", "schema.toml", "--epochs", "1", "--no-baseline", "-o", "m"];
    let said = works(dir.path(), &[&train[1..], &["--overwrite"]].concat()).err;
    for part in ["dt=1/part-0.csv to dt=3/part-0.csv", "dt=2/part-1.csv (empty)", "old.csv.bz2 (packed"] {
        assert!(said.contains(part), "{said}");
    }
    let encoder = fs::read_to_string(dir.path().join("m/model/encoder.json")).expect("an encoder");
    let encoder: serde_json::Value = serde_json::from_str(&encoder).expect("json");
    let days: Vec<_> = encoder["vocabularies"]["dt"].as_array().expect("values").iter().collect();
    assert!(days.len() == 3 && ["1", "2", "3"].iter().all(|day| days.contains(&&(*day).into())), "{days:?}");
    // A file by its name has the column too, by its path.
    let scores = |path: &str| works(dir.path(), &["-q", "predict", "m", path]).out;
    let last = |scores: String| scores.lines().rev().take(300).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(last(scores("log")), last(scores("log/dt=3/part-0.csv")));
    fs::copy(dir.path().join("log/dt=3/part-0.csv"), dir.path().join("alone.csv")).expect("copied");
    fails(dir.path(), &["predict", "m", "alone.csv"], 3, &["alone.csv", "\"dt\""]);
    fs::copy(dir.path().join("alone.csv"), dir.path().join("log/rest.csv")).expect("copied");
    fails(dir.path(), &train, 3, &["rest.csv", "no directory of the form name=value"]);
    fs::remove_file(dir.path().join("log/rest.csv")).expect("removed");
    fs::write(dir.path().join("log/dt=1/part-0.csv.gz"), "a copy").expect("written");
    fails(dir.path(), &train, 3, &["both ", "part-0.csv.gz"]);
    let pattern = ["predict", "m", "log/dt=1/*"];
    fails(dir.path(), &pattern, 3, &["both ", "part-0.csv.gz"]);
}
