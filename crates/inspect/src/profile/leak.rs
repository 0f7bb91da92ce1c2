//! How well one column alone predicts a binary label.
//!
//! Rates of the label per value are learned on one half of the rows and judged on the other: on its own rows,
//! a column of values that occur once would predict everything. Of a column with more distinct values than
//! [`MOST_VALUES`] a uniform sample of them is looked at, chosen by their hashes.
use super::counts::HashOf;
use serde::{Deserialize, Serialize};

/// Distinct values up to which each has its own rate.
const MOST_VALUES: usize = 10_000;
/// AUC of a single column above which it looks like a leak.
const LEAK: f64 = 0.99;
/// Numeric columns with more values than this in the first rows are cut into about as many bins.
const BINS: usize = 255;
/// Rows of each class needed for a judgement.
const FEWEST: u64 = 20;

/// Rows by half (learning, judging) and class.
type Cell = [[u64; 2]; 2];

/// Learns the rates of one column.
#[derive(Debug, Clone)]
pub(super) struct LeakTest {
    missing: Cell,
    present: Cell,
    groups: Groups,
    equal: u64,
    rows: u64,
    /// Distinct values up to which each has its own rate.
    most: usize,
}

#[derive(Debug, Clone)]
enum Groups {
    /// By hash: those below 2^(64 - level).
    Values { cells: HashOf<Cell>, level: u32 },
    /// Bins between ascending edges; the last one is for values that are no numbers.
    Bins { edges: Vec<f64>, cells: Vec<Cell> },
}

/// How a column gives the label away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Leak {
    /// It holds the label's text in every row.
    EqualsLabel,
    /// Whether it is missing predicts the label.
    Missing {
        /// How well.
        auc: f64,
    },
    /// Its values predict the label.
    Values {
        /// How well.
        auc: f64,
    },
}

/// What one row says about one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    /// Hash of the value, and its number if it is one; `None` if missing.
    pub value: Option<(u64, Option<f64>)>,
    /// Class of the row.
    pub class: usize,
    /// Whether the field is the same text as the label.
    pub equals_label: bool,
    /// Which half the row belongs to.
    pub half: usize,
}

impl LeakTest {
    /// For a column whose first rows hold these numbers (empty: it is not numeric); with room for so many
    /// values, if they are fewer than [`MOST_VALUES`].
    pub(super) fn new(mut first: Vec<f64>, room: usize) -> Self {
        first.sort_unstable_by(f64::total_cmp);
        let quantile = |k: usize| first[k * (first.len() - 1) / BINS];
        let mut edges: Vec<f64> =
            if first.is_empty() { Vec::new() } else { (0..=BINS).map(quantile).collect() };
        edges.dedup();
        first.dedup();
        let groups = if first.len() <= BINS {
            Groups::Values { cells: HashOf::default(), level: 0 }
        } else {
            let cells = vec![Cell::default(); edges.len() + 2];
            Groups::Bins { edges, cells }
        };
        LeakTest {
            missing: Cell::default(),
            present: Cell::default(),
            groups,
            equal: 0,
            rows: 0,
            most: MOST_VALUES.min(room),
        }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, seen: Observation) {
        let Observation { class, half, .. } = seen;
        self.rows += 1;
        self.equal += u64::from(seen.equals_label);
        let Some((hash, number)) = seen.value else {
            self.missing[half][class] += 1;
            return;
        };
        self.present[half][class] += 1;
        match &mut self.groups {
            Groups::Bins { edges, cells } => {
                let bin = number.map_or(cells.len() - 1, |x| edges.partition_point(|&edge| edge <= x));
                cells[bin][half][class] += 1;
            }
            Groups::Values { cells, level } => {
                if hash.leading_zeros() >= *level {
                    cells.entry(hash).or_default()[half][class] += 1;
                    if cells.len() > self.most {
                        *level += 1;
                        cells.retain(|hash, _| hash.leading_zeros() >= *level);
                    }
                }
            }
        }
    }

    /// How the column gives the label away, if it does.
    pub(super) fn leak(&self) -> Option<Leak> {
        let beyond = |auc: Option<f64>| auc.filter(|auc| *auc > LEAK);
        if self.equals_label() {
            return Some(Leak::EqualsLabel);
        }
        let missing = beyond(self.missing_auc()).map(|auc| Leak::Missing { auc });
        missing.or_else(|| beyond(self.auc()).map(|auc| Leak::Values { auc }))
    }

