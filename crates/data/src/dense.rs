//! Change of scale of dense columns, fitted on the training rows.
use crate::error::{Error, Result};
use crate::pieces::{Ends, Pieces};
use crate::rng::Rng;
use crate::schema::{DenseColumn, Transform};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Values kept for quantiles: up to here they are exact, beyond it they come from a uniform sample of this
/// size.
const SAMPLE: usize = 1 << 20;

/// Bins of a piecewise-linear encoding where the schema names no number.
pub const DEFAULT_BINS: u32 = 16;

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
    /// Bins of a piecewise-linear encoding, each with an input of its own; none if one line says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<Pieces>,
}

impl DenseScale {
    /// Appends the model's inputs for a value (NaN: missing), as [`DenseScale::names`] calls them.
    pub fn push(&self, value: f64, out: &mut Vec<f32>) {
        out.push(self.apply(value));
        if let Some(pieces) = &self.pieces {
            pieces.push(value, out);
        }
        if self.indicator {
            out.push(f32::from(value.is_nan()));
        }
    }

    /// Names of the inputs of the column `name`: its value, where its bins begin, whether it is missing.
    pub fn names(&self, name: &str) -> Vec<String> {
        let begins = self.pieces.iter().flat_map(|pieces| &pieces.edges()[..pieces.len()]);
        let pieces = begins.map(|edge| format!("{name} > {edge}"));
        let indicator = self.indicator.then(|| missing_name(name));
        std::iter::once(name.to_owned()).chain(pieces).chain(indicator).collect()
    }

