//! The model family on Frappe_x1 beside the results that BARS publishes.
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Test AUC and log loss.
type Published = Option<(f64, f64)>;
/// Recipe, name, and what BARS publishes (the mean of five runs where it gives one, else its single run).
const PUBLISHED: [(&str, &str, Published); 10] = [
    ("lr", "LR", Some((0.935584, 0.307643))),
    ("fm", "FM", Some((0.967108, 0.206515))),
    ("dnn", "DNN", Some((0.984045, 0.158370))),
    ("wide_deep", "Wide & Deep", Some((0.983073, 0.153978))),
    ("deepfm", "DeepFM", Some((0.983947, 0.149462))),
    ("dcn", "DCN", Some((0.983418, 0.150676))),
    ("dcn_v2", "DCN-V2", Some((0.983824, 0.152036))),
    ("xdeepfm", "xDeepFM", Some((0.984138, 0.146125))),
    ("dlrm_cat", "DLRM, concatenation", Some((0.983995, 0.144441))),
    ("dlrm_dot", "DLRM, dot products", None),
];
const RECIPES: &str = "recipes/bars/frappe";
/// The original training file is lost; the stand-in has its negatives drawn again.
const TRAIN: &str = "train.reconstructed.csv";

/// Trains all recipes with three seeds on the files in `data`/frappe_x1 (or reads a finished `compare.json`) and prints a
/// Markdown table.
pub fn print(data: &str, compared: Option<&str>) -> Result<(), String> {
    let compared = match compared {
        Some(path) => std::fs::read(path).map_err(|e| format!("{path}: {e}"))?,
        None => compare(data)?,
    };
    let compared: Value = serde_json::from_slice(&compared).map_err(|e| e.to_string())?;
    let models = compared["models"].as_array().cloned().unwrap_or_default();
    println!(
        "| model | test AUC | published | log loss | published | parameters | multiply-adds per row, training | training rows/s | best epoch |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (recipe, name, published) in PUBLISHED {
        let Some(model) = models.iter().find(|m| m["name"] == recipe) else { continue };
        let over = |f: &dyn Fn(&Value) -> f64| {
            let values: Vec<f64> = model["runs"].as_array().into_iter().flatten().map(f).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0);
            (mean, variance.sqrt())
        };
        let test = |metric: &str| {
            let (mean, sd) = over(&|run| run["test"][metric].as_f64().unwrap_or(f64::NAN));
            format!("{mean:.5} ± {sd:.5}")
        };
        let (auc, log_loss) = published.map_or(("–".into(), "–".into()), |(a, l)| (format!("{a:.5}"), format!("{l:.5}")));
        let mean = |key: &str| over(&|run| run[key].as_f64().unwrap_or(f64::NAN)).0;
        let count = |key: &str| model[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "| {name} | {} | {auc} | {} | {log_loss} | {:.0} | {:.0} | {:.0} | {:.0} |",
            test("auc"),
            test("log_loss"),
            count("table_parameters") + count("dense_parameters"),
            count("training_multiply_adds"),
            mean("rows_per_second"),
            mean("best_epoch"),
        );
    }
    Ok(())
}

fn compare(data: &str) -> Result<Vec<u8>, String> {
    let data = Path::new(data).canonicalize().map_err(|e| format!("{data}: {e}"))?.join("frappe_x1");
    let scratch = std::env::temp_dir().join(format!("dlrm-frappe-{}", std::process::id()));
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--", "--json", "compare", "--seeds", "3", "-o"]).arg(&scratch);
    command.arg("--data-dir").arg(&data).arg("--config");
    command.args(PUBLISHED.iter().map(|(recipe, ..)| format!("{RECIPES}/{recipe}.toml")));
    if !data.join("train.csv").exists() {
        command.args(["--set", &format!("input.paths=[\"{TRAIN}\"]")]);
    }
    let done = command.stderr(std::process::Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
    // Left-overs in the temporary directory are the system's to clear.
    let _ = std::fs::remove_dir_all(&scratch);
    if done.status.success() { Ok(done.stdout) } else { Err("the comparison failed".into()) }
}
