//! Whether what was said to count as a click occurs at all.
use crate::error::Result;
use dlrm_data::error::{Error, Hint, quoted};
use dlrm_data::format::count;
use dlrm_data::label::LabelReader;
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::schema::{Label, Task};

/// Different values that are counted, and those that are named.
const COUNTED: usize = 1000;
const NAMED: usize = 8;

/// Refuses a rule that no row fulfils, and positive values that none holds. Rows are read up to the first
/// click.
///
/// # Errors
/// If there is no click, naming the values that there are; or if reading fails.
pub(super) fn check_clicks_occur(rows: &mut dyn RowSource, name: &str, label: &Label) -> Result<()> {
    let Some(index) = rows.columns().iter().position(|column| *column == label.column) else { return Ok(()) };
    let (reader, mut row) = (LabelReader::new(label)?, RawRow::default());
    let mut held: Vec<(String, u64)> = Vec::new();
    loop {
        match rows.next_row(&mut row) {
            Ok(true) if index < row.len() => {}
            Ok(true) | Err(Error::Row(_)) => continue,
            Ok(false) => break,
            Err(other) => return Err(other.into()),
        }
        let field = row.field(index);
        if reader.read(field) == Ok(1.0) {
            return Ok(());
        }
        match held.iter().position(|(text, _)| *text == field.trim()) {
            Some(at) => held[at].1 += 1,
            None if held.len() < COUNTED => held.push((field.trim().to_owned(), 1)),
            None => {}
        }
    }
    Err(no_clicks(name, label, held).into())
}

fn no_clicks(name: &str, label: &Label, mut held: Vec<(String, u64)>) -> Error {
    held.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut named: Vec<String> = held
        .iter()
        .take(NAMED)
        .map(|(text, rows)| format!("{} ({} rows)", quoted(text), count(*rows)))
        .collect();
    if held.len() > NAMED {
        let numbers: Option<Vec<f64>> = held.iter().map(|(text, _)| text.parse().ok()).collect();
        match numbers {
            Some(mut numbers) => {
                numbers.sort_by(f64::total_cmp);
                let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
                named = vec![format!("numbers from {first} to {last}")];
            }
            None => named.push("…".to_owned()),
        }
    }
    let (key, expected, found) = match &label.rule {
        Some(rule) => ("schema.label.rule", "a rule that some row fulfils".to_owned(), quoted(rule)),
        None => {
            let positive: Vec<String> = label.positive.iter().map(|text| quoted(text)).collect();
            let expected = format!("a value that the label column \"{}\" holds", label.column);
            ("schema.label.positive", expected, positive.join(", "))
        }
    };
    let hint = Hint::from(format!("the column holds {}: say what of it counts with ", named.join(", ")));
    Error::input(format!("{name}: {key}"), expected, format!("{found}, and so no click"))
        .with_hint(hint.name(key))
}

/// Whether the label says what counts as a click.
pub(super) fn says_what_counts(label: &Label) -> bool {
    label.task == Task::Binary && (label.rule.is_some() || !label.positive.is_empty())
}
