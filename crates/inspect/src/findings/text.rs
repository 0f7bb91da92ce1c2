//! The inspection for a terminal: what to fix first, then the parts and the tables.
use super::{ColumnForecast, Finding, Inspection};
use crate::profile::table::push_wrapped;
use dlrm_data::format::{clip, count, number, percent};
use dlrm_data::schema::{Encoding, Task};
use dlrm_data::split::Part;

/// Findings of one severity and kind that are told; of more, their number.
const SHOWN: usize = 5;
const LONGEST_NAME: usize = 28;

impl Inspection {
    /// The findings, numbered.
    pub fn findings_text(&self, width: usize) -> String {
        if self.findings.is_empty() {
            return "\nFindings: none. Looked for leaks, disorder in time, repeated and shared rows, drift \
                and unseen values.\n"
                .to_owned();
        }
        let mut out = "\nFindings, what to fix first\n".to_owned();
        let mut number = 0;
        for group in self.findings.chunk_by(|a, b| (a.severity, a.kind) == (b.severity, b.kind)) {
            let mut before: Option<&Finding> = None;
            for finding in &group[..SHOWN.min(group.len())] {
                number += 1;
                push_finding(&mut out, number, finding, width);
                // What holds for several is said once.
                if before.is_none_or(|before| (&before.why, &before.fix) != (&finding.why, &finding.fix)) {
                    push_advice(&mut out, finding, width);
                }
                before = Some(finding);
            }
            if group.len() > SHOWN {
                let names: Vec<&str> =
                    group[SHOWN..].iter().filter_map(|finding| finding.column.as_deref()).collect();
                let more = format!(
                    "… and {} more of this kind (--json has all): {}",
                    group.len() - SHOWN,
                    names.join(", ")
                );
                push_wrapped(&mut out, &clip(&more, 2 * width), (6, 6), width);
            }
        }
        out
    }

    /// Rows and labels of the parts.
    pub fn parts_text(&self, task: Task) -> String {
        let shown = |x: f64| if task == Task::Binary { percent(x) } else { number(x) };
        let mut rows = vec![
            ["part", "rows", "mean label", "95 % interval", "in training too"].map(str::to_owned).to_vec(),
        ];
        for (part, label) in self.labels.iter() {
            let Some(label) = label else { continue };
            let [low, high] = label.interval.map(shown);
            let [validation, test] = self.duplicates.shared_with_train;
            let shared = match part {
                Part::Train => None,
                Part::Validation => validation,
                Part::Test => test,
            };
            let shared = shared.map_or_else(String::new, percent);
            rows.push(vec![
                part.name().to_owned(),
                count(label.rows),
                shown(label.mean),
                format!("{low} … {high}"),
                shared,
            ]);
        }
        format!("\n{}", aligned(&rows))
    }

    /// The tables that encoding will give.
    pub fn tables_text(&self) -> String {
        if self.tables.is_empty() {
            return String::new();
        }
        let mut rows = vec![
            ["table of", "encoding", "rows", "top 1", "top 10", "top 100", "once"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(self.tables.iter().map(table_row));
        let error = self.tables.iter().map(|table| table.error).fold(0.0, f64::max);
        let sampled = if error > 0.0 {
            format!("~: from a sample of the values, ± {} or less (95 %)\n", percent(2.0 * error))
        } else {
            String::new()
        };
        format!(
            "\n{}once: share of the training values that occur no second time; top: of the most frequent \
                ones\n{sampled}",
            aligned(&rows)
        )
    }
}

fn push_finding(out: &mut String, number: usize, finding: &Finding, width: usize) {
    let about =
        finding.column.as_ref().map_or(String::new(), |column| format!("{}: ", clip(column, LONGEST_NAME)));
    push_wrapped(
        out,
        &format!("{number}. {}  {about}{}", finding.severity.title(), finding.found),
        (2, 6),
        width,
    );
}

fn push_advice(out: &mut String, finding: &Finding, width: usize) {
    for (head, text) in [("why: ", &finding.why), ("do:  ", &finding.fix)] {
        if !text.is_empty() {
            push_wrapped(out, &format!("{head}{text}"), (6, 11), width);
        }
    }
}

fn table_row(table: &ColumnForecast) -> Vec<String> {
    let name = |encoding: &Encoding| match encoding {
        Encoding::Vocabulary { min_count: 1, .. } => "vocabulary".to_owned(),
        Encoding::Vocabulary { min_count, .. } => format!("vocabulary, min_count {min_count}"),
        Encoding::FirstSeen { .. } => "first seen".to_owned(),
        Encoding::Hash { .. } => "hash".to_owned(),
        Encoding::Identity { .. } => "identity".to_owned(),
    };
    let encoding = match &table.alternative {
        Some(Encoding::Identity { bound }) => {
            format!("{} (or identity, bound {})", name(&table.encoding), bound)
        }
        _ => name(&table.encoding),
    };
    let about = if table.error > 0.0 { "~" } else { "" };
    let mut row =
        vec![clip(&table.column, LONGEST_NAME), encoding, format!("{about}{}", count(table.table_rows))];
    row.extend(table.top.map(percent));
    row.push(percent(table.singleton_rows));
    row
}

/// Columns side by side: the first two to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let is_text = |cell: &str| !cell.is_empty() && cell.chars().next().is_some_and(char::is_alphabetic);
    let mut out = String::new();
    for row in rows {
        let start = out.len();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let left = i == 0 || (i == 1 && rows.len() > 1 && is_text(&rows[1][1]));
            out.push_str(&if left { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") });
        }
        out.truncate(start + out[start..].trim_end().len());
        out.push('\n');
    }
    out
}
