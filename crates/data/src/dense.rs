//! Change of scale of dense columns, fitted on the training rows.
use crate::error::{Error, Result};
use crate::rng::Rng;
use crate::schema::{DenseColumn, Transform};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Values kept for quantiles: up to here they are exact, beyond it they come from a uniform sample of this
/// size.
const SAMPLE: usize = 1 << 20;

/// Standardized values end here: over a tiny deviation they would leave the range of f32, or that of its
/// products.
const FARTHEST: f64 = 1e9;

/// A fitted dense column: clip, then transform; a missing value becomes `missing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseScale {
    /// Change of scale.
    pub transform: Transform,
    /// Clipped to this range first.
    pub clip: Option<[f64; 2]>,
    /// Mean of the clipped values.
    pub mean: f64,
    /// Standard deviation of the clipped values.
    pub deviation: f64,
    /// What a missing value becomes: the mean after the transform.
    pub missing: f32,
    /// Whether an input says that the value was missing.
    pub indicator: bool,
}

impl DenseScale {
    /// The model's input for a value (NaN: missing).
    pub fn apply(&self, value: f64) -> f32 {
        if value.is_nan() {
            return self.missing;
        }
        let value = self.clip.map_or(value, |[low, high]| value.clamp(low, high));
        let scaled = match self.transform {
            Transform::None => value,
            Transform::Standardize if self.deviation > 0.0 => {
                ((value - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
            }
            Transform::Standardize => 0.0,
            Transform::Log1p => log1p(value.max(0.0)),
        };
        scaled as f32
    }

    /// Checks what was read from a file.
    ///
    /// # Errors
    /// If a number is not finite or the clip range is empty.
    pub fn check(&self, column: &str) -> Result<()> {
        let finite = [self.mean, self.deviation, f64::from(self.missing)].iter().all(|x| x.is_finite());
        let ordered = self.clip.is_none_or(|[low, high]| low.is_finite() && high.is_finite() && low <= high);
        if finite && ordered && self.deviation >= 0.0 {
            return Ok(());
        }
        Err(Error::input(
            format!("encoder: dense column \"{column}\""),
            "finite statistics",
            format!("{self:?}"),
        ))
    }
}

/// ln(1 + x) of a number that is not negative. Most are small counts, whose logarithms are known.
fn log1p(x: f64) -> f64 {
    const KNOWN: usize = 1024;
    static LOGARITHMS: LazyLock<Vec<f64>> =
        LazyLock::new(|| (0..KNOWN).map(|n| (n as f64).ln_1p()).collect());
    let n = x as usize;
    if n < KNOWN && n as f64 == x { LOGARITHMS[n] } else { x.ln_1p() }
}

/// Statistics of one column in the making.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DenseFit {
    column: DenseColumn,
    /// Values of the training rows, all or a uniform sample.
    sample: Vec<f64>,
    seen: u64,
    /// Moments of the value itself and of its logarithm, without clipping.
    moments: [Moments; 2],
    rng: Rng,
}

/// Running mean and squared deviation (Welford 1962).
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, x: f64) {
        self.n += 1.0;
        let delta = x - self.mean;
        self.mean += delta / self.n;
        self.squares += delta * (x - self.mean);
    }

    fn deviation(&self) -> f64 {
        if self.n > 0.0 { (self.squares / self.n).max(0.0).sqrt() } else { 0.0 }
    }
}

impl DenseFit {
    /// Nothing seen yet.
    pub fn new(column: &DenseColumn) -> Self {
        DenseFit {
            column: column.clone(),
            sample: Vec::new(),
            seen: 0,
            moments: Default::default(),
            rng: Rng::new(0, 0),
        }
    }

    /// Takes in a training value (NaN: missing).
    pub fn observe(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.moments[0].add(value);
        self.moments[1].add(log1p(value.max(0.0)));
        if self.column.clip_quantiles.is_some() {
            self.keep(value);
        }
    }

    /// Reservoir sampling (Vitter 1985, algorithm R).
    fn keep(&mut self, value: f64) {
        self.seen += 1;
        if self.sample.len() < SAMPLE {
            self.sample.push(value);
        } else {
            let at = self.rng.below(self.seen as usize);
            if let Some(place) = self.sample.get_mut(at) {
                *place = value;
            }
        }
    }

    /// The fitted column.
    pub fn finish(mut self) -> DenseScale {
        self.sample.sort_unstable_by(f64::total_cmp);
        let clip = self.column.clip_quantiles.filter(|_| !self.sample.is_empty());
        let clip =
            clip.map(|q| q.map(|q| self.sample[((self.sample.len() - 1) as f64 * q).round() as usize]));
        let mut moments = self.moments;
        if let Some([low, high]) = clip {
            moments = Default::default();
            for value in &self.sample {
                moments[0].add(value.clamp(low, high));
                moments[1].add(value.clamp(low, high).max(0.0).ln_1p());
            }
        }
        let missing = match self.column.transform {
            Transform::None => moments[0].mean,
            Transform::Standardize => 0.0,
            Transform::Log1p => moments[1].mean,
        };
        let scale = DenseScale {
            transform: self.column.transform,
            clip,
            mean: moments[0].mean,
            deviation: moments[0].deviation(),
            missing: missing as f32,
            indicator: self.column.missing_indicator,
        };
        match self.column.missing_value {
            Some(value) => DenseScale { missing: scale.apply(value), ..scale },
            None => scale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(transform: Transform, clip_quantiles: Option<[f64; 2]>, values: &[f64]) -> DenseScale {
        let mut fit = DenseFit::new(&DenseColumn { clip_quantiles, ..DenseColumn::new("x", transform) });
        values.iter().for_each(|&v| fit.observe(v));
        fit.finish()
    }

    #[test]
    fn transforms() {
        let values = [1.0, 2.0, 3.0, 4.0, f64::NAN];
        let standardized = fit(Transform::Standardize, None, &values);
        assert_eq!((standardized.apply(2.5), standardized.apply(f64::NAN)), (0.0, 0.0));
        assert!((standardized.apply(4.0) - 1.5 / 1.25f32.sqrt()).abs() < 1e-6);
        let log = fit(Transform::Log1p, None, &[0.0, f64::from(std::f32::consts::E) - 1.0]);
        assert_eq!(log.apply(-3.0), 0.0);
        assert!((log.missing - 0.5).abs() < 1e-6);
        for (transform, expected) in
            [(Transform::Log1p, 0.0), (Transform::None, 0.0), (Transform::Standardize, -3.0)]
        {
            let mut fit =
                DenseFit::new(&DenseColumn { missing_value: Some(0.0), ..DenseColumn::new("x", transform) });
            [2.0, 4.0, f64::NAN].iter().for_each(|&v| fit.observe(v));
            let scale = fit.finish();
            assert_eq!([scale.apply(f64::NAN), scale.apply(0.0)], [expected; 2], "{transform:?}");
        }
        let clipped = fit(Transform::None, Some([0.25, 0.75]), &[-1e9, 1.0, 2.0, 3.0, 1e9]);
        assert_eq!((clipped.apply(-5.0), clipped.apply(1e12), clipped.mean), (1.0, 3.0, 2.0));
        let tiny = fit(Transform::Standardize, None, &[1.0, 1.0 + 1e-15]);
        assert_eq!([tiny.apply(1e38), tiny.apply(-1e38)], [1e9, -1e9]);
        assert_eq!(
            fit(Transform::Standardize, None, &[7.0; 3]).apply(9.0),
            0.0,
            "a constant column says nothing"
        );
        assert_eq!(fit(Transform::Standardize, None, &[]).apply(9.0), 0.0, "nothing was seen");
    }
}
