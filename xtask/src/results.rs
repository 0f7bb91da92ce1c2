//! The results table of the README.
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Data set, arguments of `dlrm train`.
type Run = (&'static str, Vec<String>);

/// Trains every recipe on the data sets below `data` and prints a Markdown table.
pub fn print(data: &str) -> Result<(), String> {
    let data = Path::new(data).canonicalize().map_err(|e| format!("{data}: {e}"))?;
    let at = |name: &str| data.join(name).display().to_string();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let with = |mut args: Vec<String>, more: &[&str]| {
        args.extend(more.iter().map(|&a| a.to_owned()));
        args
    };
    let runs: Vec<Run> = vec![
        ("MovieLens-100K, rating ≥ 4", with(vec![at("movielens-100k")], &["--format", "movielens", "--label-rule", "rating >= 4"])),
        ("Adult (census income)", with(words("--config recipes/adult.toml --data-dir"), &[&at("adult-census")])),
        ("Criteo Kaggle, first 10,000 rows, by time", with(vec![at("criteo-kaggle-sample/train_first10000.txt")], &["--format", "criteo"])),
    ];
    println!("| data | test rows | DLRM AUC | log loss | logistic regression AUC | log loss | AUC difference (95 %) | seconds |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, args) in runs {
        println!("{}", row(name, &args)?);
    }
    Ok(())
}

fn row(name: &str, args: &[String]) -> Result<String, String> {
    let scratch = std::env::temp_dir().join(format!("dlrm-results-{}", std::process::id()));
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--", "--json", "--quiet", "train", "--overwrite", "-o"]).arg(&scratch).args(args);
    let done = command.output().map_err(|e| format!("cargo: {e}"))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    // Left-overs in the temporary directory are the system's to clear.
    let _ = std::fs::remove_dir_all(&scratch);
    let report: Value = serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())?;
    let test = |candidate: usize| {
        let splits = report["candidates"][candidate]["splits"].as_array().cloned().unwrap_or_default();
        splits.into_iter().find(|s| s["split"] == "test").unwrap_or(Value::Null)["metrics"].clone()
    };
    let (model, linear) = (test(0), test(1));
    let comparisons = report["comparisons"].as_array().cloned().unwrap_or_default();
    let difference = comparisons.iter().find(|c| c["metric"] == "auc" && c["baseline"] == "logistic regression");
    let interval = difference.map_or(Value::Null, |d| d["difference"]["interval"].clone());
    let number = |v: &Value| v.as_f64().map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"));
    let seconds: f64 = report["stages"].as_array().into_iter().flatten().filter_map(|s| s["seconds"].as_f64()).sum();
    Ok(format!(
        "| {name} | {} | {} | {} | {} | {} | {} ({} … {}) | {seconds:.1} |",
        model["rows"],
        number(&model["auc"]),
        number(&model["log_loss"]),
        number(&linear["auc"]),
        number(&linear["log_loss"]),
        number(&interval["estimate"]),
        number(&interval["low"]),
        number(&interval["high"]),
    ))
}
