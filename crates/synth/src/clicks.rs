//! A click log drawn from a known data-generating process: power-law ids, skewed and missing numbers, a
//! multi-valued field and true interactions. Row r depends on (configuration, r) alone, so any range of rows
//! can be made by itself.
use super::click_config::ClickConfig;
use super::process::{DataGeneratingProcess, FieldKind};
use super::truth::{Features, Truth};
use dlrm_data::error::Result;
use dlrm_data::row::{RawRow, RowSource};
use dlrm_data::schema::{CategoricalColumn, DenseColumn, Label, MultiValued, Pooling, Schema, Transform};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

/// Columns of every row.
pub const COLUMNS: [&str; 10] =
    ["click", "hour", "price", "age", "user_id", "item_id", "category", "device", "country", "interests"];

/// The data-generating process of one configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClickSimulator {
    config: ClickConfig,
    truth: Arc<Truth>,
}

impl ClickSimulator {
    /// Draws the data-generating process of `config`.
    pub fn new(config: ClickConfig) -> Self {
        ClickSimulator { truth: Arc::new(Truth::new(&config)), config }
    }

    /// The configuration.
    pub fn config(&self) -> &ClickConfig {
        &self.config
    }

    /// Rows `range` of the log (cut at its end).
    pub fn rows(&self, range: Range<u64>) -> ClickRows {
        let end = range.end.min(self.config.rows);
        ClickRows {
            truth: Arc::clone(&self.truth),
            next: range.start,
            end,
            columns: COLUMNS.map(str::to_owned),
            file: "simulated".into(),
        }
    }

    /// The probability that the label of row `r` was drawn with: the best possible prediction for it.
    pub fn probability(&self, r: u64) -> f64 {
        self.truth.row(r).1
    }

    /// The schema of the columns.
    pub fn schema() -> Schema {
        let dense = |name: &str, transform, missing_indicator| DenseColumn {
            missing_indicator,
            ..DenseColumn::new(name, transform)
        };
        let interests = CategoricalColumn {
            multi: Some(MultiValued { separator: '|', weight_separator: None }),
            pooling: Some(Pooling::Mean),
            ..CategoricalColumn::new("interests")
        };
        let mut columns: Vec<CategoricalColumn> =
            ["user_id", "item_id", "category", "device", "country"].map(CategoricalColumn::new).into();
        columns.push(interests);
        Schema {
            missing: Vec::new(),
            weight: None,
            group: None,
            time: None,
            date_order: None,
            label: Label::clicks("click"),
            dense: vec![
                dense("hour", Transform::Standardize, false),
                dense("price", Transform::Log1p, true),
                dense("age", Transform::Standardize, true),
            ],
            categorical: columns,
            crosses: Vec::new(),
        }
    }

    /// Writes rows `range` as CSV with a header; returns the number of rows written.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_csv(&self, range: Range<u64>, out: &mut dyn Write) -> std::io::Result<u64> {
        writeln!(out, "{}", COLUMNS.join(","))?;
        let mut line = String::new();
        let mut row = RawRow::default();
        let mut rows = self.rows(range);
        let mut written = 0;
        while rows.refill(&mut row) {
            line.clear();
            for (i, field) in row.fields().enumerate() {
                if i > 0 {
                    line.push(',');
                }
                line.push_str(field);
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
            written += 1;
        }
        Ok(written)
    }
}

impl DataGeneratingProcess for ClickSimulator {
    fn columns(&self) -> Vec<String> {
        COLUMNS.map(str::to_owned).into()
    }

    fn kind(&self, column: usize) -> FieldKind {
        match COLUMNS[column] {
            "click" | "hour" | "age" => FieldKind::Integer,
            "price" => FieldKind::Number,
            _ => FieldKind::Text,
        }
    }

    fn schema(&self) -> Schema {
        Self::schema()
    }

    fn rows(&self) -> u64 {
        self.config.rows
    }

    fn day(&self, _: u64) -> u64 {
        0
    }

    fn row(&self, r: u64, out: &mut RawRow) -> f64 {
        let (features, probability, click) = self.truth.row(r);
        write_fields(&features, click, out);
        probability
    }
}

/// A range of simulated rows.
#[derive(Debug, Clone)]
pub struct ClickRows {
    truth: Arc<Truth>,
    next: u64,
    end: u64,
    columns: [String; COLUMNS.len()],
    file: Arc<str>,
}

impl ClickRows {
    /// Refills `row`; `false` at the end.
    fn refill(&mut self, row: &mut RawRow) -> bool {
        if self.next >= self.end {
            return false;
        }
        let (features, _, click) = self.truth.row(self.next);
        self.next += 1;
        row.clear();
        row.line = self.next;
        row.file = Arc::clone(&self.file);
        write_fields(&features, click, row);
        true
    }
}

impl RowSource for ClickRows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        Ok(self.refill(row))
    }
}

