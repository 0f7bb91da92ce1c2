//! Confidence intervals of AUCs without resampling.
//!
//! DeLong, DeLong & Clarke-Pearson 1988; by ranks in O(n log n) after Sun & Xu 2014 ("Fast
//! implementation of DeLong's algorithm"). The placement of a positive row is the share of negative
//! rows below it, of a negative row the share of positive rows above it, ties counting half. The
//! AUC is the mean placement of either class, and its variance the sum of the variances of the two
//! means. Two models on the same rows: the same with the row-wise differences of placements.
//!
//! Weighted rows are an extension: shares and means become weighted ones, and the variance of a
//! weighted mean is Σ aᵢ² (vᵢ − mean)² · m / (m − 1) with aᵢ = wᵢ / Σw, which is DeLong's where the
//! weights are equal.
use super::auc::{Ranking, class_weights};
use super::normal::{Z_95, two_sided_p};
use super::sum::sum;
use super::{Interval, Result, Scored};
use serde::{Deserialize, Serialize};

/// An AUC, or the difference of two, with what its sampling allows to say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// With its 95 % interval.
    pub interval: Interval,
    /// Variance of the estimate.
    pub variance: f64,
}

impl DeLong {
    /// Standard errors between the estimate and `expected`; `None` where the variance is 0.
    pub fn z(&self, expected: f64) -> Option<f64> {
        (self.variance > 0.0).then(|| (self.interval.estimate - expected) / self.variance.sqrt())
    }

    /// Two-sided p value of the hypothesis that the true value is `expected`.
    pub fn p_value(&self, expected: f64) -> Option<f64> {
        self.z(expected).map(two_sided_p)
    }
}

