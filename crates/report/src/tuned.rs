//! What a search for settings has come to, in words.
use crate::format::{MetricFormat, NONE, count, duration};
use crate::text_table::table;
use dlrm_data::split::Part;
use dlrm_engine::tune::{BEST_FILE, Entry, Figure, JOURNAL_FILE, Tuned};
use std::path::Path;

/// Trials that are shown.
const SHOWN: usize = 12;

/// Table of the trials and figures of the test rows, for people.
pub fn tuned_text(tuned: &Tuned, out: &Path) -> String {
    let ranked = tuned.ranked();
    let title = format!("validation {}", tuned.metric.title());
    let header = ["trial", "model", &title, "rung", "steps", "time", "settings"];
    // The default and the regression are shown whatever they are worth.
    let shown = |(place, entry): &(usize, &&Entry)| *place < SHOWN || entry.trial < 2;
    let rows: Vec<Vec<String>> =
        ranked.iter().enumerate().filter(shown).map(|(_, entry)| row(tuned, entry)).collect();
    let mut text = format!("\n{}", table(&header, &rows));
    if ranked.len() > rows.len() {
        let (more, journal) = (count((ranked.len() - rows.len()) as u64), out.join(JOURNAL_FILE));
        text.push_str(&format!("{more} more are in {}\n", journal.display()));
    }
    text.push_str(&format!(
        "\nOn the {} test rows, which took no part in the search:\n",
        count(tuned.rows[Part::Test])
    ));
    text.push_str(&figures(tuned));
    sentences(tuned).iter().for_each(|sentence| text.push_str(&format!("{sentence}\n")));
    text.push_str(&format!("best:   {}\n", out.join(BEST_FILE).display()));
    text
}

fn row(tuned: &Tuned, entry: &Entry) -> Vec<String> {
    let value = match (&entry.failed, entry.value) {
        (Some(why), _) => why.chars().take(40).collect(),
        (None, Some(value)) => MetricFormat::of(tuned.metric, value).resolving(1e-4).value(value),
        (None, None) => NONE.into(),
    };
    let name = match entry.trial {
        0 => "0 (default)".to_owned(),
        1 => "1 (regression)".into(),
        trial => trial.to_string(),
    };
    let mark = if entry.trial == tuned.winner { " *" } else { "" };
    vec![
        format!("{name}{mark}"),
        entry.model.clone(),
        value,
        if entry.complete { "end".into() } else { (entry.rung + 1).to_string() },
        count(entry.steps),
        duration(entry.seconds),
        entry.settings.clone(),
    ]
}

/// The winner beside the default and the regression.
fn figures(tuned: &Tuned) -> String {
    let Some(best) = tuned.figures.first() else { return String::new() };
    let mut header = vec!["test".to_owned()];
    for (metric, _) in &best.intervals {
        header.push(metric.title().into());
        header.push(format!("best minus it in {} (95 %)", metric.title()));
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let row = |figure: &Figure| {
        let mut cells = vec![format!("{} (trial {})", figure.name, figure.trial)];
        for (metric, interval) in &figure.intervals {
            let format = MetricFormat::of(*metric, interval.estimate);
            let value = metric.of(&figure.test).unwrap_or(f64::NAN);
            cells.push(format!("{} ({})", format.value(value), format.range(interval)));
            let against = figure.best_minus.iter().find(|against| against.metric == *metric);
            cells.push(against.map_or_else(
                || NONE.into(),
                |against| {
                    let interval = against.difference.interval;
                    format!("{} ({})", format.difference(interval.estimate), format.range(&interval))
                },
            ));
        }
        cells
    };
    table(&header, &tuned.figures.iter().map(row).collect::<Vec<_>>())
}

/// What may be said: a difference only where its interval excludes zero.
fn sentences(tuned: &Tuned) -> Vec<String> {
    let mut all = Vec::new();
    for figure in tuned.figures.iter().filter(|figure| !figure.best_minus.is_empty()) {
        if figure.trial == tuned.winner {
            all.push(format!("The search found nothing better than the {}.", figure.name));
            continue;
        }
        let reading = |against: &dlrm_engine::tune::Against| {
            let interval = against.difference.interval;
            let sign = if against.metric.higher_is_better() { 1.0 } else { -1.0 };
            let word = match (interval.low * sign, interval.high * sign) {
                (low, high) if low > 0.0 && high > 0.0 => "better",
                (low, high) if low < 0.0 && high < 0.0 => "worse",
                _ => "not shown to differ",
            };
            format!("in {} {word}", against.metric.title())
        };
        let readings: Vec<String> = figure.best_minus.iter().map(reading).collect();
        all.push(format!("Against the {} the best is {}.", figure.name, readings.join(", ")));
    }
    all
}

/// What [`tuned_text`] says, for machines.
pub fn tuned_json(tuned: &Tuned, out: &Path) -> serde_json::Value {
    serde_json::json!({
        "best": out.join(BEST_FILE).display().to_string(),
        "journal": out.join(JOURNAL_FILE).display().to_string(),
        "metric": tuned.metric,
        "winner": tuned.winner,
        "rows": tuned.rows,
        "figures": tuned.figures,
        "trials": tuned.ranked(),
    })
}
