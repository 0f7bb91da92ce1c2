//! Rows with their predictions and labels, checked once so that no metric has to.
use super::sum::sum;
use super::{Error, Result};
use dlrm_data::Batch;
use dlrm_data::schema::Task;

/// Predictions beside labels. Predictions are logits in the binary task, ratings in the rating task.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    task: Task,
    predictions: &'a [f32],
    labels: &'a [f32],
    weights: Option<&'a [f32]>,
    groups: Option<&'a [u64]>,
}

impl<'a> Scored<'a> {
    /// Rows of either task.
    ///
    /// # Errors
    /// If lengths differ, there is no row of positive weight, a prediction is not finite, a label
    /// is not 0 or 1 (binary) or not finite (rating), or a weight is negative or not finite.
    pub fn new(
        task: Task,
        predictions: &'a [f32],
        labels: &'a [f32],
        weights: Option<&'a [f32]>,
    ) -> Result<Self> {
        let rows = predictions.len();
        length("labels", labels, rows)?;
        weights.map_or(Ok(()), |weights| length("weights", weights, rows))?;
        if rows > u32::MAX as usize {
            return Err(Error::TooManyRows { found: rows });
        }
        values("prediction", predictions, "a finite number", f32::is_finite)?;
        match task {
            Task::Binary => values("label", labels, "0 or 1", |y| y == 0.0 || y == 1.0)?,
            Task::Rating => values("label", labels, "a finite number", f32::is_finite)?,
        }
        if let Some(weights) = weights {
            let usable = |w: f32| w.is_finite() && w >= 0.0;
            values("weight", weights, "a finite number, not negative", usable)?;
        }
        if !weights.map_or(rows > 0, |weights| weights.iter().any(|&w| w > 0.0)) {
            return Err(Error::Empty);
        }
        Ok(Scored { task, predictions, labels, weights, groups: None })
    }

    /// Rows of a batch with their predictions.
    ///
    /// # Errors
    /// As [`Scored::new`].
    pub fn of_batch(task: Task, predictions: &'a [f32], batch: &'a Batch) -> Result<Self> {
        Scored::new(task, predictions, &batch.labels, batch.weights.as_deref())?
            .with_groups(batch.groups.as_deref())
    }

    /// Puts the rows into groups, for the binary task.
    ///
    /// # Errors
    /// If there is not one group for each row.
    pub fn with_groups(self, groups: Option<&'a [u64]>) -> Result<Self> {
        match groups.filter(|groups| groups.len() != self.len()) {
            Some(groups) => Err(Error::Length { what: "groups", expected: self.len(), found: groups.len() }),
            None => Ok(Scored { groups: groups.filter(|_| self.task == Task::Binary), ..self }),
        }
    }

    /// The group of each row, if they have groups.
    pub fn groups(&self) -> Option<&'a [u64]> {
        self.groups
    }

    /// Logits beside clicks.
    ///
    /// # Errors
    /// As [`Scored::new`].
    pub fn binary(logits: &'a [f32], labels: &'a [f32], weights: Option<&'a [f32]>) -> Result<Self> {
        Scored::new(Task::Binary, logits, labels, weights)
    }

    /// Predicted beside true ratings.
    ///
    /// # Errors
    /// As [`Scored::new`].
    pub fn rating(predictions: &'a [f32], labels: &'a [f32], weights: Option<&'a [f32]>) -> Result<Self> {
        Scored::new(Task::Rating, predictions, labels, weights)
    }

    /// The kind of label.
    pub fn task(&self) -> Task {
        self.task
    }

    /// Number of rows, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Logits or predicted ratings: what rows are ranked by.
    pub fn scores(&self) -> &'a [f32] {
        self.predictions
    }

    /// Label of a row.
    pub fn label(&self, row: usize) -> f64 {
        f64::from(self.labels[row])
    }

    /// Whether a row of the binary task is positive.
    pub fn is_positive(&self, row: usize) -> bool {
        self.labels[row] == 1.0
    }

    /// Weight of a row; 1 if rows carry none.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// Sum of the weights.
    pub fn total_weight(&self) -> f64 {
        match self.weights {
            None => self.len() as f64,
            Some(weights) => sum(weights.iter().map(|&w| f64::from(w))),
        }
    }

    /// Probability of a positive, or the predicted rating.
    pub fn prediction(&self, row: usize) -> f64 {
        let z = f64::from(self.predictions[row]);
        match self.task {
            Task::Binary => 1.0 / (1.0 + libm::exp(-z)),
            Task::Rating => z,
        }
    }

    /// What the task minimises, on one row: the log loss, or the squared error.
    pub fn loss(&self, row: usize) -> f64 {
        let (z, y) = (f64::from(self.predictions[row]), self.label(row));
        match self.task {
            Task::Binary => log_loss(z, y),
            Task::Rating => (z - y) * (z - y),
        }
    }

    /// The loss of each row.
    pub fn losses(&self) -> Vec<f64> {
        (0..self.len()).map(|row| self.loss(row)).collect()
    }

    /// By how much the loss of a row is less than in `before`, on average, and the standard error of that
    /// mean. Both must be of the same rows.
    ///
    /// # Errors
    /// If they are not.
    pub fn gain_over(&self, before: &Scored<'_>) -> Result<(f64, f64)> {
        self.check_paired(before)?;
        let n = self.len() as f64;
        let mean_weight = self.total_weight() / n;
        let weight = |row: usize| self.weight(row) / mean_weight;
        let gains: Vec<f64> = (0..self.len()).map(|row| before.loss(row) - self.loss(row)).collect();
        let mean = gains.iter().enumerate().map(|(row, gain)| weight(row) * gain).sum::<f64>() / n;
        let square = |(row, gain): (usize, &f64)| (weight(row) * (gain - mean)).powi(2);
        let variance = gains.iter().enumerate().map(square).sum::<f64>() / (n - 1.0).max(1.0);
        Ok((mean, (variance / n).sqrt()))
    }

    /// Whether a row of the binary task lies on the right side of probability 0.5, which itself
    /// counts as a predicted positive.
    pub fn is_right(&self, row: usize) -> bool {
        (self.predictions[row] >= 0.0) == self.is_positive(row)
    }

    /// Weighted mean of `term` over the rows, summed in their order.
    pub fn mean(&self, term: impl Fn(usize) -> f64) -> f64 {
        let weighted = sum((0..self.len()).map(|row| self.weight(row) * term(row)));
        weighted / self.total_weight()
    }

    /// Checks that `other` holds predictions for the very same rows.
    ///
    /// # Errors
    /// If task, number of rows, labels or weights differ.
    pub fn check_paired(&self, other: &Scored<'_>) -> Result<()> {
        let found = if self.task != other.task {
            "different tasks"
        } else if self.len() != other.len() {
            return Err(Error::Unpaired { found: format!("{} and {} rows", self.len(), other.len()) });
        } else if self.labels != other.labels {
            "different labels"
        } else if self.weights != other.weights {
            "different weights"
        } else if self.groups != other.groups {
            "different groups"
        } else {
            return Ok(());
        };
        Err(Error::Unpaired { found: found.into() })
    }
}

