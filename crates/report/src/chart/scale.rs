//! Axes: from values to places on the picture, and readable ticks.
use crate::format::{count, fixed};

/// How values of an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// As they are.
    Number,
    /// Shares, as percentages.
    Percent,
    /// Whole numbers; thousands as k, on logarithmic axes in full.
    Count,
}

/// Which distances on an axis are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Those of equal differences.
    Linear,
    /// Those of equal ratios.
    Logarithmic,
}

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    /// From tick to tick on a linear axis.
    step: f64,
    kind: Kind,
}

impl Scale {
    /// From `low` to `high` exactly, with ticks inside. Ends that leave no room between them, as only
    /// a damaged report can hold, give 0 to 1.
    pub(crate) fn exactly(low: f64, high: f64) -> Self {
        if (high - low).is_finite() && high > low {
            Scale { low, high, step: tick_step(high - low), kind: Kind::Linear }
        } else {
            Scale { low: 0.0, high: 1.0, step: 0.2, kind: Kind::Linear }
        }
    }

    /// Around `values`, widened to whole ticks. Values that are not finite do not count.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|x| x.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        if !(high - low).is_finite() {
            return Scale::exactly(0.0, 1.0);
        }
        // a constant still needs a width
        let room = if high - low > 1e-9 * high.abs() { 0.0 } else { (high.abs() * 0.05).max(1e-6) };
        let (low, high) = (low - room, high + room);
        let step = tick_step(high - low);
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        Scale { low, high, step, kind: Kind::Linear }
    }

    /// Around `values` with equal distances for equal ratios, from a 1, 2 or 5 times a power of ten to
    /// another. Values that are not finite do not count, those below 1 count as 1.
    pub(crate) fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|x| x.is_finite()).map(|x| x.max(1.0));
        let (low, high) = finite.fold((f64::INFINITY, 1.0f64), |(l, h), x| (l.min(x), h.max(x)));
        let (low, high) = (round_below(low.min(high)), round_above(high));
        // A constant still needs a width.
        let high = if high > low { high } else { 10.0 * low };
        Scale { low, high, step: 1.0, kind: Kind::Logarithmic }
    }

    /// Share of the way from the low to the high end.
    pub(crate) fn share(&self, x: f64) -> f64 {
        match self.kind {
            Kind::Linear => (x - self.low) / (self.high - self.low),
            Kind::Logarithmic => (x / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Both ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The value nearest to `x` on the axis.
    pub(crate) fn clamp(&self, x: f64) -> f64 {
        x.clamp(self.low, self.high)
    }

    /// Ticks with their labels, rising.
    pub(crate) fn ticks(&self, unit: Unit) -> Vec<(f64, String)> {
        if self.kind == Kind::Logarithmic {
            return self.logarithmic_ticks();
        }
        let first = (self.low / self.step - 1e-6).ceil() as i64;
        let last = (self.high / self.step + 1e-6).floor() as i64;
        (first..=last).map(|k| k as f64 * self.step).map(|x| (x, self.label(x, unit))).collect()
    }

    /// Powers of ten; their doubles and halves too where there are few.
    fn logarithmic_ticks(&self) -> Vec<(f64, String)> {
        let between: &[f64] = if self.high / self.low > 1000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = (0..=self.high.log10() as i32).map(|power| 10f64.powi(power));
        let all = powers.flat_map(|power| between.iter().map(move |m| m * power));
        all.filter(|x| (self.low..=self.high).contains(x)).map(|x| (x, large(x))).collect()
    }

    fn label(&self, x: f64, unit: Unit) -> String {
        let decimals = |step: f64| (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
        match unit {
            Unit::Number => fixed(x, decimals(self.step)),
            Unit::Percent => format!("{} %", fixed(x * 100.0, decimals(self.step * 100.0))),
            Unit::Count if self.high >= 1e6 => {
                format!("{} M", fixed(x / 1e6, decimals(self.step / 1e6)))
            }
            Unit::Count if self.high >= 1e4 => {
                format!("{} k", fixed(x / 1e3, decimals(self.step / 1e3)))
            }
            Unit::Count => fixed(x, decimals(self.step)),
        }
    }
}

/// 1, 2 or 5 times a power of ten such that `span` holds four to ten steps.
fn tick_step(span: f64) -> f64 {
    let magnitude = 10f64.powf((span / 4.0).log10().floor());
    let fitting = [5.0, 2.0].into_iter().map(|m| m * magnitude).find(|step| span / step >= 4.0 - 1e-9);
    fitting.unwrap_or(magnitude)
}

/// The largest of 1, 2 or 5 times a power of ten that is at most `x`, which is at least 1.
fn round_below(x: f64) -> f64 {
    let power = 10f64.powf((x * (1.0 + 1e-9)).log10().floor());
    [5.0, 2.0].into_iter().map(|m| m * power).find(|&y| y <= x * (1.0 + 1e-9)).unwrap_or(power)
}

/// The smallest of 1, 2 or 5 times a power of ten that is at least `x`.
fn round_above(x: f64) -> f64 {
    let power = 10f64.powf((x * (1.0 - 1e-9)).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|&y| y >= x * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// A whole number: millions as M, billions as G, smaller ones in full.
fn large(x: f64) -> String {
    match x {
        x if x >= 1e9 => format!("{} G", count((x / 1e9).round() as u64)),
        x if x >= 1e6 => format!("{} M", count((x / 1e6).round() as u64)),
        x => count(x.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: Scale, unit: Unit) -> Vec<String> {
        scale.ticks(unit).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(Scale::exactly(0.0, 1.0), Unit::Number),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels(Scale::exactly(0.0, 1.0), Unit::Percent),
            ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
        );
        assert_eq!(
            labels(Scale::around([0.4512, 0.4731]), Unit::Number),
            ["0.450", "0.455", "0.460", "0.465", "0.470", "0.475"]
        );
        assert_eq!(
            labels(Scale::exactly(0.0, 45_000.0), Unit::Count),
            ["0 k", "10 k", "20 k", "30 k", "40 k"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_the_numbers_themselves() {
        let of = |values: &[f64]| labels(Scale::logarithmic(values.iter().copied()), Unit::Count);
        assert_eq!(of(&[10.0, 100_000.0]), ["10", "100", "1,000", "10,000", "100,000"]);
        assert_eq!(of(&[24.0, 40_800.0]), ["100", "1,000", "10,000"]);
        assert_eq!(of(&[12.0, 340.0]), ["10", "20", "50", "100", "200", "500"]);
        assert_eq!(of(&[3e5, 4e9]), ["1 M", "10 M", "100 M", "1 G"]);
        assert_eq!(of(&[7.0]), ["5", "10"]);
        for odd in [&[][..], &[f64::NAN, 0.0, -3.0]] {
            assert_eq!(of(odd), ["1", "2", "5", "10"]);
        }
        let scale = Scale::logarithmic([10.0, 1000.0]);
        assert!((scale.share(100.0) - 0.5).abs() < 1e-12 && scale.ends() == (10.0, 1000.0));
    }

    proptest! {
        #[test]
        fn every_value_lies_on_the_axis_and_ticks_stay_few(
            values in prop::collection::vec(-1e9f64..1e9, 0..5), power in -12i32..3,
        ) {
            let values: Vec<f64> = values.into_iter().map(|x| x * 10f64.powi(power)).collect();
            let scale = Scale::around(values.iter().copied().chain([f64::NAN, f64::INFINITY]));
            for value in values {
                prop_assert!((-1e-6..=1.0 + 1e-6).contains(&scale.share(value)), "{scale:?} {value}");
            }
            let ticks = scale.ticks(Unit::Number).len();
            prop_assert!((2..=14).contains(&ticks), "{scale:?}: {ticks}");
        }
    }
}
