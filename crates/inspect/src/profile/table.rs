//! The profile as a table for a terminal.
use super::column::ColumnProfile;
use super::counts::Precision;
use super::kind::Kind;
use super::{Profile, times::TimeFormat};
use dlrm_data::format::{clip, count, number, percent};

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
        let mut out = format!("{}\n{}", self.headline(), self.facts(width));
        self.push_suggestions(&mut out, width);
        let noted = self.columns.iter().filter(|c| !c.warnings.is_empty()).map(|c| noted(c, &c.warnings));
        let warnings: Vec<String> = self.warnings.iter().cloned().chain(noted).collect();
        push_list(&mut out, "Warnings", &warnings, width);
        out
    }

    /// How many rows and columns there are, and what the label is.
    pub fn headline(&self) -> String {
        let label = self
            .label
            .as_ref()
            .map_or_else(|| "Label: none found; name it".to_owned(), |label| self.label_line(label));
        format!("{} rows, {} columns\n{label}\n", count(self.rows), self.columns.len())
    }

    /// What one could do with the columns, under a heading; nothing if nothing is suggested.
    pub fn suggestions(&self, width: usize) -> String {
        let mut out = String::new();
        self.push_suggestions(&mut out, width);
        out
    }

    fn push_suggestions(&self, out: &mut String, width: usize) {
        let lines: Vec<String> = self
            .columns
            .iter()
            .filter(|c| !c.suggestions.is_empty())
            .map(|c| noted(c, &c.suggestions))
            .collect();
        push_list(out, "Suggestions", &lines, width);
    }

    /// The table alone.
    pub fn facts(&self, width: usize) -> String {
        let label = self.label.as_ref().map(|l| l.column.as_str());
        let mut rows: Vec<[String; 6]> = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.columns.iter().map(|column| cells(column, label == Some(column.name.as_str()))));
        let widths: [usize; 5] =
            std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
        let rest = width.saturating_sub(widths.iter().sum::<usize>() + GAP * 5).max(LEAST);
        let mut out = String::new();
        for row in &rows {
            push_row(&mut out, row, &widths, rest);
        }
        out
    }
}

fn noted(column: &ColumnProfile, lines: &[String]) -> String {
    format!("{}: {}", clip(&column.name, LONGEST_NAME), lines.join("; "))
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
            format!(
                "{} … {}, mean {mean} ± {deviation}, skew {:.1}",
                number(n.min),
                number(n.max),
                n.skewness
            )
        }
        (Kind::Timestamp { format: TimeFormat::Seconds }, Some(n)) => {
            format!("{} … {} s", number(n.min), number(n.max))
        }
        (Kind::Timestamp { format: TimeFormat::Milliseconds }, Some(n)) => {
            format!("{:.0} … {:.0} ms", n.min, n.max)
        }
        (Kind::Timestamp { format: TimeFormat::Microseconds }, Some(n)) => {
            format!("{:.0} … {:.0} µs", n.min, n.max)
        }
        (Kind::Timestamp { format: TimeFormat::Nanoseconds }, Some(n)) => {
            format!("{:.0} … {:.0} ns", n.min, n.max)
        }
        _ => column.examples.join(", "),
    }
}

fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Dense => "dense".to_owned(),
        Kind::Categorical => "categorical".to_owned(),
        Kind::MultiValued { separator, weight_separator: None } => {
            format!("multi '{}'", separator.escape_debug())
        }
        Kind::MultiValued { separator, weight_separator: Some(weight) } => {
            format!("multi '{separator}' weights '{weight}'")
        }
        Kind::Timestamp { .. } => "timestamp".to_owned(),
        Kind::Constant => "constant".to_owned(),
        Kind::Empty => "empty".to_owned(),
        Kind::Identifier => "identifier".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Ignored => "ignored".to_owned(),
        Kind::Weight => "weight".to_owned(),
    }
}

fn push_row(out: &mut String, row: &[String; 6], widths: &[usize; 5], rest: usize) {
    let start = out.len();
    for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
        let blanks = " ".repeat(width - cell.chars().count());
        // Numbers to the right, texts to the left.
        let (before, after) =
            if (2..=4).contains(&i) { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
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
    lines.iter().for_each(|line| push_wrapped(out, line, (2, 4), width));
}

/// A line wrapped between words: blanks before its first and before further ones.
pub(crate) fn push_wrapped(out: &mut String, line: &str, (first, further): (usize, usize), width: usize) {
    let mut used = 0;
    for word in clip(line, 1000).split(' ') {
        let length = word.chars().count();
        if used == 0 {
            out.extend(std::iter::repeat_n(' ', first));
            used = first;
        } else if used + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', further));
            used = further;
        } else {
            out.push(' ');
            used += 1;
        }
        used += length;
        out.push_str(word);
    }
    out.push('\n');
}
