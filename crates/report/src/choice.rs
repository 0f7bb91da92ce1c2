//! The candidates that a model was chosen from: in words, as a table for a terminal and for the page.
use crate::format::{MetricFormat, NONE, count, duration};
use crate::text_table::table;
use dlrm_engine::choice::{Choice, ChosenCandidate, Fate};
use dlrm_metrics::Interval;

/// The rule.
pub(crate) const ABOUT: &str = "The best value on the validation rows wins, of those that are less than a \
    ten-thousandth worse the model with the fewest parameters. Differences are those of the winner to the \
    others on the validation rows, which have chosen it: they flatter it a little, unlike the figures of the \
    test rows.";

/// Differences are not written finer than this.
const LEAST: f64 = 1e-4;

/// What was done.
pub(crate) fn heading(choice: &Choice) -> String {
    format!("Candidates on the {} validation rows", count(choice.rows))
}

/// Titles of the columns behind the name of the candidate.
pub(crate) fn titles(choice: &Choice) -> [String; 5] {
    let title = choice.metric.title();
    let against = format!("{title} of the winner minus its own (95 %)");
    [title.into(), against, "parameters".into(), "steps".into(), "time".into()]
}

/// Cells of a candidate.
pub(crate) fn cells(choice: &Choice, candidate: &ChosenCandidate) -> [String; 5] {
    let value = candidate.validation.as_ref().and_then(|metrics| choice.metric.of(metrics));
    let format = MetricFormat::of(choice.metric, value.unwrap_or(0.0));
    let difference = candidate.winner_minus.map(|difference| {
        let interval = difference.interval;
        let format = format.resolving((interval.high - interval.low).max(LEAST));
        format!("{} ({})", format.difference(interval.estimate), format.range(&interval))
    });
    let value = match &candidate.fate {
        Fate::Trained => value.map_or_else(|| NONE.into(), |value| format.value(value)),
        Fate::Diverged { step } => format!("diverged at step {}", count(*step)),
        Fate::Unfit { .. } => "does not fit".into(),
    };
    [
        value,
        difference.unwrap_or_else(|| NONE.into()),
        candidate.parameters.map_or_else(|| NONE.into(), count),
        count(candidate.steps),
        duration(candidate.seconds),
    ]
}

/// By how much, and whether it matters.
pub(crate) fn sentences(choice: &Choice) -> Vec<String> {
    let trained: Vec<&ChosenCandidate> =
        choice.candidates.iter().filter(|candidate| candidate.fate == Fate::Trained).collect();
    let Some((winner, others)) = trained.split_first() else { return Vec::new() };
    let mut all = Vec::new();
    let linear = others.iter().skip(1).find(|candidate| candidate.kind == "lr");
    for other in others.first().into_iter().chain(linear) {
        let Some(difference) = other.winner_minus else { continue };
        let format = MetricFormat::of(choice.metric, difference.interval.estimate);
        let interval = difference.interval;
        let format = format.resolving((interval.high - interval.low).max(LEAST));
        let matters = if excludes_zero(&interval) { "better" } else { "no difference shown" };
        all.push(format!(
            "{} against {}: a difference in {} of {} on the validation rows (95 % interval {}): {matters}.",
            winner.name,
            other.name,
            choice.metric.title(),
            format.difference(interval.estimate),
            format.range(&interval),
        ));
    }
    let simpler = others.iter().filter(|other| {
        let open = other.winner_minus.is_some_and(|difference| !excludes_zero(&difference.interval));
        open && other.parameters < winner.parameters
    });
    if let Some(simpler) = simpler.min_by_key(|other| other.parameters) {
        all.push(format!(
            "The simpler {} may serve as well: these rows cannot tell it from {}.",
            simpler.name, winner.name
        ));
    }
    for candidate in &choice.candidates {
        match &candidate.fate {
            Fate::Trained => {}
            Fate::Diverged { step } => {
                all.push(format!("{} diverged at step {} and is left out.", candidate.name, count(*step)));
            }
            Fate::Unfit { why } => all.push(format!("{} is left out: {why}.", candidate.name)),
        }
    }
    all
}

fn excludes_zero(interval: &Interval) -> bool {
    interval.low > 0.0 || interval.high < 0.0
}

/// Table and sentences for people at a terminal.
pub(crate) fn choice_text(choice: &Choice) -> String {
    let titles = titles(choice);
    let mut header = vec!["candidate"];
    header.extend(titles.iter().map(String::as_str));
    let row =
        |c: &ChosenCandidate| std::iter::once(c.name.clone()).chain(cells(choice, c)).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = choice.candidates.iter().map(row).collect();
    let mut text = format!("\n{}\n", heading(choice));
    text.push_str(&table(&header, &rows));
    sentences(choice).iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
    text
}
