//! What went in: files, parts, columns.
use super::paragraph;
use super::table::{Cells, HtmlTable};
use crate::format::{NONE, bytes, count, fixed, percent, rate};
use crate::markup::{Markup, short, text};
use crate::{ColumnCard, Report};
use dlrm_data::schema::Task;

/// The data card.
pub(super) fn data(report: &Report) -> Markup {
    let data = &report.data;
    let skipped = match data.skipped_rows {
        0 => "No row was skipped.".to_owned(),
        1 => "1 malformed row was skipped.".to_owned(),
        n => format!("{} malformed rows were skipped.", count(n)),
    };
    let split_by =
        if data.split_by.is_empty() { String::new() } else { format!(" Split: {}.", data.split_by) };
    let line = format!("Label: {}.{split_by} {skipped}", data.label);
    [paragraph(&line), inputs(report), parts(report), columns(report)].into_iter().collect()
}

fn inputs(report: &Report) -> Markup {
    let columns =
        [("File", Cells::Text), ("Format", Cells::Text), ("Rows", Cells::Number), ("Size", Cells::Number)];
    let rows = report.data.inputs.iter().map(|input| {
        let rows = input.rows.map_or(NONE.into(), count);
        let size = input.bytes.map_or(NONE.into(), bytes);
        vec![short(&input.name), short(&input.format), text(&rows), text(&size)]
    });
    table("Input files", &columns, rows.collect())
}

fn parts(report: &Report) -> Markup {
    let columns = [
        ("Part", Cells::Text),
        ("Rows", Cells::Number),
        ("Share", Cells::Number),
        ("Mean label", Cells::Number),
    ];
    let total: u64 = report.data.parts.iter().map(|part| part.rows).sum();
    let rows = report.data.parts.iter().map(|part| {
        let mean = match report.task {
            Task::Binary => rate(part.mean_label),
            Task::Rating => fixed(part.mean_label, 3),
        };
        let share = percent(part.rows as f64 / total.max(1) as f64);
        vec![short(&part.name), text(&count(part.rows)), text(&share), text(&mean)]
    });
    table("Parts", &columns, rows.collect())
}

fn columns(report: &Report) -> Markup {
    let unseen = format!("Unseen in {}", report.verdict_part);
    let columns = [
        ("Column", Cells::Text),
        ("Kind", Cells::Text),
        ("Encoding", Cells::Text),
        ("Table", Cells::Text),
        ("Table rows", Cells::Number),
        ("Missing", Cells::Number),
        (unseen.as_str(), Cells::Number),
    ];
    let row = |column: &ColumnCard| {
        let optional = |x: Option<String>| x.map_or_else(|| text(NONE), |x| short(&x));
        vec![
            short(&column.name),
            short(&column.kind),
            short(&column.encoding),
            optional(column.table.clone()),
            optional(column.table_rows.map(count)),
            optional(column.missing.map(percent)),
            optional(column.unseen.map(percent)),
        ]
    };
    table("Input columns", &columns, report.data.columns.iter().map(row).collect())
}

fn table(caption: &str, columns: &[(&str, Cells)], rows: Vec<Vec<Markup>>) -> Markup {
    if rows.is_empty() {
        return Markup::default();
    }
    HtmlTable { caption, columns, rows }.markup()
}
