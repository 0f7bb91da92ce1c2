//! Permutation importance (Breiman 2001; Fisher, Rudin and Dominici 2019): what the mean loss of rows rises
//! by when the values of one column are exchanged among them.
//!
//! h(i, j) is the rise of row i's loss when its value of the column comes from row j. In each of R repeats
//! the rows are put in a circle in random order and each takes the value of its neighbour; the importance m
//! is the mean of h over rows and repeats. Rows matter to it twice, by what they lose and by what they give,
//! so its standard error comes from the influence of each row on both sides (the projection of a U-statistic,
//! Hájek 1968): with c_i = (mean of h(i, ·) − m) + (mean of h(·, i) − m) over the repeats,
//!
//! > s² = Var(c_i) − Var(h) / R, but at least the variance of the rows' own means,
//!
//! where the second term takes out what partners added to c by chance. The interval is m ± 1.96 s / √n. It
//! covers the choice of rows and of exchanges, not training again. Where rows carry weights, h is weighted.
use super::columns::{Column, ColumnKind};
use crate::error::Result;
use dlrm_data::Batch;
use dlrm_data::rng::Rng;
use dlrm_data::schema::Task;
use dlrm_metrics::normal::Z_95;
use dlrm_metrics::{Interval, Scored};
use serde::{Deserialize, Serialize};

/// How values are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffles {
    /// R, at least 1.
    pub repeats: usize,
    /// Decides who takes whose value.
    pub seed: u64,
}

/// What the columns are worth to a model, on some rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Importance {
    /// Number of rows.
    pub rows: u64,
    /// How often each column was shuffled.
    pub repeats: u64,
    /// Mean loss of the rows as they are: log loss in nats, or squared error.
    pub loss: f64,
    /// By falling importance, equal ones by their order in the schema.
    pub columns: Vec<ColumnImportance>,
}

/// What one column is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnImportance {
    /// Name.
    pub column: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// What the mean loss rises by when the column is shuffled.
    pub increase: Interval,
}

impl Importance {
    /// The columns that shuffling harms beyond chance, the most important first.
    pub fn that_matter(&self) -> impl Iterator<Item = &ColumnImportance> {
        self.columns.iter().filter(|column| column.increase.low > 0.0)
    }
}

/// Measures every column on `rows`, whose logits `score` gives.
///
/// # Errors
/// If there are no rows, or a score is not finite.
pub fn importance(
    rows: &Batch,
    columns: &[Column],
    task: Task,
    shuffles: Shuffles,
    score: &mut dyn FnMut(&Batch) -> Vec<f32>,
) -> Result<Importance> {
    let losses = |logits: &[f32]| -> Result<Vec<f64>> { Ok(Scored::of_batch(task, logits, rows)?.losses()) };
    let own = losses(&score(rows))?;
    let weights = Weights::of(rows);
    let circles: Vec<Vec<u32>> =
        (0..shuffles.repeats.max(1)).map(|repeat| neighbours(rows.len(), shuffles.seed, repeat)).collect();
    let (mut work, mut found) = (rows.clone(), Vec::with_capacity(columns.len()));
    for column in columns {
        let mut spread = Spread::new(&weights, circles.len());
        for donors in &circles {
            column.take(rows, donors, &mut work);
            let shuffled = losses(&score(&work))?;
            let rises: Vec<f64> = shuffled.iter().zip(&own).map(|(shuffled, own)| shuffled - own).collect();
            spread.add(&rises, donors);
        }
        column.give_back(rows, &mut work);
        let (column, kind) = (column.name.clone(), column.kind);
        found.push(ColumnImportance { column, kind, increase: spread.interval() });
    }
    found.sort_by(|a, b| b.increase.estimate.total_cmp(&a.increase.estimate));
    let loss = own.iter().zip(&weights.0).map(|(loss, weight)| loss * weight).sum::<f64>() / own.len() as f64;
    Ok(Importance { rows: rows.len() as u64, repeats: circles.len() as u64, loss, columns: found })
}

/// Whose value each row takes: its neighbour's in a random circle, so that none keeps its own.
fn neighbours(rows: usize, seed: u64, repeat: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows as u32).collect();
    Rng::new(seed, repeat as u64).shuffle(&mut order);
    let mut donors = vec![0; rows];
    for (place, &row) in order.iter().enumerate() {
        donors[row as usize] = order[(place + 1) % rows];
    }
    donors
}

/// Weights of rows, whose mean is 1.
struct Weights(Vec<f64>);

