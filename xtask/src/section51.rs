//! Section 5.1 of the DLRM paper on generated rows with the shape of Criteo Kaggle: DLRM and Deep & Cross,
//! SGD and Adagrad, one epoch, with the curves as docs/section-5.1.svg.
use crate::run::{binary, dlrm, grouped, number, words};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Generated rows where none are asked for.
pub(crate) const ROWS: &str = "10000000";
const RECIPES: [&str; 4] = ["dlrm-sgd", "dlrm-adagrad", "dcn-sgd", "dcn-adagrad"];
const COLORS: [&str; 4] = ["#7fb2e5", "#1f5fa8", "#f0b36b", "#b8650f"];
const PICTURE: &str = "docs/section-5.1.svg";

/// Generates, prepares, compares and draws; rows, the prepared set and what was measured stay in `dir`, where
/// a second run finds them.
pub(crate) fn run(dir: &str, rows: &str) -> Result<(), String> {
    let (clicks, prepared) = (format!("{dir}/clicks"), format!("{dir}/prepared"));
    let recipe = |name: &str| format!("recipes/section-5.1/{name}.toml");
    if !Path::new(&clicks).join("manifest.json").exists() {
        command(&["generate", "clicks", "--rows", rows, "--file-per-day", "-o", &clicks])?;
    }
    if !Path::new(&prepared).join("manifest.json").exists() {
        command(&["prepare", &clicks, "--config", &recipe(RECIPES[0]), "-o", &prepared])?;
    }
    // Sixteen evaluations in the epoch: six days of seven in batches of 128.
    let every = (rows.parse::<u64>().map_err(|e| format!("{rows}: {e}"))? * 6 / 7 / 128 / 16).max(1);
    let mut args = words(&format!("{prepared} --seeds 1 --set train.evaluate_every={every} --config"));
    args.extend(RECIPES.map(recipe));
    let measured = format!("{dir}/compare.json");
    let compared = match std::fs::read(&measured) {
        Ok(text) => serde_json::from_slice(&text).map_err(|e| format!("{measured}: {e}"))?,
        Err(_) => {
            let compared = dlrm("compare", &args)?;
            std::fs::write(&measured, compared.to_string()).map_err(|e| format!("{measured}: {e}"))?;
            compared
        }
    };
    let manifest = std::fs::read_to_string(format!("{clicks}/manifest.json")).map_err(|e| e.to_string())?;
    let manifest: Value = serde_json::from_str(&manifest).map_err(|e| e.to_string())?;
    let best = number(&manifest["written"]["last_day"]["log_loss"]);
    println!("| model | test accuracy | test log loss | test AUC |\n|---|---|---|---|");
    let mut curves = Vec::new();
    for name in RECIPES {
        let models = compared["models"].as_array().ok_or("no models")?;
        let model = models
            .iter()
            .find(|m| m["name"].as_str().is_some_and(|n| n.contains(name)))
            .ok_or_else(|| format!("{name}: no result"))?;
        let run = &model["runs"][0];
        let of = |key: &str| number(&run["test"][key]);
        println!("| {name} | {:.4} | {:.4} | {:.4} |", of("accuracy"), of("log_loss"), of("auc"));
        let points = run["history"].as_array().cloned().unwrap_or_default();
        let of =
            |p: &Value| [&p["train_accuracy"], &p["validation"]["accuracy"], &p["train_loss"]].map(number);
        let at = |p: &Value| (number(&p["step"]) / 1e3, of(p));
        // What is left behind the last full interval is too little to tell anything.
        let full = points.iter().filter(|p| (number(&p["step"]) as u64).is_multiple_of(every));
        curves.push((name, full.map(at).collect::<Vec<_>>()));
    }
    println!("| best possible | | {best:.4} | {:.4} |", number(&manifest["written"]["last_day"]["auc"]));
    let rows = grouped(number(&manifest["law"]["rows"]));
    std::fs::write(PICTURE, draw(&curves, &rows, best)).map_err(|e| format!("{PICTURE}: {e}"))
}

