//! Training on a share of the negative rows: probabilities stay those of all rows.

use crate::common::{dlrm, works};
use serde_json::Value;
use std::fs;

#[test]
fn probabilities_are_corrected_for_the_rows_that_are_left_out() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    works(
        dir.path(),
        &[
            "-q",
            "generate",
            "clicks",
            "--like",
            "demo",
            "--rows",
            "30000",
            "--click-rate",
            "0.1",
            "-o",
            "clicks",
        ],
    );
    let train = |out: &str, more: &[&str]| -> Value {
        let args =
            ["-q", "--json", "train", "clicks/clicks.csv", "--schema", "clicks/schema.toml", "-o", out];
        let said = works(dir.path(), &[&args[..], more].concat()).out;
        let report: Value = serde_json::from_str(said.trim()).expect("JSON");
        let splits = report["candidates"][0]["splits"].as_array().expect("splits").clone();
        splits.into_iter().find(|split| split["split"] == "test").expect("test rows")["metrics"].clone()
    };
    let set = ["--set", "data.negative_share=0.25", "--model", "lr"];
    let all = train("all", &["--model", "lr"]);
    for (out, more) in [("memory", &[][..]), ("stream", &["--stream"])] {
        let some = train(out, &[&set[..], more].concat());
        let of = |metrics: &Value, name: &str| metrics[name].as_f64().expect("a number");
        // Without the correction the mean prediction would be about three times the mean label.
        let ratio = of(&some, "mean_prediction") / of(&some, "mean_label");
        assert!((0.85..1.15).contains(&ratio), "{out}: {ratio}");
        assert!((of(&some, "auc") - of(&all, "auc")).abs() < 0.03, "{out}");
        // The saved model scores as the trained one did: `show` replays its golden rows.
        works(dir.path(), &["show", out]);
        let config =
            fs::read_to_string(dir.path().join(out).join("model/config.toml")).expect("a configuration");
        assert!(config.contains("negative_downsampling_rate = 0.25"), "{config}");
    }
    for share in ["0", "1.5", "nan"] {
        let share = format!("data.negative_share={share}");
        let ran =
            dlrm(dir.path(), &["train", "clicks/clicks.csv", "--label", "click", "--set", &share, "-o", "x"]);
        assert!(ran.code == 2 && ran.err.contains("a share above 0, at most 1"), "{}", ran.err);
    }
}

#[test]
fn the_last_day_is_held_out() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    works(
        dir.path(),
        &["-q", "generate", "clicks", "--rows", "3000", "--days", "5", "--file-per-day", "-o", "clicks"],
    );
    let rows = |out: &str, more: &[&str]| {
        let said = works(dir.path(), &[&["-q", "--json", "prepare", "clicks", "-o", out], more].concat()).out;
        let value: Value = serde_json::from_str(said.trim()).expect("JSON");
        [0, 1, 2].map(|part| value["manifest"]["parts"][part]["rows"].as_u64().expect("rows"))
    };
    assert_eq!(rows("files", &["--split", "last-day"]), [2400, 300, 300]);
    assert_eq!(rows("days", &["--set", "data.split={ kind = \"last_day\", days = 3 }"]), [2000, 500, 500]);
}
