//! Rows without any data-generating process: labels, dense values and ids drawn independently, to load a
//! system with.
//!
//! The same choices as the random data of the reference implementation of DLRM.
use super::process::{DataGeneratingProcess, FieldKind};
use dlrm_data::error::{Error, Result};
use dlrm_data::rng::Rng;
use dlrm_data::row::RawRow;
use dlrm_data::schema::{CategoricalColumn, DenseColumn, Encoding, Label, MultiValued, Schema, Transform};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// How ids of a table are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ids {
    /// All as frequent.
    Uniform,
    /// With a density falling as x^-exponent.
    PowerLaw {
        /// At least 0.
        exponent: f64,
    },
    /// Normal around a mean, both as shares of the table; what falls outside is drawn again.
    Gaussian {
        /// In 0..1.
        mean: f64,
        /// Above 0.
        deviation: f64,
    },
}

/// How many ids a bag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BagLength {
    /// So many.
    Fixed(u32),
    /// From 1 to so many, all as likely.
    UpTo(u32),
}

/// What to draw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomConfig {
    /// Number of rows.
    pub rows: u64,
    /// Seed.
    pub seed: u64,
    /// Dense columns, uniform in 0..1.
    pub dense: usize,
    /// Rows of each table.
    pub tables: Vec<u32>,
    /// Ids of each bag.
    pub bags: BagLength,
    /// How ids are spread.
    pub ids: Ids,
}

impl RandomConfig {
    /// Values outside their range.
    ///
    /// # Errors
    /// The first one.
    pub fn check(&self) -> Result<()> {
        let (BagLength::Fixed(length) | BagLength::UpTo(length)) = self.bags;
        let fault = |what: &str, expected: &str, found: String| Err(Error::input(what, expected, found));
        if self.tables.contains(&0) {
            return fault("tables", "rows in every table", "0".into());
        }
        if self.tables.is_empty() && self.dense == 0 {
            return fault("columns", "a dense column or a table", "none".into());
        }
        if length == 0 {
            return fault("ids per bag", "at least 1", "0".into());
        }
        match self.ids {
            Ids::PowerLaw { exponent } if !(0.0..=10.0).contains(&exponent) => {
                fault("exponent", "0 to 10", exponent.to_string())
            }
            Ids::Gaussian { mean, .. } if !(0.0..=1.0).contains(&mean) => {
                fault("mean", "a share of the table, 0 to 1", mean.to_string())
            }
            Ids::Gaussian { deviation, .. } if !(deviation > 0.0 && deviation <= 100.0) => {
                fault("deviation", "a share of the table above 0", deviation.to_string())
            }
            _ => Ok(()),
        }
    }
}

/// The rows of one configuration.
#[derive(Debug)]
pub struct RandomRows {
    config: RandomConfig,
}

impl RandomRows {
    /// Those of `config`.
    ///
    /// # Errors
    /// As [`RandomConfig::check`].
    pub fn new(config: RandomConfig) -> Result<Self> {
        config.check()?;
        Ok(RandomRows { config })
    }

    fn id(&self, rows: u32, rng: &mut Rng) -> u32 {
        let n = f64::from(rows);
        let place = match self.config.ids {
            Ids::Uniform => n * rng.uniform(),
            // The density of x in 1..n+1 inverted.
            Ids::PowerLaw { exponent } if (exponent - 1.0).abs() < 1e-9 => {
                (n + 1.0).powf(rng.uniform()) - 1.0
            }
            Ids::PowerLaw { exponent } => {
                let e = 1.0 - exponent;
                (1.0 + rng.uniform() * ((n + 1.0).powf(e) - 1.0)).powf(1.0 / e) - 1.0
            }
            Ids::Gaussian { mean, deviation } => loop {
                let place = n * (mean + deviation * rng.normal());
                if (0.0..n).contains(&place) {
                    break place;
                }
            },
        };
        (place as u32).min(rows - 1)
    }
}

impl DataGeneratingProcess for RandomRows {
    fn columns(&self) -> Vec<String> {
        let dense = (1..=self.config.dense).map(|i| format!("dense_{i}"));
        let tables = (1..=self.config.tables.len()).map(|i| format!("ids_{i}"));
        ["label".to_owned()].into_iter().chain(dense).chain(tables).collect()
    }

    fn kind(&self, column: usize) -> FieldKind {
        match column {
            0 => FieldKind::Integer,
            dense if dense <= self.config.dense => FieldKind::Number,
            _ => FieldKind::Text,
        }
    }

