//! Student's t distribution, as far as intervals of few values need it.
use crate::normal::Z_95;
use std::f64::consts::FRAC_2_PI;

/// The 97.5 % quantile for `freedom` degrees of freedom: an estimate ± this many standard errors is a 95 %
/// interval, where the standard error is estimated from `freedom + 1` values.
///
/// # Panics
/// If there are no degrees of freedom.
pub fn t_95(freedom: u64) -> f64 {
    assert!(freedom > 0, "one value tells no spread");
    let (mut low, mut high) = (0.0f64, 1e3f64);
    // Bisection down to the last bit.
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle == low || middle == high {
            break;
        }
        if within(middle, freedom) < 0.95 { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Of [`t_95`], for degrees of freedom that need not be whole: between two whole numbers as good as linear in
/// their inverse. That of the normal distribution for infinitely many.
///
/// # Panics
/// If there is less than one degree of freedom.
pub fn t_95_between(freedom: f64) -> f64 {
    const MANY: f64 = 64.0;
    assert!(freedom >= 1.0, "one value tells no spread");
    let (below, low, above, high) = if freedom < MANY {
        let below = freedom.floor();
        (below, t_95(below as u64), (below + 1.0).recip(), t_95(below as u64 + 1))
    } else {
        (MANY, t_95(MANY as u64), 0.0, Z_95)
    };
    let part = (below.recip() - freedom.recip()) / (below.recip() - above);
    low + part * (high - low)
}

/// Chance that |T| is below `t` (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
fn within(t: f64, freedom: u64) -> f64 {
    let angle = libm::atan(t / (freedom as f64).sqrt());
    let (sine, cosine) = libm::sincos(angle);
    let square = cosine * cosine;
    let odd = freedom % 2 == 1;
    // 1 + c² (1/2) + c⁴ (1·3)/(2·4) + … for even, c + c³ (2/3) + c⁵ (2·4)/(3·5) + … for odd degrees.
    let (mut term, mut k) = if odd { (cosine, 3.0) } else { (1.0, 2.0) };
    let terms = if odd { (freedom - 1) / 2 } else { freedom / 2 };
    let mut total = 0.0;
    for _ in 0..terms {
        total += term;
        term *= square * (k - 1.0) / k;
        k += 2.0;
    }
    if odd { FRAC_2_PI * (angle + sine * total) } else { sine * total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        let known = [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (10, 2.228), (30, 2.042)];
        for (freedom, quantile) in known {
            assert!((t_95(freedom) - quantile).abs() < 6e-4, "{freedom}: {}", t_95(freedom));
        }
        assert!((t_95(100_000) - Z_95).abs() < 1e-4);
        for freedom in 1..50 {
            assert_eq!(t_95_between(freedom as f64), t_95(freedom));
        }
        assert_eq!(t_95_between(f64::INFINITY), Z_95);
        assert!((t_95_between(5000.0) - t_95(5000)).abs() < 1e-4);
        let falling: Vec<f64> = (4..400).map(|f| t_95_between(f64::from(f) * 0.25)).collect();
        assert!(falling.windows(2).all(|pair| pair[0] > pair[1]));
        assert!((t_95_between(2.5) - 3.558).abs() < 0.08, "{}", t_95_between(2.5));
    }
}
