//! How many ids each column has, and how they and the integers are spread.
use super::{CATEGORIES, INTEGERS};
use serde::{Deserialize, Serialize};

/// Whose cardinalities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// The Display Advertising Challenge (Kaggle): 33.8 million ids in 45.8 million rows.
    #[default]
    Kaggle,
    /// The Terabyte Click Logs, ids cut to 40 million a column as in MLPerf.
    Terabyte,
}

/// Distinct values of C1 to C26 in the Kaggle data set.
const KAGGLE: [u32; CATEGORIES] = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992,
    5_461_306, 10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572,
];

/// Distinct values of the Terabyte data set (MLPerf Training, DLRM: 40 million at most).
const TERABYTE: [u32; CATEGORIES] = [
    39_884_406, 39_043, 17_289, 7420, 20_263, 3, 7120, 1543, 63, 38_532_951, 2_953_546, 403_346, 10, 2208,
    11_938, 155, 4, 976, 14, 39_979_771, 25_641_295, 39_664_984, 585_935, 12_972, 108, 36,
];

/// Shares of empty fields, as large as in the Kaggle data set where they matter.
const NO_CATEGORY: [f64; CATEGORIES] = [
    0.0, 0.0, 0.034, 0.034, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0, 0.0, 0.034, 0.0, 0.0, 0.0, 0.034, 0.0, 0.0, 0.44,
    0.44, 0.034, 0.76, 0.0, 0.034, 0.44, 0.44,
];
const NO_INTEGER: [f64; INTEGERS] =
    [0.45, 0.0, 0.21, 0.22, 0.026, 0.22, 0.043, 0.0005, 0.043, 0.45, 0.043, 0.76, 0.22];

/// Median and spread of 1 + integer, in logarithms; I2 also has values below 0.
const INTEGER: [(f64, f64); INTEGERS] = [
    (0.7, 1.1),
    (2.0, 2.0),
    (2.1, 1.4),
    (1.7, 1.0),
    (8.0, 2.2),
    (3.4, 1.5),
    (1.6, 1.4),
    (2.1, 1.2),
    (3.9, 1.5),
    (0.4, 0.4),
    (1.0, 0.9),
    (0.3, 0.6),
    (1.9, 1.0),
];

/// Exponent of the power law of ids.
const EXPONENT: f64 = 1.05;
/// Columns with fewer ids than this get no new ones.
const LARGE: u32 = 10_000;

/// One categorical column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    ids: u32,
    pub missing: f64,
    /// (ids + 1)^(1 - exponent) - 1.
    reach: f64,
}

/// One integer column: exp(median + spread z) - 1, rounded, at least `lowest`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integer {
    lowest: f64,
    median: f64,
    spread: f64,
    pub missing: f64,
}

impl Shape {
    pub(super) fn fields(self) -> [Field; CATEGORIES] {
        let ids = match self {
            Shape::Kaggle => KAGGLE,
            Shape::Terabyte => TERABYTE,
        };
        std::array::from_fn(|f| {
            let reach = (f64::from(ids[f]) + 1.0).powf(1.0 - EXPONENT) - 1.0;
            Field { ids: ids[f], missing: NO_CATEGORY[f], reach }
        })
    }
}

pub(super) fn integers() -> [Integer; INTEGERS] {
    std::array::from_fn(|k| Integer {
        lowest: if k == 1 { -1.0 } else { 0.0 },
        median: INTEGER[k].0,
        spread: INTEGER[k].1,
        missing: NO_INTEGER[k],
    })
}

impl Field {
    /// Id at quantile `u` of a density falling as x^-exponent; with `came` above 0 one that came with this
    /// day.
    pub(super) fn id(&self, u: f64, came: u64) -> u32 {
        let x = (1.0 + u * self.reach).powf(1.0 / (1.0 - EXPONENT));
        let id = (x as u32).clamp(1, self.ids) - 1;
        // A day's new ids are as many as the old ones, and spread like them.
        if self.ids < LARGE || came == 0 { id } else { id.wrapping_add((came as u32).wrapping_mul(self.ids)) }
    }
}

impl Integer {
    pub(super) fn value(&self, z: f64) -> i64 {
        ((self.median + self.spread * z).exp().min(1e9) - 1.0).round().max(self.lowest) as i64
    }
}

/// The digits of id `id` of column `f`: a bijection of 32 bits (the finalizer of MurmurHash3).
pub(super) fn token(f: usize, id: u32) -> u32 {
    let mut x = id ^ (f as u32 + 1).wrapping_mul(0x9e37_79b1);
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}