    /// The first of the model's inputs for a value (NaN: missing): the scaled value itself.
    pub fn apply(&self, value: f64) -> f32 {
        if value.is_nan() {
            return self.missing;
        }
        let value = self.clip.map_or(value, |[low, high]| value.clamp(low, high));
        let scaled = match self.transform {
            Transform::None => value,
            Transform::Standardize | Transform::PiecewiseLinear if self.deviation > 0.0 => {
                ((value - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)
            }
            Transform::Standardize | Transform::PiecewiseLinear => 0.0,
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
            return self.pieces.as_ref().map_or(Ok(()), |pieces| pieces.check(column));
        }
        Err(Error::input(
            format!("encoder: dense column \"{column}\""),
            "finite statistics",
            format!("{self:?}"),
        ))
    }
}

/// Name of the input that says that the column `name` is missing.
pub fn missing_name(name: &str) -> String {
    format!("{name}:missing")
}

/// ln(1 + x) of a number that is not negative. Most are small counts, whose logarithms are known.
fn log1p(x: f64) -> f64 {
    const KNOWN: usize = 1024;
    static LOGARITHMS: LazyLock<Vec<f64>> =
        LazyLock::new(|| (0..KNOWN).map(|n| libm::log1p(n as f64)).collect());
    let n = x as usize;
    if n < KNOWN && n as f64 == x { LOGARITHMS[n] } else { libm::log1p(x) }
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
        if self.column.clip_quantiles.is_some() || self.column.transform == Transform::PiecewiseLinear {
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

    /// The bins of the sorted sample, if they are asked for.
    fn pieces(&self, ends: Ends) -> Option<Pieces> {
        let bins = self.column.bins.unwrap_or(DEFAULT_BINS) as usize;
        let asked = self.column.transform == Transform::PiecewiseLinear;
        asked.then(|| Pieces::fit(&self.sample, bins, ends, self.column.missing_value)).flatten()
    }

    /// Moments of the values cut to `clip`. Where there is a sorted sample they are those of the sample, so
    /// that they do not depend on the order of the rows.
    fn moments_within(&self, clip: Option<[f64; 2]>) -> [Moments; 2] {
        if self.sample.is_empty() {
            return self.moments;
        }
        let mut moments: [Moments; 2] = Default::default();
        for &value in &self.sample {
            let value = clip.map_or(value, |[low, high]| value.clamp(low, high));
            moments[0].add(value);
            moments[1].add(libm::log1p(value.max(0.0)));
        }
        moments
    }

    /// The fitted column.
    pub fn finish(mut self) -> DenseScale {
        self.sample.sort_unstable_by(f64::total_cmp);
        let clip = self.column.clip_quantiles.filter(|_| !self.sample.is_empty());
        let clip =
            clip.map(|q| q.map(|q| self.sample[((self.sample.len() - 1) as f64 * q).round() as usize]));
        if let Some([low, high]) = clip {
            self.sample.iter_mut().for_each(|value| *value = value.clamp(low, high));
        }
        let pieces = self.pieces(if clip.is_some() { Ends::Cut } else { Ends::Open });
        let clip = clip.or_else(|| pieces.as_ref().map(Pieces::range));
        let moments = self.moments_within(clip);
        let missing = match self.column.transform {
            Transform::None => moments[0].mean,
            Transform::Standardize | Transform::PiecewiseLinear => 0.0,
            Transform::Log1p => moments[1].mean,
        };
        let scale = DenseScale {
            transform: self.column.transform,
            clip,
            mean: moments[0].mean,
            deviation: moments[0].deviation(),
            missing: missing as f32,
            indicator: self.column.missing_indicator,
            pieces,
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

    fn inputs(scale: &DenseScale, value: f64) -> Vec<f32> {
        let mut out = Vec::new();
        scale.push(value, &mut out);
        out
    }

    #[test]
    fn piecewise_linear_columns_keep_their_value_and_say_what_is_missing() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100)).chain([f64::NAN, 1e12]).collect();
        let column = DenseColumn {
            bins: Some(4),
            missing_indicator: true,
            ..DenseColumn::new("x", Transform::PiecewiseLinear)
        };
        let fitted = |values: &[f64], column: &DenseColumn| {
            let mut fit = DenseFit::new(column);
            values.iter().for_each(|&v| fit.observe(v));
            fit.finish()
        };
        let scale = fitted(&values, &column);
        let names = scale.names("x");
        assert_eq!(
            [names.len().to_string().as_str(), &names[0], &names[1], &names[5]],
            ["6", "x", "x > 2", "x:missing"]
        );
        assert_eq!(inputs(&scale, f64::NAN), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(inputs(&scale, 1e30).iter().all(|y| y.abs() < 4.0), "an outlier is cut");
        let mut reversed = values.clone();
        reversed.reverse();
        assert_eq!(fitted(&reversed, &column), scale, "the order of rows is nothing");
        let text = serde_json::to_string(&scale).unwrap();
        assert_eq!(serde_json::from_str::<DenseScale>(&text).unwrap(), scale);
        let clipped = fitted(&values, &DenseColumn { clip_quantiles: Some([0.1, 0.9]), ..column.clone() });
        let pieces = clipped.pieces.clone().unwrap();
        assert_eq!((clipped.clip, pieces.edges()[0], pieces.edges()[4]), (Some([10.0, 90.0]), 10.0, 90.0));
        let zero = fitted(&values, &DenseColumn { missing_value: Some(30.0), ..column.clone() });
        assert_eq!(inputs(&zero, f64::NAN)[..5], inputs(&zero, 30.0)[..5]);
        for constant in [&[5.0; 40][..], &[f64::NAN; 40], &[]] {
            let scale = fitted(constant, &column);
            assert_eq!((inputs(&scale, 9.0), scale.names("x").len()), (vec![0.0, 0.0], 2), "{constant:?}");
        }
        let two: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        assert_eq!(inputs(&fitted(&two, &column), 1.0), [1.0, 0.0], "two values are a line");
    }

    #[test]
    fn encoders_of_earlier_versions_are_read() {
        let text = concat!(
            r#"{"transform":"standardize","clip":null,"mean":1.0,"#,
            r#""deviation":2.0,"missing":0.0,"indicator":false}"#
        );
        let scale: DenseScale = serde_json::from_str(text).unwrap();
        assert_eq!((scale.apply(5.0), serde_json::to_string(&scale).unwrap().as_str()), (2.0, text));
    }
}
