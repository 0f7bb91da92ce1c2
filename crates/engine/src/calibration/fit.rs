//! Fits of calibration maps to logits and clicks, in f64.
//!
//! Platt (1999) minimises the log loss of a z + b, temperature (Guo et al. 2017) that of a z. Their labels
//! are Platt's: (N₊ + 1) / (N₊ + 2) for clicks and 1 / (N₋ + 2) for others, so that a and b stay finite where
//! the classes are apart. Isotonic regression (Zadrozny and Elkan 2002) pools neighbours that violate the
//! order (PAV); a pair of half a click and half another row stands at either end, so that no share is 0 or 1.
use super::Method;
use super::map::{CalibrationMap, Knot};

/// Logits beside clicks, with weights whose mean is 1.
#[derive(Debug, Clone, Default)]
pub struct Points {
    /// Logit, click (0 or 1), weight.
    rows: Vec<[f64; 3]>,
}

impl Points {
    /// These rows.
    pub fn new(rows: impl IntoIterator<Item = (f32, f32, f64)>) -> Self {
        let rows = rows.into_iter().map(|(z, y, w)| [f64::from(z), f64::from(y), w]);
        let mut rows: Vec<[f64; 3]> = rows.filter(|row| row[2] > 0.0).collect();
        let mean = rows.iter().map(|row| row[2]).sum::<f64>() / rows.len().max(1) as f64;
        rows.iter_mut().for_each(|row| row[2] /= mean);
        Points { rows }
    }

    /// Weight of (clicks, others).
    fn classes(&self) -> (f64, f64) {
        let clicks = self.rows.iter().map(|[_, y, w]| y * w).sum::<f64>();
        (clicks, self.rows.len() as f64 - clicks)
    }
}

/// The map of this family that fits best; `None` where none that rises does, or a class is absent.
pub fn fit(method: Method, points: &Points) -> Option<CalibrationMap> {
    let (clicks, others) = points.classes();
    if clicks <= 0.0 || others <= 0.0 {
        return None;
    }
    let map = match method {
        Method::Temperature => CalibrationMap::Temperature { slope: line(points, false)[0] as f32 },
        Method::Platt => {
            let [slope, offset] = line(points, true);
            CalibrationMap::Platt { slope: slope as f32, offset: offset as f32 }
        }
        Method::Isotonic => CalibrationMap::Isotonic { knots: isotonic(points) },
    };
    map.problem().is_none().then_some(map)
}

/// Steps of Newton's method, at most; a handful suffices.
const STEPS: usize = 100;

/// Slope and offset of least log loss, by Newton's method with steps halved until the loss falls. The offset
/// stays 0 unless it is free.
fn line(points: &Points, free: bool) -> [f64; 2] {
    let (clicks, others) = points.classes();
    let target = |y: f64| if y > 0.5 { (clicks + 1.0) / (clicks + 2.0) } else { 1.0 / (others + 2.0) };
    let loss = |[a, b]: [f64; 2]| -> f64 {
        let of = |&[z, y, w]: &[f64; 3]| {
            let s = a * z + b;
            w * (s.max(0.0) + libm::log1p(libm::exp(-s.abs())) - target(y) * s)
        };
        points.rows.iter().map(of).sum()
    };
    let mut at = [1.0, 0.0];
    let mut best = loss(at);
    for _ in 0..STEPS {
        let (mut g, mut h) = ([0.0; 2], [1e-9, 0.0, 1e-9]);
        for &[z, y, w] in &points.rows {
            let p = 1.0 / (1.0 + libm::exp(-(at[0] * z + at[1])));
            let (residual, curvature) = (w * (p - target(y)), w * p * (1.0 - p));
            g[0] += residual * z;
            g[1] += residual;
            h[0] += curvature * z * z;
            h[1] += curvature * z;
            h[2] += curvature;
        }
        let step = if free {
            let determinant = h[0] * h[2] - h[1] * h[1];
            [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant]
        } else {
            [g[0] / h[0], 0.0]
        };
        let shorter = (0..40).map(|halvings| 0.5f64.powi(halvings)).find_map(|share| {
            let next = [at[0] - share * step[0], at[1] - share * step[1]];
            let loss = loss(next);
            (loss < best).then_some((next, loss))
        });
        // No step helps any more: the minimum, to the last digits.
        let Some((next, loss)) = shorter else { break };
        (at, best) = (next, loss);
    }
    at
}

/// Rows of one share: weight, sum of weighted logits, weight of clicks.
#[derive(Clone, Copy)]
struct Block {
    weight: f64,
    logits: f64,
    clicks: f64,
}

impl Block {
    fn share(self) -> f64 {
        self.clicks / self.weight
    }

