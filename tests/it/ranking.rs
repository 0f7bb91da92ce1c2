//! Implicit feedback: negatives drawn afresh in each epoch, candidates ranked within groups.
use crate::common::{command, data, dlrm, works};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Twenty users in two tastes, forty items in two kinds; each took most items of its kind. The candidates:
/// one more of its kind among nineteen of the other.
fn interactions() -> (String, String) {
    let (mut train, mut candidates) = (String::new(), String::new());
    for user in 0..20 {
        let kind = user % 2;
        let item = |n: usize| 2 * n + kind;
        (0..19)
            .filter(|n| *n != user / 2)
            .for_each(|n| train.push_str(&format!("{user}\t{}\t5\t{n}\n", item(n))));
        let others: Vec<String> = (0..19).map(|n| (2 * n + 1 - kind).to_string()).collect();
        candidates.push_str(&format!("({user},{})\t{}\n", item(user / 2), others.join("\t")));
    }
    (train, candidates)
}

const RECIPE: &str = r#"
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
epochs = 30
batch_size = 64
monitor = "ndcg_at_10"
patience = 0
table_optimizer = { kind = "adam_lazy", lr = 0.02 }
"#;

fn scratch() -> tempfile::TempDir {
    let (dir, (train, candidates)) = (tempfile::tempdir().unwrap(), interactions());
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("x.train.rating", &train);
    write("x.test.negative", &candidates);
    write("mf.toml", RECIPE);
    dir
}

fn json(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&works(dir, args).out).expect("JSON")
}

fn weights(dir: &Path, out: &str) -> Vec<u8> {
    fs::read(dir.join(out).join("model/weights.safetensors")).expect("weights")
}

#[test]
fn tastes_are_learned_from_what_was_taken() {
    let dir = scratch();
    let report = json(dir.path(), &["train", "--config", "mf.toml", "--json", "-q", "-o", "out"]);
    let value = |candidate: usize, name: &str| {
        let split = report["candidates"][candidate]["splits"].as_array().unwrap().last().unwrap();
        split["metrics"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {split}"))
    };
    assert!(value(0, "hit_rate_at_10") > 0.95 && value(0, "ndcg_at_10") > 0.9, "{report}");
    // Ten of twenty equal scores, half of the time; and a mean label of one in five.
    let mean = report["candidates"].as_array().unwrap().len() - 1;
    assert!((value(mean, "hit_rate_at_10") - 0.5).abs() < 1e-9);
    assert!((value(mean, "mean_prediction") - 0.2).abs() < 1e-6);
    // The saved model ranks the same candidates alike, also at another number of threads.
    let found = json(dir.path(), &["evaluate", "out", "x.test.negative", "--json"]);
    assert_eq!(found["metrics"]["ndcg_at_10"].as_f64(), Some(value(0, "ndcg_at_10")));
    let interval = found["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["metric"] == "ndcg_at_10")
        .expect("an interval");
    assert!(interval["interval"]["low"].as_f64().unwrap() <= value(0, "ndcg_at_10"));
    works(dir.path(), &["train", "--config", "mf.toml", "-q", "-o", "one", "--threads", "1"]);
    assert_eq!(weights(dir.path(), "out"), weights(dir.path(), "one"));
}

#[test]
fn negatives_go_on_where_a_run_was_interrupted() {
    let dir = scratch();
    let args = ["train", "--config", "mf.toml", "--epochs", "60", "-o"];
    let cut = command(dir.path(), &[&args[..], &["cut"]].concat())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut child = cut.expect("the dlrm command");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.by_ref().find(|line| line.starts_with("epoch")).expect("a line of progress");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    works(dir.path(), &["train", "--resume", "-q", "-o", "cut"]);
    works(dir.path(), &[&args[..], &["whole", "-q"]].concat());
    assert_eq!(weights(dir.path(), "whole"), weights(dir.path(), "cut"));
}

#[test]
fn a_comparison_ranks_by_ndcg() {
    let dir = scratch();
    let args = [
        "compare",
        "--config",
        "mf.toml",
        "--models",
        "lr,mf,ncf",
        "--seeds",
        "2",
        "--epochs",
        "5",
        "-q",
        "--json",
        "-o",
        "cmp",
    ];
    let found = json(dir.path(), &args);
    assert_eq!(found["metric"], "ndcg_at_10");
    assert_eq!(found["models"].as_array().unwrap().len(), 3);
    let page = fs::read_to_string(dir.path().join("cmp/compare.html")).unwrap();
    assert!(page.contains("NDCG@10") && page.contains("HR@10"));
}

#[test]
fn mistakes() {
    let dir = scratch();
    for (more, parts) in [
        (&["--stream"][..], &["data.negatives", "leave out --stream"][..]),
        (&["--set", "data.negatives.item=itemid"], &["data.negatives.item", "did you mean \"item_id\"?"]),
        (&["--set", "data.negatives.per_positive=0"], &["data.negatives.per_positive", "at least 1"]),
        (&["--set", "data.negatives.peruser=3"], &["peruser", "per_positive"]),
        (&["--cross", "user_id,item_id", "--model", "lr"], &["cross \"user_id*item_id\"", "negatives"]),
        (&["--schema", "plain.toml"], &["train.monitor", "group"]),
    ] {
        fs::write(
            dir.path().join("plain.toml"),
            "label = { column = \"rating\", rule = \"rating > 0\" }\ncategorical = [{ name = \"user_id\" }, \
                { name = \"item_id\" }]\n",
        )
        .unwrap();
        let ran = dlrm(dir.path(), &[&["train", "--config", "mf.toml", "-q", "-o", "bad"], more].concat());
        assert!(
            matches!(ran.code, 2 | 3) && !ran.err.contains("panicked"),
            "{more:?}: {}\n{}",
            ran.code,
            ran.err
        );
        parts.iter().for_each(|part| assert!(ran.err.contains(part), "missing {part} in\n{}", ran.err));
    }
}

/// The real split: sizes, and what ranking by popularity is published to give (HR@10 0.4531, NDCG@10 0.2542;
/// Dacrema et al. 2019).
#[test]
fn movielens_by_popularity() {
    let Some(data) = data("movielens_by_popularity", "movielens-1m-ncf") else { return };
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/movielens/ncf/mf.toml");
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "train",
        "--config",
        recipe,
        "--data-dir",
        data.to_str().unwrap(),
        "--json",
        "-q",
        "-o",
        "out",
        "--epochs",
        "1",
    ];
    // A weight per item, and no negatives but those that are uniform: the order of popularity.
    let popularity =
        ["--model", "lr", "--set", "data.negatives.per_positive=1", "--set", "train.table_optimizer.lr=0.05"];
    let report = json(dir.path(), &[&args[..], &popularity[..]].concat());
    let metrics = &report["candidates"][0]["splits"].as_array().unwrap().last().unwrap()["metrics"];
    assert_eq!(metrics["rows"], 604_000);
    let (hit, ndcg) = (metrics["hit_rate_at_10"].as_f64().unwrap(), metrics["ndcg_at_10"].as_f64().unwrap());
    assert!((hit - 0.4531).abs() < 0.01 && (ndcg - 0.2542).abs() < 0.01, "{hit} {ndcg}");
}
