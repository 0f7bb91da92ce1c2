//! The profile as a table for a terminal.
use super::column::ColumnProfile;
use super::counts::Precision;
use super::kind::Kind;
use super::text::{clip, count, number, percent};
use super::{Profile, times::TimeFormat};

/// Characters between columns.
const GAP: usize = 2;
/// Least width of the last column.
const LEAST: usize = 16;
const LONGEST_NAME: usize = 28;
const HEADINGS: [&str; 6] = ["column", "kind", "missing", "distinct", "head", "range or examples"];

impl Profile {
    /// A table of all columns, at most `width` characters wide where that is possible, with suggestions and
    /// warnings below.
    pub fn table(&self, width: usize) -> String {
        let label = self.label.as_ref().map(|l| l.column.as_str());
        let mut rows: Vec<[String; 6]> = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.columns.iter().map(|column| cells(column, label == Some(column.name.as_str()))));
        let widths: [usize; 5] = std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
        let rest = width.saturating_sub(widths.iter().sum::<usize>() + GAP * 5).max(LEAST);
        let mut out = format!("{} rows, {} columns\n", count(self.rows), self.columns.len());
        match &self.label {
            Some(label) => out.push_str(&self.label_line(label)),
            None => out.push_str("Label: none found; name it"),
        }
        out.push_str("\n\n");
        for row in &rows {
            push_row(&mut out, row, &widths, rest);
        }
        let noted = |pick: fn(&ColumnProfile) -> &[String]| {
            let lines = self.columns.iter().filter(|c| !pick(c).is_empty());
            lines.map(move |c| format!("{}: {}", clip(&c.name, LONGEST_NAME), pick(c).join("; "))).collect::<Vec<_>>()
        };
        push_list(&mut out, "Suggestions", &noted(|c| &c.suggestions), width);
        let warnings: Vec<String> = self.warnings.iter().cloned().chain(noted(|c| &c.warnings)).collect();
        push_list(&mut out, "Warnings", &warnings, width);
        out
    }
}

fn cells(column: &ColumnProfile, is_label: bool) -> [String; 6] {
    let estimate = if column.precision == Precision::Estimate { "~" } else { "" };
    let kind = if is_label { "label".to_owned() } else { kind_name(column.kind) };
    let head = if column.distinct == 0 { String::new() } else { percent(column.head_share) };
    [
        clip(&column.name, LONGEST_NAME),
        kind,
        percent(column.missing_share),
        format!("{estimate}{}", count(column.distinct)),
        head,
        last_cell(column),
    ]
}

fn last_cell(column: &ColumnProfile) -> String {
    match (column.kind, column.numbers) {
        (Kind::Dense, Some(n)) => {
            let (mean, deviation) = (number(n.mean), number(n.deviation));
            format!("{} … {}, mean {mean} ± {deviation}, skew {:.1}", number(n.min), number(n.max), n.skewness)
        }
        (Kind::Timestamp { format: TimeFormat::Seconds }, Some(n)) => format!("{} … {} s", number(n.min), number(n.max)),
        (Kind::Timestamp { format: TimeFormat::Milliseconds }, Some(n)) => format!("{:.0} … {:.0} ms", n.min, n.max),
        (Kind::Timestamp { format: TimeFormat::Microseconds }, Some(n)) => format!("{:.0} … {:.0} µs", n.min, n.max),
        (Kind::Timestamp { format: TimeFormat::Nanoseconds }, Some(n)) => format!("{:.0} … {:.0} ns", n.min, n.max),
        _ => column.examples.join(", "),
    }
}

fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Dense => "dense".to_owned(),
        Kind::Categorical => "categorical".to_owned(),
        Kind::MultiValued { separator, weight_separator: None } => format!("multi '{}'", separator.escape_debug()),
        Kind::MultiValued { separator, weight_separator: Some(weight) } => format!("multi '{separator}' weights '{weight}'"),
        Kind::Timestamp { .. } => "timestamp".to_owned(),
        Kind::Constant => "constant".to_owned(),
        Kind::Empty => "empty".to_owned(),
        Kind::Identifier => "identifier".to_owned(),
        Kind::Text => "text".to_owned(),
    }
}

fn push_row(out: &mut String, row: &[String; 6], widths: &[usize; 5], rest: usize) {
    let start = out.len();
    for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
        let blanks = " ".repeat(width - cell.chars().count());
        // Numbers to the right, texts to the left.
        let (before, after) = if (2..=4).contains(&i) { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
        out.extend([before, cell, after, "  "]);
    }
    out.push_str(&clip(&row[5], rest));
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

/// A heading and its lines, wrapped between words.
fn push_list(out: &mut String, heading: &str, lines: &[String], width: usize) {
    if lines.is_empty() {
        return;
    }
    out.extend(["\n", heading, "\n"]);
    for line in lines {
        let mut used = 0;
        for word in clip(line, 1000).split(' ') {
            let length = word.chars().count();
            let indent = if used == 0 {
                "  "
            } else if used + 1 + length > width {
                used = 0;
                "\n    "
            } else {
                " "
            };
            used += length + indent.trim_start_matches('\n').len();
            out.extend([indent, word]);
        }
        out.push('\n');
    }
}