/// The AUC of one model; its interval stays within 0..=1. `None` with fewer than two rows of
/// either class, which show no variance.
pub fn auc(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Option<DeLong> {
    let estimate = estimate(rows, &placements(rows, ranking))?;
    let Interval { estimate: auc, low, high } = estimate.interval;
    let interval = Interval { estimate: auc, low: low.max(0.0), high: high.min(1.0) };
    Some(DeLong { interval, ..estimate })
}

/// AUC of `a` minus AUC of `b` on the same rows; positive where `a` is better. `None` as in [`auc`].
///
/// # Errors
/// If the two are not scored on the same rows.
pub fn difference(
    (a, a_ranking): (&Scored<'_>, &Ranking<'_>),
    (b, b_ranking): (&Scored<'_>, &Ranking<'_>),
) -> Result<Option<DeLong>> {
    a.check_paired(b)?;
    let mut differences = placements(a, a_ranking);
    differences.iter_mut().zip(placements(b, b_ranking)).for_each(|(d, v)| *d -= v);
    Ok(estimate(a, &differences))
}

/// Placement of every row, by row. Meaningless where a class is absent.
fn placements(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Vec<f64> {
    let (all_positive, all_negative) = class_weights(rows, ranking.order());
    let (mut positive_below, mut negative_below) = (0.0, 0.0);
    let mut placements = vec![0.0; rows.len()];
    for ties in ranking.ties() {
        let (positive, negative) = class_weights(rows, ties);
        let of_positive = (negative_below + 0.5 * negative) / all_negative;
        let of_negative = 1.0 - (positive_below + 0.5 * positive) / all_positive;
        for &row in ties {
            let row = row as usize;
            placements[row] = if rows.is_positive(row) { of_positive } else { of_negative };
        }
        positive_below += positive;
        negative_below += negative;
    }
    placements
}

/// Mean placement over the positive rows, and the variance from both classes.
fn estimate(rows: &Scored<'_>, placements: &[f64]) -> Option<DeLong> {
    let (estimate, from_positives) = mean_and_variance(rows, placements, true)?;
    let (_, from_negatives) = mean_and_variance(rows, placements, false)?;
    let variance = from_positives + from_negatives;
    let half = Z_95 * variance.sqrt();
    let interval = Interval { estimate, low: estimate - half, high: estimate + half };
    Some(DeLong { interval, variance })
}

/// Weighted mean of one class's placements and the variance of that mean.
fn mean_and_variance(rows: &Scored<'_>, placements: &[f64], positive: bool) -> Option<(f64, f64)> {
    let class = || (0..rows.len()).filter(|&row| rows.is_positive(row) == positive && rows.weight(row) > 0.0);
    let count = class().count();
    if count < 2 {
        return None;
    }
    let weight = sum(class().map(|row| rows.weight(row)));
    let mean = sum(class().map(|row| rows.weight(row) * placements[row])) / weight;
    let squares = sum(class().map(|row| (rows.weight(row) / weight * (placements[row] - mean)).powi(2)));
    Some((mean, squares * count as f64 / (count as f64 - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auc::auc as area;
    use proptest::prelude::*;

    /// The structural components of the paper, pair by pair: S10 / m + S01 / n of (a − b).
    fn by_components(scores: &[&[f32]], labels: &[f32]) -> (f64, f64) {
        let class = |y: f32| (0..labels.len()).filter(move |&i| labels[i] == y);
        let psi = |x: f32, y: f32| {
            if x > y {
                1.0
            } else if x == y {
                0.5
            } else {
                0.0
            }
        };
        let sign = [1.0, -1.0];
        let kernel =
            |i: usize, j: usize| -> f64 { scores.iter().zip(sign).map(|(s, c)| c * psi(s[i], s[j])).sum() };
        let (m, n) = (class(1.0).count() as f64, class(0.0).count() as f64);
        let v10: Vec<f64> = class(1.0).map(|i| class(0.0).map(|j| kernel(i, j)).sum::<f64>() / n).collect();
        let v01: Vec<f64> = class(0.0).map(|j| class(1.0).map(|i| kernel(i, j)).sum::<f64>() / m).collect();
        let theta = v10.iter().sum::<f64>() / m;
        let s = |v: &[f64]| v.iter().map(|x| (x - theta).powi(2)).sum::<f64>() / (v.len() as f64 - 1.0);
        (theta, s(&v10) / m + s(&v01) / n)
    }

    proptest! {
        #[test]
        fn fast_equals_the_structural_components(
            rows in prop::collection::vec((0u8..9, 0u8..9, any::<bool>()), 4..60),
        ) {
            let a: Vec<f32> = rows.iter().map(|r| f32::from(r.0)).collect();
            let b: Vec<f32> = rows.iter().map(|r| f32::from(r.1)).collect();
            let labels: Vec<f32> = rows.iter().map(|r| f32::from(u8::from(r.2))).collect();
            let positives = labels.iter().filter(|&&y| y == 1.0).count();
            prop_assume!(positives >= 2 && labels.len() - positives >= 2);
            let scored = |scores| Scored::binary(scores, &labels, None).unwrap();
            let (sa, sb) = (scored(&a), scored(&b));
            let (ra, rb) = (Ranking::new(&sa), Ranking::new(&sb));
            let one = auc(&sa, &ra).unwrap();
            let (theta, variance) = by_components(&[&a], &labels);
            prop_assert!((one.interval.estimate - theta).abs() < 1e-12);
            prop_assert!((one.variance - variance).abs() < 1e-12);
            prop_assert!((one.interval.estimate - area(&sa, &ra).unwrap()).abs() < 1e-12);
            let both = difference((&sa, &ra), (&sb, &rb)).unwrap().unwrap();
            let (theta, variance) = by_components(&[&a, &b], &labels);
            prop_assert!((both.interval.estimate - theta).abs() < 1e-12);
            prop_assert!((both.variance - variance).abs() < 1e-12);
            // equal weights of any size are no weights
            let weights = vec![0.3; labels.len()];
            let weighted = Scored::binary(&a, &labels, Some(&weights)).unwrap();
            let weighted = auc(&weighted, &Ranking::new(&weighted)).unwrap();
            prop_assert!((weighted.variance - one.variance).abs() < 1e-9);
        }
    }

    #[test]
    fn one_row_of_a_class_shows_no_variance() {
        let rows = Scored::binary(&[0.0, 1.0, 2.0], &[0.0, 0.0, 1.0], None).unwrap();
        assert_eq!(auc(&rows, &Ranking::new(&rows)), None);
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let rows = Scored::binary(&[0.0, 1.0, 2.0, 1.5], &[0.0, 1.0, 1.0, 0.0], None).unwrap();
        let ranking = Ranking::new(&rows);
        let none = difference((&rows, &ranking), (&rows, &ranking)).unwrap().unwrap();
        assert_eq!((none.interval.estimate, none.variance, none.p_value(0.0)), (0.0, 0.0, None));
    }
}