impl Weights {
    fn of(rows: &Batch) -> Self {
        let weights: Vec<f64> = match &rows.weights {
            None => return Weights(vec![1.0; rows.len()]),
            Some(weights) => weights.iter().map(|&w| f64::from(w)).collect(),
        };
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        Weights(weights.into_iter().map(|w| w / mean).collect())
    }
}

/// Sums of w h by the row that takes and by the row that gives, in the order of rows and repeats.
struct Spread<'a> {
    weights: &'a Weights,
    repeats: f64,
    takers: Vec<f64>,
    givers: Vec<f64>,
    /// Sums of w of those that a row gave to.
    given_to: Vec<f64>,
    /// Sums of w² h², w² h and w².
    squares: [f64; 3],
}

impl<'a> Spread<'a> {
    fn new(weights: &'a Weights, repeats: usize) -> Self {
        let zeros = || vec![0.0; weights.0.len()];
        let (takers, givers, given_to) = (zeros(), zeros(), zeros());
        Spread { weights, repeats: repeats as f64, takers, givers, given_to, squares: [0.0; 3] }
    }

    fn add(&mut self, rises: &[f64], donors: &[u32]) {
        for (row, ((&rise, &donor), &w)) in rises.iter().zip(donors).zip(&self.weights.0).enumerate() {
            self.takers[row] += w * rise;
            self.givers[donor as usize] += w * rise;
            self.given_to[donor as usize] += w;
            for (sum, term) in self.squares.iter_mut().zip([rise * rise, rise, 1.0]) {
                *sum += w * w * term;
            }
        }
    }

    /// The mean of h with its interval, as the head of this file says.
    fn interval(&self) -> Interval {
        let (n, r) = (self.weights.0.len() as f64, self.repeats);
        let mean = self.takers.iter().sum::<f64>() / (n * r);
        let (mut own, mut both) = (0.0, 0.0);
        for (row, &w) in self.weights.0.iter().enumerate() {
            let taker = self.takers[row] / r - w * mean;
            let giver = (self.givers[row] - self.given_to[row] * mean) / r;
            own += taker * taker;
            both += (taker + giver) * (taker + giver);
        }
        let [hh, h, one] = self.squares;
        let all = (hh - 2.0 * mean * h + mean * mean * one) / (n * r);
        let variance = (both / (n - 1.0).max(1.0) - all / r).max(own / (n - 1.0).max(1.0));
        let half = Z_95 * (variance / n).sqrt();
        Interval { estimate: mean, low: mean - half, high: mean + half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_its_own_value() {
        let donors = neighbours(100, 3, 0);
        assert!(donors.iter().enumerate().all(|(row, &donor)| row != donor as usize));
        let mut all = donors.clone();
        all.sort_unstable();
        assert!(all.iter().enumerate().all(|(row, &donor)| row == donor as usize), "each gives once");
        assert_ne!(donors, neighbours(100, 3, 1));
        assert_eq!(neighbours(1, 3, 0), [0]);
    }

    /// Rows of a world where y = x + e is predicted by b x: with squared loss h(i, j) is known, and its mean
    /// over the world is 2 b (with Var x = 1 and x independent of e).
    fn simulated(rows: usize, repeats: usize, b: f64, rng: &mut Rng) -> Interval {
        let x: Vec<f64> = (0..rows).map(|_| rng.normal()).collect();
        let y: Vec<f64> = x.iter().map(|x| x + 0.5 * rng.normal()).collect();
        let weights = Weights(vec![1.0; rows]);
        let mut spread = Spread::new(&weights, repeats);
        let seed = rng.next_u64();
        for repeat in 0..repeats {
            let donors = neighbours(rows, seed, repeat);
            let loss = |row: usize, x: f64| (y[row] - b * x) * (y[row] - b * x);
            let rises: Vec<f64> =
                (0..rows).map(|row| loss(row, x[donors[row] as usize]) - loss(row, x[row])).collect();
            spread.add(&rises, &donors);
        }
        spread.interval()
    }

    #[test]
    fn intervals_hold_the_true_value_as_often_as_they_say() {
        let mut rng = Rng::new(17, 0);
        for (repeats, b) in [(1, 1.0), (3, 1.0), (3, 0.1), (10, 2.0)] {
            let worlds = 1000;
            let held = (0..worlds)
                .filter(|_| {
                    let found = simulated(200, repeats, b, &mut rng);
                    (found.low..=found.high).contains(&(2.0 * b))
                })
                .count();
            let share = held as f64 / f64::from(worlds);
            assert!((0.92..=0.985).contains(&share), "{repeats} repeats, b = {b}: {share}");
        }
    }
}
