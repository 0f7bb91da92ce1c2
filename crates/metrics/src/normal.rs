//! The normal distribution, as far as intervals need it.
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The 97.5 % quantile: an estimate ± this many standard errors is a 95 % interval.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// Chance that a standard normal lies at least as far from 0 as `z`, on either side.
pub fn two_sided_p(z: f64) -> f64 {
    erfc(z.abs() * FRAC_1_SQRT_2)
}

/// 1 − erf(x) for x ≥ 0, to 1e-12 relative.
fn erfc(x: f64) -> f64 {
    if x < 2.0 { 1.0 - erf_series(x) } else { erfc_fraction(x) }
}

/// erf(x) = 2/√π e^(−x²) Σ 2ᵏ x^(2k+1) / (2k+1)!!; all terms positive, so nothing cancels.
fn erf_series(x: f64) -> f64 {
    let (mut term, mut total, mut odd) = (x, x, 1.0);
    while term > total * 1e-17 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        total += term;
    }
    2.0 / PI.sqrt() * libm::exp(-x * x) * total
}

/// erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + …)))), from the inside out.
fn erfc_fraction(x: f64) -> f64 {
    const DEPTH: u32 = 120; // enough at x = 2, where it converges slowest
    let tail = (1..=DEPTH).rev().fold(x, |tail, k| x + 0.5 * f64::from(k) / tail);
    libm::exp(-x * x) / (PI.sqrt() * tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_belongs_to_the_tail() {
        assert!((two_sided_p(Z_95) - 0.05).abs() < 1e-15);
        assert_eq!(two_sided_p(0.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY), 0.0);
    }

    #[test]
    fn both_formulas_meet() {
        for x in [1.9, 2.0, 2.1] {
            let (series, fraction) = (1.0 - erf_series(x), erfc_fraction(x));
            assert!((series / fraction - 1.0).abs() < 1e-12, "{x}: {series} {fraction}");
        }
    }
}
