//! Numbers that stand for "unknown" among measures: -999, -1, 9999.
use serde::{Deserialize, Serialize};

/// Rows, and their share, from which on a number at the end of the range is no accident.
const ROWS: u64 = 5;
const SHARE: f64 = 0.001;
/// Distance from all other numbers, by their range, from which on a negative one is odd where no other is.
const APART: f64 = 0.1;

/// A number far from all others that many rows share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sentinel {
    /// The number.
    pub value: f64,
    /// Rows that hold it.
    pub rows: u64,
    /// Smallest and largest of the other numbers.
    pub others: [f64; 2],
}

/// The two smallest and the two largest different numbers of a column, the outermost with their counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extremes {
    least: [f64; 2],
    most: [f64; 2],
    rows: [u64; 2],
    all: u64,
    fractional: bool,
}

impl Default for Extremes {
    fn default() -> Self {
        Extremes {
            least: [f64::INFINITY; 2],
            most: [f64::NEG_INFINITY; 2],
            rows: [0; 2],
            all: 0,
            fractional: false,
        }
    }
}

impl Extremes {
    /// Adds a finite number.
    pub(super) fn add(&mut self, x: f64) {
        self.all += 1;
        self.fractional |= x.fract() != 0.0;
        let ends = [(&mut self.least, 1.0), (&mut self.most, -1.0)];
        for (([outer, inner], sign), rows) in ends.into_iter().zip(&mut self.rows) {
            if sign * x < sign * *outer {
                (*inner, *outer, *rows) = (*outer, x, 1);
            } else if x == *outer {
                *rows += 1;
            } else if sign * x < sign * *inner {
                *inner = x;
            }
        }
    }

    /// Numbers at the ends that probably stand for a missing value.
    pub(super) fn sentinels(&self) -> Vec<Sentinel> {
        let ([low, least], [high, most]) = (self.least, self.most);
        let often = |rows: u64| rows >= ROWS && rows as f64 >= SHARE * self.all as f64;
        let below = ([-1.0, -9.0].contains(&low) || is_nines(-low)) && often(self.rows[0]);
        let above = is_nines(high) && often(self.rows[1]);
        let others = [if below { least } else { low }, if above { most } else { high }];
        let range = others[1] - others[0];
        let mut out = Vec::new();
        if range > 0.0 && range.is_finite() {
            let gap = others[0] - low;
            let odd = if others[0] >= 0.0 { gap >= APART * range } else { gap >= range };
            // Among whole numbers from 0 on, -1 is the next one.
            let is_next = !self.fractional && gap <= 1.0;
            if below && odd && !is_next {
                out.push(Sentinel { value: low, rows: self.rows[0], others });
            }
            if above && high - others[1] >= range {
                out.push(Sentinel { value: high, rows: self.rows[1], others });
            }
        }
        out
    }
}

/// 99, 999, 9999, …
fn is_nines(x: f64) -> bool {
    (2..=9).any(|digits| x == 10f64.powi(digits) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut extremes = Extremes::default();
        values.into_iter().for_each(|x| extremes.add(x));
        extremes.sentinels().into_iter().map(|s| s.value).collect()
    }

    /// Whole numbers from `from` to `to`, a thousand of them, and `odd` ten times.
    fn among(from: i32, to: i32, odd: f64) -> Vec<f64> {
        found((0..1000).map(|i| f64::from(from + i % (to - from + 1))).chain([odd; 10]))
    }

    #[test]
    fn numbers_far_from_the_rest() {
        assert_eq!(among(0, 300, -999.0), [-999.0]);
        assert_eq!(among(17, 90, -1.0), [-1.0]);
        assert_eq!(among(0, 27, 999.0), [999.0]);
        assert_eq!(found((0..1000).map(|i| f64::from(i % 100) / 100.0).chain([-1.0; 5])), [-1.0]);
        assert_eq!(found((0..100).map(f64::from).chain([-999.0; 5]).chain([9999.0; 5])), [-999.0, 9999.0]);
    }

    #[test]
    fn numbers_that_belong_to_the_rest() {
        const NONE: [f64; 0] = [];
        assert_eq!(among(0, 300, -1.0), NONE, "the next whole number");
        assert_eq!(among(-500, 300, -999.0), NONE, "others are negative too");
        assert_eq!(among(1, 900, 999.0), NONE, "a price");
        assert_eq!(among(0, 300, -998.0), NONE, "no usual sign");
        assert_eq!(found((0..1000).map(f64::from).chain([-9999.0; 3])), NONE, "three rows");
        assert_eq!(found([0.0, 1.0, 0.0, 1.0].into_iter().chain([-999.0; 9])), [-999.0]);
        assert_eq!(found([1.0; 50].into_iter().chain([-999.0; 9])), NONE, "two values");
        assert_eq!(found([]), NONE);
    }
}
