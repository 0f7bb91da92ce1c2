//! Which column is the label, and what its values mean.
use super::classes::Tally;
use super::label_profile::{LabelOrigin, LabelProfile};
use super::names;
use dlrm_data::error::{Error, Hint, Result, nearest, quoted};
use dlrm_data::format::count;
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::schema::{Label, Task};

impl LabelProfile {
    /// Reads the label column alone, in one pass over all rows. Malformed ones are skipped.
    ///
    /// # Errors
    /// If reading fails or there is no such column.
    pub fn of(rows: &mut dyn RowSource, column: &str) -> Result<Self> {
        let index = find(rows.columns(), &[], Some(column), &[])?.map_or(0, |(index, _)| index);
        let (mut tally, mut row) = (Tally::default(), RawRow::default());
        loop {
            match rows.next_row(&mut row) {
                Ok(true) if index < row.len() => tally.add(row.field(index)),
                Ok(true) | Err(Error::Row(_)) => {}
                Ok(false) => return Ok(tally.profile(column, LabelOrigin::Given)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The label of a schema.
    ///
    /// # Errors
    /// If the values are neither two nor numbers.
    pub fn to_schema(&self) -> Result<Label> {
        let Some(task) = self.task else {
            let texts: Vec<String> = self.stray_texts.iter().map(|text| quoted(text)).collect();
            let found = format!("more than two texts: {}, …", texts.join(", "));
            let error = Error::input(
                format!("label column \"{}\"", self.column),
                "two different values, or numbers",
                found,
            );
            return Err(error.with_hint(
                "say what counts as a click: a label rule (== one of its values) or a \
                list of positive values",
            ));
        };
        let (positive, negative) = (self.positive.clone(), self.negative.clone());
        Ok(Label {
            column: self.column.clone(),
            task,
            rule: self.rule.clone(),
            positive,
            negative,
            leave_out: Vec::new(),
        })
    }

    /// What was decided about it that nobody said, for who did not ask for it.
    pub fn decisions(&self) -> Vec<String> {
        let (name, mut said) = (&self.column, Vec::new());
        if self.origin != LabelOrigin::Given {
            said.push(format!(
                "label: column \"{name}\", {}; name another one with schema.label.column",
                self.origin.in_words()
            ));
        }
        if let (Some(positive), Some(origin)) = (self.positive.first(), self.positive_origin) {
            let other = self.negative.first().map_or_else(String::new, |text| format!(" ({})", quoted(text)));
            said.push(format!(
                "label: {} of \"{name}\" counts as positive, {}, and its probability is predicted; for \
                 that of the other{other} say so with schema.label.positive",
                quoted(positive),
                origin.reason()
            ));
        }
        if self.task == Some(Task::Rating) {
            let mut numbers: Vec<&str> = self.examples.iter().map(String::as_str).collect();
            numbers.sort_by(|a, b| a.parse::<f64>().unwrap_or(0.0).total_cmp(&b.parse().unwrap_or(0.0)));
            let rule = numbers.last().copied().unwrap_or("1");
            let texts: Vec<String> = numbers.iter().map(|text| quoted(text)).collect();
            said.push(format!(
                "label: \"{name}\" holds more than two numbers ({}, …), which are predicted as they are (a \
                 regression); to predict a click, say what counts as one with schema.label.rule, such as \
                 \"{name} >= {rule}\"",
                texts.join(", ")
            ));
        }
        said
    }

    /// What is odd about it; `constant` says so where there is nothing to learn.
    pub(super) fn warnings(&self, constant: Option<String>) -> Vec<String> {
        let (name, mut warnings) = (&self.column, Vec::new());
        let texts: Vec<String> = self.stray_texts.iter().map(|text| quoted(text)).collect();
        warnings.extend(constant);
        if self.missing > 0 {
            warnings.push(format!(
                "label \"{name}\" is missing in {} rows, which cannot be used",
                count(self.missing)
            ));
        }
        if self.task.is_none() {
            warnings.push(format!(
                "label \"{name}\" holds more than two texts: give a rule or a list of positive values"
            ));
        } else if self.strays > 0 {
            let what = if self.task == Some(Task::Rating) { "no number" } else { "something else" };
            warnings.push(format!(
                "label \"{name}\" holds {what} in {} rows ({}), which are malformed for training: mend them, \
                    skip them with \
                 data.max_bad_rows, or give a label rule",
                count(self.strays),
                texts.join(", ")
            ));
        }
        warnings
    }
}

/// Index of the label column among `columns`: the given one, else a guess from the first rows among those
/// that are `usable`.
pub(super) fn find(
    columns: &[String],
    usable: &[bool],
    given: Option<&str>,
    head: &[RawRow],
) -> Result<Option<(usize, LabelOrigin)>> {
    let Some(name) = given else { return Ok(guess(columns, usable, head)) };
    if let Some(index) = columns.iter().position(|column| column == name) {
        return Ok(Some((index, LabelOrigin::Given)));
    }
    let error = Error::input("label", format!("one of the columns {}", columns.join(", ")), quoted(name));
    let unnamed = columns.iter().enumerate().all(|(i, column)| *column == format!("column_{}", i + 1));
    let hint = match nearest(name, columns.iter().map(String::as_str)) {
        Some(near) if !unnamed => format!("did you mean \"{near}\"?").into(),
        _ if unnamed => {
            Hint::from("the file names no columns: name them with ").set("input.columns", "A,B,…")
        }
        _ if columns.len() == 1 => {
            Hint::from("one column only: is the delimiter another? Say so with ").name("input.delimiter")
        }
        _ => Hint::from("name one of them with ")
            .name("schema.label.column")
            .say("; check delimiter and header"),
    };
    Err(error.with_hint(hint))
}

fn guess(columns: &[String], usable: &[bool], head: &[RawRow]) -> Option<(usize, LabelOrigin)> {
    let task = |index: usize| Tally::of(head, index).profile(&columns[index], LabelOrigin::Name).task;
    let fits = |index: usize| match task(index) {
        Some(Task::Binary) => !Tally::of(head, index).is_empty(),
        Some(Task::Rating) => names::may_be_rating(&columns[index]),
        None => false,
    };
    let mut ranked: Vec<(usize, usize)> = columns
        .iter()
        .enumerate()
        .filter(|(index, _)| usable[*index])
        .filter_map(|(index, name)| names::label_rank(name).map(|rank| (rank, index)))
        .collect();
    ranked.sort_unstable();
    if let Some(&(_, index)) = ranked.iter().find(|(_, index)| fits(*index)) {
        return Some((index, LabelOrigin::Name));
    }
    let first = usable.iter().position(|usable| *usable)?;
    let last = usable.iter().rposition(|usable| *usable).filter(|&last| last > first)?;
    if Tally::of(head, first).is_clicks() {
        return Some((first, LabelOrigin::Place));
    }
    (task(last) == Some(Task::Binary) && !Tally::of(head, last).is_constant())
        .then_some((last, LabelOrigin::Place))
}
