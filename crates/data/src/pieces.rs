//! Piecewise-linear encoding of a number (Gorishniy et al. 2022, "On Embeddings for Numerical Features in
//! Tabular Deep Learning", equations 1 and 2), fitted on the training rows.
//!
//! With edges b_0 < … < b_T, component t of x is (x - b_{t-1}) / (b_t - b_{t-1}), cut to 0…1: like
//! the filling of a row of glasses. A linear layer on top is any continuous function that is straight between
//! edges.
//!
//! Where this departs from the paper:
//! - x is cut to b_0…b_T (the paper's first and last component go on beyond), and b_0 and b_T leave out the
//!   outermost tenth of their bins, so that an outlier neither leads anywhere nor stretches a bin.
//! - Bins hold about as many rows each, but a value that fills a bin by itself has one of its own, and the
//!   other values share the rest: quantiles alone would give a column that is mostly 0 a single bin.
//! - Components have mean 0 and variance 1/T over the training rows (rare ones, less): together they weigh as
//!   much as one other input, so that L2 prefers the straight line where bends do not pay.
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A bin holds at least so many of the values that it is fitted on.
const FEWEST: usize = 20;

/// Components are divided by their deviation, or by this where that is smaller: one that few rows reach must
/// not become a large input there.
const LEAST_DEVIATION: f64 = 0.1;

/// The bins of a dense column, two or more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pieces {
    /// Rising edges of the bins: one more than bins.
    edges: Vec<f64>,
    /// Mean of each component over the training rows.
    means: Vec<f64>,
    /// What each is divided by.
    deviations: Vec<f64>,
    /// What a missing value is taken for; absent: every component has its mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing_value: Option<f64>,
}

impl Pieces {
    /// At most `bins` bins of `sorted` values, from the first to the last if these are the ends of a range
    /// that was asked for; `None` if two bins are too many.
    pub(crate) fn fit(sorted: &[f64], bins: usize, ends: Ends, missing_value: Option<f64>) -> Option<Self> {
        let edges = edges(sorted, bins, ends);
        let components = edges.len().saturating_sub(1);
        if components < 2 {
            return None;
        }
        let mut pieces =
            Pieces { edges, means: vec![0.0; components], deviations: vec![1.0; components], missing_value };
        for t in 0..components {
            let mean = mean(sorted.iter().map(|&x| pieces.component(x, t)));
            let variance = mean_of_squares(sorted.iter().map(|&x| pieces.component(x, t) - mean));
            let deviation = variance.sqrt().max(LEAST_DEVIATION) * (components as f64).sqrt();
            (pieces.means[t], pieces.deviations[t]) = (mean, deviation);
        }
        Some(pieces)
    }

    /// Rising edges of the bins: one more than bins.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The first and the last edge, to which values are cut.
    pub(crate) fn range(&self) -> [f64; 2] {
        [self.edges[0], self.edges[self.edges.len() - 1]]
    }

    /// Number of components: one for each bin.
    pub fn len(&self) -> usize {
        self.means.len()
    }

    /// Whether there is no bin.
    pub fn is_empty(&self) -> bool {
        self.means.is_empty()
    }

