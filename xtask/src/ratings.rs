//! RMSE on the given folds of MovieLens 100K.
use crate::run;

/// Trains the recipes on folds u1 to u5 in `data` and prints a Markdown table.
pub(crate) fn print(data: &str) -> Result<(), String> {
    let data = run::directory(data, "movielens-100k")?.display().to_string();
    println!("| model | u1 | u2 | u3 | u4 | u5 | mean |\n|---|---|---|---|---|---|---|");
    let mut linear = Vec::new();
    for (name, recipe) in [("MF", "ratings"), ("FM", "ratings_fm")] {
        let mut own = Vec::new();
        linear.clear();
        for fold in 1..=5 {
            let mut args = run::words(&format!(
                "--overwrite --quiet --config recipes/movielens/{recipe}.toml --data-dir"
            ));
            args.push(data.clone());
            args.extend(
                [format!("input.paths=[\"u{fold}.base\"]"), format!("data.test=[\"u{fold}.test\"]")]
                    .map(|s| format!("--set={s}")),
            );
            let report = run::dlrm("train", &args)?;
            own.push(run::number(&run::test(&report, 0)["rmse"]));
            linear.push(run::number(&run::test(&report, 1)["rmse"]));
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
