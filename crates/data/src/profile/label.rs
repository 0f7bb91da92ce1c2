//! Which column is the label, and what its values mean.
use super::column::is_missing;
use super::names;
use crate::error::{Error, Result, nearest, quoted};
use crate::row::RawRow;
use crate::schema::{Label, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How the label was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelOrigin {
    /// The user named it.
    Given,
    /// Guessed by its name.
    Name,
    /// Guessed by its place (first or last column) and its two values.
    Place,
}

/// The label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProfile {
    /// Column.
    pub column: String,
    /// How it was found.
    pub origin: LabelOrigin,
    /// What can be predicted of it as it is; `None` if it needs a rule or a list of positive values.
    pub task: Option<Task>,
    /// Positive values to be named in a schema; empty if 0 and 1 (or false and true) speak for themselves.
    pub positive: Vec<String>,
    /// Share of positive rows of a binary label.
    pub positive_share: Option<f64>,
    /// Rows with a missing label.
    pub missing: u64,
}

impl LabelProfile {
    /// The label of a schema.
    ///
    /// # Errors
    /// If the values are neither two nor numbers.
    pub fn to_schema(&self) -> Result<Label> {
        let Some(task) = self.task else {
            let error =
                Error::input(format!("label column \"{}\"", self.column), "two different values, or numbers", "more than two texts");
            return Err(error.with_hint("say what counts as a click: a label rule (== one of its values) or a list of positive values"));
        };
        Ok(Label { column: self.column.clone(), task, rule: None, positive: self.positive.clone() })
    }
}

/// Index of the label column among `columns`: the given one, else a guess from the first rows.
pub(super) fn find(columns: &[String], given: Option<&str>, head: &[RawRow]) -> Result<Option<(usize, LabelOrigin)>> {
    let Some(name) = given else { return Ok(guess(columns, head)) };
    if let Some(index) = columns.iter().position(|column| column == name) {
        return Ok(Some((index, LabelOrigin::Given)));
    }
    let error = Error::input("label", format!("one of the columns {}", columns.join(", ")), quoted(name));
    Err(match nearest(name, columns.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
        None => error,
    })
}

/// Up to three different values of the first rows, and whether all are numbers.
fn first_values(head: &[RawRow], index: usize) -> (BTreeSet<&str>, bool) {
    let (mut values, mut numeric) = (BTreeSet::new(), true);
    for row in head.iter().filter(|row| index < row.len()) {
        let field = row.field(index).trim();
        if !is_missing(field) {
            numeric &= field.parse::<f64>().is_ok_and(f64::is_finite);
            if values.len() < 3 {
                values.insert(field);
            }
        }
    }
    (values, numeric)
}

fn guess(columns: &[String], head: &[RawRow]) -> Option<(usize, LabelOrigin)> {
    let fits = |index: usize| {
        let (values, numeric) = first_values(head, index);
        matches!(values.len(), 1 | 2) || (!values.is_empty() && numeric && names::may_be_rating(&columns[index]))
    };
    let mut ranked: Vec<(usize, usize)> =
        columns.iter().enumerate().filter_map(|(index, name)| names::label_rank(name).map(|rank| (rank, index))).collect();
    ranked.sort_unstable();
    if let Some(&(_, index)) = ranked.iter().find(|(_, index)| fits(*index)) {
        return Some((index, LabelOrigin::Name));
    }
    let last = columns.len().checked_sub(1).filter(|&last| last > 0)?;
    let first: Vec<&str> = first_values(head, 0).0.into_iter().collect();
    if matches!(first[..], ["0" | "-1", "1"]) {
        return Some((0, LabelOrigin::Place));
    }
    (first_values(head, last).0.len() == 2).then_some((last, LabelOrigin::Place))
}

/// The classes of a label, learned as they come.
#[derive(Debug, Clone, Default)]
pub(super) struct Classes {
    texts: Vec<String>,
    counts: [u64; 2],
    missing: u64,
    /// A third value was seen.
    many: bool,
}

