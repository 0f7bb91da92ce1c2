//! Whether columns are distributed in validation and test as they are in training.
//!
//! The population stability index of two distributions p and q over the same cells is Σ (p − q) ln(p / q). By
//! custom more than
//! [`MODERATE`] is a moderate change and more than [`LARGE`] a large one. Of few rows chance alone gives as
//! much: were both parts drawn alike, n m / (n + m) times the index would follow a χ² of one degree of
//! freedom less than there are cells, so what chance explains (but for three times in a million) is
//! subtracted before anything is said.
use super::finding::{Finding, FindingKind, Severity};
use super::labels::SURE;
use dlrm_data::format::percent;
use dlrm_data::schema::Encoding;
use dlrm_data::split::{Part, Parts};
use serde::{Deserialize, Serialize};

/// A moderate change.
pub const MODERATE: f64 = 0.1;
/// A large change.
pub const LARGE: f64 = 0.25;
/// Rows that a cell should have in the smaller part; smaller cells are joined.
const FEWEST: f64 = 10.0;
/// Share of unseen values beyond what chance explains from which on it is worth saying.
const NEW_VALUES: f64 = 0.02;
/// Share of unseen values from which on their row of the table should be trained.
const OFTEN_UNSEEN: f64 = 0.1;

/// A column in one part beside the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Column.
    pub column: String,
    /// Validation or test.
    pub part: Part,
    /// Population stability index.
    pub psi: f64,
    /// The largest index that chance explains.
    pub chance: f64,
    /// The cell that changed most.
    pub most: Option<Change>,
    /// Share of the values that training does not have, of a categorical column.
    pub unseen: Option<Unseen>,
}

/// A cell of a distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// A value or a range.
    pub cell: String,
    /// Its share in training.
    pub train: f64,
    /// Its share in the other part.
    pub other: f64,
}

/// Values that training does not have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unseen {
    /// Their share of the part's values.
    pub share: f64,
    /// The share expected if the part were drawn as training was: that of values that occur once there (Good
    /// 1953).
    pub expected: f64,
    /// Standard error of the difference.
    pub error: f64,
}

/// Counts of the cells of one column in each part.
pub(super) struct Cells {
    /// Each with its name; what is too small is added to the last one.
    pub cells: Vec<(String, Parts<u64>)>,
    /// Independent observations in each part.
    pub rows: Parts<u64>,
}

impl Cells {
    /// The part beside the training rows.
    pub(super) fn compare(&self, column: &str, part: Part, unseen: Option<Unseen>) -> Option<Drift> {
        let [n, m] = [Part::Train, part].map(|part| self.rows[part] as f64);
        if n == 0.0 || m == 0.0 {
            return None;
        }
        let mut kept: Vec<(&str, [f64; 2])> = Vec::new();
        let mut rest = [0.0; 2];
        let (last, others) = self.cells.split_last()?;
        for (name, counts) in others {
            let pair = [counts[Part::Train] as f64, counts[part] as f64];
            if (pair[0] + pair[1]) * n.min(m) / (n + m) >= FEWEST {
                kept.push((name, pair));
            } else {
                rest = [rest[0] + pair[0], rest[1] + pair[1]];
            }
        }
        kept.push((&last.0, [rest[0] + last.1[Part::Train] as f64, rest[1] + last.1[part] as f64]));
        let (psi, most) = index(&kept);
        let most = most.map(|(cell, [train, other])| Change { cell: cell.to_owned(), train, other });
        let chance = chi_squared(kept.len().saturating_sub(1)) * (1.0 / n + 1.0 / m);
        Some(Drift { column: column.to_owned(), part, psi, chance, most, unseen })
    }
}

