//! Rows that repeat others, within the data and across its parts, and whether their labels agree.
//!
//! A row is known by a 64-bit hash of its fields, the label and identifiers left out. Up to [`MOST`] distinct
//! rows are all looked at; beyond, a uniform sample of the distinct rows is, each with all its repetitions.
//!
//! Rows of few columns with few values are often equal without being copies. Were columns independent, two
//! rows would agree with the product of the probabilities that they agree in each; what that explains, with
//! some allowance, is not worth a word.
use super::finding::{Finding, FindingKind, Severity};
use super::sketch::Thinned;
use dlrm_data::format::{count, percent};
use dlrm_data::rng::mix;
use dlrm_data::split::{Part, Parts};
use serde::{Deserialize, Serialize};

/// Distinct rows that are kept: what a hash map of two million places can take before it grows.
pub(super) const MOST: usize = 1_800_000;
/// Shares below this are not worth a line.
const LEAST: f64 = 0.001;
/// Rows below which nothing is said.
const FEWEST: u64 = 100;
/// Columns are not independent, so shares up to this many times those by chance are no wonder.
const ALLOWANCE: f64 = 3.0;
/// Shared rows from this share on are worth a warning.
const WORTH_A_WARNING: f64 = 0.01;
/// Share of contradicting labels from which on equal rows look like separate events rather than copies.
const SEPARATE: f64 = 0.05;

/// All rows of one content.
#[derive(Debug, Clone, Copy, Default)]
struct Same {
    /// In each part.
    rows: Parts<u32>,
    /// The label of all; NaN if they differ.
    label: f32,
}

impl Same {
    fn total(&self) -> u64 {
        self.rows.values().map(|&n| u64::from(n)).sum()
    }
}

/// Rows that repeat others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Share of the distinct rows that was looked at; 1 where all were.
    pub looked_at: f64,
    /// Rows that were looked at.
    pub rows: u64,
    /// Of these, rows that repeat another one.
    pub repeated: u64,
    /// Their share.
    pub share: f64,
    /// Rows that are equal, but for the label, to a row with another label.
    pub contradicting: u64,
    /// Their share of all rows that have an equal one.
    pub contradicting_share: f64,
    /// Rows of (validation, test) that training has too, as a share of those looked at; `None` without such
    /// rows.
    pub shared_with_train: [Option<f64>; 2],
    /// The share that would be shared by chance if columns were independent.
    pub shared_by_chance: f64,
    /// The share of rows that would repeat another one by chance.
    pub by_chance: f64,
    /// Of these shared rows, the share with contradicting labels.
    pub shared_contradicting: [Option<f64>; 2],
}

/// The hashes of rows.
pub(super) struct RowHashes {
    seen: Thinned<Same>,
}

impl RowHashes {
    pub(super) fn new(most: usize) -> Self {
        RowHashes { seen: Thinned::new(most, Vec::new()) }
    }

    /// Adds a row by its hash.
    pub(super) fn add(&mut self, hash: u64, part: Part, label: f32) {
        let Some(same) = self.seen.entry(hash) else { return };
        if same.total() == 0 {
            same.label = label;
        } else if same.label != label {
            same.label = f32::NAN;
        }
        same.rows[part] = same.rows[part].saturating_add(1);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.seen.len()
    }

