//! Sparse text: libsvm.
use crate::commands::metric;
use crate::common::{dlrm, json};
use std::fs;

#[test]
fn sparse_text_of_all_labels() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, label: &dyn Fn(usize) -> String| {
        let rows: String =
            (0..400).map(|i| format!("{} {}:1 {}:0.5\n", label(i), 1 + i % 37, 50 + i % 3)).collect();
        fs::write(dir.path().join(name), rows).unwrap();
    };
    write("clicks.svm", &|i| if i % 3 == 0 { "+1".into() } else { "-1".into() });
    write("numbers.svm", &|i| format!("{}.5", i % 37));
    let train = ["--format", "libsvm", "--epochs", "1", "--quiet", "-o"];
    let ran = dlrm(dir.path(), &[&["train", "clicks.svm"][..], &train, &["out"]].concat());
    assert!(ran.code == 2 && ran.err.contains("--set model.interaction=cat"), "{}", ran.err);
    let cat = ["--set", "model.interaction=cat"];
    let report = json(dir.path(), &[&["train", "clicks.svm"][..], &train, &["clicks"], &cat].concat());
    assert!(metric(&report, 0, "test", "auc") > 0.0);
    let report = json(dir.path(), &[&["train", "numbers.svm"][..], &train, &["numbers"], &cat].concat());
    assert!(metric(&report, 0, "test", "rmse") > 0.0);
}

/// Every feature of ten thousand in every row.
#[test]
fn ten_thousand_features_in_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let value = |row: usize, j: usize| if j % 2 == row % 2 { 1.0 } else { 0.5 };
    let row = |row: usize| {
        let features: String = (0..10_000).map(|j| format!(" {}:{}", j + 1, value(row, j))).collect();
        format!("{}{features}\n", row % 2)
    };
    fs::write(dir.path().join("wide.svm"), (0..40).map(row).collect::<String>()).unwrap();
    for model in ["lr", "fm", "deepfm"] {
        let report = json(
            dir.path(),
            &["train", "wide.svm", "--model", model, "--epochs", "3", "--json", "-q", "-o", model],
        );
        let found = json(dir.path(), &["evaluate", model, "wide.svm", "--json"]);
        assert!(found["metrics"]["log_loss"].as_f64().is_some_and(f64::is_finite), "{model}: {found}");
        if model == "lr" {
            assert_eq!(found["metrics"]["accuracy"], 1.0);
            assert_eq!(report["candidates"][0]["parameters"], 10_003);
        }
    }
}
