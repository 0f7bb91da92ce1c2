//! Comparisons of models as Markdown.
use crate::run::{self, grouped, number, over_runs};
use serde_json::Value;

/// Compares models on Adult and MovieLens 1M in `data` and prints a table for each.
pub(crate) fn print(data: &str) -> Result<(), String> {
    for (title, config, directory, models) in [
        ("Adult", "recipes/adult.toml", "adult-census", "lr,wide_deep,dcn_v2,dlrm"),
        (
            "MovieLens 1M",
            "recipes/movielens/ctr.toml",
            "",
            "lr,mf,fm,ffm,ncf,dnn,wide_deep,deepfm,dcn,dcn_v2,xdeepfm,dlrm",
        ),
    ] {
        let directory = run::directory(data, directory)?.display().to_string();
        let args = run::words(&format!("--config {config} --models {models} --seeds 3 --data-dir"));
        let compared = run::dlrm("compare", &[args, vec![directory]].concat())?;
        println!("{title}:\n\n{}", table(&compared));
    }
    Ok(())
}

/// Best model first.
fn table(compared: &Value) -> String {
    let mut text = String::from(
        "| model | test AUC | log loss | AUC against the best (95 %) | parameters | \
         multiply-adds per row, forward | training | \
         training rows/s | scored rows/s | peak memory | seconds to best | order | unit |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for model in compared["models"].as_array().into_iter().flatten() {
        let of = |key: &'static str| move |run: &Value| number(&run[key]);
        let test = |metric: &'static str| {
            let (mean, sd) = over_runs(model, |run| number(&run["test"][metric]));
            format!("{mean:.5} ± {sd:.5}")
        };
        let interval = match &model["against_best"] {
            Value::Null => "best on validation".into(),
            interval => format!("{:+.5} … {:+.5}", number(&interval["low"]), number(&interval["high"])),
        };
        let peak = model["runs"].as_array().into_iter().flatten().map(of("peak_bytes")).fold(0.0, f64::max);
        text.push_str(&format!(
            "| {} | {} | {} | {interval} | {} | {} | {} | {} | {} | {:.0} MB | {:.1} | {} | {} |\n",
            model["name"].as_str().unwrap_or("?"),
            test("auc"),
            test("log_loss"),
            number(&model["table_parameters"]) + number(&model["dense_parameters"]),
            number(&model["forward_multiply_adds"]).round(),
            number(&model["training_multiply_adds"]).round(),
            thousands(over_runs(model, of("rows_per_second")).0),
            thousands(number(&model["inference_rows_per_second"])),
            peak / 1e6,
            over_runs(model, of("seconds_to_best")).0,
            model["order"].as_str().unwrap_or("?"),
            model["unit"].as_str().unwrap_or("?"),
        ));
    }
    text
}

/// `69,000`, to three digits.
pub(crate) fn thousands(rate: f64) -> String {
    let unit = 10f64.powf((rate.max(1.0).log10().floor() - 2.0).max(0.0));
    grouped((rate / unit).round() * unit)
}