    /// What was found; two rows agree by chance with probability `agree`.
    pub(super) fn finish(&self, agree: f64) -> Duplicates {
        let (mut rows, mut train, mut repeated, mut equal, mut contradicting) = (0, 0, 0, 0, 0);
        let (mut of_part, mut shared, mut shared_contradicting) = ([0u64; 2], [0u64; 2], [0u64; 2]);
        for same in self.seen.values() {
            let total = same.total();
            rows += total;
            train += u64::from(same.rows[Part::Train]);
            repeated += total - 1;
            equal += if total > 1 { total } else { 0 };
            contradicting += if same.label.is_nan() { total } else { 0 };
            for (p, part) in [Part::Validation, Part::Test].into_iter().enumerate() {
                let n = u64::from(same.rows[part]);
                of_part[p] += n;
                if same.rows[Part::Train] > 0 {
                    shared[p] += n;
                    shared_contradicting[p] += if same.label.is_nan() { n } else { 0 };
                }
            }
        }
        let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
        let expected = |rows: u64| rows as f64 / self.seen.share() * agree;
        let all = expected(rows);
        Duplicates {
            looked_at: self.seen.share(),
            rows,
            repeated,
            share: share(repeated, rows),
            contradicting,
            contradicting_share: share(contradicting, equal),
            shared_with_train: [0, 1].map(|p| (of_part[p] > 0).then(|| share(shared[p], of_part[p]))),
            // As many rows thrown into 1 / agree equal boxes.
            shared_by_chance: 1.0 - (-expected(train)).exp(),
            by_chance: if all > 1e-9 { 1.0 - (1.0 - (-all).exp()) / all } else { 0.0 },
            shared_contradicting: [0, 1]
                .map(|p| (shared[p] > 0).then(|| share(shared_contradicting[p], shared[p]))),
        }
    }
}

/// Joins the hashes of a row's fields.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowHash(u64);

impl RowHash {
    pub(super) fn add(&mut self, field: u64) {
        self.0 = (self.0.rotate_left(5) ^ field).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    pub(super) fn finish(self) -> u64 {
        mix(self.0)
    }
}

impl Duplicates {
    /// How much was looked at, for people; nothing where all was.
    fn sampled(&self) -> String {
        if self.looked_at < 1.0 {
            format!(" (among {} of the distinct rows)", percent(self.looked_at))
        } else {
            String::new()
        }
    }

    /// Rows of validation and test that training has too.
    fn shared(&self) -> Option<Finding> {
        let parts = [1, 0].map(|p| {
            (
                ["validation", "test"][p],
                self.shared_with_train[p]
                    .filter(|&share| share >= LEAST.max(ALLOWANCE * self.shared_by_chance)),
            )
        });
        let said: Vec<String> = parts
            .iter()
            .filter_map(|(name, share)| share.map(|s| format!("{} of the {name} rows", percent(s))))
            .collect();
        let share = parts.iter().filter_map(|(_, share)| *share).fold(0.0, f64::max);
        let contradicting = self.shared_contradicting.iter().flatten().copied().fold(0.0, f64::max);
        let labels = match contradicting {
            0.0 => "always with the same label".to_owned(),
            c => format!("{} of them with contradicting labels", percent(c)),
        };
        let found =
            format!("{} are in training too, label left out, {labels}{}", said.join(" and "), self.sampled());
        let (severity, fix) = match share {
            s if s < WORTH_A_WARNING => (Severity::Note, "few enough to live with"),
            _ if contradicting < SEPARATE => {
                (Severity::Critical, "remove repeated rows before splitting, or split by time")
            }
            _ => (
                Severity::Warning,
                "labels that differ speak for separate events, which may stay; split by time to be sure",
            ),
        };
        let why = "a model that remembers rows looks better on these than it will on new ones";
        (share > 0.0)
            .then(|| Finding::new(severity, FindingKind::SharedRows, found).because(why, fix).sized(share))
    }

