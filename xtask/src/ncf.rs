//! Ranking on MovieLens 1M by the protocol of neural collaborative filtering, beside published results.
use crate::run::{self, number};

/// Recipe, name, published HR@10 and NDCG@10 with their source.
const PUBLISHED: [(&str, &str, &str); 2] = [
    ("mf", "MF", "0.73 / 0.45 (Rendle et al. 2020, rounded)"),
    ("neumf", "NeuMF", "0.6725 / 0.4011 (Ferrari Dacrema et al. 2019)"),
];

/// Trains the recipes with three seeds and prints a Markdown table.
pub(crate) fn print(data: &str) -> Result<(), String> {
    let data = run::directory(data, "movielens-1m-ncf")?.display().to_string();
    println!("| model | HR@10 | NDCG@10 | published | parameters | seconds |\n|---|---|---|---|---|---|");
    for (recipe, name, published) in PUBLISHED {
        let (mut hits, mut gains, mut seconds, mut parameters) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        for seed in 0..3 {
            let config = format!("recipes/movielens/ncf/{recipe}.toml");
            let args =
                run::words(&format!("--overwrite --quiet --config {config} --seed {seed} --data-dir {data}"));
            let report = run::dlrm("train", &args)?;
            let metrics = run::test(&report, 0);
            hits.push(number(&metrics["hit_rate_at_10"]));
            gains.push(number(&metrics["ndcg_at_10"]));
            parameters = number(&report["candidates"][0]["parameters"]);
            seconds.push(
                report["stages"].as_array().into_iter().flatten().map(|s| number(&s["seconds"])).sum::<f64>(),
            );
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let range = |values: &[f64]| {
            let (low, high) =
                values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
            format!("{:.4} ({low:.4} … {high:.4})", mean(values))
        };
        println!(
            "| {name} | {} | {} | {published} | {parameters} | {:.0} |",
            range(&hits),
            range(&gains),
            mean(&seconds)
        );
    }
    Ok(())
}
