//! Whether rows stand in the order of time, and whether test rows are later than training rows.
use super::finding::{Finding, FindingKind, Severity};
use dlrm_data::format::{count, percent};
use dlrm_data::rng::mix;
use dlrm_data::row::RawRow;
use dlrm_data::split::{Part, Parts, Split};
use serde::{Deserialize, Serialize};

/// Times that are kept of each part.
const MOST: usize = 10_000;
/// Share of pairs from which on test rows are called earlier than training rows.
const EARLIER: f64 = 0.01;
/// Share of rows out of order from which on it is worth saying.
const OUT_OF_ORDER: f64 = 0.001;

/// Why test rows before training rows matter.
const FUTURE_KNOWN: &str =
    "the model is tested on a past that it learned the future of; in use it will not know the future";

/// Where the test rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TestRows {
    /// They are split off the main input.
    Split,
    /// Files of their own.
    OwnFiles,
}

/// The order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeOrder {
    /// The time column.
    pub column: String,
    /// Rows of the main input that are earlier than some row before them.
    pub out_of_order: u64,
    /// Their share.
    pub share: f64,
    /// Where the first of them stands.
    pub first: Option<String>,
    /// Whether nearly every row is earlier than the one before.
    pub is_reversed: bool,
    /// Share of the pairs of a training row and a (validation, test) row where the latter is the earlier one,
    /// by a sample of the rows; about a half where rows are split at random.
    pub earlier: [Option<f64>; 2],
}

/// A uniform sample of times.
#[derive(Debug, Clone, Default)]
struct Times {
    next: u64,
    level: u32,
    kept: Vec<(u64, f64)>,
}

impl Times {
    fn add(&mut self, time: f64) {
        let key = mix(self.next);
        self.next += 1;
        if key.leading_zeros() < self.level {
            return;
        }
        self.kept.push((key, time));
        while self.kept.len() > MOST {
            self.level += 1;
            self.kept.retain(|(key, _)| key.leading_zeros() >= self.level);
        }
    }
}

/// The order in the making.
pub(super) struct Clock {
    column: String,
    parts: Parts<Times>,
    rows: u64,
    latest: f64,
    before: f64,
    out_of_order: u64,
    rises: u64,
    falls: u64,
    first: Option<String>,
}

impl Clock {
    pub(super) fn new(column: &str) -> Self {
        Clock {
            column: column.to_owned(),
            parts: Parts::default(),
            rows: 0,
            latest: f64::NEG_INFINITY,
            before: f64::NAN,
            out_of_order: 0,
            rises: 0,
            falls: 0,
            first: None,
        }
    }

    /// Adds a row of the main input.
    pub(super) fn add_main(&mut self, time: f64, part: Part, row: &RawRow) {
        self.rows += 1;
        if time < self.latest {
            self.out_of_order += 1;
            self.first.get_or_insert_with(|| row.position(None).to_string());
        }
        self.rises += u64::from(time > self.before);
        self.falls += u64::from(time < self.before);
        (self.latest, self.before) = (self.latest.max(time), time);
        self.add(time, part);
    }

    /// Adds a row of a further input.
    pub(super) fn add(&mut self, time: f64, part: Part) {
        self.parts[part].add(time);
    }

    pub(super) fn finish(&self) -> TimeOrder {
        let sorted = self.parts.each_ref().map(|times| {
            let mut times: Vec<f64> = times.kept.iter().map(|(_, time)| *time).collect();
            times.sort_unstable_by(f64::total_cmp);
            times
        });
        let earlier = |part: Part| {
            let (train, other) = (&sorted[Part::Train], &sorted[part]);
            let later_than = |time: f64| train.len() - train.partition_point(|&t| t <= time);
            let pairs = other.iter().map(|&time| later_than(time)).sum::<usize>();
            (!train.is_empty() && !other.is_empty())
                .then(|| pairs as f64 / (train.len() * other.len()) as f64)
        };
        TimeOrder {
            column: self.column.clone(),
            out_of_order: self.out_of_order,
            share: self.out_of_order as f64 / self.rows.max(1) as f64,
            first: self.first.clone(),
            is_reversed: self.falls > 100 * self.rises && self.falls > 0,
            earlier: [earlier(Part::Validation), earlier(Part::Test)],
        }
    }
}

impl TimeOrder {
    /// What is worth saying, for rows split so. `test_files`: where the test rows come from.
    pub(super) fn findings(&self, split: &Split, test_files: TestRows) -> Vec<Finding> {
        let earlier = self.earlier();
        let found = match (test_files, split) {
            (TestRows::OwnFiles, _) => self.in_own_files(earlier),
            (TestRows::Split, Split::Order { .. }) => self.in_order(earlier),
            (TestRows::Split, Split::Random { .. }) if earlier > EARLIER => Some(self.finding(
                Severity::Note,
                "rows have a time, and are split at random".to_owned(),
                "test rows then lie between training rows; scores on later rows may be worse than measured",
                "if the model is to score later rows, split by time (data.split time)",
            )),
            _ => None,
        };
        found.into_iter().collect()
    }