    /// What is worth saying.
    pub(super) fn findings(&self) -> Vec<Finding> {
        if self.rows < FEWEST {
            return Vec::new();
        }
        let mut out: Vec<Finding> = self.shared().into_iter().collect();
        let repeats = self.share >= LEAST.max(ALLOWANCE * self.by_chance);
        if repeats {
            let found = format!(
                "{} of the rows repeat another one, label left out{}",
                percent(self.share),
                self.sampled()
            );
            let severity = if self.share >= 0.05 { Severity::Warning } else { Severity::Note };
            let why =
                "repeated rows weigh more in training, and at random some of them get into the test rows";
            let fix = "if they come from joining or logging twice, remove them";
            out.push(
                Finding::new(severity, FindingKind::Duplicates, found).because(why, fix).sized(self.share),
            );
        }
        if repeats && self.contradicting_share > 0.0 {
            let (n, share) = (count(self.contradicting), percent(self.contradicting_share));
            let found = format!(
                "{n} rows ({share} of those with an equal one) are equal but for the label{}",
                self.sampled()
            );
            let severity = if self.contradicting as f64 >= 0.05 * self.rows as f64 {
                Severity::Warning
            } else {
                Severity::Note
            };
            let why = "no model can get both right: the columns do not tell these rows apart";
            let fix = "look for a column that does, or for events logged before their label was known";
            let size = self.contradicting_share;
            out.push(
                Finding::new(severity, FindingKind::Contradictions, found).because(why, fix).sized(size),
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_repetitions_are_counted() {
        let mut rows = RowHashes::new(100_000);
        // 1000 training rows of which 100 come twice, 200 test rows of which 50 are from training, 10 with
        // the other label.
        (0..1000).for_each(|r| rows.add(mix(r), Part::Train, 0.0));
        (0..100).for_each(|r| rows.add(mix(r), Part::Train, 0.0));
        (950..1000).for_each(|r| rows.add(mix(r), Part::Test, if r < 960 { 1.0 } else { 0.0 }));
        (5000..5150).for_each(|r| rows.add(mix(r), Part::Test, 1.0));
        let found = rows.finish(0.0);
        assert_eq!((found.looked_at, found.rows, found.repeated), (1.0, 1300, 150));
        assert_eq!(
            (found.shared_with_train, found.shared_contradicting),
            ([None, Some(0.25)], [None, Some(0.2)])
        );
        assert_eq!((found.contradicting, found.contradicting_share), (20, 20.0 / 300.0));
        let kinds: Vec<_> = found.findings().iter().map(|f| (f.kind, f.severity)).collect();
        use FindingKind::{Contradictions, Duplicates, SharedRows};
        let copies = super::Duplicates { shared_contradicting: [None, Some(0.0)], ..found };
        assert_eq!(copies.findings()[0].severity, Severity::Critical);
        assert_eq!(
            kinds,
            [
                (SharedRows, Severity::Warning),
                (Duplicates, Severity::Warning),
                (Contradictions, Severity::Note)
            ]
        );
    }

    #[test]
    fn a_sample_of_the_hashes_gives_the_same_shares_in_bounded_memory() {
        let mut rows = RowHashes::new(5000);
        for r in 0..200_000 {
            rows.add(mix(r), Part::Train, 0.0);
            // A tenth of the test rows is from training, a fifth of the training rows comes twice.
            if r % 5 == 0 {
                rows.add(mix(r), Part::Train, 0.0);
            }
            rows.add(mix(if r % 10 == 3 { r } else { 1_000_000 + r }), Part::Test, 0.0);
            assert!(rows.len() <= 5000);
        }
        let found = rows.finish(0.0);
        assert!(found.looked_at < 0.05, "{found:?}");
        assert!((found.shared_with_train[1].unwrap() - 0.1).abs() < 0.02, "{found:?}");
        assert!((found.share - 60_000.0 / 440_000.0).abs() < 0.02, "{found:?}");
        assert!(found.findings()[0].found.contains("of the distinct rows"));
    }

    #[test]
    fn rows_of_few_forms_are_equal_by_chance() {
        let (mut rows, mut rng) = (RowHashes::new(MOST), dlrm_data::rng::Rng::new(4, 0));
        for r in 0..5000 {
            rows.add(mix(rng.below(2000) as u64), if r < 4000 { Part::Train } else { Part::Test }, 0.0);
        }
        let found = rows.finish(1.0 / 2000.0);
        let shared = found.shared_with_train[1].unwrap();
        assert!(
            (found.share - found.by_chance).abs() < 0.02 && (shared - found.shared_by_chance).abs() < 0.04,
            "{found:?}"
        );
        assert!(found.findings().is_empty());
        assert_eq!(rows.finish(1e-6).findings().len(), 2);
    }

    #[test]
    fn the_order_of_fields_matters() {
        let hash = |fields: [u64; 2]| {
            let mut row = RowHash::default();
            fields.into_iter().for_each(|field| row.add(field));
            row.finish()
        };
        assert_ne!(hash([1, 2]), hash([2, 1]));
    }
}