/// −y ln p − (1 − y) ln(1 − p) at p = σ(z), from the logit: neither overflow nor ln 0.
fn log_loss(z: f64, y: f64) -> f64 {
    z.max(0.0) - z * y + libm::log1p(libm::exp(-z.abs()))
}

/// Entropy in nats of a click whose probability is `p`.
pub(crate) fn entropy(p: f64) -> f64 {
    let term = |q: f64| if q > 0.0 { -q * libm::log(q) } else { 0.0 };
    term(p) + term(1.0 - p)
}

fn length(what: &'static str, values: &[f32], rows: usize) -> Result<()> {
    match values.len() {
        found if found == rows => Ok(()),
        found => Err(Error::Length { what, expected: rows, found }),
    }
}

fn values(
    what: &'static str,
    values: &[f32],
    expected: &'static str,
    usable: impl Fn(f32) -> bool,
) -> Result<()> {
    match values.iter().position(|&x| !usable(x)) {
        None => Ok(()),
        Some(row) => Err(Error::Value { what, row, expected, found: values[row] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_loss_survives_extreme_logits() {
        assert_eq!(log_loss(1e30, 0.0), 1e30);
        assert_eq!(log_loss(1e30, 1.0), 0.0);
        assert_eq!(log_loss(-1e30, 0.0), 0.0);
        assert_eq!(log_loss(0.0, 1.0), std::f64::consts::LN_2);
        // a rare event: 1 − p rounds to 1 in naive arithmetic
        assert_eq!(log_loss(-40.0, 0.0), (-40.0f64).exp());
    }

    #[test]
    fn unusable_rows_are_named() {
        let error = Scored::binary(&[0.0, f32::NAN], &[0.0, 1.0], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metrics: prediction of row 1 (counted from 0): expected a finite number, found NaN"
        );
        assert!(error.hint().is_some());
        let error = Scored::binary(&[0.0], &[4.0], None).unwrap_err();
        assert!(error.to_string().contains("expected 0 or 1, found 4"), "{error}");
        assert_eq!(Scored::binary(&[], &[], None).unwrap_err(), Error::Empty);
        assert_eq!(Scored::rating(&[1.0], &[1.0], Some(&[0.0])).unwrap_err(), Error::Empty);
        assert!(matches!(Scored::binary(&[0.0], &[], None), Err(Error::Length { what: "labels", .. })));
        assert!(matches!(
            Scored::rating(&[1.0], &[1.0], Some(&[-1.0])),
            Err(Error::Value { what: "weight", .. })
        ));
        assert!(Scored::rating(&[1.0], &[4.5], None).is_ok());
    }

    #[test]
    fn only_the_same_rows_are_paired() {
        let a = Scored::binary(&[0.0, 1.0], &[0.0, 1.0], None).unwrap();
        let b = Scored::binary(&[0.0, 1.0], &[1.0, 1.0], None).unwrap();
        assert!(a.check_paired(&a).is_ok());
        assert!(a.check_paired(&b).unwrap_err().to_string().contains("different labels"));
    }
}
