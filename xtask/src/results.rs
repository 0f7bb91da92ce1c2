//! The table of docs/results.md against logistic regression.
use crate::run;
use serde_json::Value;

/// Trains every recipe on the data sets below `data` and prints a Markdown table.
pub(crate) fn print(data: &str) -> Result<(), String> {
    let at = |name: &str| run::directory(data, name).map(|path| vec![path.display().to_string()]);
    let runs = [
        (
            "MovieLens-100K, rating ≥ 4",
            [
                at("movielens-100k")?,
                run::words("--format movielens --label-rule"),
                vec!["rating >= 4".into()],
            ],
        ),
        (
            "Adult (census income)",
            [run::words("--config recipes/adult.toml --data-dir"), at("adult-census")?, Vec::new()],
        ),
        (
            "Criteo Kaggle, first 10,000 rows, by time",
            [at("criteo-kaggle-sample/train_first10000.txt")?, run::words("--format criteo"), Vec::new()],
        ),
    ];
    println!(
        "| data | test rows | DLRM AUC | log loss | logistic regression AUC | log loss | \
         AUC difference (95 %) | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, args) in runs {
        let args = [run::words("--overwrite --quiet"), args.concat()].concat();
        println!("{}", row(name, &run::dlrm("train", &args)?));
    }
    Ok(())
}

fn row(name: &str, report: &Value) -> String {
    let (model, linear) = (run::test(report, 0), run::test(report, 1));
    let comparisons = report["comparisons"].as_array().cloned().unwrap_or_default();
    let difference =
        comparisons.iter().find(|c| c["metric"] == "auc" && c["baseline"] == "logistic regression");
    let interval = difference.map_or(Value::Null, |d| d["difference"]["interval"].clone());
    let number = |v: &Value| v.as_f64().map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"));
    let seconds: f64 =
        report["stages"].as_array().into_iter().flatten().filter_map(|s| s["seconds"].as_f64()).sum();
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} ({} … {}) | {seconds:.1} |",
        model["rows"],
        number(&model["auc"]),
        number(&model["log_loss"]),
        number(&linear["auc"]),
        number(&linear["log_loss"]),
        number(&interval["estimate"]),
        number(&interval["low"]),
        number(&interval["high"]),
    )
}
