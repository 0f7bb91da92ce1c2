//! A categorical column in each part: how many values, how often the frequent ones come, which ones training
//! does not have.
//!
//! The most frequent values of a sample of rows are counted exactly; of the others all are, up to [`MOST`],
//! and beyond it a uniform sample of them, each with all its rows.
use super::drift::{Cells, Unseen};
use super::sketch::Thinned;
use dlrm_data::error::quoted;
use dlrm_data::split::{Part, Parts};
use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Values that are kept: what a hash map of 2^17 places can take before it grows.
pub(super) const MOST: usize = 114_000;
/// Frequent values that are always counted.
const HEADS: usize = 100;

/// Counts of one column.
pub(super) struct Values {
    seen: Thinned<Parts<u32>>,
    heads: Vec<(u64, String)>,
    /// Values and rows in each part, and rows without a value.
    values: Parts<u64>,
    rows: Parts<u64>,
    missing: Parts<u64>,
}

/// How the values of the training rows are distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub distinct: f64,
    /// Shares of the values that are the one, the ten, the hundred most frequent.
    pub top: [f64; 3],
    /// Share of the distinct values that occur once.
    pub singletons: f64,
    /// Share of all values that occur once.
    pub singleton_rows: f64,
}

impl Values {
    /// For a column that holds these values so often in a sample of rows; at most `most` values more are
    /// kept.
    pub(super) fn new(sample: &HashMap<String, u64>, most: usize) -> Self {
        let mut counts: Vec<(u64, &str)> =
            sample.iter().map(|(value, &count)| (count, value.as_str())).collect();
        counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let heads: Vec<(u64, String)> = counts
            .into_iter()
            .take(HEADS)
            .map(|(_, value)| (xxh3_64(value.as_bytes()), quoted(value)))
            .collect();
        let pinned = heads.iter().map(|(hash, _)| *hash).collect();
        let none = Parts::default();
        Values { seen: Thinned::new(most, pinned), heads, values: none, rows: none, missing: none }
    }

    /// Adds a value of a row.
    pub(super) fn add(&mut self, hash: u64, part: Part) {
        self.values[part] += 1;
        if let Some(counts) = self.seen.entry(hash) {
            counts[part] = counts[part].saturating_add(1);
        }
    }

    /// Ends a row of so many values.
    pub(super) fn end_row(&mut self, values: usize, part: Part) {
        self.rows[part] += 1;
        self.missing[part] += u64::from(values == 0);
    }

    /// Values in all parts, a missing field counting as one.
    pub(super) fn ids(&self) -> u64 {
        self.values.values().chain(self.missing.values()).sum()
    }

    /// Values per training row, a missing field counting as one.
    pub(super) fn ids_per_row(&self) -> f64 {
        let train = Part::Train;
        (self.values[train] + self.missing[train]) as f64 / self.rows[train].max(1) as f64
    }

    /// Number of training values with at least `min_count` occurrences.
    pub(super) fn frequent(&self, min_count: u64) -> f64 {
        let train =
            self.seen.weighted().filter(|(counts, _)| u64::from(counts[Part::Train]) >= min_count.max(1));
        train.map(|(_, weight)| weight).sum()
    }

    /// Whether every value was looked at.
    #[cfg(test)]
    pub(super) fn is_exact(&self) -> bool {
        self.seen.is_complete()
    }

    /// Relative standard error of [`Values::frequent`], where not all values were looked at.
    pub(super) fn error(&self, min_count: u64) -> f64 {
        let train =
            self.seen.weighted().filter(|(counts, _)| u64::from(counts[Part::Train]) >= min_count.max(1));
        let variance: f64 = train.map(|(_, weight)| weight * (weight - 1.0)).sum();
        variance.sqrt() / self.frequent(min_count).max(1.0)
    }

