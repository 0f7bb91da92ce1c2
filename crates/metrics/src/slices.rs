//! Where the model is worst: groups of rows that share a categorical value.
use super::scored::entropy;
use super::sum::Sum;
use super::{Error, Result, Scored};
use dlrm_data::batch::Bags;
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A slice has at least this many rows …
const LEAST_ROWS: u64 = 50;
/// … and at least this share of all rows.
const LEAST_SHARE: f64 = 0.005;

/// The values of one categorical column, row by row.
#[derive(Clone, Copy)]
pub struct SliceColumn<'a> {
    /// Column name.
    pub name: &'a str,
    /// Ids of every row; a row with several belongs to several slices.
    pub values: &'a Bags,
    /// The text of an id, for people.
    pub text: &'a dyn Fn(u32) -> String,
}

/// Rows that share a categorical value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Column.
    pub column: String,
    /// Value.
    pub value: String,
    /// Number of rows.
    pub rows: u64,
    /// Log loss, or RMSE for ratings.
    pub loss: f64,
    /// Log loss over the entropy of the slice's own mean label (above 1, the model knows less about
    /// these rows than their click rate tells); for ratings, RMSE over the RMSE of all rows.
    pub relative: f64,
    /// Mean label.
    pub mean_label: f64,
    /// Mean probability or predicted rating.
    pub mean_prediction: f64,
}

/// The `count` worst slices by [`Slice::relative`], worst first, among those with at least 50 rows
/// and 0.5 % of all rows. A slice that holds every row is none.
///
/// # Errors
/// If a column does not have as many rows as `rows`.
pub fn worst_slices(rows: &Scored<'_>, columns: &[SliceColumn<'_>], count: usize) -> Result<Vec<Slice>> {
    let least = LEAST_ROWS.max((LEAST_SHARE * rows.len() as f64).ceil() as u64);
    let losses: Vec<f64> = (0..rows.len()).map(|row| rows.loss(row)).collect();
    let overall = rows.mean(|row| losses[row]);
    let mut found = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        if column.values.len() != rows.len() {
            return Err(Error::Length {
                what: "slice values",
                expected: rows.len(),
                found: column.values.len(),
            });
        }
        for (id, total) in totals(rows, column.values, &losses) {
            if total.rows >= least && total.rows < rows.len() as u64 && total.weight.value() > 0.0 {
                found.push((total.relative(rows.task(), overall), number, id, total));
            }
        }
    }
    // a total order, so that the report does not depend on the order of the map
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.3.rows.cmp(&a.3.rows)).then((a.1, a.2).cmp(&(b.1, b.2))));
    found.truncate(count);
    let slice = |(relative, number, id, total): (f64, usize, u32, Total)| {
        let column = &columns[number];
        total.slice(rows.task(), relative, column.name.into(), (column.text)(id))
    };
    Ok(found.into_iter().map(slice).collect())
}

fn totals(rows: &Scored<'_>, values: &Bags, losses: &[f64]) -> HashMap<u32, Total> {
    let mut totals: HashMap<u32, Total> = HashMap::new();
    for (row, &loss) in losses.iter().enumerate() {
        for &id in values.row(row) {
            let total = totals.entry(id).or_default();
            // a value twice in one row is still one row
            if total.rows == 0 || total.last_row != row {
                total.last_row = row;
                total.add(rows, row, loss);
            }
        }
    }
    totals
}

#[derive(Default)]
struct Total {
    rows: u64,
    last_row: usize,
    weight: Sum,
    loss: Sum,
    label: Sum,
    prediction: Sum,
}

impl Total {
    fn add(&mut self, rows: &Scored<'_>, row: usize, loss: f64) {
        let weight = rows.weight(row);
        self.rows += 1;
        self.weight.add(weight);
        self.loss.add(weight * loss);
        self.label.add(weight * rows.label(row));
        self.prediction.add(weight * rows.prediction(row));
    }

