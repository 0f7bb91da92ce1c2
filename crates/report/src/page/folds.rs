//! What folds have measured: a section of a run's page, or a page of a comparison.
use super::table::{Cells, HtmlTable};
use super::{Section, command_of, note, paragraph, with_verdict};
use crate::Report;
use crate::chart::{Axis, Dot, Plot, Scale, Series, Shape, Unit};
use crate::folds::{ABOUT, cells, heading, sentences, titles};
use crate::markup::{Markup, element, short, text};
use crate::verdict::capitalised;
use dlrm_engine::folds::{Folded, FoldedCandidate};

/// A table of all candidates, and what may be said of them.
pub(super) fn folds(report: &Report) -> Markup {
    let Some(folded) = &report.folds else { return Markup::default() };
    let mut all: Markup = sentences(folded).iter().map(|sentence| paragraph(sentence)).collect();
    all.push(&table(folded, &heading(folded)));
    all
}

/// The page of a comparison on folds, as self-contained as that of a run.
pub fn page(folded: &Folded, title: &str, command: &str) -> String {
    let figures = element("div", &[("class", "figures")], &figure(folded).into_iter().collect());
    let sections = [
        Section {
            anchor: "folds",
            heading: "Over folds",
            body: table(folded, "Test metrics over the folds"),
        },
        Section { anchor: "figures", heading: "Fold by fold", body: figures },
        Section { anchor: "run", heading: "Run", body: command_of(command) },
    ];
    with_verdict(title, &format!("{}.", capitalised(&heading(folded))), &sentences(folded), &sections)
}

fn table(folded: &Folded, caption: &str) -> Markup {
    let titles = titles(folded);
    let mut columns = vec![("Candidate", Cells::Text)];
    columns.extend(titles.iter().map(|title| (title.as_str(), Cells::Number)));
    let row = |c: &FoldedCandidate| {
        std::iter::once(short(&c.name)).chain(cells(c).iter().map(|cell| text(cell))).collect()
    };
    let rows = folded.candidates.iter().map(row).collect();
    let mut all = HtmlTable { caption, columns: &columns, rows }.markup();
    all.push(&note(ABOUT));
    all
}

/// The first metric of each candidate on each fold.
fn figure(folded: &Folded) -> Option<Markup> {
    let metric = folded.metrics.first()?;
    // Beside one another within a fold, for marks of the same height would hide each other.
    let all = folded.candidates.len() as f64;
    let beside = |i: usize| (i as f64 - 0.5 * (all - 1.0)) * 0.5 / all;
    let dots = |(i, candidate): (usize, &FoldedCandidate)| -> Vec<Dot> {
        let values = candidate.values.first().map(|over| over.values.as_slice()).unwrap_or_default();
        let dot = |(fold, value): (usize, &Option<f64>)| {
            let (x, y) = ((fold + 1) as f64 + beside(i), (*value)?);
            Some(Dot { x, y, low: y, high: y, tip: format!("{}, fold {}: {y:.5}", candidate.name, fold + 1) })
        };
        values.iter().enumerate().filter_map(dot).collect()
    };
    let all: Vec<Vec<Dot>> = folded.candidates.iter().enumerate().map(dots).collect();
    let plot = Plot {
        title: format!("Test {} of each fold", metric.title()),
        description: "One mark per model and fold".into(),
        x: Axis {
            label: "fold".into(),
            scale: Scale::exactly(0.0, (folded.folds + 1) as f64),
            unit: Unit::Count,
        },
        y: Axis {
            label: metric.title().into(),
            scale: Scale::around(all.iter().flatten().map(|dot| dot.y)),
            unit: Unit::Number,
        },
        series: (folded.candidates.iter().zip(all).enumerate())
            .map(|(i, (c, dots))| Series { name: c.name.clone(), colour: i, shape: Shape::Dots(dots) })
            .collect(),
    };
    Some(plot.figure())
}
