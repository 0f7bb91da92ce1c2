//! RMSE on the given folds of MovieLens 100K.
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Trains the recipes on folds u1 to u5 in `data` and prints a Markdown table.
pub fn print(data: &str) -> Result<(), String> {
    let data = Path::new(data).canonicalize().map_err(|e| format!("{data}: {e}"))?.join("movielens-100k");
    println!("| model | u1 | u2 | u3 | u4 | u5 | mean |\n|---|---|---|---|---|---|---|");
    let mut linear = Vec::new();
    for (name, recipe) in [("MF", "ratings"), ("FM", "ratings_fm")] {
        let mut own = Vec::new();
        linear.clear();
        for fold in 1..=5 {
            let report = train(recipe, &data, fold)?;
            let rmse = |candidate: usize| {
                let splits = report["candidates"][candidate]["splits"].as_array().cloned().unwrap_or_default();
                splits.iter().find(|s| s["split"] == "test").and_then(|s| s["metrics"]["rmse"].as_f64()).unwrap_or(f64::NAN)
            };
            own.push(rmse(0));
            linear.push(rmse(1));
        }
        println!("{}", line(name, &own));
    }
    println!("{}", line("biases alone", &linear));
    Ok(())
}

fn line(name: &str, values: &[f64]) -> String {
    let cells: Vec<String> = values.iter().map(|v| format!("{v:.4}")).collect();
    format!("| {name} | {} | {:.4} |", cells.join(" | "), values.iter().sum::<f64>() / values.len() as f64)
}

fn train(recipe: &str, data: &Path, fold: u32) -> Result<Value, String> {
    let scratch = std::env::temp_dir().join(format!("dlrm-ratings-{}", std::process::id()));
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--", "--json", "--quiet", "train", "--overwrite", "-o"]).arg(&scratch);
    command.args(["--config", &format!("recipes/movielens/{recipe}.toml"), "--data-dir"]).arg(data);
    command.args(["--set", &format!("input.paths=[\"u{fold}.base\"]"), "--set", &format!("data.test=[\"u{fold}.test\"]")]);
    let done = command.output().map_err(|e| format!("cargo: {e}"))?;
    // Left-overs in the temporary directory are the system's to clear.
    let _ = std::fs::remove_dir_all(&scratch);
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())
}
