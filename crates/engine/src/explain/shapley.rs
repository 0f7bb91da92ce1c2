//! Shapley values of single rows (Štrumbelj and Kononenko 2014; Lundberg and Lee 2017): how each column moves
//! the logit of a row x from the mean logit of background rows z to its own.
//!
//! For one z, v(S) is the logit of the row whose columns S come from x and whose others come from z. Walking
//! through the columns in some order and taking x's value of each, a column is credited with the step of the
//! logit; its Shapley value is the mean step over all orders and background rows. The steps of a walk add up
//! to v(all) − v(none), so the values of a row and the base add up to its logit, in every approximation.
//!
//! Each order is walked forwards and backwards (antithetic orders, Mitchell et al. 2022). Where columns act
//! alone or in pairs, v(S) = Σ_{i∈S} d_i + Σ_{i<j∈S} d_ij, the mean of the two steps of column i is
//! d_i + ½ Σ_j d_ij in *any* order: its Shapley value. So for logistic regression, factorization machines and
//! their kin a single order gives the exact values over the background rows; of logistic regression they are
//! w_i · (x_i − mean of z_i). Other models get a random order for each background row.
use super::columns::Column;
use crate::calibration::CalibrationMap;
use crate::network::Network;
use dlrm_data::Batch;
use dlrm_data::batch::Bags;
use dlrm_data::rng::Rng;
use dlrm_models::ModelConfig;

/// In which orders columns are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orders {
    /// One, which is enough where columns act alone or in pairs: the values are exact.
    One,
    /// So many random ones for each background row, at least 1.
    Random {
        /// How many.
        orders: usize,
        /// Decides which.
        seed: u64,
    },
}

/// The orders that a model needs; where it needs many, this number of them. Isotonic calibration bends the
/// logits of every model.
pub fn orders(network: &Network, model: &ModelConfig, orders: usize, seed: u64) -> Orders {
    match model {
        _ if matches!(network.calibration(), Some(CalibrationMap::Isotonic { .. })) => {
            Orders::Random { orders, seed }
        }
        ModelConfig::Lr(_) | ModelConfig::Mf(_) | ModelConfig::Fm(_) | ModelConfig::Ffm(_) => Orders::One,
        _ => Orders::Random { orders, seed },
    }
}

/// What a row's logit is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Mean logit of the background rows.
    pub base: f64,
    /// Logit of the row: the base and all values added up.
    pub logit: f64,
    /// Shapley value of each column.
    pub values: Vec<f64>,
    /// Standard error of each value: how far another draw of as many background rows (and orders) would move
    /// it.
    pub errors: Vec<f64>,
}

/// Rows scored at a time.
const CHUNK: usize = 8192;

/// Explains rows against background rows.
pub struct Explainer<'a> {
    columns: &'a [Column],
    /// The column of each dense input, and of each feature.
    dense: Vec<usize>,
    bags: Vec<usize>,
    background: &'a Batch,
    base: Vec<f32>,
    orders: Orders,
}

impl<'a> Explainer<'a> {
    /// Readies the background, whose logits `score` gives.
    ///
    /// # Panics
    /// If there are no background rows, or `columns` are not those of the rows.
    pub fn new(
        columns: &'a [Column],
        background: &'a Batch,
        orders: Orders,
        score: &mut dyn FnMut(&Batch) -> Vec<f32>,
    ) -> Self {
        assert!(!background.is_empty(), "background rows");
        let owner = |inputs: fn(&Column) -> &Vec<usize>, count: usize| -> Vec<usize> {
            let find = |input| columns.iter().position(|column| inputs(column).contains(&input));
            (0..count).map(|input| find(input).expect("every input belongs to a column")).collect()
        };
        let dense = owner(|column| &column.dense, background.dense.len() / background.len());
        let bags = owner(|column| &column.bags, background.bags.len());
        Explainer { columns, dense, bags, background, base: score(background), orders }
    }

    /// Explains row `row` of `rows`. `number` is that of the row among all: with the seed it decides the
    /// orders.
    pub fn explain(
        &self,
        (rows, row): (&Batch, usize),
        number: u64,
        score: &mut dyn FnMut(&Batch) -> Vec<f32>,
    ) -> Explained {
        let columns = self.columns.len();
        let mut own = empty_like(rows);
        own.push_row_of(rows, row);
        let logit = f64::from(score(&own)[0]);
        let walks = self.walks(number);
        let between = 2 * columns.saturating_sub(1);
        let mut sums = Sums::new(columns);
        for walks in walks.chunks((CHUNK / between.max(1)).max(1)) {
            let mut mixed = empty_like(rows);
            for walk in walks {
                self.push_walk(&own, walk, &mut mixed);
            }
            let logits = if mixed.is_empty() { Vec::new() } else { score(&mixed) };
            for (walk, w) in walks.iter().zip(0..) {
                let ends = [f64::from(self.base[walk.background]), logit];
                sums.add(walk, ends, &logits[w * between..(w + 1) * between]);
            }
        }
        let base = self.base.iter().map(|&logit| f64::from(logit)).sum::<f64>() / self.base.len() as f64;
        let (values, errors) = sums.finish();
        Explained { base, logit, values, errors }
    }