/// The fields in the order of [`COLUMNS`].
fn write_fields(f: &Features, click: bool, row: &mut RawRow) {
    /// Appends formatted text; writing to a string cannot fail.
    fn put(row: &mut RawRow, text: std::fmt::Arguments<'_>) {
        row.push_with(|out| out.write_fmt(text).unwrap_or_default());
    }
    row.push(if click { "1" } else { "0" });
    put(row, format_args!("{}", f.hour));
    match f.price {
        Some(price) => put(row, format_args!("{price:.2}")),
        None => row.push(""),
    }
    match f.age {
        Some(age) => put(row, format_args!("{age}")),
        None => row.push(""),
    }
    put(row, format_args!("u{}", f.user));
    put(row, format_args!("i{}", f.item));
    put(row, format_args!("cat{}", f.category));
    put(row, format_args!("d{}", f.device));
    put(row, format_args!("k{}", f.country));
    row.push_with(|out| {
        for (i, interest) in f.interests.iter().enumerate() {
            let bar = if i > 0 { "|" } else { "" };
            write!(out, "{bar}t{interest}").unwrap_or_default();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bayes;
    use std::collections::HashMap;

    fn simulator(seed: u64) -> ClickSimulator {
        ClickSimulator::new(ClickConfig { rows: 100_000, seed, ..ClickConfig::default() })
    }

    fn csv(simulator: &ClickSimulator, range: Range<u64>) -> String {
        let mut bytes = Vec::new();
        simulator.write_csv(range, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn same_seed_same_bytes_and_ranges_stand_alone() {
        let (one, again, other) = (simulator(5), simulator(5), simulator(6));
        let whole = csv(&one, 0..300);
        assert_eq!(whole, csv(&again, 0..300));
        assert_ne!(whole, csv(&other, 0..300));
        let parts: String = [0..100, 100..101, 101..300]
            .map(|range| csv(&again, range).split_once('\n').unwrap().1.to_owned())
            .concat();
        assert_eq!(whole.split_once('\n').unwrap().1, parts);
        assert_eq!(csv(&one, 99_999..200_000).lines().count(), 2);
        // A longer log begins with the same rows.
        let longer = ClickSimulator::new(ClickConfig { rows: 200_000, seed: 5, ..ClickConfig::default() });
        assert_eq!(whole, csv(&longer, 0..300));
    }

    #[test]
    fn the_optimum_is_where_it_is_wanted() {
        for seed in 1..4 {
            let simulator = simulator(seed);
            let p: Vec<f64> = (0..50_000).map(|r| simulator.probability(r)).collect();
            let bayes = Bayes::of(&p);
            assert!((bayes.click_rate - 0.25).abs() < 0.01, "{bayes:?}");
            assert!((0.36..0.42).contains(&bayes.log_loss) && (0.83..0.88).contains(&bayes.auc), "{bayes:?}");
            assert!((0.54..0.58).contains(&bayes.label_entropy), "{bayes:?}");
        }
    }

    #[test]
    fn labels_are_drawn_with_their_probabilities() {
        let simulator = simulator(1);
        let (mut deciles, mut row) = ([(0u64, 0.0, 0.0, 0.0); 10], RawRow::default());
        let mut rows = simulator.rows(0..100_000);
        for r in 0..100_000 {
            assert!(rows.next_row(&mut row).unwrap());
            let p = simulator.probability(r);
            let decile = &mut deciles[((p * 10.0) as usize).min(9)];
            decile.0 += 1;
            decile.1 += p;
            decile.2 += p * (1.0 - p);
            decile.3 += f64::from(u8::from(row.field(0) == "1"));
        }
        assert!(!rows.next_row(&mut row).unwrap());
        for (n, expected, variance, clicks) in deciles {
            assert!(n > 500, "{n} rows in a decile");
            assert!(
                (clicks - expected).abs() < 4.0 * variance.sqrt(),
                "{clicks} clicks, {expected} expected"
            );
        }
    }

    #[test]
    fn columns_are_as_the_schema_says() {
        let schema = ClickSimulator::schema();
        schema.check("simulated").unwrap();
        assert!(schema.columns().all(|name| COLUMNS.contains(&name)));
        let (mut users, mut missing_age, mut interests) = (HashMap::<String, u32>::new(), 0, [0; 6]);
        let mut rows = simulator(2).rows(0..20_000);
        let mut row = RawRow::default();
        while rows.next_row(&mut row).unwrap() {
            assert_eq!(row.len(), COLUMNS.len());
            *users.entry(row.field(4).to_owned()).or_default() += 1;
            missing_age += u32::from(row.field(3).is_empty());
            let field = row.field(9);
            interests[if field.is_empty() { 0 } else { field.split('|').count() }] += 1;
        }
        let mut counts: Vec<u32> = users.into_values().collect();
        counts.sort_unstable_by_key(|&c| std::cmp::Reverse(c));
        let head: u32 = counts.iter().take(30).sum();
        assert!(
            (0.45..0.6).contains(&(f64::from(head) / 20_000.0)),
            "a tenth of the users has about half of the rows: {head}"
        );
        assert!((280..=300).contains(&counts.len()) && counts[0] > 10 * counts[counts.len() / 2]);
        assert!((0.1..0.14).contains(&(f64::from(missing_age) / 20_000.0)));
        assert!(interests.iter().all(|&n| n > 300), "{interests:?}");
    }

    #[test]
    fn odd_configurations_are_simulated_too() {
        for config in [
            ClickConfig { users: 0, items: 1, ..ClickConfig::default() },
            ClickConfig { click_rate: 2.0, interaction_strength: f64::NAN, ..ClickConfig::default() },
            ClickConfig { rows: 0, ..ClickConfig::default() },
        ] {
            let (simulator, rows) = (ClickSimulator::new(config.clone()), config.rows);
            assert_eq!(csv(&simulator, 0..5).lines().count() as u64, 1 + rows.min(5));
        }
    }
}
