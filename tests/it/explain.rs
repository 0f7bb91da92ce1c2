//! `dlrm explain`, and the importance of columns in reports.
use crate::common::{data, fails, json, works};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// Clicks that `age` and `site` tell and `noise` and `user` do not.
fn clicks(rows: usize) -> String {
    let mut state = 7u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut text = "click,age,site,noise,user\n".to_owned();
    for _ in 0..rows {
        let (age, site, noise, user) = (below(60), below(5), below(1000), below(9));
        let click = u8::from(below(60) + 25 * u64::from(site < 2) + age > 75);
        text.push_str(&format!("{click},{age}.5,s{site},{noise}.25,u{user}\n"));
    }
    text
}

/// Trains a model of this kind on such clicks.
fn trained(kind: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory");
    fs::write(dir.path().join("clicks.csv"), clicks(4000)).expect("a file");
    let schema = "label = { column = \"click\" }\ndense = [{ name = \"age\" }, { name = \"noise\" }]\n\
                  categorical = [{ name = \"site\" }, { name = \"user\" }]\n";
    fs::write(dir.path().join("schema.toml"), schema).expect("a file");
    let raw = ["--set", "calibration=none"];
    let train = ["train", "clicks.csv", "--schema", "schema.toml", "--no-baseline", "-q", "-o", "out"];
    works(
        dir.path(),
        &[&train[..], &raw, &["--model", kind, "--batch-size", "128", "--epochs", "4"]].concat(),
    );
    dir
}

/// Increase, lower and upper end by column.
fn increases(importance: &Value) -> BTreeMap<String, [f64; 3]> {
    let columns = importance["columns"].as_array().expect("columns");
    let number = |value: &Value| value.as_f64().expect("a number");
    let of = |column: &Value| {
        let rise = &column["increase"];
        let name = column["column"].as_str().expect("a name").to_owned();
        (name, ["estimate", "low", "high"].map(|end| number(&rise[end])))
    };
    columns.iter().map(of).collect()
}

#[test]
fn columns_that_tell_rank_above_noise() {
    let dir = trained("dlrm");
    let found = json(dir.path(), &["explain", "out", "clicks.csv"]);
    assert_eq!((found["rows"].as_u64(), found["repeats"].as_u64()), (Some(4000), Some(5)));
    let rises = increases(&found);
    for (tells, noise) in [("age", "noise"), ("age", "user"), ("site", "noise"), ("site", "user")] {
        assert!(rises[tells][1] > 2.0 * rises[noise][2].max(0.0), "{tells} and {noise}: {rises:?}");
    }
    let evaluated = json(dir.path(), &["evaluate", "out", "clicks.csv"]);
    let loss = evaluated["metrics"]["log_loss"].as_f64().expect("a loss");
    assert!((found["loss"].as_f64().expect("a loss") - loss).abs() < 1e-12, "the loss that `evaluate` finds");
    for more in [["--threads", "1"], ["--threads", "3"]] {
        assert_eq!(json(dir.path(), &[&["explain", "out", "clicks.csv"], &more[..]].concat()), found);
    }
    let sampled = json(dir.path(), &["explain", "out", "clicks.csv", "--sample", "500", "--seed", "3"]);
    assert_eq!(sampled["rows"].as_u64(), Some(500));
    let text = works(dir.path(), &["explain", "out", "clicks.csv", "--repeats", "2"]).out;
    assert!(text.contains("4,000 rows, log loss") && text.contains("(2 times)"), "{text}");
    // The report has them too, for the test rows.
    let report: Value =
        serde_json::from_slice(&fs::read(dir.path().join("out/report.json")).expect("a report"))
            .expect("JSON");
    let rises = increases(&report["importance"]);
    assert!(rises["age"][1] > 0.0 && rises["site"][1] > 0.0, "{rises:?}");
    let page = fs::read_to_string(dir.path().join("out/report.html")).expect("a page");
    assert!(page.contains("Which columns matter"));
}

