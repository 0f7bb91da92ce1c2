//! The page of a comparison: verdict, table, accuracy against cost, learning curves.
use super::table::{Cells, Table};
use super::{Section, note, paragraph, section};
use crate::chart::{Axis, Dot, Plot, Scale, Series, Shape, Unit};
use crate::comparison;
use crate::format::{bytes, count, duration};
use crate::markup::{Markup, element, short, tag, tagged, text};
use dlrm_engine::compare::{Compared, Measured};

/// The whole page.
pub(crate) fn page(compared: &Compared, title: &str, command: &str) -> String {
    let sections = [
        Section { anchor: "table", heading: "Models", body: table(compared) },
        Section { anchor: "cost", heading: "Accuracy against cost", body: cost(compared) },
        Section { anchor: "curves", heading: "Learning curves", body: curves(compared) },
        Section { anchor: "run", heading: "Run", body: tag("pre", &text(command)) },
    ];
    let verdict: Markup = comparison::verdict(compared).iter().map(|sentence| paragraph(sentence)).collect();
    let [train, validation, test]: [String; 3] = compared.rows.map(count).into();
    let rows = format!(
        "{train} training, {validation} validation, {test} test rows; {} seeds per model.",
        compared.seeds
    );
    let header = tag("header", &[tag("h1", &short(title)), paragraph(&rows)].into_iter().collect());
    let verdict = element(
        "section",
        &[("class", "verdict")],
        &[tagged("h2", "Verdict"), verdict].into_iter().collect(),
    );
    let body = tag("main", &[header, verdict].into_iter().chain(sections.iter().map(section)).collect());
    super::document(title, &body)
}

fn table(compared: &Compared) -> Markup {
    let metrics = compared.metrics();
    let columns = [
        ("model", Cells::Text),
        (metrics[0].title(), Cells::Number),
        (metrics[1].title(), Cells::Number),
        ("against the best (95 %)", Cells::Number),
        ("parameters in tables", Cells::Number),
        ("outside", Cells::Number),
        ("multiply-adds per row", Cells::Number),
        ("in training", Cells::Number),
        ("training rows/s", Cells::Number),
        ("scored rows/s", Cells::Number),
        ("memory", Cells::Number),
        ("peak", Cells::Number),
        ("to best", Cells::Number),
        ("order", Cells::Text),
        ("unit", Cells::Text),
    ];
    let row = |m: &Measured| {
        let spread =
            |metric| m.test(metric).map_or_else(|| "–".into(), |o| format!("{:.5} ± {:.5}", o.mean, o.sd));
        let against =
            m.against_best.map_or_else(|| "best".into(), |i| format!("{:+.5} … {:+.5}", i.low, i.high));
        let cells = [
            spread(metrics[0]),
            spread(metrics[1]),
            against,
            count(m.table_parameters),
            count(m.dense_parameters),
            count(m.forward_multiply_adds as u64),
            count(m.training_multiply_adds as u64),
            count(m.over(|r| r.rows_per_second).mean as u64),
            count(m.inference_rows_per_second as u64),
            bytes(m.memory_bytes),
            m.peak_bytes().map_or_else(|| "–".into(), bytes),
            duration(m.over(|r| r.seconds_to_best).mean),
            m.order.to_owned(),
            m.unit.to_owned(),
        ];
        std::iter::once(short(&m.name)).chain(cells.iter().map(|c| text(c))).collect()
    };
    let mut all = Table {
        caption: "Test metrics, mean ± standard deviation over seeds",
        columns: &columns,
        rows: compared.models.iter().map(row).collect(),
    }
    .markup();
    all.push(&note(
        "Intervals are paired on the same test rows and cover the choice of rows and of seeds. Multiply-adds are counted from the recorded forward pass; memory is that of weights, optimiser state and gradients by their sizes, peak the most that the whole process was seen to hold, the rows that all models share included.",
    ));
    all
}

/// log10 of multiply-adds, the axis of cost.
fn decades(m: &Measured) -> f64 {
    m.training_multiply_adds.max(1.0).log10()
}

fn cost(compared: &Compared) -> Markup {
    let metric = compared.metric;
    let dot = |m: &Measured| {
        let o = m.test(metric)?;
        Some(Dot {
            x: decades(m),
            y: o.mean,
            low: o.mean - o.sd,
            high: o.mean + o.sd,
            tip: format!("{}: {:.5}", m.name, o.mean),
        })
    };
    let dots: Vec<(&Measured, Dot)> = compared.models.iter().filter_map(|m| Some((m, dot(m)?))).collect();
    let (xs, ys) = (dots.iter().map(|(_, d)| d.x), dots.iter().flat_map(|(_, d)| [d.low, d.high]));
    let plot = Plot {
        title: format!("Test {} against multiply-adds of training per row", metric.title()),
        description: "One mark per model, with the standard deviation over seeds".into(),
        x: Axis {
            label: "multiply-adds per row in training (powers of ten)".into(),
            scale: Scale::around(xs),
            unit: Unit::Number,
        },
        y: Axis { label: metric.title().into(), scale: Scale::around(ys), unit: Unit::Number },
        series: dots
            .into_iter()
            .enumerate()
            .map(|(i, (m, dot))| Series { name: m.name.clone(), colour: i, shape: Shape::Dots(vec![dot]) })
            .collect(),
    };
    element("div", &[("class", "figures")], &plot.figure())
}

fn curves(compared: &Compared) -> Markup {
    let metric = compared.metric;
    let line = |m: &Measured| -> Vec<(f64, f64)> {
        let history = m.runs.first().map(|run| run.history.as_slice()).unwrap_or_default();
        history.iter().filter_map(|p| Some((p.epoch, metric.of(p.validation.as_ref()?)?))).collect()
    };
    let lines: Vec<(&Measured, Vec<(f64, f64)>)> =
        compared.models.iter().map(|m| (m, line(m))).filter(|(_, l)| !l.is_empty()).collect();
    if lines.is_empty() {
        return Markup::default();
    }
    let epochs = lines.iter().flat_map(|(_, l)| l.iter().map(|p| p.0)).fold(1.0, f64::max);
    let plot = Plot {
        title: format!("Validation {} over epochs (first seed)", metric.title()),
        description: "One line per model".into(),
        x: Axis { label: "epochs".into(), scale: Scale::exactly(0.0, epochs), unit: Unit::Count },
        y: Axis {
            label: metric.title().into(),
            scale: Scale::around(lines.iter().flat_map(|(_, l)| l.iter().map(|p| p.1))),
            unit: Unit::Number,
        },
        series: lines
            .into_iter()
            .enumerate()
            .map(|(i, (m, points))| Series { name: m.name.clone(), colour: i, shape: Shape::Line(points) })
            .collect(),
    };
    element("div", &[("class", "figures")], &plot.figure())
}
