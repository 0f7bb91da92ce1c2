//! A click log with the shape of Criteo's: a label, 13 integers, 26 columns of hexadecimal categories over
//! the published cardinalities, empty fields; clicks drawn from a [teacher](Teacher) whose probabilities are
//! known.
//!
//! Row r depends on (configuration, r) alone. Ids follow a bounded power law; a category's 8 digits are a
//! bijection of its number, so that no two become one.
mod hidden;
mod shape;

use super::process::{DataGeneratingProcess, FieldKind};
use dlrm_data::error::{Error, Result};
use dlrm_data::rng::{Rng, mix};
use dlrm_data::row::RawRow;
use dlrm_data::schema::{CategoricalColumn, DenseColumn, Label, Schema, Transform};
use hidden::Hidden;
use serde::{Deserialize, Serialize};
pub use shape::Shape;
use std::fmt::Write as _;

/// Integer columns.
pub const INTEGERS: usize = 13;
/// Categorical columns.
pub const CATEGORIES: usize = 26;
/// Positions of an advertisement, where clicks depend on it.
const POSITIONS: usize = 10;

/// What clicks depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teacher {
    /// A sum of effects: nothing that logistic regression could not represent.
    Lr,
    /// Effects and dot products of all pairs of vectors (factorization machine).
    Fm,
    /// Effects, and a hidden layer over the dot products of all pairs of vectors, one of them made of the
    /// integers.
    #[default]
    Dlrm,
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CriteoConfig {
    /// Number of rows.
    pub rows: u64,
    /// Seed of the data-generating process and of the rows.
    pub seed: u64,
    /// Cardinalities.
    pub shape: Shape,
    /// What clicks depend on.
    pub teacher: Teacher,
    /// Mean probability of a click before noise, in 0..1.
    pub click_rate: f64,
    /// Equal parts of the rows, within which the data-generating process is constant.
    pub days: u64,
    /// Radians by which effects turn towards others from the first to the last day.
    pub drift: f64,
    /// Share of the values of large columns on the last day whose ids the first day did not have; an id that
    /// has come stays.
    pub new_ids: f64,
    /// Probability that a label is the wrong one.
    pub label_noise: f64,
    /// Exponent η of the chance position^-η that an advertisement is seen at all; above 0, rows have a column
    /// `position`.
    pub position_bias: f64,
}

impl Default for CriteoConfig {
    fn default() -> Self {
        CriteoConfig {
            rows: 1_000_000,
            seed: 1,
            shape: Shape::Kaggle,
            teacher: Teacher::Dlrm,
            click_rate: 0.256,
            days: 7,
            drift: 0.0,
            new_ids: 0.0,
            label_noise: 0.0,
            position_bias: 0.0,
        }
    }
}

impl CriteoConfig {
    /// Values outside their range.
    ///
    /// # Errors
    /// The first one.
    pub fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(Error::input(name, format!("a number from {low} to {high}"), value.to_string())),
        };
        within("click rate", self.click_rate, 0.001, 0.999)?;
        within("drift", self.drift, 0.0, 10.0)?;
        within("new ids", self.new_ids, 0.0, 1.0)?;
        within("label noise", self.label_noise, 0.0, 0.5)?;
        within("position bias", self.position_bias, 0.0, 5.0)?;
        if self.days == 0 || self.days > self.rows.max(1) {
            return Err(Error::input(
                "days",
                format!("from 1 to {} (the rows)", self.rows),
                self.days.to_string(),
            ));
        }
        Ok(())
    }

    /// Day of row `r`, from 0; the first days get the rows that are left over.
    pub fn day_of(&self, r: u64) -> u64 {
        let (size, longer) = (self.rows / self.days, self.rows % self.days);
        let in_longer = longer * (size + 1);
        if r < in_longer { r / (size + 1) } else { longer + (r - in_longer) / size.max(1) }
    }
}

/// What a row shows, as numbers.
#[derive(Debug, Clone, PartialEq)]
struct Features {
    /// Standard normal where the integer is there.
    dense: [Option<f64>; INTEGERS],
    /// Number of the category, where it is there.
    ids: [Option<u32>; CATEGORIES],
    /// From 0.
    position: usize,
    day: u64,
}

/// The data-generating process of one configuration.
#[derive(Debug)]
pub struct CriteoProcess {
    config: CriteoConfig,
    stream: u64,
    fields: [shape::Field; CATEGORIES],
    integers: [shape::Integer; INTEGERS],
    hidden: Hidden,
}

/// Streams of the seed.
const ROWS: u64 = 3;

