//! Verdict, metrics and weakest slices.
use super::table::{Cells, HtmlTable};
use super::{note, paragraph};
use crate::format::{MetricFormat, NONE, count, fixed, p_value, rate};
use crate::markup::{Markup, element, short, tag, tagged, text};
use crate::verdict::{Reading, capitalised};
use crate::{Candidate, Comparison, Optimum, PartMetrics, Report};
use dlrm_data::schema::Task;
use dlrm_metrics::Metric;
use dlrm_metrics::slices::Slice;

/// One line under the title.
pub(super) fn subtitle(report: &Report) -> Markup {
    let rows: u64 = report.data.parts.iter().map(|part| part.rows).sum();
    let parameters = report.model.parameters.map_or(String::new(), |n| format!(" · {} parameters", count(n)));
    let line =
        format!("{}{parameters} · {} rows · predicts {}", report.model.name, count(rows), report.data.label);
    element("p", &[("class", "soft")], &text(&line))
}

/// What came out, in words; the headline numbers; warnings.
pub(super) fn verdict(report: &Report) -> Markup {
    let verdict = report.verdict();
    let class = match verdict.tone {
        Reading::Better => "verdict good",
        Reading::Worse => "verdict bad",
        Reading::Undecided => "verdict",
    };
    let list = |sentences: &[String]| tag("ul", &sentences.iter().map(|s| tagged("li", s)).collect());
    let mut inner = paragraph(&verdict.headline);
    if !verdict.sentences.is_empty() {
        inner.push(&list(&verdict.sentences));
    }
    let mut all = element("div", &[("class", class)], &inner);
    all.push(&tiles(report));
    if !report.notes.is_empty() {
        let body = [tagged("h3", "Please note"), list(&report.notes)].into_iter().collect();
        all.push(&element("div", &[("class", "warnings")], &body));
    }
    element("section", &[("aria-label", "Verdict")], &all)
}

fn tiles(report: &Report) -> Markup {
    let Some(part) = report.model.on(&report.verdict_part) else {
        return Markup::default();
    };
    let tile = |name: &str, value: &str, small: &str| {
        let value = tag("dd", &[text(value), tagged("small", small)].into_iter().collect());
        tag("div", &[tagged("dt", name), value].into_iter().collect())
    };
    let mut all = Markup::default();
    for metric in report.headline_metrics() {
        if let Some(value) = metric.of(&part.metrics) {
            let format = MetricFormat::of(metric, value);
            let interval =
                part.interval(metric).map_or(String::new(), |i| format!("95 %: {}", format.range(&i)));
            let name = format!("{}, {}", capitalised(metric.title()), part.part);
            all.push(&tile(&name, &format.value(value), &interval));
        }
    }
    let metrics = &part.metrics;
    let name = format!("Mean prediction, {}", part.part);
    let (prediction, label) = means(report.task, metrics.mean_prediction, metrics.mean_label);
    all.push(&tile(&name, &prediction, &format!("mean label {label}")));
    element("dl", &[("class", "tiles")], &all)
}

fn means(task: Task, prediction: f64, label: f64) -> (String, String) {
    match task {
        Task::Binary => (rate(prediction), rate(label)),
        Task::Rating => (fixed(prediction, 3), fixed(label, 3)),
    }
}

/// All metrics of all candidates, and the differences.
pub(super) fn metrics(report: &Report) -> Markup {
    let mut parts: Vec<&str> = vec![&report.verdict_part];
    for part in candidates(report).flat_map(|c| &c.parts) {
        if !parts.contains(&part.part.as_str()) {
            parts.push(&part.part);
        }
    }
    let mut all: Markup = parts.into_iter().map(|part| part_table(report, part)).collect();
    all.push(&differences(report));
    all.push(&note(
        "Intervals hold 95 % of what other samples of as many rows would give: DeLong's for AUC, \
         bootstrap otherwise. They do not cover training again with another seed. Differences are paired: \
         both models are scored on the same rows.",
    ));
    all
}

fn candidates(report: &Report) -> impl Iterator<Item = &Candidate> {
    std::iter::once(&report.model).chain(&report.baselines)
}

fn part_table(report: &Report, part: &str) -> Markup {
    let found: Vec<(&Candidate, &PartMetrics)> =
        candidates(report).filter_map(|c| Some((c, c.on(part)?))).collect();
    let present = |metric: &Metric| found.iter().any(|(_, s)| metric.of(&s.metrics).is_some());
    let shown: Vec<Metric> = Metric::ALL.into_iter().filter(present).collect();
    let title = |metric: &Metric| format!("{}\u{a0}{}", capitalised(metric.title()), arrow(*metric));
    let titles: Vec<String> = shown.iter().map(title).collect();
    let mut columns = vec![("Candidate", Cells::Text)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Cells::Number)));
    if report.task == Task::Binary {
        columns.extend(CLICK_COLUMNS.map(|title| (title, Cells::Number)));
    }
    let row = |(candidate, part): &(&Candidate, &PartMetrics)| {
        let metrics = shown.iter().map(|&metric| metric_cell(metric, part));
        std::iter::once(short(&candidate.name)).chain(metrics).chain(click_cells(report.task, part)).collect()
    };
    let mut rows: Vec<Vec<Markup>> = found.iter().map(row).collect();
    if part == report.verdict_part {
        rows.extend(report.optimum.map(|optimum| optimum_row(&optimum, &shown, columns.len())));
    }
    let size = found.first().map_or(0, |(_, s)| s.metrics.rows);
    let caption = format!("{} ({} rows)", capitalised(part), count(size));
    HtmlTable { caption: &caption, columns: &columns, rows }.markup()
}

