//! Do predictions mean what they say? Rows binned by prediction, mean prediction beside mean label.
use super::auc::Ranking;
use super::normal::Z_95;
use super::sum::sum;
use super::{Interval, Scored};
use dlrm_data::schema::Task;
use serde::{Deserialize, Serialize};

/// Number of bins of the expected calibration error and of the calibration plot.
pub const BINS: usize = 15;

/// Rows of neighbouring predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Number of rows.
    pub rows: u64,
    /// Mean probability, or mean predicted rating.
    pub mean_prediction: f64,
    /// Mean label with its 95 % interval (Wilson for clicks, normal for ratings).
    pub mean_label: Interval,
}

/// Cuts the ranking into at most [`BINS`] runs of about equal weight: a bin ends where the weight so
/// far reaches the next multiple of a 15th of the whole that is more than half a 15th away. Equal
/// scores stay together, so the bins do not depend on the order of the rows, and a constant
/// prediction gives one bin.
pub(crate) fn equal_mass<'r>(rows: &Scored<'_>, ranking: &'r Ranking<'_>) -> Vec<&'r [u32]> {
    let share = rows.total_weight() / BINS as f64;
    let order = ranking.order();
    // The tolerance keeps rounding from pushing a row over an exact boundary.
    let boundary_after = |weight: f64| ((weight / share).round() + 1.0 - 1e-9) * share;
    let (mut bins, mut start, mut end) = (Vec::with_capacity(BINS), 0, 0);
    let (mut weight, mut boundary) = (0.0, boundary_after(0.0));
    for ties in ranking.ties() {
        end += ties.len();
        weight += sum(ties.iter().map(|&row| rows.weight(row as usize)));
        if weight >= boundary {
            bins.push(&order[start..end]);
            start = end;
            boundary = boundary_after(weight);
        }
    }
    // What remains is rows of weight 0, or a share that rounding left a hair too small.
    if order[start..].iter().any(|&row| rows.weight(row as usize) > 0.0) {
        bins.push(&order[start..]);
    }
    bins
}

/// Expected calibration error: mean over rows of |mean label − mean probability| of the row's bin.
pub fn calibration_error(rows: &Scored<'_>, ranking: &Ranking<'_>) -> f64 {
    let gap = |bin: &[u32]| {
        let residual = |&row: &u32| {
            rows.weight(row as usize) * (rows.label(row as usize) - rows.prediction(row as usize))
        };
        sum(bin.iter().map(residual)).abs()
    };
    sum(equal_mass(rows, ranking).into_iter().map(gap)) / rows.total_weight()
}

/// The calibration plot: bins by rising prediction.
pub fn calibration_bins(rows: &Scored<'_>, ranking: &Ranking<'_>) -> Vec<CalibrationBin> {
    equal_mass(rows, ranking).into_iter().map(|bin| calibration_bin(rows, bin)).collect()
}

fn calibration_bin(rows: &Scored<'_>, bin: &[u32]) -> CalibrationBin {
    let over = |term: &dyn Fn(usize) -> f64| sum(bin.iter().map(|&row| term(row as usize)));
    let weight = over(&|row| rows.weight(row));
    // The number of equally weighted rows that would vary as much (Kish).
    let effective = weight * weight / over(&|row| rows.weight(row).powi(2));
    let mean = over(&|row| rows.weight(row) * rows.label(row)) / weight;
    let mean_label = match rows.task() {
        Task::Binary => wilson(mean, effective),
        Task::Rating => {
            let variance = over(&|row| rows.weight(row) * (rows.label(row) - mean).powi(2)) / weight;
            let half = Z_95 * (variance / effective).sqrt();
            Interval { estimate: mean, low: mean - half, high: mean + half }
        }
    };
    let mean_prediction = over(&|row| rows.weight(row) * rows.prediction(row)) / weight;
    CalibrationBin { rows: bin.len() as u64, mean_prediction, mean_label }
}

/// Wilson's score interval of a share `p` of `n` rows: right for rare clicks, never outside 0..=1.
fn wilson(p: f64, n: f64) -> Interval {
    let z2 = Z_95 * Z_95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).max(0.0).sqrt();
    Interval { estimate: p, low: (centre - half).clamp(0.0, p), high: (centre + half).clamp(p, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(scores: &[f32], labels: &[f32], weights: Option<&[f32]>) -> Vec<usize> {
        let rows = Scored::binary(scores, labels, weights).unwrap();
        equal_mass(&rows, &Ranking::new(&rows)).into_iter().map(<[u32]>::len).collect()
    }

    #[test]
    fn bins_have_equal_mass() {
        let scores: Vec<f32> = (0..150u8).map(f32::from).collect();
        assert_eq!(check(&scores, &[0.0; 150], None), [10; 15]);
        assert_eq!(check(&scores[..4], &[0.0; 4], None), [1; 4]);
        assert_eq!(check(&[0.5; 40], &[1.0; 40], None), [40]);
    }

    #[test]
    fn a_run_of_ties_does_not_leave_slivers_behind() {
        let scores: Vec<f32> = (0..150u8).map(|i| f32::from(i.max(75))).collect();
        assert_eq!(check(&scores, &[0.0; 150], None), [76, 14, 10, 10, 10, 10, 10, 10]);
    }

    proptest! {
        #[test]
        fn every_weighted_row_is_in_one_bin(
            rows in prop::collection::vec((0u8..30, any::<bool>(), 0u8..4), 1..200),
        ) {
            let scores: Vec<f32> = rows.iter().map(|r| f32::from(r.0)).collect();
            let labels: Vec<f32> = rows.iter().map(|r| f32::from(u8::from(r.1))).collect();
            let weights: Vec<f32> = rows.iter().map(|r| f32::from(r.2) * 0.1).collect();
            prop_assume!(weights.iter().any(|&w| w > 0.0));
            let scored = Scored::binary(&scores, &labels, Some(&weights)).unwrap();
            let ranking = Ranking::new(&scored);
            let bins = equal_mass(&scored, &ranking);
            prop_assert!(bins.len() <= BINS);
            let seen = bins.iter().flat_map(|bin| bin.iter()).map(|&row| scored.weight(row as usize));
            let seen: f64 = seen.sum();
            prop_assert!((seen - scored.total_weight()).abs() < 1e-9);
            for bin in calibration_bins(&scored, &ranking) {
                let Interval { estimate, low, high } = bin.mean_label;
                prop_assert!(0.0 <= low && low <= estimate && estimate <= high && high <= 1.0, "{bin:?}");
            }
        }
    }

    #[test]
    fn wilson_knows_that_none_of_ten_is_not_never() {
        // Wilson for 0 of 10: 0 to z²/(n + z²)
        let interval = wilson(0.0, 10.0);
        assert_eq!(interval.low, 0.0);
        assert!((interval.high - 0.277_533).abs() < 1e-5, "{interval:?}");
    }

    #[test]
    fn perfect_means_give_no_error() {
        // p = ½ in a group that is half positive
        let rows = Scored::binary(&[0.0; 4], &[0.0, 1.0, 0.0, 1.0], None).unwrap();
        assert_eq!(calibration_error(&rows, &Ranking::new(&rows)), 0.0);
        let rows = Scored::binary(&[0.0; 4], &[1.0; 4], None).unwrap();
        assert_eq!(calibration_error(&rows, &Ranking::new(&rows)), 0.5);
    }
}