#[test]
fn the_values_of_a_row_add_up_to_what_is_predicted() {
    let dir = trained("fm");
    let args = [
        "--json",
        "--quiet",
        "explain",
        "out",
        "clicks.csv",
        "--rows",
        "3",
        "--row",
        "9",
        "--background",
        "50",
    ];
    let found = works(dir.path(), &args).out;
    let rows: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.iter().map(|r| r["row"].as_u64()).collect::<Vec<_>>(), [1, 2, 3, 9].map(Some));
    let scores = works(dir.path(), &["predict", "--json", "-q", "out", "clicks.csv"]).out;
    let input = fs::read_to_string(dir.path().join("clicks.csv")).expect("a file");
    for row in &rows {
        let number = row["row"].as_u64().expect("a number") as usize;
        let score: Value =
            serde_json::from_str(scores.lines().nth(number - 1).expect("a row")).expect("JSON");
        let logit = row["logit"].as_f64().expect("a logit");
        assert_eq!(Some(logit as f32), score["logit"].as_f64().map(|logit| logit as f32), "row {number}");
        let columns = row["columns"].as_array().expect("columns");
        let sum: f64 = columns.iter().map(|c| c["shapley"].as_f64().expect("a value")).sum();
        assert!((row["base"].as_f64().expect("a base") + sum - logit).abs() < 1e-6, "{row}");
        let fields: Vec<&str> = input.lines().nth(number).expect("a row").split(',').collect();
        let value =
            |name: &str| columns.iter().find(|c| c["column"] == name).expect("a column")["value"].clone();
        assert_eq!((value("age"), value("site")), (fields[1].into(), fields[2].into()), "row {number}");
    }
    let alone = [
        "--json",
        "-q",
        "explain",
        "out",
        "clicks.csv",
        "--row",
        "9",
        "--background",
        "50",
        "--threads",
        "3",
    ];
    let alone: Value = serde_json::from_str(works(dir.path(), &alone).out.trim()).expect("JSON");
    assert_eq!(alone, rows[3], "a row is explained alike alone and among others");
    // Labels are not needed.
    let unlabelled: String =
        input.lines().map(|l| l.split_once(',').expect("a label").1.to_owned() + "\n").collect();
    fs::write(dir.path().join("new.csv"), unlabelled).expect("a file");
    let text = works(dir.path(), &["explain", "out", "new.csv", "--row", "2"]).out;
    assert!(text.contains("row 2: logit") && text.contains("exact over 100 background rows"), "{text}");
    fails(dir.path(), &["explain", "out", "new.csv", "--row", "4001"], 2, &["--row", "4000", "4001"]);
    fails(dir.path(), &["explain", "out", "new.csv"], 3, &["\"click\""]);
}

#[test]
fn what_matters_in_adult_is_what_is_known_to() {
    let Some(path) = data("what_matters_in_adult_is_what_is_known_to", "adult-census") else { return };
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (recipe, path) =
        (format!("{}/recipes/adult.toml", env!("CARGO_MANIFEST_DIR")), path.display().to_string());
    works(
        dir.path(),
        &["train", "--config", &recipe, "--data-dir", &path, "-q", "--no-baseline", "-o", "adult"],
    );
    let found = json(dir.path(), &["explain", "adult", &format!("{path}/adult.test")]);
    let rises = increases(&found);
    let rank = |name: &str| {
        let of = |column: &Value| column["column"].as_str().is_some_and(|c| c.replace('-', "_") == name);
        found["columns"]
            .as_array()
            .expect("columns")
            .iter()
            .position(of)
            .unwrap_or_else(|| panic!("{name}: {rises:?}"))
    };
    assert!(rank("capital_gain") < 4, "{rises:?}");
    for weak in ["race", "native_country"] {
        for strong in ["capital_gain", "education_num", "age"] {
            assert!(rank(strong) < rank(weak), "{strong} and {weak}: {rises:?}");
        }
    }
}