    /// Share of the pairs in which a test row is earlier than a training row.
    fn earlier(&self) -> f64 {
        self.earlier[1].or(self.earlier[0]).unwrap_or(0.0)
    }

    fn pairs(&self, earlier: f64) -> String {
        format!("in {} of the pairs a test row is earlier than a training row", percent(earlier))
    }

    fn finding(&self, severity: Severity, found: String, why: &str, fix: &str) -> Finding {
        let finding = Finding::new(severity, FindingKind::TimeOrder, found).because(why, fix);
        finding.about(&self.column).sized(self.earlier())
    }

    /// Test rows of files of their own.
    fn in_own_files(&self, earlier: f64) -> Option<Finding> {
        let fix =
            "if the model is to score later rows than it has seen, cut training and test files at one time";
        let finding = || self.finding(Severity::Warning, self.pairs(earlier), FUTURE_KNOWN, fix);
        (earlier > EARLIER).then(finding)
    }

    /// Rows that are split by their order.
    fn in_order(&self, earlier: f64) -> Option<Finding> {
        let pairs = self.pairs(earlier);
        if self.is_reversed {
            let found = format!(
                "the rows stand in the reverse order of time: a split by order trains on the latest ones; \
                    {pairs}"
            );
            let fix = "split by time (data.split time), or sort the file";
            return Some(self.finding(Severity::Critical, found, FUTURE_KNOWN, fix));
        }
        if earlier <= EARLIER && self.share <= OUT_OF_ORDER {
            return None;
        }
        let first = self.first.as_deref().map_or(String::new(), |first| format!(", the first {first}"));
        let (n, share) = (count(self.out_of_order), percent(self.share));
        let found = format!(
            "a split by order is asked, but {n} rows ({share}) are earlier than one before them{first}; \
                {pairs}"
        );
        let severity = if earlier > EARLIER { Severity::Critical } else { Severity::Note };
        let fix = "split by time (data.split time), or sort the file by this column";
        Some(self.finding(severity, found, FUTURE_KNOWN, fix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::Rng;

    fn order(times: &[f64], cut: usize) -> TimeOrder {
        let mut clock = Clock::new("t");
        let mut row = RawRow::default();
        for (i, &time) in times.iter().enumerate() {
            row.line = i as u64 + 1;
            clock.add_main(time, if i < cut { Part::Train } else { Part::Test }, &row);
        }
        clock.finish()
    }

    const ORDER: Split = Split::Order { validation: 0.0, test: 0.2 };
    const RANDOM: Split = Split::Random { validation: 0.0, test: 0.2, seed: 0 };

    #[test]
    fn sorted_shuffled_and_reversed_files() {
        let sorted: Vec<f64> = (0..50_000).map(|i| f64::from(i / 3)).collect();
        let found = order(&sorted, 40_000);
        assert_eq!((found.out_of_order, found.earlier[1]), (0, Some(0.0)));
        assert!(
            found.findings(&ORDER, TestRows::Split).is_empty()
                && found.findings(&RANDOM, TestRows::Split).is_empty()
        );
        let mut shuffled = sorted.clone();
        Rng::new(1, 1).shuffle(&mut shuffled);
        let found = order(&shuffled, 40_000);
        assert!(
            (found.earlier[1].unwrap() - 0.5).abs() < 0.05 && found.first.as_deref() == Some(":2"),
            "{found:?}"
        );
        assert_eq!(found.findings(&ORDER, TestRows::Split)[0].severity, Severity::Critical);
        assert_eq!(found.findings(&RANDOM, TestRows::Split)[0].severity, Severity::Note);
        assert_eq!(found.findings(&RANDOM, TestRows::OwnFiles)[0].severity, Severity::Warning);
        let reversed: Vec<f64> = sorted.into_iter().rev().collect();
        let found = order(&reversed, 40_000);
        assert!(found.is_reversed && found.earlier[1] == Some(1.0));
        assert!(found.findings(&ORDER, TestRows::Split)[0].found.contains("reverse"));
    }

    #[test]
    fn a_few_seconds_of_disorder_are_no_more_than_a_note() {
        let mut rng = Rng::new(2, 0);
        let times: Vec<f64> = (0..50_000).map(|i| f64::from(i) + rng.uniform() * 5.0).collect();
        let found = order(&times, 40_000);
        assert!(found.share > 0.1 && found.earlier[1].unwrap() < 1e-3);
        assert_eq!(found.findings(&ORDER, TestRows::Split)[0].severity, Severity::Note);
    }
}
