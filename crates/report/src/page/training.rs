//! How training went: metrics over the steps, and the embedding tables it left.
use super::paragraph;
use super::table::{Cells, HtmlTable};
use crate::chart::{Axis, Plot, Scale, Series, Shape, Unit, thin};
use crate::format::{MetricFormat, NONE, count, fixed, percent, plain};
use crate::markup::{Markup, element, short, text};
use crate::verdict::capitalised;
use crate::{Curve, Report};
use dlrm_metrics::Metric;

/// Most points of a line.
const MOST_POINTS: usize = 400;

/// Curves, the best step, and why training ended.
pub(super) fn curves(report: &Report) -> Markup {
    let training = &report.training;
    let mut metrics: Vec<Metric> = Vec::new();
    for curve in training.curves.iter().filter(|c| !c.points.is_empty()) {
        if !metrics.contains(&curve.metric) {
            metrics.push(curve.metric);
        }
    }
    let mut all = Markup::default();
    if let Some(best) = &training.best {
        let value = MetricFormat::of(best.metric, best.value).value(best.value);
        all.push(&paragraph(&format!(
            "Kept: the weights of step {} (epoch {}), which had the best validation {}, {value}.",
            count(best.step),
            fixed(best.epoch, 2),
            best.metric.title(),
        )));
    }
    if !training.ended.is_empty() {
        all.push(&paragraph(&training.ended));
    }
    if !metrics.is_empty() {
        let figures = metrics.into_iter().map(|metric| figure(report, metric)).collect();
        all.push(&element("div", &[("class", "figures")], &figures));
    }
    all
}

fn figure(report: &Report, metric: Metric) -> Markup {
    let all = report.training.curves.iter();
    let curves: Vec<&Curve> = all.filter(|c| c.metric == metric && !c.points.is_empty()).collect();
    let points = || curves.iter().flat_map(|c| &c.points);
    let steps = points().map(|p| p.step as f64).fold(1.0, f64::max);
    let optimum = optimum(report, metric);
    let values = points().map(|p| p.value).chain(optimum);
    let y = Axis { label: metric.title().into(), scale: Scale::around(values), unit: unit(metric) };
    let mut series: Vec<Series> = curves.iter().map(|curve| line(curve)).collect();
    series.extend(optimum.map(|best| Series {
        name: format!("known optimum on {}", report.verdict_part),
        colour: 0,
        shape: Shape::Reference((0.0, best), (steps, best)),
    }));
    series.extend(kept(report, &curves));
    let plot = Plot {
        title: format!("{} over training", capitalised(metric.title())),
        description: description(&curves),
        x: Axis { label: "steps".into(), scale: Scale::exactly(0.0, steps), unit: Unit::Count },
        y,
        series,
    };
    plot.figure()
}

fn optimum(report: &Report, metric: Metric) -> Option<f64> {
    match metric {
        Metric::LogLoss => report.optimum.map(|optimum| optimum.log_loss),
        Metric::Auc => report.optimum.map(|optimum| optimum.auc),
        _ => None,
    }
}

/// The kept step, marked on the validation curve.
fn kept(report: &Report, curves: &[&Curve]) -> Option<Series> {
    let best = report.training.best?;
    let curve = curves.iter().find(|curve| curve.part == "validation")?;
    let point = curve.points.iter().find(|point| point.step == best.step)?;
    let shape = Shape::Mark(point.step as f64, point.value);
    Some(Series { name: format!("kept: step {}", count(best.step)), colour: colour(curve), shape })
}

/// A part has the same colour in every plot.
fn colour(curve: &Curve) -> usize {
    match curve.part.as_str() {
        "train" => 0,
        "validation" => 1,
        _ => 2,
    }
}

fn unit(metric: Metric) -> Unit {
    if metric == Metric::Accuracy { Unit::Percent } else { Unit::Number }
}

fn line(curve: &Curve) -> Series {
    let points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p.step as f64, p.value)).collect();
    Series { name: curve.part.clone(), colour: colour(curve), shape: Shape::Line(thin(&points, MOST_POINTS)) }
}

fn description(curves: &[&Curve]) -> String {
    let of = |curve: &&Curve| {
        let format = |x: f64| MetricFormat::of(curve.metric, x).value(x);
        let ends = curve.points.first().zip(curve.points.last());
        ends.map(|(first, last)| {
            format!("{} from {} to {}", curve.part, format(first.value), format(last.value))
        })
    };
    format!("{}.", curves.iter().filter_map(of).collect::<Vec<_>>().join(", "))
}

/// The state of the embedding tables.
pub(super) fn tables(report: &Report) -> Markup {
    if report.tables.is_empty() {
        return Markup::default();
    }
    let columns = [
        ("Table", Cells::Text),
        ("Rows", Cells::Number),
        ("Width", Cells::Number),
        ("Untouched rows", Cells::Number),
        ("Mean norm", Cells::Number),
        ("Largest norm", Cells::Number),
        ("Unseen look-ups", Cells::Number),
    ];
    let rows = report.tables.iter().map(|table| {
        let numbers = [
            count(table.rows),
            count(table.dim),
            percent(table.untouched),
            plain(table.mean_norm),
            plain(table.max_norm),
            table.unseen.map_or(NONE.into(), percent),
        ];
        std::iter::once(short(&table.name)).chain(numbers.iter().map(|n| text(n))).collect()
    });
    let caption = format!("Tables after training; unseen look-ups on {}", report.verdict_part);
    let table = HtmlTable { caption: &caption, columns: &columns, rows: rows.collect() };
    let about = "Rows that training never touched still hold their random start. Many of them, a largest \
                 norm far above the mean, or many unseen look-ups are reasons for a higher min count, \
                 hashing or more regularisation.";
    [paragraph(about), table.markup()].into_iter().collect()
}
