//! What the columns are worth.
use super::paragraph;
use super::table::{Cells, HtmlTable};
use crate::Report;
use crate::format::{count, fixed};
use crate::markup::{Markup, element, short, text};
use dlrm_data::schema::Task;
use dlrm_engine::explain::{ColumnImportance, Importance};

/// Width of the bars, in units of their drawing.
const WIDTH: f64 = 200.0;

/// The columns by what the loss rises by when they are shuffled.
pub(super) fn importance(report: &Report) -> Markup {
    let Some(found) = &report.importance else { return Markup::default() };
    let loss = if report.task == Task::Binary { "Log loss" } else { "Squared error" };
    let about = format!(
        "What the {} of {} {} rows rises by when the values of one column are exchanged among them \
         ({} times). A column whose interval reaches zero is not shown to matter to this model; of two \
         columns that tell the same, each may look unimportant.",
        loss.to_lowercase(),
        count(found.rows),
        report.verdict_part,
        count(found.repeats),
    );
    let columns = [
        ("Column", Cells::Text),
        ("Kind", Cells::Text),
        ("Rise", Cells::Number),
        ("95 % interval", Cells::Number),
        ("", Cells::Text),
    ];
    let rows = found.columns.iter().map(|column| row(found, column)).collect();
    let caption = format!("{loss} {} with all columns as they are", fixed(found.loss, 4));
    let table = HtmlTable { caption: &caption, columns: &columns, rows };
    [paragraph(&about), table.markup()].into_iter().collect()
}

fn row(found: &Importance, column: &ColumnImportance) -> Vec<Markup> {
    let rise = column.increase;
    vec![
        short(&column.column),
        text(column.kind.name()),
        text(&fixed(rise.estimate, 5)),
        text(&format!("{} to {}", fixed(rise.low, 5), fixed(rise.high, 5))),
        bar(found, column),
    ]
}

/// A bar from zero to the rise, and a whisker over its interval.
fn bar(found: &Importance, column: &ColumnImportance) -> Markup {
    let ends = |pick: fn(&ColumnImportance) -> f64| found.columns.iter().map(pick).filter(|x| x.is_finite());
    let low = ends(|c| c.increase.low).fold(0.0, f64::min);
    let high = ends(|c| c.increase.high).fold(0.0, f64::max);
    let at = |x: f64| if high > low { (x.clamp(low, high) - low) / (high - low) * WIDTH } else { 0.0 };
    let number = |x: f64| format!("{x:.1}");
    let rise = column.increase;
    let (from, to) = (at(rise.estimate.min(0.0)), at(rise.estimate.max(0.0)));
    let none = Markup::default();
    let width = number(to - from);
    let rect = [("class", "bar"), ("x", &*number(from)), ("y", "3"), ("width", &*width), ("height", "8")];
    let (left, right) = (number(at(rise.low)), number(at(rise.high)));
    let line = [("class", "whisker"), ("x1", &*left), ("x2", &*right), ("y1", "7"), ("y2", "7")];
    let drawn = [element("rect", &rect, &none), element("line", &line, &none)].into_iter().collect();
    let view = format!("0 0 {WIDTH} 14");
    let svg =
        [("viewBox", &*view), ("width", "200"), ("height", "14"), ("class", "c0"), ("aria-hidden", "true")];
    element("svg", &svg, &drawn)
}