/// Columns of clicks beside the metrics that have intervals.
const CLICK_COLUMNS: [&str; 2] = ["Brier\u{a0}↓", "Mean prediction / label\u{a0}→\u{a0}1"];

fn click_cells(task: Task, part: &PartMetrics) -> Vec<Markup> {
    let optional = |x: Option<f64>, decimals| text(&x.map_or(NONE.into(), |x| fixed(x, decimals)));
    match task {
        Task::Binary => vec![optional(part.metrics.brier, 4), optional(part.metrics.calibration_ratio, 3)],
        Task::Rating => Vec::new(),
    }
}

fn optimum_row(optimum: &Optimum, shown: &[Metric], columns: usize) -> Vec<Markup> {
    let known = |metric: &Metric| match metric {
        Metric::LogLoss => text(&fixed(optimum.log_loss, 4)),
        Metric::Auc => text(&fixed(optimum.auc, 4)),
        _ => text(NONE),
    };
    let mut row: Vec<Markup> =
        std::iter::once(text("known optimum")).chain(shown.iter().map(known)).collect();
    row.resize(columns, text(NONE));
    row
}

fn arrow(metric: Metric) -> &'static str {
    if metric.higher_is_better() { "↑" } else { "↓" }
}

fn metric_cell(metric: Metric, part: &PartMetrics) -> Markup {
    let Some(value) = metric.of(&part.metrics) else {
        return text(NONE);
    };
    let format = MetricFormat::of(metric, value);
    let mut cell = text(&format.value(value));
    if let Some(interval) = part.interval(metric) {
        cell.push(&tagged("small", &format.range(&interval)));
    }
    cell
}

fn differences(report: &Report) -> Markup {
    if report.comparisons.is_empty() {
        return Markup::default();
    }
    let columns = [
        ("Against", Cells::Text),
        ("Part", Cells::Text),
        ("Metric", Cells::Text),
        ("Difference", Cells::Number),
        ("95 % interval", Cells::Number),
        ("p", Cells::Number),
        ("Reading", Cells::Text),
    ];
    let rows = report.comparisons.iter().map(difference_row).collect();
    let caption = format!("{} minus baseline", report.model.name);
    HtmlTable { caption: &caption, columns: &columns, rows }.markup()
}

fn difference_row(comparison: &Comparison) -> Vec<Markup> {
    let (reading, class) = match comparison.reading() {
        Reading::Better => ("better", "better"),
        Reading::Worse => ("worse", "worse"),
        Reading::Undecided => ("no difference shown", "undecided"),
    };
    let interval = comparison.difference.interval;
    let format =
        MetricFormat::of(comparison.metric, interval.estimate).resolving(interval.high - interval.low);
    vec![
        short(&comparison.baseline),
        short(&comparison.part),
        text(&format!("{}\u{a0}{}", comparison.metric.title(), arrow(comparison.metric))),
        text(&format.difference(interval.estimate)),
        text(&format.range(&interval)),
        text(
            &comparison
                .difference
                .p_value
                .map_or(NONE.into(), |p| p_value(p).replace("p ", "").replace("= ", "")),
        ),
        element("span", &[("class", class)], &text(reading)),
    ]
}

/// What a slice table of each task says about itself.
const CLICK_SLICES: &str = "Groups of rows that share a value, worst first by log loss over the entropy of \
    their own mean label: at 1 the model knows no more about them than their click rate tells, above 1 less. \
    Groups of fewer than 50 rows or 0.5 % are left out. Of many groups some look bad by chance: treat these \
    as places to look.";
const RATING_SLICES: &str = "Groups of rows that share a value, worst first by RMSE over that of all rows. \
    Groups of fewer than 50 rows or 0.5 % are left out. Of many groups some look bad by chance: treat these \
    as places to look.";

/// The worst groups of rows.
pub(super) fn slices(report: &Report) -> Markup {
    if report.slices.is_empty() {
        return Markup::default();
    }
    let (loss, relative, about) = match report.task {
        Task::Binary => ("Log loss", "Loss / own entropy", CLICK_SLICES),
        Task::Rating => ("RMSE", "RMSE / overall", RATING_SLICES),
    };
    let numbers =
        ["Rows", loss, relative, "Mean label", "Mean prediction"].map(|title| (title, Cells::Number));
    let columns = [&[("Column", Cells::Text), ("Value", Cells::Text)], &numbers[..]].concat();
    let rows = report.slices.iter().map(|slice| slice_row(report.task, slice)).collect();
    let caption = format!("Slices of {}", report.verdict_part);
    let table = HtmlTable { caption: &caption, columns: &columns, rows };
    [paragraph(about), table.markup()].into_iter().collect()
}

fn slice_row(task: Task, slice: &Slice) -> Vec<Markup> {
    let (prediction, label) = means(task, slice.mean_prediction, slice.mean_label);
    let numbers = [count(slice.rows), fixed(slice.loss, 4), fixed(slice.relative, 3), label, prediction];
    let names = [short(&slice.column), short(&slice.value)];
    names.into_iter().chain(numbers.iter().map(|n| text(n))).collect()
}