    fn relative(&self, task: Task, overall: f64) -> f64 {
        let loss = self.loss.value() / self.weight.value();
        match task {
            Task::Binary => {
                // Half a row of either class more keeps pure slices from dividing by zero
                // (Krichevsky–Trofimov).
                let rows = self.rows as f64;
                let positives = self.label.value() / self.weight.value() * rows;
                loss / entropy((positives + 0.5) / (rows + 1.0))
            }
            Task::Rating if overall > 0.0 => (loss / overall).sqrt(),
            Task::Rating => 1.0,
        }
    }

    fn slice(&self, task: Task, relative: f64, column: String, value: String) -> Slice {
        let mean = |sum: Sum| sum.value() / self.weight.value();
        let loss = match task {
            Task::Binary => mean(self.loss),
            Task::Rating => mean(self.loss).sqrt(),
        };
        let (mean_label, mean_prediction) = (mean(self.label), mean(self.prediction));
        Slice { column, value, rows: self.rows, loss, relative, mean_label, mean_prediction }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_hot(ids: impl IntoIterator<Item = u32>) -> Bags {
        let ids: Vec<u32> = ids.into_iter().collect();
        Bags { offsets: (0..=ids.len() as u32).collect(), ids, weights: None }
    }

    #[test]
    fn the_value_the_model_gets_wrong_comes_first() {
        // value 3 of "site" clicks always, the model says ½ everywhere
        let ids: Vec<u32> = (0..1000).map(|i| i % 5).collect();
        let labels: Vec<f32> =
            ids.iter().enumerate().map(|(i, &id)| f32::from(u8::from(id == 3 || i % 2 == 0))).collect();
        let logits = vec![0.0; 1000];
        let rows = Scored::binary(&logits, &labels, None).unwrap();
        let (site, constant) = (one_hot(ids), one_hot((0..1000).map(|_| 9)));
        let text = |id: u32| format!("v{id}");
        let columns = [
            SliceColumn { name: "site", values: &site, text: &text },
            SliceColumn { name: "constant", values: &constant, text: &text },
        ];
        let found = worst_slices(&rows, &columns, 3).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].column.as_str(), found[0].value.as_str(), found[0].rows), ("site", "v3", 200));
        assert_eq!((found[0].mean_label, found[0].mean_prediction), (1.0, 0.5));
        assert!(found[0].relative > 10.0 && found[1].relative < 1.1);
        assert!(found.iter().all(|slice| slice.column == "site"), "a slice of all rows says nothing");
    }

    #[test]
    fn small_slices_are_noise_and_doubled_values_count_once() {
        let labels: Vec<f32> = (0..200u8).map(|i| f32::from(i % 2)).collect();
        let logits = vec![0.0; 200];
        let rows = Scored::binary(&logits, &labels, None).unwrap();
        let mut values = Bags::new();
        for row in 0..200 {
            values.ids.extend(if row < 60 {
                vec![1, 1]
            } else if row < 100 {
                vec![2]
            } else {
                vec![]
            });
            values.offsets.push(values.ids.len() as u32);
        }
        let column = SliceColumn { name: "tags", values: &values, text: &|id| id.to_string() };
        let found = worst_slices(&rows, &[column], 10).unwrap();
        assert_eq!(found.iter().map(|s| (s.value.as_str(), s.rows)).collect::<Vec<_>>(), [("1", 60)]);
        let short = Bags::new();
        assert!(worst_slices(&rows, &[SliceColumn { values: &short, ..column }], 1).is_err());
    }

    #[test]
    fn ratings_compare_with_all_rows() {
        let labels = vec![0.0; 200];
        let predictions: Vec<f32> = (0..200).map(|i| if i < 100 { 1.0 } else { 7.0 }).collect();
        let rows = Scored::rating(&predictions, &labels, None).unwrap();
        let values = one_hot((0..200).map(|i| i / 100));
        let column = SliceColumn { name: "half", values: &values, text: &|id| id.to_string() };
        let found = worst_slices(&rows, &[column], 1).unwrap();
        assert_eq!((found[0].loss, found[0].relative), (7.0, 7.0 / 5.0));
    }
}