    /// Whether every row held the label's text.
    fn equals_label(&self) -> bool {
        self.rows >= FEWEST && self.equal == self.rows
    }

    /// AUC of the column alone, at least 0.5 up to chance; `None` where too few rows tell nothing.
    pub(super) fn auc(&self) -> Option<f64> {
        match &self.groups {
            Groups::Bins { cells, .. } => auc(cells.iter().chain([&self.missing])),
            Groups::Values { cells, .. } => auc(cells.values().chain([&self.missing])),
        }
    }

    /// AUC of whether the value is missing.
    fn missing_auc(&self) -> Option<f64> {
        auc([&self.missing, &self.present].into_iter())
    }
}

/// AUC on the second half of the label rates of the first.
fn auc<'c>(cells: impl Iterator<Item = &'c Cell> + Clone) -> Option<f64> {
    let sum = |half: usize, class: usize| cells.clone().map(|c| c[half][class]).sum::<u64>();
    if (0..2).any(|half| (0..2).any(|class| sum(half, class) < FEWEST / 2)) {
        return None;
    }
    let prior = sum(0, 1) as f64 / (sum(0, 0) + sum(0, 1)) as f64;
    let rate =
        |[negative, positive]: [u64; 2]| (positive as f64 + prior) / ((negative + positive) as f64 + 1.0);
    let mut judged: Vec<(f64, [u64; 2])> = cells.clone().map(|c| (rate(c[0]), c[1])).collect();
    judged.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut concordant) = (0.0, 0.0);
    for tied in judged.chunk_by(|a, b| a.0 == b.0) {
        let of_class = |class: usize| tied.iter().map(|(_, c)| c[class]).sum::<u64>() as f64;
        let (negatives, positives) = (of_class(0), of_class(1));
        concordant += positives * (below + 0.5 * negatives);
        below += negatives;
    }
    Some(concordant / (sum(1, 0) as f64 * sum(1, 1) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    /// A test fed with `n` rows of (value, class).
    fn fed(n: u64, first: Vec<f64>, row: impl Fn(u64) -> (Option<f64>, usize)) -> LeakTest {
        let mut test = LeakTest::new(first, MOST_VALUES);
        for r in 0..n {
            let (value, class) = row(r);
            let half = usize::from(xxh3_64(&r.to_le_bytes()) & 1 == 1);
            let value = value.map(|x| (xxh3_64(&x.to_le_bytes()), Some(x)));
            test.add(Observation { value, class, equals_label: false, half });
        }
        test
    }

    fn coin(r: u64) -> usize {
        usize::from(xxh3_64(&(r + 77).to_le_bytes()) & 2 == 2)
    }

    #[test]
    fn leaks_are_found_and_unique_values_are_not_leaks() {
        let copy = fed(1000, vec![], |r| (Some(coin(r) as f64), coin(r)));
        assert_eq!(copy.auc(), Some(1.0));
        let chance = fed(1000, vec![], |r| (Some((r % 7) as f64), coin(r)));
        assert!((chance.auc().unwrap() - 0.5).abs() < 0.1);
        let unique = fed(1000, vec![], |r| (Some(r as f64), coin(r)));
        assert!((unique.auc().unwrap() - 0.5).abs() < 0.1);
        let binned = fed(5000, (0..5000).map(f64::from).collect(), |r| {
            (Some(r as f64), usize::from(r > 2000 && r < 3000))
        });
        assert!(binned.auc().unwrap() > 0.99);
        let missing = fed(1000, vec![], |r| (Some((r % 7) as f64).filter(|_| coin(r) == 1), coin(r)));
        assert_eq!(missing.missing_auc(), Some(1.0));
        assert_eq!(fed(10, vec![], |r| (Some(coin(r) as f64), coin(r))).auc(), None);
        let many = fed(60_000, vec![], |r| (Some(r as f64), coin(r)));
        assert!((many.auc().unwrap() - 0.5).abs() < 0.1 && many.leak().is_none(), "{:?}", many.auc());
    }

    #[test]
    fn a_leak_among_more_values_than_are_kept_is_found() {
        // 30,000 values of six rows each, and each value has one class.
        let users = fed(180_000, vec![], |r| (Some((r % 30_000) as f64), coin(r % 30_000)));
        assert!(matches!(users.leak(), Some(Leak::Values { auc }) if auc > 0.99), "{:?}", users.auc());
        let Groups::Values { cells, level } = &users.groups else { panic!("{:?}", users.groups) };
        assert!(cells.len() <= MOST_VALUES && *level == 2);
    }
}
