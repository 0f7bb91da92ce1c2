//! `dlrm bench`: what it measures, shows and refuses.
use crate::common::{Ran, dlrm, works};
use serde_json::Value;
use std::fs;
use std::path::Path;

const OWN: &str = "tables = [5000, 300, 7]\nembedding_dim = 8\ndense = 4\nbottom = [16]\ntop = [16, \
    8]\nids_per_row = 3\nexponent = 0.5\n";

fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.toml"), OWN).unwrap();
    dir
}

fn quick(dir: &Path, args: &[&str]) -> Ran {
    works(dir, &[&["bench", "--quick", "--batch", "256"], args].concat())
}

#[test]
fn a_table_for_people() {
    let dir = scratch();
    let ran = quick(dir.path(), &[]);
    for part in [
        "multiply-add",
        "random rows of 64 B",
        "k, batch 256",
        "rows/s",
        "bottom MLP",
        "table update",
        "machine's peaks",
    ] {
        assert!(ran.out.contains(part), "missing \"{part}\" in\n{}", ran.out);
    }
    assert!(ran.err.contains("plan: k: 26 tables") && ran.err.contains("of memory"), "{}", ran.err);
    assert!(quick(dir.path(), &["--quiet"]).err.is_empty());
}

#[test]
fn json_and_a_picture_of_several_workloads() {
    let dir = scratch();
    let args = [
        "bench",
        "k",
        "own.toml",
        "--quick",
        "--batch",
        "32,64",
        "--json",
        "--svg",
        "bench.svg",
        "--threads",
        "2",
    ];
    let found: Value = serde_json::from_str(&works(dir.path(), &args).out).unwrap();
    let all = found["workloads"].as_array().unwrap();
    let key = |m: &Value| (m["workload"]["name"].as_str().unwrap().to_owned(), m["batch"].as_u64().unwrap());
    assert_eq!(
        all.iter().map(key).collect::<Vec<_>>(),
        [("k".into(), 32), ("k".into(), 64), ("own".into(), 32), ("own".into(), 64)]
    );
    for measured in all {
        assert!(measured["rows_per_second"]["median"].as_f64().unwrap() > 0.0);
        let shares: f64 =
            measured["operators"].as_array().unwrap().iter().map(|o| o["share"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 0.05, "{shares}");
    }
    assert_eq!(all[2]["ids"], 32 * 3 * 3);
    assert!(found["machine"]["all"]["fma_flops"].as_f64().unwrap() > 1e8);
    let svg = fs::read_to_string(dir.path().join("bench.svg")).unwrap();
    assert!(
        svg.starts_with("<svg")
            && svg.contains("own, batch 64, 2 threads")
            && svg.contains(">interaction</text>"),
        "{svg}"
    );
}

#[test]
fn the_model_of_the_paper_runs() {
    let dir = scratch();
    assert!(works(dir.path(), &["bench", "p", "--quick", "--batch", "16"]).out.contains("p, batch 16"));
}

#[test]
fn beside_an_earlier_run() {
    let dir = scratch();
    let printed = quick(dir.path(), &["own.toml", "--json", "--threads", "1"]).out;
    fs::write(dir.path().join("before.json"), &printed).unwrap();
    let args = ["own.toml", "k", "--compare", "before.json", "--threads", "1"];
    let shown = quick(dir.path(), &args).out;
    let line = |part: &str| shown.lines().rfind(|line| line.contains(part)).unwrap_or_default().to_owned();
    assert!(!line("own, batch 256, 1 thread, rows/s").contains(" - "), "{shown}");
    assert!(line("k, batch 256, 1 thread, rows/s").contains(" - "), "{shown}");
    assert!(shown.contains("before.json") && shown.contains("machine: f32 multiply-add"), "{shown}");
    let found = quick(dir.path(), &[&args[..], &["--json"]].concat()).out;
    let found: Value = serde_json::from_str(&found).unwrap();
    let before: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(found["earlier"][0], before["workloads"][0]["rows_per_second"]);
    assert!(found["earlier"][1].is_null());
}

#[test]
fn a_model_is_loaded() {
    let dir = scratch();
    works(dir.path(), &["demo", "--rows", "1000", "-o", "runs/demo", "--quiet"]);
    let shown = works(dir.path(), &["bench", "runs/demo", "--windows", "2"]).out;
    assert!(shown.starts_with("runs/demo: loading ") && shown.contains(" s (windows "), "{shown}");
    assert_eq!(shown.lines().count(), 1);
    let found = works(dir.path(), &["bench", "own.toml", "runs/demo", "--quick", "--json"]).out;
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!(found["models"][0]["bytes"].as_u64().unwrap() > 1000 && !found["workloads"][0].is_null());
}

#[test]
fn mistakes_say_what_to_do() {
    let dir = scratch();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("other.json"), "{\"machine\": 3}").unwrap();
    fs::write(dir.path().join("bad.toml"), OWN.replace("embedding_dim", "embeding_dim")).unwrap();
    fs::write(dir.path().join("none.toml"), OWN.replace("[5000, 300, 7]", "[0]")).unwrap();
    fs::write(dir.path().join("huge.toml"), "tables = [4000000000, 4000000000]\nembedding_dim = 65536\n")
        .unwrap();
    for (args, code, parts) in [
        (&["bench", "kagle"][..], 2, &["kagle", "did you mean \"k\"?"][..]),
        (&["bench", "mine.tml"], 2, &["\"mine.tml\"", "one of k, p, w, m, t or a TOML file", ".toml"]),
        (&["bench", "bad.toml"], 2, &["bad.toml", "embeding_dim", "did you mean \"embedding_dim\"?"]),
        (&["bench", "none.toml"], 2, &["none.toml: tables", "found 0"]),
        (&["bench", "nowhere.toml"], 5, &["nowhere.toml"]),
        (&["bench", "huge.toml"], 5, &["huge", "needs", "--scale"]),
        (&["bench", "k", "--compare", "none.json"], 5, &["none.json"]),
        (&["bench", "k", "--compare", "other.json"], 2, &["other.json", "dlrm bench --json"]),
        (&["bench", "empty"], 4, &["empty", "saved model"]),
        (&["bench", "empty", "--svg", "a.svg"], 2, &["--svg", "found models to load alone"]),
        (&["bench", "--batch", "0"], 2, &["--batch", "from 1 to"]),
        (&["bench", "--seconds", "0"], 2, &["--seconds"]),
    ] {
        let ran = dlrm(dir.path(), args);
        assert_eq!(ran.code, code, "{args:?}\n{}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{args:?}: missing \"{part}\" in\n{}", ran.err);
        }
        assert!(!ran.err.contains("panicked") && ran.out.is_empty(), "{}", ran.err);
    }
}
