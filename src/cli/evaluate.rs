//! `dlrm evaluate`.
use super::args::EvaluateArgs;
use super::failure::Failure;
use super::session::Session;
use super::{output, requests};
use dlrm::data::counts::EncodedCounts;
use dlrm::data::parse::Labels;
use dlrm::engine::{Predictor, learner};
use dlrm::metrics::{Bootstrap, Metric, Ranking, Scored};
use dlrm::report::SplitMetrics;

/// Rows scored at a time.
const CHUNK: usize = 16_384;

/// Runs the subcommand.
pub fn run(session: &Session, args: &EvaluateArgs) -> Result<(), Failure> {
    let pool = learner::pool(session.threads)?;
    let predictor = Predictor::load(&args.model, session.isa)?;
    let schema = predictor.encoder().schema();
    // The time is read for splits only.
    let needed: Vec<&str> = schema.columns().filter(|name| schema.time.as_deref() != Some(name)).collect();
    let input = requests::input(&args.input, &args.paths).for_model(&predictor.config().input, &needed)?;
    let mut rows = predictor.open(&input, Labels::Required, args.input.max_bad_rows.unwrap_or(0))?;
    let (mut logits, mut labels, mut counts) = (Vec::new(), Vec::new(), predictor.encoder().counts());
    let mut weights: Option<Vec<f32>> = schema.weight.is_some().then(Vec::new);
    let mut groups: Option<Vec<u64>> = schema.group.is_some().then(Vec::new);
    loop {
        let scores = pool.install(|| predictor.score(&mut rows, CHUNK))?;
        if scores.logits.is_empty() {
            break;
        }
        logits.extend(scores.logits);
        labels.extend(scores.labels);
        if let (Some(all), Some(own)) = (&mut weights, scores.weights) {
            all.extend(own);
        }
        if let (Some(all), Some(own)) = (&mut groups, scores.groups) {
            all.extend(own);
        }
        for (sum, own) in counts.iter_mut().zip(scores.counts) {
            *sum = sum.plus(own);
        }
    }
    output::bad_rows(session, rows.bad(), rows.bad_rows());
    let scored = Scored::new(predictor.task(), &logits, &labels, weights.as_deref())?
        .with_groups(groups.as_deref())?;
    let found = SplitMetrics::of("evaluation", &scored, &Ranking::new(&scored), &Bootstrap::default());
    let columns: Vec<(&str, EncodedCounts)> =
        schema.categorical.iter().map(|c| c.name.as_str()).zip(counts).collect();
    if session.json {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, c)| serde_json::json!({"column": name, "missing": c.missing_rate(), "unseen": c.unseen_rate()}))
            .collect();
        let value = serde_json::json!({"metrics": found.metrics, "intervals": found.intervals, "columns": columns, "skipped_rows": rows.bad_rows()});
        return output::print(&format!("{value}\n"));
    }
    output::print(&text(&found, &columns))
}

fn text(found: &SplitMetrics, columns: &[(&str, EncodedCounts)]) -> String {
    let metrics = &found.metrics;
    let mut text = format!(
        "{} rows, mean label {:.4}, mean prediction {:.4}\n\n",
        output::count(metrics.rows),
        metrics.mean_label,
        metrics.mean_prediction
    );
    let rows: Vec<Vec<String>> = Metric::ALL
        .into_iter()
        .filter_map(|metric| {
            let value = metric.of(metrics)?;
            let interval =
                found.interval(metric).map_or_else(String::new, |i| format!("{:.5} … {:.5}", i.low, i.high));
            Some(vec![metric.title().to_owned(), format!("{value:.5}"), interval])
        })
        .collect();
    text.push_str(&output::table(&["metric", "value", "95 % interval"], &rows));
    let rows: Vec<Vec<String>> = columns
        .iter()
        .map(|(name, c)| {
            let percent = |rate: f64| format!("{:.2} %", 100.0 * rate);
            vec![
                (*name).to_owned(),
                percent(c.missing_rate()),
                c.unseen_rate().map_or_else(|| "-".to_owned(), percent),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{}", output::table(&["column", "missing", "unseen"], &rows)));
    }
    text
}
