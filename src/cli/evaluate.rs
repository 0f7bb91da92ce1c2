//! `dlrm evaluate`.
use super::failure::Failure;
use super::files::answer;
use super::output;
use super::rows_to_score::RowsToScore;
use super::scoring_args::EvaluateArgs;
use super::session::Session;
use dlrm::bench::memory;
use dlrm::data::counts::EncodedCounts;
use dlrm::data::format;
use dlrm::data::parse::Labels;
use dlrm::data::split::Part;
use dlrm::engine::{Parallel, Predictor, learner};
use dlrm::metrics::Metric;
use dlrm::report::terminal::table;
use dlrm::report::{Evaluation, PartMetrics};

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &EvaluateArgs) -> Result<(), Failure> {
    let pool = learner::pool(session.threads)?;
    let predictor = Predictor::load_within(&args.model, session.isa, memory::free())?;
    let schema = predictor.encoder().schema();
    let rows = RowsToScore::of(&args.rows, &predictor, Labels::Required)?;
    let file = rows.output(session, &args.out)?;
    let mut scorer = rows.scorer(&args.rows, &predictor, Labels::Required)?;
    let found = Evaluation::of(&predictor, &mut scorer, Parallel::Pool(&pool), &mut || Ok(()))?;
    output::unknown_values(session, &predictor, scorer.counts());
    output::bad_rows(session, scorer.bad(), scorer.bad_rows());
    let Some(found) = found else { return Err(rows.none(scorer.columns())) };
    let note = trained_on(&predictor, &rows);
    if session.json || file.is_some() {
        note.iter().for_each(|note| output::tell(note));
        let value = found.to_json();
        return answer(file, &format!("{value}\n"));
    }
    let note = note.map_or_else(String::new, |note| note + "\n\n");
    let positive = schema.label.says().map_or_else(String::new, |says| format!("positive: {says}\n"));
    output::print(&(note + &positive + &text(&found.found, &found.columns)))
}

/// Says so where the model was trained on the rows, or they chose its weights.
fn trained_on(predictor: &Predictor, rows: &RowsToScore) -> Option<String> {
    // Those of a prepared data set have the model's encoder, which was fitted to it.
    let files = match rows {
        RowsToScore::Files(input) => predictor.trained().among(input),
        RowsToScore::Stream(_) | RowsToScore::Prepared(_, Part::Test) => Vec::new(),
        RowsToScore::Prepared(_, Part::Train | Part::Validation) => vec![rows.name()],
    };
    let left_out = predictor.metrics().get("test").map(|test| test.rows).filter(|&rows| rows > 0);
    let better = match left_out {
        Some(rows) => {
            format!(
                "those of the {} test rows that training left out stand in its report",
                format::count(rows)
            )
        }
        None => "measure with rows that took no part".to_owned(),
    };
    let names = files.join(", ");
    let only_chose = !predictor.trained().validation();
    let says = if only_chose && matches!(rows, RowsToScore::Prepared(_, Part::Validation)) {
        format!("{names} chose the weights that were kept: these figures are somewhat too good")
    } else {
        format!(
            "the model was trained on {names}: these figures tell what it remembers, not how well it predicts"
        )
    };
    (!files.is_empty()).then(|| format!("note: {says}; {better}"))
}

fn text(found: &PartMetrics, columns: &[(String, EncodedCounts)]) -> String {
    let metrics = &found.metrics;
    let mut text = format!(
        "{} rows, mean label {:.4}, mean prediction {:.4}\n\n",
        format::count(metrics.rows),
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
    text.push_str(&table(&["metric", "value", "95 % interval"], &rows));
    let rows: Vec<Vec<String>> = columns
        .iter()
        .map(|(name, c)| {
            let percent = |rate: f64| format!("{:.2} %", 100.0 * rate);
            vec![
                name.clone(),
                percent(c.missing_rate()),
                c.unseen_rate().map_or_else(|| "-".to_owned(), percent),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{}", table(&["column", "missing", "unseen"], &rows)));
    }
    text
}