    /// Component `t` before its change of scale, in 0…1.
    fn component(&self, x: f64, t: usize) -> f64 {
        let (low, high) = (self.edges[t], self.edges[t + 1]);
        ((x - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Appends the components of a value (NaN: missing).
    pub(crate) fn push(&self, value: f64, out: &mut Vec<f32>) {
        let value = if value.is_nan() { self.missing_value.unwrap_or(value) } else { value };
        if value.is_nan() {
            out.resize(out.len() + self.len(), 0.0);
            return;
        }
        for (t, (mean, deviation)) in self.means.iter().zip(&self.deviations).enumerate() {
            out.push(((self.component(value, t) - mean) / deviation) as f32);
        }
    }

    /// Checks what was read from a file.
    ///
    /// # Errors
    /// If the edges do not rise or the statistics are not one for each bin.
    pub(crate) fn check(&self, column: &str) -> Result<()> {
        let rising = self.edges.windows(2).all(|pair| pair[0] < pair[1]);
        let finite =
            self.edges.iter().chain(&self.means).chain(self.missing_value.iter()).all(|x| x.is_finite());
        let positive = self.deviations.iter().all(|&d| d.is_finite() && d > 0.0);
        let complete = self.means.len() >= 2
            && self.edges.len() == self.means.len() + 1
            && self.deviations.len() == self.means.len();
        if rising && finite && positive && complete {
            return Ok(());
        }
        Err(Error::input(
            format!("encoder: bins of the dense column \"{column}\""),
            "rising edges, a mean and a deviation for each bin",
            format!("{self:?}"),
        ))
    }
}

/// What the ends of the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Values as they occur, some perhaps far from all others.
    Open,
    /// The values were cut to a range that was asked for.
    Cut,
}

/// Edges of at most `bins` bins of sorted values.
fn edges(sorted: &[f64], bins: usize, ends: Ends) -> Vec<f64> {
    let n = sorted.len();
    let starts = starts(sorted, bins);
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let mut edges: Vec<f64> = starts.iter().map(|&start| sorted[start]).collect();
    let (mut low, mut high) = (least, most);
    if ends == Ends::Open && starts.len() > 1 {
        let last = starts[starts.len() - 1];
        (low, high) = (sorted[starts[1] / 10], sorted[n - 1 - (n - last) / 10]);
    }
    edges[0] = low;
    if edges[edges.len() - 1] < high {
        edges.push(high);
    }
    edges
}

/// Where bins of about as many rows begin, each with another value than the one before.
fn starts(sorted: &[f64], bins: usize) -> Vec<usize> {
    let n = sorted.len();
    let (mut starts, mut start) = (vec![0], 0);
    for left in (2..=bins).rev() {
        let fair = (n - start).div_ceil(left).max(FEWEST);
        let Some(&last) = sorted.get(start + fair - 1) else { break };
        let first = sorted.partition_point(|&x| x < last);
        let mut end = sorted.partition_point(|&x| x <= last);
        // A value that fills a bin has one of its own.
        if first >= start + FEWEST && end - first >= fair {
            end = first;
        }
        if n - end < FEWEST {
            break;
        }
        starts.push(end);
        start = end;
    }
    starts
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = values.fold((0u64, 0.0), |(n, sum), x| (n + 1, sum + x));
    sum / n.max(1) as f64
}

fn mean_of_squares(values: impl Iterator<Item = f64>) -> f64 {
    mean(values.map(|x| x * x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    fn fit(values: &[f64], bins: usize) -> Option<Pieces> {
        Pieces::fit(values, bins, Ends::Open, None)
    }

    fn encoded(pieces: &Pieces, value: f64) -> Vec<f32> {
        let mut out = Vec::new();
        pieces.push(value, &mut out);
        out
    }

    #[test]
    fn the_formula_by_hand() {
        // Two bins of twenty: 0…19 and 20…39; a tenth of each, two values, lies beyond the outer edges.
        let values = sorted((0..40).map(f64::from));
        let pieces = fit(&values, 2).unwrap();
        assert_eq!(pieces.edges(), [2.0, 20.0, 37.0]);
        // (x - 2) / 18 up to 20, then (x - 20) / 17 up to 37.
        let raw = |x: f64| [((x - 2.0) / 18.0).clamp(0.0, 1.0), ((x - 20.0) / 17.0).clamp(0.0, 1.0)];
        for t in 0..2 {
            let mean = values.iter().map(|&x| raw(x)[t]).sum::<f64>() / 40.0;
            // Two components of half a variance each.
            let variance = values.iter().map(|&x| (raw(x)[t] - mean).powi(2)).sum::<f64>() / 40.0;
            let deviation = (2.0 * variance).sqrt();
            for x in [-1e30, 0.0, 2.0, 5.5, 20.0, 24.0, 37.0, 1e30] {
                let found = f64::from(encoded(&pieces, x)[t]);
                assert!((found - (raw(x)[t] - mean) / deviation).abs() < 1e-6, "{x} {t}");
            }
        }
        assert_eq!(encoded(&pieces, f64::NAN), [0.0, 0.0], "a missing value is the mean");
        let given = Pieces::fit(&values, 2, Ends::Open, Some(5.5)).unwrap();
        assert_eq!(encoded(&given, f64::NAN), encoded(&given, 5.5));
    }

    #[test]
    fn few_values_have_few_bins() {
        assert_eq!(fit(&[], 16), None);
        assert_eq!(fit(&[7.0; 100], 16), None, "a constant");
        assert_eq!(fit(&sorted((0..100).map(|i| f64::from(i % 2))), 16), None, "two values are a line");
        assert_eq!(fit(&sorted((0..12).map(f64::from)), 16), None, "too few rows");
        let three = fit(&sorted((0..99).map(|i| f64::from(i % 3))), 16).unwrap();
        assert_eq!(three.edges(), [0.0, 1.0, 2.0], "every value is an edge");
    }

    #[test]
    fn a_value_that_fills_a_bin_has_its_own() {
        let mostly_zero = sorted((0..1000).map(|i| if i < 800 { 0.0 } else { f64::from(i) }));
        let pieces = fit(&mostly_zero, 8).unwrap();
        assert_eq!(pieces.edges()[..2], [0.0, 800.0]);
        assert!(pieces.len() >= 5, "the others share the rest: {:?}", pieces.edges());
        let heap = sorted((0..400).map(|i| if i % 2 == 0 { 50.0 } else { f64::from(i / 4) }));
        let pieces = fit(&heap, 6).unwrap();
        assert!(pieces.edges().contains(&50.0) && pieces.edges().contains(&51.0), "{:?}", pieces.edges());
    }

    #[test]
    fn an_outlier_stretches_no_bin() {
        let values = sorted((0..1000).map(|i| if i == 0 { 1e9 } else { f64::from(i) }));
        let pieces = fit(&values, 16).unwrap();
        assert!(pieces.range()[1] < 1000.0);
        assert_eq!(encoded(&pieces, 1e9), encoded(&pieces, pieces.range()[1]));
        let cut = Pieces::fit(&values, 16, Ends::Cut, None).unwrap();
        assert_eq!(cut.range(), [1.0, 1e9], "a range that was asked for stays");
    }

    #[test]
    fn components_rise_within_their_range_and_do_not_depend_on_the_order_of_rows() {
        let mut rng = Rng::new(11, 0);
        for round in 0..50 {
            let n = 1 + rng.below(2000);
            let draw = |rng: &mut Rng| match round % 3 {
                0 => rng.normal(),
                1 => (rng.normal() * 3.0).exp(),
                _ => (rng.normal() * 2.0).round(),
            };
            let values = sorted((0..n).map(|_| draw(&mut rng)));
            let Some(pieces) = fit(&values, 2 + rng.below(40)) else { continue };
            pieces.check("x").unwrap();
            let mut before: Option<Vec<f32>> = None;
            for &x in [-1e38].iter().chain(&values).chain(&[1e38]) {
                let now = encoded(&pieces, x);
                let bound = 1.0 / LEAST_DEVIATION as f32;
                assert!(now.iter().all(|y| y.abs() <= bound), "{x}: {now:?}");
                assert!(before.is_none_or(|before| before.iter().zip(&now).all(|(a, b)| a <= b)));
                before = Some(now);
            }
            let means =
                (0..pieces.len()).map(|t| mean(values.iter().map(|&x| f64::from(encoded(&pieces, x)[t]))));
            assert!(means.into_iter().all(|mean| mean.abs() < 1e-4));
        }
    }
}