fn command(args: &[&str]) -> Result<(), String> {
    let run = Command::new(binary()?).args(args).status();
    match run {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("dlrm {}: {other:?}", args.join(" "))),
    }
}

/// Name and, by thousands of steps, the value of each panel.
type Curve<'a> = (&'a str, Vec<(f64, [f64; 3])>);

const STYLE: &str = "svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#16202a}\
.title{font-size:16px;font-weight:600}.soft{fill:#52606d}.end{text-anchor:end}.mid{text-anchor:middle}\
.axis{stroke:#b8c2cc;stroke-width:1}.best{stroke:#52606d;stroke-dasharray:5 4}";
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;

fn draw(curves: &[Curve<'_>], rows: &str, best: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 990\" width=\"{WIDTH}\" \
         height=\"990\"><style>{STYLE}</style>"
    );
    svg += &format!(
        "<text class=\"title\" x=\"20\" y=\"28\">\
         DLRM and Deep &amp; Cross, {rows} generated rows, one epoch, batches of 128</text>"
    );
    for (i, ((name, _), color)) in curves.iter().zip(COLORS).enumerate() {
        let x = LEFT + 160.0 * i as f64;
        svg += &format!(
            "<rect x=\"{x}\" y=\"42\" width=\"22\" height=\"4\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"50\">{name}</text>",
            x + 28.0
        );
    }
    let panels = [
        ("accuracy on the training rows since the last evaluation, each before it was trained on", None),
        ("accuracy on the validation rows", None),
        ("log loss on the training rows since the last evaluation (dashed: the best possible)", Some(best)),
    ];
    for (i, (title, best)) in panels.into_iter().enumerate() {
        let of = |curve: &Curve<'_>| curve.1.iter().map(|&(x, values)| (x, values[i])).collect();
        panel(&mut svg, 80.0 + 300.0 * i as f64, title, &curves.iter().map(of).collect::<Vec<_>>(), best);
    }
    svg += &format!("<text class=\"soft mid\" x=\"{}\" y=\"980\">thousand steps</text></svg>\n", WIDTH / 2.0);
    svg
}

fn panel(svg: &mut String, top: f64, title: &str, curves: &[Vec<(f64, f64)>], best: Option<f64>) {
    let values = || curves.iter().flatten().map(|&(_, y)| y).chain(best);
    let (low, high) = values().fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)));
    let margin = 0.05 * (high - low).max(1e-6);
    let (low, high) = (low - margin, high + margin);
    let last = curves.iter().flatten().map(|&(x, _)| x).fold(0.0, f64::max);
    let x = |v: f64| LEFT + (WIDTH - LEFT - RIGHT) * v / last;
    let y = |v: f64| top + 20.0 + HEIGHT * (high - v) / (high - low);
    let mut put = |text: String| svg.push_str(&text);
    put(format!("<text x=\"{LEFT}\" y=\"{}\">{title}</text>", top + 8.0));
    for i in 0..=4 {
        let v = low + (high - low) * f64::from(i) / 4.0;
        let at = y(v);
        put(format!(
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            WIDTH - RIGHT
        ));
        put(format!("<text class=\"soft end\" x=\"{}\" y=\"{:.1}\">{v:.4}</text>", LEFT - 6.0, at + 4.0));
        let step = last * f64::from(i) / 4.0;
        put(format!(
            "<text class=\"soft mid\" x=\"{:.1}\" y=\"{:.1}\">{step:.0}</text>",
            x(step),
            top + 36.0 + HEIGHT
        ));
    }
    if let Some(best) = best {
        put(format!(
            "<line class=\"best\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
            WIDTH - RIGHT,
            y(best),
            y(best)
        ));
    }
    for (curve, color) in curves.iter().zip(COLORS) {
        let points: Vec<String> =
            curve.iter().map(|&(step, value)| format!("{:.1},{:.1}", x(step), y(value))).collect();
        put(format!(
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        ));
    }
}