/// The index and the shares of the cell that gives most of it. Half a row is added to each cell, so that none
/// is empty.
fn index<'n>(cells: &[(&'n str, [f64; 2])]) -> (f64, Option<(&'n str, [f64; 2])>) {
    let totals = [0, 1].map(|i| cells.iter().map(|(_, pair)| pair[i] + 0.5).sum::<f64>());
    let mut total = 0.0;
    let mut most: (f64, Option<(&str, [f64; 2])>) = (0.0, None);
    for (name, pair) in cells {
        let [p, q] = [0, 1].map(|i| (pair[i] + 0.5) / totals[i]);
        let term = (p - q) * (p / q).ln();
        total += term;
        if term > most.0 {
            most = (term, Some((name, [p, q])));
        }
    }
    (total, most.1)
}

/// What a χ² of `k` degrees of freedom exceeds three times in a million (Wilson and Hilferty 1931).
fn chi_squared(k: usize) -> f64 {
    let k = k as f64;
    if k == 0.0 { 0.0 } else { k * (1.0 - 2.0 / (9.0 * k) + SURE * (2.0 / (9.0 * k)).sqrt()).powi(3) }
}

impl Drift {
    /// The index beyond chance, if it matters.
    pub fn matters(&self) -> bool {
        self.psi > MODERATE && self.psi > self.chance
    }

    /// What is worth saying; `encoding` is that of a categorical column.
    pub(super) fn findings(&self, encoding: Option<&Encoding>) -> Vec<Finding> {
        let part = if self.part == Part::Test { "test" } else { "validation" };
        let mut out = Vec::new();
        if self.matters() {
            let size = if self.psi > LARGE { "large" } else { "moderate" };
            let most = self.most.as_ref().map_or(String::new(), |change| {
                format!(
                    "; most of all {}: {} of the training rows, {} in {part}",
                    change.cell,
                    percent(change.train),
                    percent(change.other)
                )
            });
            let severity = if self.psi > LARGE { Severity::Warning } else { Severity::Note };
            let found = format!("distributed otherwise in {part} (PSI {:.2}, {size}){most}", self.psi);
            let why = format!(
                "what was learned of training values says less about {part} (PSI above {MODERATE} is \
                    moderate, above {LARGE} large)"
            );
            let fix = "train on rows nearer to those to be scored, or leave the column out if it only tells \
                the time";
            out.push(
                Finding::new(severity, FindingKind::Drift, found)
                    .because(why, fix)
                    .about(&self.column)
                    .sized(self.psi),
            );
        }
        out.extend(self.unseen.and_then(|unseen| self.new_values(&unseen, part, encoding)));
        out
    }

    fn new_values(&self, unseen: &Unseen, part: &str, encoding: Option<&Encoding>) -> Option<Finding> {
        let excess = unseen.share - unseen.expected;
        if excess > NEW_VALUES && excess > SURE * unseen.error {
            let (share, expected) = (percent(unseen.share), percent(unseen.expected));
            let found = format!(
                "{share} of the values in {part} never occur in training, where {expected} would be expected"
            );
            let why = "new values come up with time or were split apart; the model knows nothing of them";
            let fix = "describe such values by other columns too (category, publisher, …), and retrain often";
            let finding = Finding::new(Severity::Warning, FindingKind::Unseen, found).because(why, fix);
            return Some(finding.about(&self.column).sized(unseen.share));
        }
        if unseen.share < OFTEN_UNSEEN
            || unseen.share < SURE * unseen.error
            || encoding != Some(&Encoding::vocabulary(1))
        {
            return None;
        }
        let found = format!(
            "{} of the values in {part} never occur in training, as expected of so many rare values",
            percent(unseen.share)
        );
        let why = "with min_count = 1 no training row trains the vector of unseen values";
        let finding = Finding::new(Severity::Note, FindingKind::Unseen, found)
            .because(why, "set min_count = 2, or hash the column");
        Some(finding.about(&self.column).sized(unseen.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::Rng;

    fn cells(counts: &[[u64; 2]]) -> Cells {
        let rows = [0, 1].map(|i| counts.iter().map(|pair| pair[i]).sum::<u64>());
        let cells = counts
            .iter()
            .enumerate()
            .map(|(i, &[train, test])| (format!("c{i}"), [train, 0, test].into()))
            .collect();
        Cells { cells, rows: [rows[0], 0, rows[1]].into() }
    }

    #[test]
    fn the_index_by_hand() {
        let drift = cells(&[[5000, 3000], [5000, 7000]]).compare("x", Part::Test, None).unwrap();
        // (0.5 − 0.3) ln(0.5 / 0.3) + (0.5 − 0.7) ln(0.5 / 0.7)
        assert!((drift.psi - 0.1695).abs() < 1e-3, "{drift:?}");
        assert!(drift.chance < 0.01 && drift.matters());
        assert_eq!(drift.most.as_ref().unwrap().cell, "c0");
        assert!(drift.findings(None)[0].found.contains("moderate"));
        assert!(cells(&[[5000, 0], [5000, 0]]).compare("x", Part::Test, None).is_none(), "no rows");
        // χ² of 10 degrees of freedom: 1 − 3.4e-6 lies at 44.4.
        assert!((chi_squared(10) - 44.4).abs() < 1.0, "{}", chi_squared(10));
    }

    #[test]
    fn chance_is_no_drift_however_few_the_rows() {
        for seed in 0..200 {
            for (n, m) in [(800, 100), (8000, 1000), (100, 30), (50_000, 300)] {
                let mut rng = Rng::new(seed, n);
                let mut counts = vec![[0u64; 2]; 12];
                (0..n).for_each(|_| counts[rng.below(12)][0] += 1);
                (0..m).for_each(|_| counts[rng.below(12)][1] += 1);
                let drift = cells(&counts).compare("x", Part::Test, None).unwrap();
                assert!(!drift.matters(), "seed {seed}, {n} against {m}: {drift:?}");
            }
        }
    }
}
