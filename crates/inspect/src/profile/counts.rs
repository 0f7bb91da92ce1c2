//! How many distinct values a column has, and how often the frequent ones come, in bounded memory.
//!
//! Values enter as 64-bit hashes. Up to [`EXACT_COUNTS`] distinct values (fewer where many columns share the
//! memory) everything is exact. Beyond, the distinct count stays exact to [`EXACT_DISTINCT`] values and is
//! then a HyperLogLog estimate, frequent values come from Misra-Gries, and the share of values that occur
//! once from a uniform sample of the distinct values.
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Distinct values up to which every count is kept.
pub(super) const EXACT_COUNTS: usize = 100_000;
/// Distinct values up to which the number of them is exact.
pub(crate) const EXACT_DISTINCT: usize = 1_000_000;
/// Counters of Misra-Gries: a count is too low by at most 1 / (this + 1) of all rows.
const HEAVY: usize = 1024;

/// Of keys that are hashes of values: mixes them with numbers drawn for each map, so that whoever chooses the
/// values cannot choose their places in it.
#[derive(Debug, Clone)]
pub(crate) struct Keyed([u64; 2]);

impl Default for Keyed {
    fn default() -> Self {
        let random = RandomState::new();
        Keyed([random.hash_one(0), random.hash_one(1) | 1])
    }
}

impl BuildHasher for Keyed {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed { own: self.0, mixed: 0 }
    }
}

/// A key that is a hash already, mixed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mixed {
    own: [u64; 2],
    mixed: u64,
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.mixed
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, key: u64) {
        let product = u128::from(self.mixed ^ key ^ self.own[0]) * u128::from(self.own[1]);
        self.mixed = product as u64 ^ (product >> 64) as u64;
    }
}

/// A map from hashes of values.
pub(crate) type HashOf<V> = HashMap<u64, V, Keyed>;
type Hashes = HashSet<u64, Keyed>;

/// Whether a count was counted or estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Counted.
    Exact,
    /// Estimated, within about 2 %.
    Estimate,
}

/// Number of distinct hashes (HyperLogLog, Flajolet et al. 2007, without bias tables: these matter only
/// below 5 · 2^P values, and it is asked for more than a million only).
#[derive(Debug, Clone)]
struct HyperLogLog(Vec<u8>);

/// 2^P registers: a standard error of 1.04 / 2^(P/2) = 0.8 %.
const P: u32 = 14;

impl HyperLogLog {
    fn new(hashes: impl Iterator<Item = u64>) -> Self {
        let mut new = HyperLogLog(vec![0; 1 << P]);
        hashes.for_each(|h| new.add(h));
        new
    }

    fn add(&mut self, hash: u64) {
        let register = &mut self.0[(hash >> (64 - P)) as usize];
        // The marker bit bounds the rank where all remaining bits are 0.
        let rank = ((hash << P) | (1 << (P - 1))).leading_zeros() as u8 + 1;
        *register = (*register).max(rank);
    }

    fn estimate(&self) -> f64 {
        let m = self.0.len() as f64;
        let alpha = 0.7213 / (1.0 + 1.079 / m);
        let raw = alpha * m * m / self.0.iter().map(|&r| (-f64::from(r)).exp2()).sum::<f64>();
        let empty = self.0.iter().filter(|&&r| r == 0).count() as f64;
        if raw <= 2.5 * m && empty > 0.0 { m * (m / empty).ln() } else { raw }
    }
}

/// Number of distinct hashes: a set while it is small enough.
#[derive(Debug, Clone)]
enum Distinct {
    Exact(Hashes),
    /// Of more values than the second number.
    Estimate(HyperLogLog, usize),
}

impl Distinct {
    fn add(&mut self, hash: u64) {
        match self {
            Distinct::Estimate(estimate, _) => estimate.add(hash),
            Distinct::Exact(set) => {
                set.insert(hash);
                if set.len() > EXACT_DISTINCT {
                    self.estimate();
                }
            }
        }
    }

    /// Gives up counting.
    fn estimate(&mut self) {
        if let Distinct::Exact(set) = self {
            *self = Distinct::Estimate(HyperLogLog::new(set.iter().copied()), set.len().min(EXACT_DISTINCT));
        }
    }
}

