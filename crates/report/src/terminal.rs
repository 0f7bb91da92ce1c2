//! Reports and comparisons as text for a terminal, and as JSON for machines. Printing is up to the caller.
use super::choice::choice_text;
use super::format::count;
use super::{Candidate, Report, comparison, folds_text};
use dlrm_data::format::bytes;
use dlrm_engine::calibration::{CalibrationRecord, PartQuality};
use dlrm_engine::compare::{Compared, Measured};
use dlrm_engine::explain::{ColumnImportance, Importance};
use dlrm_metrics::{Interval, Metric};
use std::path::Path;

pub use super::text_table::table;

/// Verdict and table of the run that was saved to the directory `out`, for people.
pub fn run_text(report: &Report, out: &Path) -> String {
    let verdict = report.verdict();
    let mut text = format!("\n{}\n", verdict.headline);
    verdict.sentences.iter().for_each(|sentence| text.push_str(&format!("  {sentence}\n")));
    text.push_str(&format!("\n{}\n", metrics_table(report)));
    text.extend(report.calibrated.as_ref().map(calibration_text));
    text.extend(report.importance.as_ref().and_then(columns_line));
    if let Some(choice) = &report.choice {
        text.push_str(&choice_text(choice));
        text.push('\n');
    }
    if let Some(folded) = &report.folds {
        text.push_str(&folds_text(folded));
        text.push('\n');
    }
    report.notes.iter().for_each(|note| text.push_str(&format!("note: {note}\n")));
    if report.data.skipped_rows > 0 {
        let n = count(report.data.skipped_rows);
        let list = out.join("bad_rows.txt");
        text.push_str(&format!(
            "note: {n} malformed rows were skipped; they are listed in {}\n",
            list.display()
        ));
    }
    let (model, page) = (out.join("model"), out.join("report.html"));
    text.push_str(&format!("model:  {}\nreport: {}\n", model.display(), page.display()));
    text
}

/// What calibration did, in a line or two.
pub fn calibration_text(record: &CalibrationRecord) -> String {
    let rows = count(record.rows);
    let Some(map) = &record.kept else {
        return format!("calibration: none kept, for none improves {rows} validation rows beyond chance\n");
    };
    let part = |part: &PartQuality| {
        let PartQuality { part, before, after } = part;
        format!(
            "{part} log loss {:.5} → {:.5}, calibration error {:.5} → {:.5}",
            before.log_loss, after.log_loss, before.calibration_error, after.calibration_error
        )
    };
    let parts: Vec<String> = record.parts.iter().map(part).collect();
    format!("calibration: {} on {rows} validation rows\n  {}\n", map.describe(), parts.join("\n  "))
}

/// Columns that a line names.
const NAMED: usize = 5;

/// The columns that matter most, in a line; none where none is shown to matter.
fn columns_line(importance: &Importance) -> Option<String> {
    let named = |column: &ColumnImportance| format!("{} {:+.4}", column.column, column.increase.estimate);
    let names: Vec<String> = importance.that_matter().take(NAMED).map(named).collect();
    let all = importance.that_matter().count();
    let more = if all > NAMED { format!(", and {} more", all - NAMED) } else { String::new() };
    (!names.is_empty()).then(|| {
        format!("columns that matter (rise of the loss when shuffled): {}{more}\n", names.join(", "))
    })
}

/// What the columns are worth, as a table.
pub fn importance_table(importance: &Importance) -> String {
    let row = |column: &ColumnImportance| {
        let Interval { estimate, low, high } = column.increase;
        let (name, kind) = (column.column.clone(), column.kind.name().to_owned());
        vec![name, kind, format!("{estimate:+.5}"), format!("{low:+.5} … {high:+.5}")]
    };
    let rows: Vec<Vec<String>> = importance.columns.iter().map(row).collect();
    table(&["column", "kind", "rise", "95 % interval"], &rows)
}

/// All candidates on the rows of the verdict, and the best possible.
fn metrics_table(report: &Report) -> String {
    let part = &report.verdict_part;
    let metrics: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|m| report.model.on(part).is_some_and(|p| m.of(&p.metrics).is_some()))
        .collect();
    let mut header = vec![part.as_str()];
    header.extend(metrics.iter().map(|m| m.title()));
    header.push("parameters");
    let mut rows = Vec::new();
    for candidate in std::iter::once(&report.model).chain(&report.baselines) {
        let Some(found) = candidate.on(part) else { continue };
        let value = |m: &Metric| m.of(&found.metrics).map_or_else(|| "-".into(), |v| format!("{v:.5}"));
        let mut row = vec![candidate.name.clone()];
        row.extend(metrics.iter().map(value));
        row.push(candidate.parameters.map_or_else(String::new, count));
        rows.push(row);
    }
    if let Some(optimum) = &report.optimum {
        let mut row = vec!["best possible".to_owned()];
        row.extend(metrics.iter().map(|m| match m {
            Metric::LogLoss => format!("{:.5}", optimum.log_loss),
            Metric::Auc => format!("{:.5}", optimum.auc),
            _ => "-".into(),
        }));
        rows.push(row);
    }
    table(&header, &rows)
}

