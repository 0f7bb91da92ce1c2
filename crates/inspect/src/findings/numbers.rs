//! A column of numbers in each part: counts between the quantiles of a sample.
use super::drift::Cells;
use dlrm_data::format;
use dlrm_data::split::{Part, Parts};

/// Ranges of about as many rows.
const RANGES: usize = 10;

/// Counts of one column.
pub(super) struct Numbers {
    /// Ascending bounds between the ranges.
    edges: Vec<f64>,
    counts: Vec<Parts<u64>>,
    missing: Parts<u64>,
}

impl Numbers {
    /// Ranges by the quantiles of `sample`.
    pub(super) fn new(mut sample: Vec<f64>) -> Self {
        sample.sort_unstable_by(f64::total_cmp);
        let quantile = |k: usize| sample[k * sample.len() / RANGES];
        let mut edges: Vec<f64> =
            if sample.is_empty() { Vec::new() } else { (1..RANGES).map(quantile).collect() };
        edges.dedup();
        // Where most rows hold the smallest value, it has a range of its own.
        if let (Some(&first), Some(&least)) = (edges.first(), sample.first())
            && first == least
            && let Some(&second) = sample.iter().find(|&&x| x > least)
            && !edges.contains(&second)
        {
            edges.insert(1, second);
        }
        Numbers { counts: vec![Parts::default(); edges.len() + 1], edges, missing: Parts::default() }
    }

    /// Adds a value (NaN: missing).
    pub(super) fn add(&mut self, value: f64, part: Part) {
        if value.is_nan() {
            self.missing[part] += 1;
        } else {
            self.counts[self.edges.partition_point(|&edge| edge <= value)][part] += 1;
        }
    }

    /// The ranges with their counts.
    pub(super) fn cells(&self) -> Cells {
        let bound = |i: usize| format::number(self.edges[i]);
        let name = |i: usize| match (i, self.edges.len()) {
            (_, 0) => "any value".to_owned(),
            (0, _) => format!("below {}", bound(0)),
            (i, n) if i == n => format!("{} and more", bound(n - 1)),
            (i, _) => format!("{} to below {}", bound(i - 1), bound(i)),
        };
        let mut cells: Vec<(String, Parts<u64>)> =
            self.counts.iter().enumerate().map(|(i, &counts)| (name(i), counts)).collect();
        cells.push(("missing".to_owned(), self.missing));
        cells.push(("other values".to_owned(), Parts::default()));
        let all = |part| self.counts.iter().map(|counts| counts[part]).sum::<u64>() + self.missing[part];
        let rows = Parts::from_fn(all);
        Cells { cells, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::Rng;

    fn drift(
        sample: &[f64],
        train: impl Fn(&mut Rng) -> f64,
        test: impl Fn(&mut Rng) -> f64,
    ) -> super::super::drift::Drift {
        let (mut numbers, mut rng) = (Numbers::new(sample.to_vec()), Rng::new(3, 0));
        (0..20_000).for_each(|_| numbers.add(train(&mut rng), Part::Train));
        (0..5000).for_each(|_| numbers.add(test(&mut rng), Part::Test));
        numbers.cells().compare("x", Part::Test, None).unwrap()
    }

    #[test]
    fn shifts_of_place_width_and_missing_values_are_seen() {
        let mut rng = Rng::new(1, 0);
        let sample: Vec<f64> = (0..10_000).map(|_| rng.normal()).collect();
        let normal = |rng: &mut Rng| rng.normal();
        assert!(!drift(&sample, normal, normal).matters());
        assert!(drift(&sample, normal, |rng| rng.normal() + 0.5).matters());
        assert!(drift(&sample, normal, |rng| rng.normal() * 2.0).matters());
        let missing = drift(&sample, normal, |rng| if rng.below(3) == 0 { f64::NAN } else { rng.normal() });
        assert!(missing.matters() && missing.most.unwrap().cell == "missing");
    }

    #[test]
    fn a_heap_of_zeros_has_a_range_of_its_own() {
        let zeros = |rng: &mut Rng, n: usize| if rng.below(10) < n { 0.0 } else { rng.uniform() + 0.1 };
        let sample: Vec<f64> = {
            let mut rng = Rng::new(1, 0);
            (0..5000).map(|_| zeros(&mut rng, 9)).collect()
        };
        let moved = drift(&sample, |rng| zeros(rng, 9), |rng| zeros(rng, 5));
        assert!(moved.matters(), "{moved:?}");
    }
}
