//! Which map is kept: the validation rows are cut into folds, each fold is calibrated by a map fitted on the
//! others, and a map replaces the raw scores (or a simpler map) only where the mean loss of these rows falls
//! by more than chance explains.
use super::Method;
use super::fit::{Points, fit};
use super::map::CalibrationMap;
use crate::error::Result;
use dlrm_data::rng::mix;
use dlrm_metrics::Scored;

/// Number of folds.
pub(crate) const FOLDS: u64 = 5;
/// Standard errors by which a map must improve: a chance of 5 % that it does so by luck.
const ERRORS: f64 = 1.645;

/// Logits of a model beside clicks.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Raw logits.
    pub logits: &'a [f32],
    /// 0 or 1.
    pub labels: &'a [f32],
    /// Weights, if rows carry any.
    pub weights: Option<&'a [f32]>,
    /// Groups, if rows belong to any: those of a group stay in one fold.
    pub groups: Option<&'a [u64]>,
}

impl Rows<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    /// The points of these rows.
    fn points(&self, rows: impl Iterator<Item = usize>) -> Points {
        Points::new(rows.map(|row| (self.logits[row], self.labels[row], self.weight(row))))
    }

    fn fold(&self, row: usize) -> u64 {
        mix(mix(self.groups.map_or(row as u64, |groups| groups[row])) ^ 0xca11) % FOLDS
    }

    /// Logits of all rows, each calibrated by the map of the other folds; `None` where a fold has none.
    fn cross_fitted(&self, method: Method) -> Option<Vec<f32>> {
        let mut calibrated = vec![0.0; self.logits.len()];
        for fold in 0..FOLDS {
            let others = (0..self.logits.len()).filter(|&row| self.fold(row) != fold);
            let map = fit(method, &self.points(others))?;
            for row in (0..self.logits.len()).filter(|&row| self.fold(row) == fold) {
                calibrated[row] = map.apply(self.logits[row]);
            }
        }
        Some(calibrated)
    }

    fn scored<'a>(&'a self, logits: &'a [f32]) -> Result<Scored<'a>> {
        Ok(Scored::binary(logits, self.labels, self.weights)?)
    }
}

/// What came of the methods that were tried.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Cross-fitted logits of each method that could be fitted in all folds.
    pub tried: Vec<(Method, Vec<f32>)>,
    /// The map that is kept, fitted on all rows.
    pub kept: Option<CalibrationMap>,
}

/// Tries these methods, the simplest first. A later one is kept only where it improves on an earlier one that
/// is.
///
/// # Errors
/// If a logit is not finite.
pub fn choose(rows: Rows<'_>, methods: &[Method]) -> Result<Choice> {
    let (mut tried, mut kept): (Vec<(Method, Vec<f32>)>, _) = (Vec::new(), None);
    let mut best = rows.logits.to_vec();
    for &method in methods {
        let Some(calibrated) = rows.cross_fitted(method) else { continue };
        let (gain, error) = rows.scored(&calibrated)?.gain_over(&rows.scored(&best)?)?;
        if gain > ERRORS * error
            && let Some(map) = fit(method, &rows.points(0..rows.logits.len()))
        {
            (best, kept) = (calibrated.clone(), Some(map));
        }
        tried.push((method, calibrated));
    }
    Ok(Choice { tried, kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::Calibration;
    use dlrm_data::rng::Rng;

    /// Logits whose true ones are `truth` of them, and clicks.
    fn simulated(rows: usize, truth: impl Fn(f64) -> f64, seed: u64) -> (Vec<f32>, Vec<f32>) {
        let mut rng = Rng::new(seed, 1);
        (0..rows)
            .map(|_| {
                let z = 1.2 * rng.normal() - 1.0;
                let p = 1.0 / (1.0 + (-truth(z)).exp());
                (z as f32, f32::from(u8::from(rng.uniform() < p)))
            })
            .unzip()
    }

    fn kept(rows: usize, truth: impl Fn(f64) -> f64, seed: u64) -> Option<CalibrationMap> {
        let (logits, labels) = simulated(rows, truth, seed);
        let rows = Rows { logits: &logits, labels: &labels, weights: None, groups: None };
        choose(rows, Calibration::Auto.methods()).expect("finite logits").kept
    }

    #[test]
    fn what_is_wrong_is_mended_by_the_simplest_map_that_can() {
        let slope = (0..10).filter_map(|seed| kept(5000, |z| 0.5 * z, seed)).collect::<Vec<_>>();
        assert_eq!(slope.len(), 10);
        assert!(slope.iter().filter(|map| map.method() == Method::Temperature).count() >= 7, "{slope:?}");
        let line = (0..10).filter_map(|seed| kept(5000, |z| 0.7 * z - 1.0, seed)).collect::<Vec<_>>();
        assert!(line.iter().filter(|map| map.method() == Method::Platt).count() >= 8, "{line:?}");
        let bent = |z: f64| if z < -1.0 { -3.0 } else { 0.8 };
        let bent = (0..5).filter_map(|seed| kept(5000, bent, seed)).collect::<Vec<_>>();
        assert_eq!(bent.iter().filter(|map| map.method() == Method::Isotonic).count(), 5);
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for (rows, models) in [(200, 200), (1000, 200), (4000, 60)] {
            let changed = (0..models).filter(|&seed| kept(rows, |z| z, seed).is_some()).count();
            assert!(changed as u64 * 10 <= models, "{changed} of {models} at {rows} rows");
        }
    }

    #[test]
    fn rows_of_a_group_stay_together() {
        let (logits, labels) = simulated(1000, |z| z, 1);
        let groups: Vec<u64> = (0..1000).map(|row| row / 10).collect();
        let rows = Rows { logits: &logits, labels: &labels, weights: None, groups: Some(&groups) };
        assert!((0..1000).all(|row| rows.fold(row) == rows.fold(row / 10 * 10)));
        assert!((0..FOLDS).all(|fold| (0..1000).any(|row| rows.fold(row) == fold)));
    }
}