/// What [`run_text`] says, for machines. Keys stay what they are.
pub fn run_json(report: &Report, out: &Path) -> serde_json::Value {
    let candidate =
        |c: &Candidate| serde_json::json!({"name": c.name, "parameters": c.parameters, "splits": c.parts});
    let candidates = std::iter::once(&report.model).chain(&report.baselines).map(candidate);
    let mut value = serde_json::json!({
        "model": out.join("model").display().to_string(),
        "report": out.join("report.html").display().to_string(),
        "verdict": report.verdict().headline,
        "candidates": candidates.collect::<Vec<_>>(),
        "comparisons": report.comparisons,
        "optimum": report.optimum,
        "calibration": report.calibrated,
        "importance": report.importance,
        "skipped_rows": report.data.skipped_rows,
        "notes": report.notes,
        "stages": report.run.stages,
    });
    if let Some(choice) = &report.choice {
        value["choice"] = serde_json::json!(choice);
    }
    if let Some(folded) = &report.folds {
        value["folds"] = serde_json::json!(folded);
    }
    value
}

/// Table and verdict of the comparison whose page was saved as `page`, for people.
pub fn comparison_text(compared: &Compared, page: &Path) -> String {
    let [train, validation, test]: [String; 3] = compared.rows.map(count).into();
    let mut text = format!(
        "\n{train} training, {validation} validation, {test} test rows; {} seeds; \
         test metrics as mean ± deviation over seeds\n\n",
        compared.seeds
    );
    text.push_str(&comparison_table(compared));
    text.push('\n');
    comparison::verdict(compared).iter().for_each(|sentence| text.push_str(&format!("{sentence}\n")));
    text.push_str(&format!("\nreport: {}\n", page.display()));
    text
}

/// What models are worth, then what they cost.
fn comparison_table(compared: &Compared) -> String {
    let metrics = compared.metrics();
    let mut header = vec!["model"];
    header.extend(metrics.iter().map(|m| m.title()));
    header.extend([
        "against the best (95 %)",
        "in tables",
        "outside",
        "mult-adds",
        "training",
        "rows/s",
        "scored/s",
        "memory",
        "peak",
        "s to best",
        "order",
        "unit",
    ]);
    let row = |m: &Measured| {
        let spread =
            |metric| m.test(metric).map_or_else(|| "-".into(), |o| format!("{:.5} ± {:.5}", o.mean, o.sd));
        let interval = m.against_best.map(|i| format!("{:+.5} … {:+.5}", i.low, i.high));
        let mut row = vec![m.name.clone()];
        row.extend(metrics.iter().map(|&metric| spread(metric)));
        row.push(interval.unwrap_or_else(|| "best".into()));
        row.extend([m.table_parameters, m.dense_parameters].map(count));
        row.extend([m.forward_multiply_adds, m.training_multiply_adds].map(short));
        row.extend([m.over(|r| r.rows_per_second).mean, m.inference_rows_per_second].map(short));
        row.push(bytes(m.memory_bytes));
        row.push(m.peak_bytes().map_or_else(|| "-".into(), bytes));
        row.push(format!("{:.1}", m.over(|r| r.seconds_to_best).mean));
        row.extend([m.order.to_owned(), m.unit.to_owned()]);
        row
    };
    table(&header, &compared.models.iter().map(row).collect::<Vec<_>>())
}

/// A number in thousands, millions, …
fn short(x: f64) -> String {
    let units = ["", " k", " M", " G"];
    let (mut x, mut unit) = (x, 0);
    while x >= 999.5 && unit + 1 < units.len() {
        (x, unit) = (x / 1000.0, unit + 1);
    }
    if unit == 0 { format!("{x:.0}") } else { format!("{x:.1}{}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let rows = [vec!["é".to_owned(), "1".into()], vec!["long".into(), "1,000".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name      n\né         1\nlong  1,000\n");
        assert_eq!([0.4, 999.4, 999.6, 1_320_000.0, 2e9].map(short), ["0", "999", "1.0 k", "1.3 M", "2.0 G"]);
    }
}