impl Classes {
    /// The class of a label field: 0 or 1 in order of appearance. `None` if missing or not binary.
    pub fn of(&mut self, field: &str) -> Option<usize> {
        let field = field.trim();
        if is_missing(field) {
            self.missing += 1;
            return None;
        }
        if self.many {
            return None;
        }
        let class = match self.texts.iter().position(|text| text == field) {
            Some(class) => class,
            None if self.texts.len() < 2 => {
                self.texts.push(field.to_owned());
                self.texts.len() - 1
            }
            None => {
                self.many = true;
                return None;
            }
        };
        self.counts[class] += 1;
        Some(class)
    }

    /// Whether there are two classes at most.
    pub fn is_binary(&self) -> bool {
        !self.many
    }

    /// Whether there is nothing to learn.
    pub fn is_constant(&self) -> bool {
        !self.many && self.texts.len() < 2
    }

    /// The label, with `numeric` values or not.
    pub fn profile(&self, column: &str, origin: LabelOrigin, numeric: bool) -> LabelProfile {
        let total = (self.counts[0] + self.counts[1]).max(1) as f64;
        let (task, positive, share) = if self.many {
            (numeric.then_some(Task::Rating), Vec::new(), None)
        } else {
            let (class, plain) = positive_class(&self.texts, self.counts);
            let share = class.map_or(0.0, |c| self.counts[c] as f64 / total);
            let listed = class.filter(|_| !plain).map(|c| self.texts[c].clone());
            (Some(Task::Binary), listed.into_iter().collect(), Some(share))
        };
        LabelProfile { column: column.to_owned(), origin, task, positive, positive_share: share, missing: self.missing }
    }
}

/// Which of at most two texts is the positive one, and whether that needs no saying.
fn positive_class(texts: &[String], counts: [u64; 2]) -> (Option<usize>, bool) {
    let plain = |text: &str| match text {
        "1" | "1.0" | "true" | "True" | "TRUE" => Some(true),
        "0" | "0.0" | "-1" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    };
    let meanings: Vec<Option<bool>> = texts.iter().map(|text| plain(text)).collect();
    if !meanings.is_empty() && meanings.iter().all(Option::is_some) && (meanings.len() < 2 || meanings[0] != meanings[1]) {
        return (meanings.iter().position(|&m| m == Some(true)), true);
    }
    let [first, second] = texts else { return ((!texts.is_empty()).then_some(0), false) };
    let said = |text: &str| matches!(text.to_lowercase().as_str(), "yes" | "y" | "t" | "click" | "clicked" | "positive" | "pos" | "good");
    let second_is_positive = match (first.parse::<f64>(), second.parse::<f64>()) {
        _ if said(first) != said(second) => said(second),
        (Ok(a), Ok(b)) => b > a,
        // The rarer one; in doubt the later in the alphabet, so that the order of the rows decides nothing.
        _ => (counts[1], first) < (counts[0], second),
    };
    (Some(usize::from(second_is_positive)), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(fields: &[&str], numeric: bool) -> LabelProfile {
        let mut classes = Classes::default();
        fields.iter().for_each(|field| {
            classes.of(field);
        });
        classes.profile("x", LabelOrigin::Given, numeric)
    }

    #[test]
    fn positives() {
        let plain = label(&["1", "0", "0", ""], true);
        assert_eq!((plain.positive.len(), plain.positive_share, plain.missing), (0, Some(1.0 / 3.0), 1));
        assert_eq!(label(&["-1", "1"], true).positive_share, Some(0.5));
        assert_eq!(label(&["<=50K", " >50K", "<=50K"], false).positive, [">50K"]);
        assert_eq!(label(&["yes", "no", "yes"], false).positive, ["yes"]);
        assert_eq!(label(&["2", "1", "2"], true).positive, ["2"]);
        assert_eq!(label(&["1", "2", "3"], true).task, Some(Task::Rating));
        assert!(label(&["a", "b", "c"], false).to_schema().unwrap_err().hint().is_some());
        assert_eq!(label(&["0", "0"], true).positive_share, Some(0.0));
        assert_eq!(label(&[], false).positive_share, Some(0.0));
    }
}
