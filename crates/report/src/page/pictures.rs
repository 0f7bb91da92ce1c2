//! ROC curve, calibration and distribution of the predictions.
use super::note;
use crate::chart::{Axis, Dot, Plot, Scale, Series, Shape, Unit};
use crate::format::{count, fixed, rate};
use crate::markup::{Markup, element};
use crate::{Candidate, Pictures, Report};
use dlrm_data::schema::Task;
use dlrm_metrics::calibration::CalibrationBin;
use dlrm_metrics::curves::{Histogram, HistogramSeries};

/// Candidates drawn into one plot; more would not be told apart.
const MOST_CANDIDATES: usize = 4;

/// All plots of the verdict's part.
pub(super) fn pictures(report: &Report) -> Markup {
    let drawn: Vec<(&Candidate, &Pictures)> = std::iter::once(&report.model)
        .chain(&report.baselines)
        .filter_map(|c| Some((c, c.pictures.as_ref()?)))
        .take(MOST_CANDIDATES)
        .collect();
    let mut figures = Markup::default();
    if drawn.iter().any(|(_, pictures)| !pictures.roc.is_empty()) {
        figures.push(&roc(report, &drawn));
    }
    // the first baseline that distinguishes rows at all; a constant is one dot
    let other = drawn.iter().skip(1).find(|(_, pictures)| pictures.calibration.len() > 1);
    let own = drawn.iter().find(|(candidate, _)| candidate.name == report.model.name);
    if let Some((model, own)) = own {
        let pair: Vec<(&Candidate, &Pictures)> =
            std::iter::once((*model, *own)).chain(other.copied()).collect();
        figures.push(&calibration(report, &pair));
        figures.push(&histogram(report, own));
    }
    if figures.is_empty() {
        return figures;
    }
    let mut all = element("div", &[("class", "figures")], &figures);
    all.push(&note(
        "Calibration: rows sorted by prediction and cut into 15 groups of equal weight; bars are 95 % \
         intervals of the mean label. Dots on the diagonal mean that predictions can be taken at their word.",
    ));
    all
}

fn roc(report: &Report, drawn: &[(&Candidate, &Pictures)]) -> Markup {
    let curve = |(colour, (candidate, pictures)): (usize, &(&Candidate, &Pictures))| {
        let auc = candidate.on(&report.verdict_part).and_then(|s| s.metrics.auc);
        let name =
            auc.map_or(candidate.name.clone(), |auc| format!("{} (AUC {})", candidate.name, fixed(auc, 4)));
        let points = pictures.roc.iter().map(|p| (p.false_positive_rate, p.true_positive_rate)).collect();
        Series { name, colour, shape: Shape::Line(points) }
    };
    let mut series = vec![reference("chance", (0.0, 0.0), (1.0, 1.0))];
    // a constant has the diagonal, which is there already
    let ranking = drawn.iter().enumerate().filter(|(_, (_, pictures))| pictures.roc.len() > 2);
    series.extend(ranking.map(curve));
    let described: Vec<&str> = series.iter().skip(1).map(|s| s.name.as_str()).collect();
    let axis =
        |label: &str| Axis { label: label.into(), scale: Scale::exactly(0.0, 1.0), unit: Unit::Percent };
    let plot = Plot {
        title: format!("ROC curve, {}", report.verdict_part),
        description: format!(
            "Share of positives against share of negatives above each threshold: {}.",
            described.join("; ")
        ),
        x: axis("negatives above the threshold"),
        y: axis("positives above the threshold"),
        series,
    };
    plot.figure()
}

