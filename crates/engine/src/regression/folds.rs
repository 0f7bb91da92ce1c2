//! Cross-validation of the strength of L2, where validation rows are too few to choose it.
use super::minimise::Problem;
use dlrm_data::rng::mix;

/// Folds.
pub(super) const FOLDS: u64 = 5;

/// The training rows in folds; each fold's weights go from one strength to the next.
pub(super) struct Folds {
    /// By fold, the rows to train on and those left out, as weights of all rows.
    parts: Vec<[Vec<f32>; 2]>,
    weights: Vec<Vec<f64>>,
}

impl Folds {
    /// Of rows with these weights; every fold's weights start at `start`.
    pub(super) fn new(rows: usize, weights: Option<&[f32]>, start: &[f64]) -> Self {
        let fold_of = |b: usize| mix(b as u64) % FOLDS;
        let weight = |b: usize| weights.map_or(1.0, |weights| weights[b]);
        let part = |fold: u64, out: bool| {
            (0..rows).map(|b| if (fold_of(b) == fold) == out { weight(b) } else { 0.0 }).collect()
        };
        let parts: Vec<[Vec<f32>; 2]> =
            (0..FOLDS).map(|fold| [part(fold, false), part(fold, true)]).collect();
        let filled = |weights: &Vec<f32>| weights.iter().any(|&weight| weight > 0.0);
        let parts: Vec<_> = parts.into_iter().filter(|parts| parts.iter().all(filled)).collect();
        let weights = vec![start.to_vec(); parts.len()];
        Folds { parts, weights }
    }

    /// Sum of the losses of the rows left out, for the strength of `problem`, and their weight; both mean
    /// nothing if `stop` said so.
    pub(super) fn loss(&mut self, problem: &Problem<'_>, stop: &mut dyn FnMut() -> bool) -> (f64, f64) {
        let (mut loss, mut total) = (0.0, 0.0);
        for ([kept, out], weights) in self.parts.iter().zip(&mut self.weights) {
            Problem { weights: Some(kept), ..*problem }.minimise(weights, stop);
            loss += problem.loss_of(weights, out);
            total += out.iter().map(|&weight| f64::from(weight)).sum::<f64>();
        }
        (loss, total)
    }
}
