//! What folds have measured, in words, as a table for a terminal and for the page.
use crate::format::{MetricFormat, NONE, count};
use crate::text_table::table;
use crate::verdict::capitalised;
use dlrm_data::split::Part;
use dlrm_engine::folds::{Folded, FoldedCandidate, OverFolds};
use dlrm_metrics::{Interval, Metric};

/// How the intervals are to be read.
pub(crate) const ABOUT: &str = "Means over the folds with 95 % intervals: Student's t over the folds, with \
    the variance that Nadeau and Bengio (2003) correct for training rows that the folds share. Differences \
    are paired fold by fold.";

/// What was done: folds, rows.
pub(crate) fn heading(folded: &Folded) -> String {
    let mean = |part: Part| {
        let rows: u64 = folded.rows.iter().map(|rows| rows[part]).sum();
        count((rows as f64 / folded.rows.len().max(1) as f64).round() as u64)
    };
    format!(
        "{} folds (seed {}), each trained on about {} rows, stopped by {}, tested on {}",
        folded.folds,
        folded.seed,
        mean(Part::Train),
        mean(Part::Validation),
        mean(Part::Test)
    )
}

/// Titles of the columns behind the name of the candidate.
pub(crate) fn titles(folded: &Folded) -> Vec<String> {
    let against = folded
        .metrics
        .first()
        .map(|metric| format!("{} against {} (95 %)", metric.title(), folded.reference().name));
    folded.metrics.iter().map(|metric| metric.title().to_owned()).chain(against).collect()
}

/// Cells of a candidate.
pub(crate) fn cells(candidate: &FoldedCandidate) -> Vec<String> {
    let own = candidate.values.iter().map(|over| match over.interval {
        Some(interval) => {
            let format = format_of(over.metric, &interval);
            let half = 0.5 * (interval.high - interval.low);
            format!("{} ± {}", format.value(interval.estimate), format.difference(half))
        }
        None => NONE.into(),
    });
    let against = match candidate.against.first().and_then(|over| Some((over.metric, over.interval?))) {
        Some((metric, interval)) => {
            let format = format_of(metric, &interval);
            format!("{} ({})", format.difference(interval.estimate), format.range(&interval))
        }
        None => NONE.into(),
    };
    own.chain([against]).collect()
}

fn format_of(metric: Metric, interval: &Interval) -> MetricFormat {
    MetricFormat::of(metric, interval.estimate)
}

/// What may be said: a difference only where its interval excludes zero.
pub fn sentences(folded: &Folded) -> Vec<String> {
    let (reference, mut all) = (&folded.reference().name, Vec::new());
    for candidate in &folded.candidates {
        let claims: Vec<String> = candidate.against.iter().filter_map(claim).collect();
        if candidate.against.is_empty() {
            continue;
        }
        let text = if claims.is_empty() {
            let titles: Vec<&str> = candidate.against.iter().map(|over| over.metric.title()).collect();
            format!("show no difference between {} and {reference} in {}", candidate.name, titles.join(", "))
        } else {
            format!("find {} {} {reference}", candidate.name, claims.join(" and "))
        };
        all.push(format!("The {} folds {text}.", folded.folds));
    }
    all
}

/// Better or worse, where the interval says so.
fn claim(over: &OverFolds) -> Option<String> {
    let interval = over.interval?;
    let sign = if over.metric.higher_is_better() { 1.0 } else { -1.0 };
    let word = match (interval.low * sign, interval.high * sign) {
        (low, high) if low > 0.0 && high > 0.0 => "better",
        (low, high) if low < 0.0 && high < 0.0 => "worse",
        _ => return None,
    };
    Some(format!("{word} in {} than", over.metric.title()))
}

/// Table and sentences for people at a terminal.
pub fn folds_text(folded: &Folded) -> String {
    let titles = titles(folded);
    let mut header = vec!["folds"];
    header.extend(titles.iter().map(String::as_str));
    let row = |c: &FoldedCandidate| std::iter::once(c.name.clone()).chain(cells(c)).collect();
    let rows: Vec<Vec<String>> = folded.candidates.iter().map(row).collect();
    let mut text = format!("\n{}\n", capitalised(&heading(folded)));
    text.push_str(&table(&header, &rows));
    sentences(folded).iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
    text.push_str(&format!("  {ABOUT}\n"));
    text
}
