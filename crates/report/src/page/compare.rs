//! The page of a comparison: verdict, accuracy, cost, one against the other, learning curves.
use super::table::{Cells, HtmlTable};
use super::{Section, command_of, note, with_verdict};
use crate::chart::{Axis, Dot, Plot, Scale, Series, Shape, Unit};
use crate::comparison;
use crate::format::{NONE, bytes, count, duration};
use crate::markup::{Markup, element, short, text};
use dlrm_engine::compare::{Compared, Measured};

/// The page of a comparison, as self-contained as that of a run.
pub fn page(compared: &Compared, title: &str, command: &str) -> String {
    let sections = [
        Section { anchor: "accuracy", heading: "Accuracy", body: accuracy(compared) },
        Section { anchor: "cost", heading: "Cost", body: cost(compared) },
        Section { anchor: "figures", heading: "Accuracy against cost and time", body: figures(compared) },
        Section { anchor: "run", heading: "Run", body: command_of(command) },
    ];
    let [train, validation, test]: [String; 3] = compared.rows.map(count).into();
    let rows = format!(
        "{train} training, {validation} validation, {test} test rows; {} seeds per model.",
        compared.seeds
    );
    with_verdict(title, &rows, &comparison::verdict(compared), &sections)
}

fn accuracy(compared: &Compared) -> Markup {
    let metrics = compared.metrics();
    let columns = [
        ("Model", Cells::Text),
        (metrics[0].title(), Cells::Number),
        (metrics[1].title(), Cells::Number),
        ("Against the best (95 %)", Cells::Number),
        ("Order", Cells::Text),
        ("Unit", Cells::Text),
    ];
    let row = |m: &Measured| {
        let spread =
            |metric| m.test(metric).map_or_else(|| NONE.into(), |o| format!("{:.5} ± {:.5}", o.mean, o.sd));
        let interval = m.against_best.map(|i| format!("{:+.5} … {:+.5}", i.low, i.high));
        let cells = [
            spread(metrics[0]),
            spread(metrics[1]),
            interval.unwrap_or_else(|| "best".into()),
            m.order.to_owned(),
            m.unit.to_owned(),
        ];
        std::iter::once(short(&m.name)).chain(cells.iter().map(|c| text(c))).collect()
    };
    let rows = compared.models.iter().map(row).collect();
    let caption = "Test metrics, mean ± standard deviation over seeds";
    let mut all = HtmlTable { caption, columns: &columns, rows }.markup();
    all.push(&note(
        "Intervals are paired on the same test rows and cover the choice of rows and of seeds. Order is that \
         of the interactions of inputs, unit what they are made of: vectors of embeddings or single numbers.",
    ));
    all
}

fn cost(compared: &Compared) -> Markup {
    let columns = [
        ("Model", Cells::Text),
        ("Parameters in tables", Cells::Number),
        ("Parameters outside", Cells::Number),
        ("Multiply-adds per row", Cells::Number),
        ("In training", Cells::Number),
        ("Training rows/s", Cells::Number),
        ("Scored rows/s", Cells::Number),
        ("Memory", Cells::Number),
        ("Peak", Cells::Number),
        ("Time to best", Cells::Number),
    ];
    let row = |m: &Measured| {
        let cells = [
            count(m.table_parameters),
            count(m.dense_parameters),
            count(m.forward_multiply_adds as u64),
            count(m.training_multiply_adds as u64),
            count(m.over(|r| r.rows_per_second).mean as u64),
            count(m.inference_rows_per_second as u64),
            bytes(m.memory_bytes),
            m.peak_bytes().map_or_else(|| NONE.into(), bytes),
            duration(m.over(|r| r.seconds_to_best).mean),
        ];
        std::iter::once(short(&m.name)).chain(cells.iter().map(|c| text(c))).collect()
    };
    let rows = compared.models.iter().map(row).collect();
    let mut all =
        HtmlTable { caption: "Size, arithmetic, speed and memory", columns: &columns, rows }.markup();
    all.push(&note(
        "Multiply-adds are counted from the recorded forward pass. Memory is that of weights, optimiser \
         state and gradients by their sizes; peak is the most that the whole process was seen to hold, the \
         rows that all models share included.",
    ));
    all
}

/// Accuracy against cost, and over epochs.
fn figures(compared: &Compared) -> Markup {
    let figures = std::iter::once(against_cost(compared)).chain(curves(compared));
    element("div", &[("class", "figures")], &figures.collect())
}

fn against_cost(compared: &Compared) -> Markup {
    let metric = compared.metric;
    let dot = |m: &Measured| {
        let o = m.test(metric)?;
        Some(Dot {
            x: m.training_multiply_adds,
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
            label: "multiply-adds per row in training".into(),
            scale: Scale::logarithmic(xs),
            unit: Unit::Count,
        },
        y: Axis { label: metric.title().into(), scale: Scale::around(ys), unit: Unit::Number },
        series: dots
            .into_iter()
            .enumerate()
            .map(|(i, (m, dot))| Series { name: m.name.clone(), colour: i, shape: Shape::Dots(vec![dot]) })
            .collect(),
    };
    plot.figure()
}

fn curves(compared: &Compared) -> Option<Markup> {
    let metric = compared.metric;
    let line = |m: &Measured| -> Vec<(f64, f64)> {
        let history = m.runs.first().map(|run| run.history.as_slice()).unwrap_or_default();
        history.iter().filter_map(|p| Some((p.epoch, metric.of(p.validation.as_ref()?)?))).collect()
    };
    let mut lines: Vec<(&Measured, Vec<(f64, f64)>)> =
        compared.models.iter().map(|m| (m, line(m))).filter(|(_, l)| !l.is_empty()).collect();
    if lines.is_empty() {
        return None;
    }
    let epochs = epochs(&mut lines);
    let plot = Plot {
        title: format!("Validation {} over epochs (first seed)", metric.title()),
        description: "One line per model".into(),
        x: Axis { label: "epochs".into(), scale: epochs, unit: Unit::Count },
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
    Some(plot.figure())
}

/// An axis of epochs on which the shortest line can be read beside the longest: a regression takes a hundred
/// passes where a network takes three. What lies before epoch 1 has no place on a logarithmic axis.
fn epochs<T>(lines: &mut [(T, Vec<(f64, f64)>)]) -> Scale {
    const ALIKE: f64 = 10.0;
    let ends = || lines.iter().filter_map(|(_, line)| Some(line.last()?.0));
    let (shortest, longest) = (ends().fold(f64::INFINITY, f64::min), ends().fold(1.0, f64::max));
    if longest <= ALIKE * shortest || shortest < 2.0 {
        return Scale::exactly(0.0, longest);
    }
    lines.iter_mut().for_each(|(_, line)| line.retain(|(epoch, _)| *epoch > 0.0));
    Scale::logarithmic(lines.iter().flat_map(|(_, line)| line.iter().map(|p| p.0)))
}