fn calibration(report: &Report, pair: &[(&Candidate, &Pictures)]) -> Markup {
    let (title, x, y, unit) = match report.task {
        Task::Binary => ("Calibration", "mean predicted probability", "share of positives", Unit::Percent),
        Task::Rating => ("Predicted and actual", "mean predicted rating", "mean actual rating", Unit::Number),
    };
    let scale = Scale::around(pair.iter().flat_map(|(_, pictures)| &pictures.calibration).flat_map(reach));
    let (low, high) = scale.ends();
    let mut series = vec![reference("prediction = outcome", (low, low), (high, high))];
    // the model last, on top
    series.extend(pair.iter().enumerate().rev().map(|(colour, (candidate, pictures))| Series {
        name: candidate.name.clone(),
        colour,
        shape: Shape::Dots(dots(report.task, pictures)),
    }));
    let plot = Plot {
        title: format!("{title}, {}", report.verdict_part),
        description: calibration_description(pair[0]),
        x: Axis { label: x.into(), scale, unit },
        y: Axis { label: y.into(), scale, unit },
        series,
    };
    plot.figure()
}

/// What of a bin must be on the axes. The interval of a tiny bin must not squeeze everything else.
fn reach(bin: &CalibrationBin) -> [f64; 3] {
    let label = bin.mean_label;
    let (low, high) = if bin.rows >= 30 { (label.low, label.high) } else { (label.estimate, label.estimate) };
    [bin.mean_prediction, low, high]
}

fn calibration_description((candidate, pictures): (&Candidate, &Pictures)) -> String {
    let bins = &pictures.calibration;
    let holds =
        |b: &&CalibrationBin| b.mean_label.low <= b.mean_prediction && b.mean_prediction <= b.mean_label.high;
    format!(
        "For {} the mean prediction lies inside the 95 % interval of the mean label in {} of {} bins.",
        candidate.name,
        bins.iter().filter(holds).count(),
        bins.len()
    )
}

fn dots(task: Task, pictures: &Pictures) -> Vec<Dot> {
    let shown = |x: f64| match task {
        Task::Binary => rate(x),
        Task::Rating => fixed(x, 3),
    };
    let dot = |bin: &CalibrationBin| {
        let label = bin.mean_label;
        let tip = format!(
            "predicted {}, actual {} ({} to {}), {} rows",
            shown(bin.mean_prediction),
            shown(label.estimate),
            shown(label.low),
            shown(label.high),
            count(bin.rows)
        );
        Dot { x: bin.mean_prediction, y: label.estimate, low: label.low, high: label.high, tip }
    };
    pictures.calibration.iter().map(dot).collect()
}

fn histogram(report: &Report, pictures: &Pictures) -> Markup {
    let found = &pictures.histogram;
    let (title, x, unit) = match report.task {
        Task::Binary => ("Predictions by class", "predicted probability", Unit::Percent),
        Task::Rating => ("Distribution of ratings", "rating", Unit::Number),
    };
    let series = found.series.iter().enumerate().map(|(colour, series)| Series {
        name: series.name.clone(),
        colour,
        shape: Shape::Steps { low: found.low, width: found.width, heights: series.shares.clone() },
    });
    let bins = found.series.iter().map(|s| s.shares.len()).max().unwrap_or(0);
    let high = found.low + found.width * bins as f64;
    let heights = found.series.iter().flat_map(|s| s.shares.iter().copied());
    let plot = Plot {
        title: format!("{title}, {}", report.verdict_part),
        description: histogram_description(found),
        x: Axis { label: x.into(), scale: Scale::exactly(found.low, high), unit },
        y: Axis {
            label: "share of the group".into(),
            scale: Scale::around(heights.chain([0.0])),
            unit: Unit::Percent,
        },
        series: series.collect(),
    };
    plot.figure()
}

fn histogram_description(found: &Histogram) -> String {
    let peak = |series: &HistogramSeries| {
        let tallest = (0..series.shares.len()).max_by(|&a, &b| series.shares[a].total_cmp(&series.shares[b]));
        let centre = found.low + (tallest.unwrap_or(0) as f64 + 0.5) * found.width;
        format!("{} peak near {}", series.name, fixed(centre, 3))
    };
    let peaks: Vec<String> = found.series.iter().map(peak).collect();
    format!("Share of each group per bin: {}.", peaks.join(", "))
}

fn reference(name: &str, from: (f64, f64), to: (f64, f64)) -> Series {
    Series { name: name.into(), colour: 0, shape: Shape::Reference(from, to) }
}
