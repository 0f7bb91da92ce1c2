//! Times that so many requests took at most.
use serde::Serialize;

/// Quantiles of times in milliseconds, exact: each is the time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half took at most this.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// How many there are.
    pub count: u64,
}

impl Quantiles {
    /// Of times in seconds; `None` of none.
    pub(super) fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let max = 1e3 * *seconds.last()?;
        let at = |per_thousand: usize| {
            let rank = (seconds.len() * per_thousand).div_ceil(1000);
            1e3 * seconds[rank.max(1) - 1]
        };
        let (p50, p90, p99, p999) = (at(500), at(900), at(990), at(999));
        Some(Quantiles { p50, p90, p99, p999, max, count: seconds.len() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_times_of_requests() {
        assert_eq!(Quantiles::of(Vec::new()), None);
        let one = Quantiles::of(vec![0.25]).unwrap();
        assert_eq!((one.p50, one.p999, one.max, one.count), (250.0, 250.0, 250.0, 1));
        // 1 ms to 2,000 ms, backwards.
        let found = Quantiles::of((1..=2000).rev().map(|ms| f64::from(ms) / 1e3).collect()).unwrap();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(found.p50, 1000.0) && near(found.p90, 1800.0) && near(found.p99, 1980.0), "{found:?}");
        assert!(near(found.p999, 1998.0) && near(found.max, 2000.0), "{found:?}");
        // A hundredth of a hundred is one.
        let few = Quantiles::of((1..=100).map(f64::from).collect()).unwrap();
        assert_eq!((few.p99, few.p999), (99e3, 100e3));
    }
}
