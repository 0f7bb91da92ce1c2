//! Axes: from values to places on the picture, and readable ticks.
use crate::format::fixed;

/// How values of an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// As they are.
    Number,
    /// Shares, as percentages.
    Percent,
    /// Whole numbers, thousands as k.
    Count,
}

/// A linear axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// From `low` to `high` exactly, with ticks inside. Ends that leave no room between them, as only
    /// a damaged report can hold, give 0 to 1.
    pub(crate) fn exactly(low: f64, high: f64) -> Self {
        if (high - low).is_finite() && high > low {
            Scale { low, high, step: tick_step(high - low) }
        } else {
            Scale { low: 0.0, high: 1.0, step: 0.2 }
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
        Scale { low: (low / step + 1e-9).floor() * step, high: (high / step - 1e-9).ceil() * step, step }
    }

    /// Share of the way from the low to the high end.
    pub(crate) fn share(&self, x: f64) -> f64 {
        (x - self.low) / (self.high - self.low)
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
        let first = (self.low / self.step - 1e-6).ceil() as i64;
        let last = (self.high / self.step + 1e-6).floor() as i64;
        (first..=last).map(|k| k as f64 * self.step).map(|x| (x, self.label(x, unit))).collect()
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
