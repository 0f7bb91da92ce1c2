//! Range, mean, deviation and skewness of numbers in one pass.
use serde::{Deserialize, Serialize};

/// Summary of a numeric column.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Third standardised moment; 0 without spread.
    pub skewness: f64,
    /// Share of values below 0.
    pub negative_share: f64,
    /// Whether every value is a whole number.
    pub integers: bool,
}

/// Running central moments (Pébay 2008).
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    n: u64,
    mean: f64,
    m2: f64,
    m3: f64,
    min: f64,
    max: f64,
    negative: u64,
    fractional: u64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments {
            n: 0,
            mean: 0.0,
            m2: 0.0,
            m3: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            negative: 0,
            fractional: 0,
        }
    }
}

impl Moments {
    /// Adds a finite value.
    pub(super) fn add(&mut self, x: f64) {
        self.n += 1;
        let n = self.n as f64;
        let delta = x - self.mean;
        let step = delta / n;
        let term = delta * step * (n - 1.0);
        self.mean += step;
        self.m3 += term * step * (n - 2.0) - 3.0 * step * self.m2;
        self.m2 += term;
        self.min = self.min.min(x);
        self.max = self.max.max(x);
        self.negative += u64::from(x < 0.0);
        self.fractional += u64::from(x.fract() != 0.0);
    }

    /// Number of values.
    pub(super) fn count(&self) -> u64 {
        self.n
    }

    /// The summary; `None` without values. Sums beyond the range of f64 are cut to it, so that the result
    /// can be written as JSON.
    pub(super) fn summary(&self) -> Option<Numbers> {
        if self.n == 0 {
            return None;
        }
        let n = self.n as f64;
        let cut = |x: f64| if x.is_nan() { 0.0 } else { x.clamp(f64::MIN, f64::MAX) };
        let variance = self.m2 / n;
        let skewness = if variance > 0.0 { (self.m3 / n) / (variance * variance.sqrt()) } else { 0.0 };
        Some(Numbers {
            min: self.min,
            max: self.max,
            mean: cut(self.mean),
            deviation: cut(variance.sqrt()),
            skewness: cut(skewness),
            negative_share: self.negative as f64 / n,
            integers: self.fractional == 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_to_the_two_pass_definition() {
        let values: Vec<f64> = (0..500).map(|i| f64::from(i * i % 97) * 0.5 - 3.0).collect();
        let mut moments = Moments::default();
        values.iter().for_each(|&x| moments.add(x));
        let got = moments.summary().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let central = |k: i32| values.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
        assert!((got.mean - mean).abs() < 1e-12);
        assert!((got.deviation - central(2).sqrt()).abs() < 1e-12);
        assert!((got.skewness - central(3) / central(2).powf(1.5)).abs() < 1e-10);
        assert_eq!((got.min, got.integers), (-3.0, false));
    }

    #[test]
    fn no_value_and_huge_values() {
        assert_eq!(Moments::default().summary(), None);
        let mut moments = Moments::default();
        [1e308, -1e308, 1e308].iter().for_each(|&x| moments.add(x));
        let got = moments.summary().unwrap();
        assert!([got.mean, got.deviation, got.skewness].iter().all(|x| x.is_finite()));
    }
}