/// Counts of frequent hashes (Misra and Gries 1982): each too low by `lost` at most.
#[derive(Debug, Clone)]
struct Heavy {
    counts: HashOf<u64>,
    lost: u64,
}

impl Heavy {
    /// The largest of `all` counts.
    fn new(all: &HashOf<u64>) -> Self {
        let mut sorted: Vec<(u64, u64)> = all.iter().map(|(&h, &c)| (c, h)).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let lost = sorted.get(HEAVY).map_or(0, |&(c, _)| c);
        let counts =
            sorted.into_iter().take(HEAVY).filter(|&(c, _)| c > lost).map(|(c, h)| (h, c - lost)).collect();
        Heavy { counts, lost }
    }

    fn add(&mut self, hash: u64) {
        if let Some(count) = self.counts.get_mut(&hash) {
            *count += 1;
        } else if self.counts.len() < HEAVY {
            self.counts.insert(hash, 1);
        } else {
            self.lost += 1;
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }
}

/// Exact counts of a uniform sample of the distinct hashes: those below 2^(64 - level).
#[derive(Debug, Clone)]
struct Sample {
    counts: HashOf<u64>,
    level: u32,
    most: usize,
}

impl Sample {
    fn add(&mut self, hash: u64) {
        let level = self.level;
        let chosen = |hash: u64, level: u32| level == 0 || hash.leading_zeros() >= level;
        if !chosen(hash, level) {
            return;
        }
        *self.counts.entry(hash).or_insert(0) += 1;
        if self.counts.len() > self.most {
            self.level += 1;
            self.counts.retain(|&hash, _| chosen(hash, level + 1));
        }
    }
}

/// Counts of the values of one column.
#[derive(Debug, Clone)]
pub(super) struct ValueCounter {
    total: u64,
    /// Distinct values up to which all counts are kept.
    most: usize,
    /// All counts, while there are few; else empty and `many` is there.
    counts: HashOf<u64>,
    many: Option<Box<Many>>,
}

#[derive(Debug, Clone)]
struct Many {
    distinct: Distinct,
    heavy: Heavy,
    sample: Sample,
}

impl Default for ValueCounter {
    fn default() -> Self {
        ValueCounter::within(EXACT_COUNTS)
    }
}

impl ValueCounter {
    /// Keeping all counts up to `most` distinct values.
    pub(super) fn within(most: usize) -> Self {
        ValueCounter { total: 0, most, counts: HashOf::default(), many: None }
    }

    /// Counts one value.
    pub(super) fn add(&mut self, hash: u64) {
        self.total += 1;
        match &mut self.many {
            Some(many) => {
                many.distinct.add(hash);
                many.heavy.add(hash);
                many.sample.add(hash);
            }
            None => {
                *self.counts.entry(hash).or_insert(0) += 1;
                if self.counts.len() > self.most {
                    self.many = Some(Box::new(Many::new(std::mem::take(&mut self.counts), self.most)));
                }
            }
        }
    }

    /// Hashes that are kept to count distinct values, where there are many.
    pub(super) fn kept(&self) -> usize {
        match self.many.as_deref().map(|many| &many.distinct) {
            Some(Distinct::Exact(set)) => set.len(),
            _ => 0,
        }
    }

    /// Drops them: distinct values are estimated from now on.
    pub(super) fn estimate(&mut self) {
        if let Some(many) = &mut self.many {
            many.distinct.estimate();
        }
    }

    /// Number of values counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Number of distinct values.
    pub(super) fn distinct(&self) -> (u64, Precision) {
        match self.many.as_deref().map(|many| &many.distinct) {
            None => (self.counts.len() as u64, Precision::Exact),
            Some(Distinct::Exact(set)) => (set.len() as u64, Precision::Exact),
            // So many were seen, whatever the estimate says; and no more than all.
            Some(Distinct::Estimate(estimate, least)) => {
                ((estimate.estimate() as u64).clamp(*least as u64, self.total), Precision::Estimate)
            }
        }
    }