    /// Number of values kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(super) fn spread(&self) -> Spread {
        let train = Part::Train;
        let mut counts: Vec<u32> =
            self.seen.values().map(|counts| counts[train]).filter(|&count| count > 0).collect();
        counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
        let total = self.values[train].max(1) as f64;
        let once: f64 =
            self.seen.weighted().filter(|(counts, _)| counts[train] == 1).map(|(_, weight)| weight).sum();
        let distinct = self.frequent(1);
        Spread {
            distinct,
            top: [1, 10, 100]
                .map(|k| counts.iter().take(k).map(|&count| u64::from(count)).sum::<u64>() as f64 / total),
            singletons: once / distinct.max(1.0),
            singleton_rows: (once / total).min(1.0),
        }
    }

    /// The frequent values with their counts, the missing fields and the rest.
    pub(super) fn cells(&self) -> Cells {
        let mut rest = self.values;
        let mut cells = Vec::with_capacity(self.heads.len() + 2);
        for (hash, text) in &self.heads {
            let counts = self.seen.get(*hash).map_or(Parts::default(), |counts| counts.map(u64::from));
            rest = Parts::from_fn(|part| rest[part] - counts[part]);
            cells.push((text.clone(), counts));
        }
        cells.push(("missing".to_owned(), self.missing));
        cells.push(("the rarer values together".to_owned(), rest));
        Cells { cells, rows: self.rows }
    }

    /// Values of `part` that training does not have.
    pub(super) fn unseen(&self, part: Part) -> Option<Unseen> {
        let (n, m) = (self.values[Part::Train] as f64, self.values[part] as f64);
        if n == 0.0 || m == 0.0 {
            return None;
        }
        let (mut unseen, mut once, mut variance) = (0.0, 0.0, 0.0);
        let rare = 10.0 * (1.0 + m / n);
        for (counts, weight) in self.seen.weighted() {
            match counts[Part::Train] {
                0 => {
                    let rows = f64::from(counts[part]);
                    unseen += weight * rows;
                    // Rows of one value come together; were the parts alike, a value that training lacks
                    // would be rare here too.
                    variance += (weight * rows.min(rare) / m).powi(2);
                }
                1 => {
                    once += weight;
                    variance += (weight / n).powi(2);
                }
                _ => {}
            }
        }
        Some(Unseen { share: (unseen / m).min(1.0), expected: (once / n).min(1.0), error: variance.sqrt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::Rng;

    fn counted<'t>(values: impl Iterator<Item = &'t str>) -> HashMap<String, u64> {
        let mut counts = HashMap::new();
        values.for_each(|value| *counts.entry(value.to_owned()).or_default() += 1);
        counts
    }

    fn hash(i: usize) -> u64 {
        xxh3_64(format!("v{i}").as_bytes())
    }

    /// `train` and `test` rows whose values `draw` gives.
    fn values(most: usize, rows: [usize; 2], draw: impl Fn(&mut Rng, Part) -> usize) -> Values {
        let mut rng = Rng::new(5, 1);
        let sample: Vec<String> = (0..5000).map(|_| format!("v{}", draw(&mut rng, Part::Train))).collect();
        let mut values = Values::new(&counted(sample.iter().map(String::as_str)), most);
        for (part, n) in [(Part::Train, rows[0]), (Part::Test, rows[1])] {
            for _ in 0..n {
                values.add(hash(draw(&mut rng, part)), part);
                values.end_row(1, part);
            }
        }
        values
    }

    /// Small numbers often, large ones seldom.
    fn skewed(rng: &mut Rng, n: usize) -> usize {
        (rng.uniform().powi(3) * n as f64) as usize
    }

    #[test]
    fn counts_of_a_known_column() {
        let mut values = Values::new(&counted(["a", "a", "b"].into_iter()), 100);
        let add = |values: &mut Values, text: &str, n: usize, part| {
            (0..n).for_each(|_| {
                values.add(xxh3_64(text.as_bytes()), part);
                values.end_row(1, part);
            });
        };
        add(&mut values, "a", 6, Part::Train);
        add(&mut values, "b", 3, Part::Train);
        add(&mut values, "c", 1, Part::Train);
        add(&mut values, "d", 5, Part::Test);
        values.end_row(0, Part::Train);
        let spread = values.spread();
        assert_eq!((spread.distinct, values.is_exact(), spread.top), (3.0, true, [0.6, 1.0, 1.0]));
        assert_eq!((spread.singletons, spread.singleton_rows), (1.0 / 3.0, 0.1));
        assert_eq!((values.frequent(2), values.frequent(4), values.ids()), (2.0, 1.0, 16));
        let unseen = values.unseen(Part::Test).unwrap();
        assert_eq!((unseen.share, unseen.expected), (1.0, 0.1));
        assert!(values.unseen(Part::Validation).is_none());
    }

    #[test]
    fn a_sample_of_the_values_says_the_same_as_all_of_them() {
        let draw = |rng: &mut Rng, part: Part| {
            skewed(rng, 60_000) + if part == Part::Test && rng.below(10) == 0 { 100_000 } else { 0 }
        };
        let [all, sampled] = [usize::MAX, 2000].map(|most| values(most, [100_000, 20_000], draw));
        assert!(all.is_exact() && !sampled.is_exact() && sampled.len() <= 2000 + HEADS);
        let (a, b) = (all.spread(), sampled.spread());
        assert!((b.distinct / a.distinct - 1.0).abs() < 0.1, "{a:?} {b:?}");
        assert!(
            (b.top[1] - a.top[1]).abs() < 0.01 && (b.singletons - a.singletons).abs() < 0.05,
            "{a:?} {b:?}"
        );
        for min_count in [1, 2, 20] {
            let (frequent, error) =
                (sampled.frequent(min_count) / all.frequent(min_count) - 1.0, sampled.error(min_count));
            assert!(
                frequent.abs() < 4.0 * error && error > 0.0 && all.error(min_count) == 0.0,
                "{min_count}: {frequent} ± {error}"
            );
        }
        let [a, b] = [&all, &sampled].map(|values| values.unseen(Part::Test).unwrap());
        assert!((a.share - b.share).abs() < 0.03 && a.share - a.expected > 0.05, "{a:?} {b:?}");
    }

    #[test]
    fn rare_values_are_unseen_without_drift() {
        let alike = values(MOST, [50_000, 10_000], |rng, _| skewed(rng, 100_000)).unseen(Part::Test).unwrap();
        assert!(alike.share > 0.1 && (alike.share - alike.expected).abs() < 4.0 * alike.error, "{alike:?}");
    }

    #[test]
    fn planted_drift_names_the_value() {
        let moved = values(MOST, [50_000, 10_000], |rng, part| {
            if part == Part::Test && rng.below(3) == 0 { 7 } else { rng.below(50) }
        });
        let drift = moved.cells().compare("x", Part::Test, moved.unseen(Part::Test)).unwrap();
        assert!(drift.matters() && drift.most.unwrap().cell == "\"v7\"");
        let same = values(MOST, [50_000, 10_000], |rng, _| rng.below(50));
        assert!(!same.cells().compare("x", Part::Test, None).unwrap().matters());
    }
}