    fn join(self, other: Block) -> Block {
        Block {
            weight: self.weight + other.weight,
            logits: self.logits + other.logits,
            clicks: self.clicks + other.clicks,
        }
    }
}

/// The mean logit of each pooled block, and the logit of its share of clicks.
fn isotonic(points: &Points) -> Vec<Knot> {
    let mut rows = points.rows.clone();
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut blocks: Vec<Block> = Vec::new();
    let (first, last) = (rows[0][0], rows[rows.len() - 1][0]);
    let equal = rows.chunk_by(|a, b| a[0] == b[0]).map(|ties| {
        let z = ties[0][0];
        let ends = f64::from(u8::from(z == first)) + f64::from(u8::from(z == last));
        let weight = ties.iter().map(|row| row[2]).sum::<f64>() + ends;
        let clicks = ties.iter().map(|row| row[1] * row[2]).sum::<f64>() + 0.5 * ends;
        Block { weight, logits: weight * z, clicks }
    });
    for mut block in equal {
        while let Some(before) = blocks.pop_if(|before| before.share() >= block.share()) {
            block = before.join(block);
        }
        blocks.push(block);
    }
    let mut knots: Vec<Knot> = Vec::new();
    for block in blocks {
        let p = block.share();
        let knot = Knot { from: (block.logits / block.weight) as f32, to: libm::log(p / (1.0 - p)) as f32 };
        // Neighbours that are one number in f32 are one knot.
        if knots.last().is_none_or(|last| last.from < knot.from && last.to < knot.to) {
            knots.push(knot);
        }
    }
    knots
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::Rng;

    /// Logits z of a model where a z + b are the true ones.
    fn simulated(rows: usize, a: f64, b: f64, seed: u64) -> Points {
        let mut rng = Rng::new(seed, 0);
        Points::new((0..rows).map(|_| {
            let z = 1.5 * rng.normal() - 0.5;
            let p = 1.0 / (1.0 + (-(a * z + b)).exp());
            (z as f32, f32::from(u8::from(rng.uniform() < p)), 1.0)
        }))
    }

    #[test]
    fn lines_are_recovered() {
        for (a, b) in [(0.5, -1.0), (2.0, 0.7), (1.0, 0.0)] {
            let points = simulated(200_000, a, b, 3);
            let Some(CalibrationMap::Platt { slope, offset }) = fit(Method::Platt, &points) else {
                panic!("a line fits")
            };
            assert!(
                (f64::from(slope) - a).abs() < 0.03 && (f64::from(offset) - b).abs() < 0.03,
                "{slope} {offset}"
            );
        }
        let Some(CalibrationMap::Temperature { slope }) =
            fit(Method::Temperature, &simulated(200_000, 0.4, 0.0, 5))
        else {
            panic!("a slope fits")
        };
        assert!((slope - 0.4).abs() < 0.01, "{slope}");
    }

    #[test]
    fn isotonic_shares_are_those_of_the_rows() {
        let points = simulated(50_000, 0.5, -1.0, 9);
        let map = fit(Method::Isotonic, &points).expect("a map");
        assert_eq!(map.problem(), None);
        for z in [-2.0f32, -0.5, 1.0] {
            assert!((map.apply(z) - (0.5 * z - 1.0)).abs() < 0.25, "{z}: {}", map.apply(z));
        }
    }

    #[test]
    fn classes_that_are_apart_or_absent_do_no_harm() {
        let apart = Points::new((0..100).map(|i| (i as f32 - 49.5, f32::from(u8::from(i >= 50)), 1.0)));
        for method in [Method::Temperature, Method::Platt, Method::Isotonic] {
            let map = fit(method, &apart).expect("finite numbers");
            assert!(map.apply(-40.0) < -2.0 && map.apply(40.0) > 2.0, "{map:?}");
            assert_eq!(fit(method, &Points::new((0..9).map(|i| (i as f32, 1.0, 1.0)))), None, "one class");
            let falling = Points::new((0..100).map(|i| (i as f32 - 49.5, f32::from(u8::from(i < 50)), 1.0)));
            let found = fit(method, &falling);
            assert!(found.is_none_or(|map| map.apply(-40.0) < map.apply(40.0)), "never against the ranking");
        }
    }

    #[test]
    fn weights_count_like_rows() {
        let rows = [(-1.0f32, 0.0f32), (-0.5, 1.0), (0.2, 0.0), (0.8, 1.0), (1.5, 1.0), (-2.0, 0.0)];
        let twice = Points::new(rows.iter().flat_map(|&(z, y)| [(z, y, 1.0), (z, y, 1.0)]));
        let once = Points::new(rows.iter().map(|&(z, y)| (z, y, 2.0)));
        assert_eq!(once.rows[0][2], 1.0);
        assert_eq!(isotonic(&twice).len(), isotonic(&once).len());
    }
}