    /// Shares of the rows that hold the most frequent value, one of the ten, and one of the hundred most
    /// frequent.
    pub(super) fn head_shares(&self) -> [f64; 3] {
        let counts = self.many.as_deref().map_or(&self.counts, |many| &many.heavy.counts);
        let mut top: Vec<u64> = counts.values().copied().collect();
        top.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
        let share = |k: usize| top.iter().take(k).sum::<u64>() as f64 / self.total.max(1) as f64;
        [1, 10, 100].map(share)
    }

    /// Share of the distinct values that occur once.
    pub(super) fn singleton_share(&self) -> f64 {
        let counts = self.many.as_deref().map_or(&self.counts, |many| &many.sample.counts);
        counts.values().filter(|&&count| count == 1).count() as f64 / counts.len().max(1) as f64
    }
}

impl Many {
    fn new(counts: HashOf<u64>, most: usize) -> Self {
        let distinct = Distinct::Exact(counts.keys().copied().collect());
        let heavy = Heavy::new(&counts);
        Many { distinct, heavy, sample: Sample { counts, level: 0, most } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn hash(i: u64) -> u64 {
        xxh3_64(&i.to_le_bytes())
    }

    #[test]
    fn places_in_a_map_are_not_chosen_by_values() {
        let places = |own: Keyed, bit: u32| -> HashSet<u64> {
            (0..1000u64).map(|i| own.hash_one(i << bit) % (1 << 20)).collect()
        };
        for bit in [0, 20, 40, 54] {
            let own = Keyed::default();
            assert!(places(own.clone(), bit).len() > 900, "keys that differ from bit {bit} on meet");
            assert_ne!(places(own, bit), places(Keyed::default(), bit), "two maps agree");
        }
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let mut counts = ValueCounter::default();
        (0..1000u64).for_each(|i| counts.add(hash(i * i % 100)));
        assert_eq!(counts.distinct(), (22, Precision::Exact));
        // Squares modulo 100 end in 00 and 25 for ten of a hundred numbers each.
        assert_eq!(counts.head_shares(), [0.1, 0.52, 1.0]);
        assert_eq!(counts.singleton_share(), 0.0);
    }

    #[test]
    fn a_million_distinct_values_are_exact_and_more_are_estimated_within_two_percent() {
        let mut counts = ValueCounter::default();
        for i in 0..1_500_000u64 {
            counts.add(hash(i));
            // One value in a fifth of the rows, and each value below 300,000 a second time.
            if i % 2 == 0 {
                counts.add(hash(7));
            }
            if i < 300_000 {
                counts.add(hash(i));
            }
            if i == 999_999 {
                assert_eq!(counts.distinct(), (1_000_000, Precision::Exact));
            }
        }
        let (distinct, precision) = counts.distinct();
        assert_eq!(precision, Precision::Estimate);
        assert!((distinct as f64 / 1.5e6 - 1.0).abs() < 0.02, "{distinct}");
        let [top, ten, hundred] = counts.head_shares();
        let exact = 750_002.0 / 2_550_000.0;
        assert!((top - exact).abs() < 0.002 && ten >= top && hundred >= ten, "{top} {exact}");
        assert!((counts.singleton_share() - 0.8).abs() < 0.01, "{}", counts.singleton_share());
    }

    #[test]
    fn fewer_counts_are_kept_where_there_is_less_room() {
        let mut counts = ValueCounter::within(300);
        for i in 0..100_000u64 {
            counts.add(hash(i % 5_000));
            counts.add(hash(7));
        }
        let many = counts.many.as_deref().expect("many values");
        assert!(counts.counts.is_empty() && many.sample.counts.len() <= 300);
        assert_eq!(counts.distinct(), (5_000, Precision::Exact));
        assert!((counts.head_shares()[0] - 0.5).abs() < 0.01 && counts.singleton_share() == 0.0);
    }

    #[test]
    fn hyper_log_log_at_other_sizes() {
        for n in [1000u64, 30_000, 5_000_000] {
            let estimate = HyperLogLog::new((0..n).map(hash)).estimate();
            assert!((estimate / n as f64 - 1.0).abs() < 0.03, "{n}: {estimate}");
        }
    }
}
