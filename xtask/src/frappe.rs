//! The model family on Frappe_x1 beside the results that BARS publishes.
use crate::run::{self, median, number, over_runs};
use serde_json::Value;
use std::process::{Command, Stdio};

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

/// Trains all recipes with three seeds on the files in `data`/frappe_x1 (or reads a finished `compare.json`)
/// and prints a Markdown table.
pub(crate) fn print(data: &str, compared: Option<&str>) -> Result<(), String> {
    let compared: Value = match compared {
        Some(path) => {
            let text = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
            serde_json::from_slice(&text).map_err(|e| format!("{path}: {e}"))?
        }
        None => compare(data, &["--seeds".into(), "3".into()])?,
    };
    println!(
        "| model | test AUC | published | log loss | published | parameters | \
         multiply-adds per row, training | best epoch |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (recipe, name, published) in PUBLISHED {
        let Some(model) = of_name(&compared, recipe) else { continue };
        let test = |metric: &str| {
            let (mean, sd) = over_runs(&model, |run| number(&run["test"][metric]));
            format!("{mean:.5} ± {sd:.5}")
        };
        let (auc, log_loss) =
            published.map_or(("–".into(), "–".into()), |(a, l)| (format!("{a:.5}"), format!("{l:.5}")));
        println!(
            "| {name} | {} | {auc} | {} | {log_loss} | {:.0} | {:.0} | {:.0} |",
            test("auc"),
            test("log_loss"),
            number(&model["table_parameters"]) + number(&model["dense_parameters"]),
            number(&model["training_multiply_adds"]),
            over_runs(&model, |run| number(&run["best_epoch"])).0,
        );
    }
    Ok(())
}

/// Seconds per epoch of all recipes here and in FuxiCTR, by turns, on two threads. `python` has `fuxictr`.
pub(crate) fn epochs(data: &str, python: &str) -> Result<(), String> {
    let mut seconds = vec![[const { Vec::new() }; 2]; PUBLISHED.len()];
    let mut flops = vec![0.0; PUBLISHED.len()];
    for _ in 0..ROUNDS {
        let ours = compare(data, &run::words(&format!("--seeds 1 --epochs 2 --threads {THREADS}")))?;
        let rows = number(&ours["rows"][0]);
        for (((recipe, ..), [own, other]), flops) in PUBLISHED.iter().zip(&mut seconds).zip(&mut flops) {
            let model = of_name(&ours, recipe).ok_or_else(|| format!("no {recipe} in the comparison"))?;
            own.push(rows / over_runs(&model, |run| number(&run["rows_per_second"])).0);
            other.push(theirs(data, python, recipe)?);
            *flops = 2.0 * rows * number(&model["training_multiply_adds"]);
        }
    }
    println!("| model | dlrm, seconds | FuxiCTR, seconds | ratio | dlrm, GFLOP/s |\n|---|---|---|---|---|");
    for (((_, name, _), mut of), flops) in PUBLISHED.into_iter().zip(seconds).zip(flops) {
        let [own, other] = of.each_mut().map(|values| median(values));
        println!("| {name} | {own:.2} | {other:.2} | {:.1} | {:.0} |", other / own, flops / own / 1e9);
    }
    Ok(())
}

const THREADS: usize = 2;
/// Turns of each side.
const ROUNDS: usize = 2;

/// The second of two epochs, in which nothing is done for the first time.
fn theirs(data: &str, python: &str, recipe: &str) -> Result<f64, String> {
    let data = run::directory(data, "frappe_x1")?;
    let mut command = Command::new(python);
    command.arg("benches/peers/fuxictr_frappe.py").arg(data).args(["--models", recipe, "--epochs", "2"]);
    command.args(["--threads", &THREADS.to_string()]).stderr(Stdio::null());
    let done = command.output().map_err(|e| format!("{python}: {e}"))?;
    let printed = String::from_utf8_lossy(&done.stdout);
    let found: Option<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).next_back();
    let found = found
        .ok_or_else(|| format!("{python} benches/peers/fuxictr_frappe.py printed nothing of {recipe}"))?;
    Ok(number(&found["epoch_seconds"][1]))
}

fn of_name(compared: &Value, name: &str) -> Option<Value> {
    compared["models"].as_array()?.iter().find(|m| m["name"] == name).cloned()
}

fn compare(data: &str, more: &[String]) -> Result<Value, String> {
    let data = run::directory(data, "frappe_x1")?;
    let mut args = more.to_vec();
    if !data.join("train.csv").exists() {
        args.push(format!("--set=input.paths=[\"{TRAIN}\"]"));
    }
    args.extend(["--data-dir".into(), data.display().to_string(), "--config".into()]);
    args.extend(PUBLISHED.iter().map(|(recipe, ..)| format!("{RECIPES}/{recipe}.toml")));
    run::dlrm("compare", &args)
}