    fn schema(&self) -> Schema {
        let columns = self.columns();
        let (numbers, tables) = columns[1..].split_at(self.config.dense);
        let multi = (self.config.bags != BagLength::Fixed(1))
            .then_some(MultiValued { separator: '|', weight_separator: None });
        let table = |(name, &bound): (&String, &u32)| CategoricalColumn {
            encoding: Encoding::Identity { bound },
            multi: multi.clone(),
            ..CategoricalColumn::new(name)
        };
        Schema {
            missing: Vec::new(),
            weight: None,
            group: None,
            time: None,
            date_order: None,
            label: Label::clicks("label"),
            dense: numbers.iter().map(|name| DenseColumn::new(name, Transform::None)).collect(),
            categorical: tables.iter().zip(&self.config.tables).map(table).collect(),
            crosses: Vec::new(),
        }
    }

    fn rows(&self) -> u64 {
        self.config.rows
    }

    fn day(&self, _: u64) -> u64 {
        0
    }

    fn row(&self, r: u64, out: &mut RawRow) -> f64 {
        let rng = &mut Rng::new(self.config.seed, r);
        out.push(if rng.uniform() < 0.5 { "1" } else { "0" });
        for _ in 0..self.config.dense {
            out.push_with(|text| {
                // Writing to a string cannot fail.
                let _ = write!(text, "{}", rng.uniform() as f32);
            });
        }
        for &rows in &self.config.tables {
            let length = match self.config.bags {
                BagLength::Fixed(length) => length,
                BagLength::UpTo(most) => 1 + rng.below(most as usize) as u32,
            };
            out.push_with(|text| {
                for i in 0..length {
                    let bar = if i > 0 { "|" } else { "" };
                    let _ = write!(text, "{bar}{}", self.id(rows, rng));
                }
            });
        }
        0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: Ids, bags: BagLength) -> Vec<Vec<u32>> {
        let config = RandomConfig { rows: 4000, seed: 3, dense: 2, tables: vec![1000, 7], bags, ids };
        let rows = RandomRows::new(config).expect("a configuration");
        let mut row = RawRow::default();
        let of = |r| {
            row.clear();
            rows.row(r, &mut row);
            assert!(row.field(4).split('|').all(|id| id.parse::<u32>().expect("an id") < 7));
            row.field(3).split('|').map(|id| id.parse().expect("an id")).collect()
        };
        (0..4000).map(of).collect()
    }

    #[test]
    fn ids_are_spread_as_they_should_be() {
        let share = |rows: &[Vec<u32>], below: u32| {
            let all: Vec<u32> = rows.iter().flatten().copied().collect();
            all.iter().filter(|&&id| id < below).count() as f64 / all.len() as f64
        };
        let uniform = ids(Ids::Uniform, BagLength::Fixed(3));
        assert!((share(&uniform, 100) - 0.1).abs() < 0.01 && uniform.iter().all(|bag| bag.len() == 3));
        let power = ids(Ids::PowerLaw { exponent: 1.0 }, BagLength::UpTo(4));
        // ln 11 / ln 1001
        assert!((share(&power, 10) - 0.347).abs() < 0.02, "{}", share(&power, 10));
        assert!((1..=4).all(|n| power.iter().filter(|bag| bag.len() == n).count() > 850));
        let normal = ids(Ids::Gaussian { mean: 0.5, deviation: 0.1 }, BagLength::Fixed(1));
        assert!((share(&normal, 400) - 0.159).abs() < 0.03 && (share(&normal, 500) - 0.5).abs() < 0.03);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let good = RandomConfig {
            rows: 1,
            seed: 0,
            dense: 1,
            tables: vec![3],
            bags: BagLength::Fixed(1),
            ids: Ids::Uniform,
        };
        for (config, what) in [
            (RandomConfig { tables: vec![3, 0], ..good.clone() }, "tables"),
            (RandomConfig { tables: vec![], dense: 0, ..good.clone() }, "columns"),
            (RandomConfig { bags: BagLength::UpTo(0), ..good.clone() }, "ids per bag"),
            (RandomConfig { ids: Ids::PowerLaw { exponent: f64::NAN }, ..good.clone() }, "exponent"),
            (RandomConfig { ids: Ids::Gaussian { mean: 2.0, deviation: 1.0 }, ..good.clone() }, "mean"),
            (RandomConfig { ids: Ids::Gaussian { mean: 0.0, deviation: 0.0 }, ..good }, "deviation"),
        ] {
            let error = RandomRows::new(config).map(drop).expect_err(what).to_string();
            assert!(error.starts_with(what), "{error}");
        }
    }
}