impl CriteoProcess {
    /// Draws the data-generating process of `config`.
    ///
    /// # Errors
    /// As [`CriteoConfig::check`].
    pub fn new(config: CriteoConfig) -> Result<Self> {
        config.check()?;
        let stream = Rng::new(config.seed, ROWS).next_u64();
        let (fields, integers) = (config.shape.fields(), shape::integers());
        let mut process = CriteoProcess {
            stream,
            fields,
            integers,
            hidden: Hidden::draw(config.seed, config.teacher),
            config,
        };
        let sample: Vec<Features> = (0..hidden::CALIBRATION_ROWS)
            .map(|r| process.draw(&mut Rng::new(mix(process.stream), r), 0))
            .collect();
        process.hidden.calibrate(&sample, process.config.click_rate);
        Ok(process)
    }

    /// The configuration.
    pub fn config(&self) -> &CriteoConfig {
        &self.config
    }

    fn draw(&self, rng: &mut Rng, day: u64) -> Features {
        let age = day as f64 / (self.config.days - 1).max(1) as f64;
        // What a row's integers have in common: a busy user.
        let busy = rng.normal();
        let dense = std::array::from_fn(|k| {
            let (missing, own) = (rng.uniform() < self.integers[k].missing, rng.normal());
            (!missing).then_some(0.5 * busy + 0.75f64.sqrt() * own)
        });
        let ids = std::array::from_fn(|f| {
            let (missing, v, u) = (rng.uniform() < self.fields[f].missing, rng.uniform(), rng.uniform());
            // A new id came on one of the days up to this one.
            let new = self.config.new_ids * age;
            let came = if v < new { 1 + (v / new * day as f64) as u64 } else { 0 };
            (!missing).then(|| self.fields[f].id(u, came))
        });
        let position = if self.config.position_bias > 0.0 { rng.below(POSITIONS) } else { 0 };
        Features { dense, ids, position, day }
    }

    /// Probability of the label 1.
    fn probability(&self, features: &Features) -> f64 {
        let angle = self.config.drift * features.day as f64 / (self.config.days - 1).max(1) as f64;
        let relevant = 1.0 / (1.0 + (-self.hidden.logit(features, angle)).exp());
        let seen = ((features.position + 1) as f64).powf(-self.config.position_bias);
        let click = relevant * seen;
        click * (1.0 - self.config.label_noise) + (1.0 - click) * self.config.label_noise
    }

    fn has_position(&self) -> bool {
        self.config.position_bias > 0.0
    }
}

impl DataGeneratingProcess for CriteoProcess {
    fn columns(&self) -> Vec<String> {
        let integers = (1..=INTEGERS).map(|i| format!("I{i}"));
        let categories = (1..=CATEGORIES).map(|i| format!("C{i}"));
        let position = self.has_position().then(|| "position".to_owned());
        ["label".to_owned()].into_iter().chain(integers).chain(categories).chain(position).collect()
    }

    fn kind(&self, column: usize) -> FieldKind {
        if (1 + INTEGERS..=INTEGERS + CATEGORIES).contains(&column) {
            FieldKind::Text
        } else {
            FieldKind::Integer
        }
    }

    fn schema(&self) -> Schema {
        let columns = self.columns();
        Schema {
            missing: Vec::new(),
            weight: None,
            group: None,
            time: None,
            date_order: None,
            label: Label::clicks("label"),
            dense: columns[1..=INTEGERS]
                .iter()
                .map(|name| DenseColumn::new(name, Transform::Log1p))
                .collect(),
            categorical: columns[1 + INTEGERS..].iter().map(CategoricalColumn::new).collect(),
            crosses: Vec::new(),
        }
    }

    fn rows(&self) -> u64 {
        self.config.rows
    }

    fn day(&self, r: u64) -> u64 {
        self.config.day_of(r)
    }

    fn row(&self, r: u64, out: &mut RawRow) -> f64 {
        let rng = &mut Rng::new(self.stream, r);
        let features = self.draw(rng, self.config.day_of(r));
        let probability = self.probability(&features);
        out.push(if rng.uniform() < probability { "1" } else { "0" });
        for (integer, value) in self.integers.iter().zip(features.dense) {
            out.push_with(|text| {
                if let Some(z) = value {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "{}", integer.value(z));
                }
            });
        }
        for (f, id) in features.ids.into_iter().enumerate() {
            out.push_with(|text| {
                if let Some(id) = id {
                    hexadecimal(text, shape::token(f, id));
                }
            });
        }
        if self.has_position() {
            out.push_with(|text| {
                let _ = write!(text, "{}", features.position + 1);
            });
        }
        probability
    }
}

/// Eight digits; `write!` takes as long as all the rest of a field.
fn hexadecimal(text: &mut String, value: u32) {
    for shift in (0..8).rev() {
        text.push(char::from(b"0123456789abcdef"[(value >> (4 * shift)) as usize & 15]));
    }
}

#[cfg(test)]
mod tests;