    /// Every walk that is taken: of a row these are as many for each background row.
    fn walks(&self, number: u64) -> Vec<Walk> {
        let columns: Vec<usize> = (0..self.columns.len()).collect();
        let mut walks = Vec::new();
        for background in 0..self.background.len() {
            match self.orders {
                Orders::One => walks.push(Walk { background, order: columns.clone() }),
                Orders::Random { orders, seed } => {
                    let mut rng = Rng::new(Rng::new(seed, number).next_u64(), background as u64);
                    for _ in 0..orders.max(1) {
                        let mut order = columns.clone();
                        rng.shuffle(&mut order);
                        walks.push(Walk { background, order });
                    }
                }
            }
        }
        walks
    }

    /// Appends the rows that lie between background row and row, forwards and backwards.
    fn push_walk(&self, own: &Batch, walk: &Walk, mixed: &mut Batch) {
        let mut push = |order: &mut dyn Iterator<Item = &usize>| {
            let mut inside = vec![false; self.columns.len()];
            for &column in order.take(self.columns.len().saturating_sub(1)) {
                inside[column] = true;
                self.push_mixed(own, walk.background, &inside, mixed);
            }
        };
        push(&mut walk.order.iter());
        push(&mut walk.order.iter().rev());
    }

    /// Appends the row whose columns `inside` come from the row `own`, the others from the background.
    fn push_mixed(&self, own: &Batch, background: usize, inside: &[bool], mixed: &mut Batch) {
        let n = self.dense.len();
        for (input, &column) in self.dense.iter().enumerate() {
            let dense = if inside[column] { &own.dense } else { &self.background.dense[background * n..] };
            mixed.dense.push(dense[input]);
        }
        for (feature, &column) in self.bags.iter().enumerate() {
            let (rows, row) = if inside[column] { (own, 0) } else { (self.background, background) };
            mixed.bags[feature].push_row_of(&rows.bags[feature], row);
        }
        mixed.labels.push(0.0);
        mixed.weights.iter_mut().for_each(|weights| weights.push(1.0));
        mixed.groups.iter_mut().for_each(|groups| groups.push(0));
    }
}

/// An order of the columns, from one background row.
struct Walk {
    background: usize,
    order: Vec<usize>,
}

/// No rows, of the form of `rows`.
fn empty_like(rows: &Batch) -> Batch {
    let bags = |bags: &Bags| if bags.weights.is_some() { Bags::weighted() } else { Bags::new() };
    Batch {
        bags: rows.bags.iter().map(bags).collect(),
        weights: rows.weights.as_ref().map(|_| Vec::new()),
        groups: rows.groups.as_ref().map(|_| Vec::new()),
        ..Batch::default()
    }
}

/// Sums of the steps of each column over walks.
struct Sums {
    walks: f64,
    steps: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn new(columns: usize) -> Self {
        Sums { walks: 0.0, steps: vec![0.0; columns], squares: vec![0.0; columns] }
    }

    /// Adds a walk from logit `none` to logit `all` through `between`, which are those of the way forwards,
    /// then of the way backwards.
    fn add(&mut self, walk: &Walk, [none, all]: [f64; 2], between: &[f32]) {
        let mut steps = vec![0.0; self.steps.len()];
        let mut credit = |order: &mut dyn Iterator<Item = &usize>, logits: &[f32]| {
            let logits = logits.iter().map(|&logit| f64::from(logit)).chain([all]);
            let mut before = none;
            for (&column, logit) in order.zip(logits) {
                steps[column] += 0.5 * (logit - before);
                before = logit;
            }
        };
        let (forwards, backwards) = between.split_at(between.len() / 2);
        credit(&mut walk.order.iter(), forwards);
        credit(&mut walk.order.iter().rev(), backwards);
        self.walks += 1.0;
        for ((sum, square), step) in self.steps.iter_mut().zip(&mut self.squares).zip(steps) {
            *sum += step;
            *square += step * step;
        }
    }

    fn finish(self) -> (Vec<f64>, Vec<f64>) {
        let n = self.walks;
        let values: Vec<f64> = self.steps.iter().map(|sum| sum / n).collect();
        let error = |(square, value): (&f64, &f64)| {
            let variance = (square / n - value * value).max(0.0) * n / (n - 1.0).max(1.0);
            (variance / n).sqrt()
        };
        let errors = self.squares.iter().zip(&values).map(error).collect();
        (values, errors)
    }
}
