//! Numbers as people read them.
pub(crate) use dlrm_data::format::{bytes, count};
use dlrm_metrics::{Interval, Metric};

/// Shown where there is no value.
pub(crate) const NONE: &str = "–";

/// With `decimals` digits after the point and a true minus sign; no negative zero.
pub(crate) fn fixed(x: f64, decimals: usize) -> String {
    if !x.is_finite() {
        return NONE.into();
    }
    if x.abs() >= 1e15 {
        return format!("{x:.2e}").replace('-', "−");
    }
    let shown = format!("{x:.decimals$}");
    match shown.strip_prefix('-') {
        Some(zero) if zero.bytes().all(|b| b == b'0' || b == b'.') => zero.into(),
        Some(positive) => format!("−{positive}"),
        None => shown,
    }
}

/// About four significant digits.
pub(crate) fn plain(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    if x.abs() < 1e-4 {
        return format!("{x:.2e}").replace('-', "−");
    }
    fixed(x, (3 - x.abs().log10().floor() as i32).clamp(0, 6) as usize)
}

/// A share as a percentage; tiny shares are not called zero, and nearly all is not called all.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => NONE.into(),
        p if p > 0.0 && p < 0.05 => "< 0.1 %".into(),
        p if p < 100.0 && p > 99.95 => "> 99.9 %".into(),
        p => format!("{} %", fixed(p, 1)),
    }
}

/// A mean probability as a percentage with three digits that count, however rare the clicks.
pub(crate) fn rate(p: f64) -> String {
    let percentage = p * 100.0;
    if percentage == 0.0 || !percentage.is_finite() {
        return percent(p);
    }
    let decimals = (2.0 - percentage.abs().log10().floor()).clamp(1.0, 9.0);
    format!("{} %", fixed(percentage, decimals as usize))
}

/// Seconds in the unit that fits.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => NONE.into(),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3599.5 => format!("{:.0} min {:02.0} s", (s.round() / 60.0).floor(), s.round() % 60.0),
        s => format!("{:.0} h {:02.0} min", (s / 60.0).round() as u64 / 60, (s / 60.0).round() % 60.0),
    }
}

/// How a metric is written: accuracy as a percentage, the others as numbers.
#[derive(Clone, Copy)]
pub(crate) struct MetricFormat {
    scale: f64,
    decimals: usize,
    unit: &'static str,
}

impl MetricFormat {
    /// For values of `metric` around `size`.
    pub(crate) fn of(metric: Metric, size: f64) -> Self {
        match metric {
            Metric::Accuracy => MetricFormat { scale: 100.0, decimals: 2, unit: " %" },
            // ratings have any scale
            Metric::Rmse | Metric::Mae if size.abs() >= 10.0 => {
                let digits = (4 - size.abs().log10().floor().min(4.0) as i32) as usize;
                MetricFormat { scale: 1.0, decimals: digits, unit: "" }
            }
            _ => MetricFormat { scale: 1.0, decimals: 4, unit: "" },
        }
    }

    /// The format with decimals enough to show two digits of `width`.
    pub(crate) fn resolving(self, width: f64) -> Self {
        let width = (width * self.scale).abs();
        // What is narrower than this is the rounding of sums.
        let needed = if width > 1e-9 && width.is_finite() {
            (1.0 - width.log10().floor()).clamp(0.0, 9.0)
        } else {
            0.0
        };
        MetricFormat { decimals: self.decimals.max(needed as usize), ..self }
    }

    /// A value.
    pub(crate) fn value(self, x: f64) -> String {
        if !x.is_finite() {
            return NONE.into();
        }
        format!("{}{}", fixed(x * self.scale, self.decimals), self.unit)
    }

    /// A difference of two values; of percentages, in points.
    pub(crate) fn difference(self, x: f64) -> String {
        let unit = if self.unit.is_empty() { "" } else { " points" };
        format!("{}{unit}", fixed(x * self.scale, self.decimals))
    }

    /// The ends of an interval, `low to high`.
    pub(crate) fn range(self, interval: &Interval) -> String {
        let end = |x: f64| fixed(x * self.scale, self.decimals);
        format!("{} to {}", end(interval.low), end(interval.high))
    }
}

/// A p value: small ones as a bound.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p = {}", fixed(p, 3)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([-0.00001, -1.5, f64::NAN].map(|x| fixed(x, 2)), ["0.00", "−1.50", "–"]);
        assert_eq!(
            [0.0, 0.0001, 0.1234, 0.99999, 1.0].map(percent),
            ["0.0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100.0 %"]
        );
        assert_eq!(
            [0.02, 1.0, 61.0, 3599.7, 7384.0].map(duration),
            ["20 ms", "1.0 s", "1 min 01 s", "1 h 00 min", "2 h 03 min"]
        );
        assert_eq!([12, 1536, 5 << 30].map(bytes), ["12 B", "1.5 kB", "5.4 GB"]);
        assert_eq!(
            [0.0, 1.0, 0.012_345, 12345.6, 1e-7].map(plain),
            ["0", "1.000", "0.01235", "12346", "1.00e−7"]
        );
    }

    #[test]
    fn intervals_show_what_they_exclude() {
        let narrow = Interval { estimate: -0.000_031, low: -0.000_042, high: -0.000_02 };
        let format = MetricFormat::of(Metric::LogLoss, 0.44).resolving(narrow.high - narrow.low);
        assert_eq!(format.range(&narrow), "−0.000042 to −0.000020");
        let accuracy = MetricFormat::of(Metric::Accuracy, 0.7);
        assert_eq!(
            (accuracy.value(0.712_34), accuracy.difference(0.01)),
            ("71.23 %".into(), "1.00 points".into())
        );
        assert_eq!(MetricFormat::of(Metric::Rmse, 123.456).value(123.456), "123.46");
    }
}
