//! Which rows train, validate and test. Every pass over the data decides the same.
use crate::error::{Error, Result};
use crate::ranks::Ranks;
use crate::rng::{Rng, mix};
use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// Part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Fits the encoder and the model.
    Train,
    /// Chooses when to stop.
    Validation,
    /// Measures the result.
    Test,
}

impl Part {
    /// All parts, in the order of their numbers.
    pub const ALL: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// A value for each [`Part`]; stored as the array of (train, validation, test).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parts<T>([T; 3]);

impl<T> Parts<T> {
    /// The value that `of` gives for each part.
    pub fn from_fn(of: impl FnMut(Part) -> T) -> Self {
        Parts(Part::ALL.map(of))
    }

    /// Parts with their values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Part, &T)> {
        Part::ALL.into_iter().zip(&self.0)
    }

    /// Parts with their values, in order, to change these.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (Part, &mut T)> {
        Part::ALL.into_iter().zip(&mut self.0)
    }

    /// The values, in the order of the parts.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// What `of` makes of each value.
    pub fn map<U>(self, of: impl FnMut(T) -> U) -> Parts<U> {
        Parts(self.0.map(of))
    }

    /// A reference to each value.
    pub fn each_ref(&self) -> Parts<&T> {
        Parts(self.0.each_ref())
    }
}

impl<T> From<[T; 3]> for Parts<T> {
    /// Of the values for (train, validation, test).
    fn from(values: [T; 3]) -> Self {
        Parts(values)
    }
}

impl<T> From<Parts<T>> for [T; 3] {
    /// The values for (train, validation, test).
    fn from(parts: Parts<T>) -> Self {
        parts.0
    }
}

impl<T> Index<Part> for Parts<T> {
    type Output = T;

    fn index(&self, part: Part) -> &T {
        &self.0[part as usize]
    }
}

impl<T> IndexMut<Part> for Parts<T> {
    fn index_mut(&mut self, part: Part) -> &mut T {
        &mut self.0[part as usize]
    }
}

/// Shares of validation and test; the rest trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Share of the validation rows.
    pub validation: f64,
    /// Share of the test rows.
    pub test: f64,
}

/// How rows are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Split {
    /// By a seeded hash of the row number.
    Random {
        /// Share of the validation rows.
        #[serde(default = "tenth")]
        validation: f64,
        /// Share of the test rows.
        #[serde(default = "tenth")]
        test: f64,
        /// Seed.
        #[serde(default)]
        seed: u64,
    },
    /// By the order of the rows, which is that of time: the last ones test, those before validate.
    Order {
        /// Share of the validation rows.
        #[serde(default = "tenth")]
        validation: f64,
        /// Share of the test rows.
        #[serde(default = "tenth")]
        test: f64,
    },
    /// By the schema's time column: the latest test, those before validate; equal times stay together.
    Time {
        /// Share of the validation rows.
        #[serde(default = "tenth")]
        validation: f64,
        /// Share of the test rows.
        #[serde(default = "tenth")]
        test: f64,
    },
    /// The last day is held out, its first half to test, its second half to validate, as the reference
    /// implementation of DLRM does with the logs of Criteo.
    LastDay {
        /// Equal parts of the rows that are the days (7 for Kaggle); without it every file is one (Terabyte).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<u64>,
    },
    /// By the text of a column (given folds); rows that are in neither list train.
    Column {
        /// Column.
        column: String,
        /// Texts of validation rows.
        #[serde(default)]
        validation: Vec<String>,
        /// Texts of test rows.
        #[serde(default)]
        test: Vec<String>,
    },
    /// One of several folds, between which the rows are dealt out at random: it tests, a random share of the
    /// others validates. Over all folds every row tests once.
    Folds {
        /// Number of folds, K.
        folds: u64,
        /// The one that tests, from 0.
        fold: u64,
        /// Share of the validation rows among those of the other folds.
        #[serde(default = "tenth")]
        validation: f64,
        /// Seed.
        #[serde(default)]
        seed: u64,
    },
}

fn tenth() -> f64 {
    0.1
}

impl Default for Split {
    fn default() -> Self {
        Split::Random { validation: tenth(), test: tenth(), seed: 0 }
    }
}

impl Split {
    /// The times from which on rows validate and test, of rows with these times; `None` where the split is
    /// none by time.
    pub fn cut_times(&self, of_rows: &[f64]) -> Option<(f64, f64)> {
        let Split::Time { .. } = self else { return None };
        let mut times = Ranks::default();
        of_rows.iter().for_each(|&time| times.add(time));
        let again = |each: &mut (dyn FnMut(f64) + Send)| {
            of_rows.iter().for_each(|&time| each(time));
            Ok(())
        };
        cut_times(self.shares()?, &times, again).ok().flatten()
    }

    /// The shares, where there are any.
    pub fn shares(&self) -> Option<Shares> {
        match *self {
            Split::Random { validation, test, .. }
            | Split::Order { validation, test }
            | Split::Time { validation, test } => Some(Shares { validation, test }),
            Split::LastDay { .. } | Split::Column { .. } | Split::Folds { .. } => None,
        }
    }

    /// Shares that leave no room for training.
    ///
    /// # Errors
    /// Saying so.
    pub fn check(&self) -> Result<()> {
        if let Split::LastDay { days: Some(days @ 0..=1) } = self {
            return Err(Error::input(
                "data.split.days",
                "at least 2, of which the last is held out",
                days.to_string(),
            ));
        }
        if let Split::Folds { folds, fold, validation, .. } = *self {
            if folds < 2 || fold >= folds {
                let expected = "at least 2 folds, and one of them (from 0)";
                return Err(Error::input("data.split", expected, format!("fold {fold} of {folds}")));
            }
            if !(0.0..1.0).contains(&validation) {
                let expected = "a share in 0..1 that leaves rows for training";
                return Err(Error::input("data.split.validation", expected, validation.to_string()));
            }
        }
        let Some(Shares { validation, test }) = self.shares() else { return Ok(()) };
        let valid = |x: f64| (0.0..1.0).contains(&x);
        if valid(validation) && valid(test) && validation + test < 1.0 {
            return Ok(());
        }
        let found = format!("validation = {validation}, test = {test}");
        Err(Error::input("data.split", "shares in 0..1 that leave rows for training", found))
    }

    /// Whether a first pass over the data must collect [`Survey`].
    pub fn needs_survey(&self) -> bool {
        matches!(self, Split::Order { .. } | Split::Time { .. } | Split::LastDay { .. })
    }
}

/// What a first pass learns for the split.
#[derive(Debug, Clone, Copy, Default)]
pub struct Survey {
    /// Good rows.
    pub rows: u64,
    /// For splits by time: from these times on rows validate, and test.
    pub cut_times: Option<(f64, f64)>,
    /// Good rows before the last file.
    pub last_file: u64,
}

/// The times from which on rows validate and test, of the times that were counted; `again` goes over all of
/// them once more. Equal times stay together, so a cut that would leave nothing to train on moves to the next
/// time.
///
/// # Errors
/// As `again`; `None` if it gave other times.
pub(crate) fn cut_times(
    shares: Shares,
    times: &Ranks,
    mut again: impl FnMut(&mut (dyn FnMut(f64) + Send)) -> Result<()>,
) -> Result<Option<(f64, f64)>> {
    let (validation, test) = cuts(shares, times.len());
    let within: Vec<u64> = [validation, test].into_iter().filter(|&row| row < times.len()).collect();
    let mut search = times.search(&within);
    let found = loop {
        if let Some(found) = search.found() {
            break found;
        }
        again(&mut |time| search.add(time))?;
        match search.narrowed() {
            Some(narrowed) => search = narrowed,
            None => return Ok(None),
        }
    };
    let later = times.second().unwrap_or(f64::INFINITY);
    let mut found = found.into_iter().map(|time| time.max(later));
    // The cuts beyond the end are the last ones.
    let mut next = || found.next().unwrap_or(f64::INFINITY);
    Ok(Some((next(), next())))
}

/// Decides the part of each good row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Assigner {
    /// Everything to one part (explicit files).
    All(Part),
    /// By hash: (validation share, test share, seed).
    Random(f64, f64, u64),
    /// From these row numbers on: validation, test.
    Order(u64, u64),
    /// From these row numbers on: test, validation.
    LastDay(u64, u64),
    /// From these times on: validation, test.
    Time(f64, f64),
    /// By text: validation, test.
    Column(Vec<String>, Vec<String>),
    /// By fold and hash: (folds, the one that tests, validation share of the others, seed).
    Folds(u64, u64, f64, u64),
}

impl Assigner {
    /// For a split and what the first pass learned.
    pub fn new(split: &Split, survey: Survey) -> Self {
        match split {
            Split::Random { validation, test, seed } => Assigner::Random(*validation, *test, *seed),
            Split::Order { validation, test } => {
                let (validation, test) = cuts(Shares { validation: *validation, test: *test }, survey.rows);
                Assigner::Order(validation, test)
            }
            Split::Time { .. } => {
                let (validation, test) = survey.cut_times.unwrap_or((f64::INFINITY, f64::INFINITY));
                Assigner::Time(validation, test)
            }
            Split::LastDay { days } => {
                let start = days.map_or(survey.last_file, |days| survey.rows - survey.rows / days);
                Assigner::LastDay(start, start + (survey.rows - start).div_ceil(2))
            }
            Split::Column { validation, test, .. } => Assigner::Column(validation.clone(), test.clone()),
            Split::Folds { folds, fold, validation, seed } => {
                Assigner::Folds(*folds, *fold, *validation, *seed)
            }
        }
    }

    /// Part of the good row number `row` (from 0) with this time and this text of the fold column.
    pub fn part(&self, row: u64, time: f64, fold: &str) -> Part {
        let from = |is_test: bool, is_validation: bool| match (is_test, is_validation) {
            (true, _) => Part::Test,
            (_, true) => Part::Validation,
            _ => Part::Train,
        };
        match self {
            Assigner::All(part) => *part,
            Assigner::Random(validation, test, seed) => {
                let u = uniform(*seed ^ 0x5bf0_3635, row);
                from(u < *test, u < test + validation)
            }
            Assigner::Folds(folds, fold, validation, seed) => {
                let tests = fold_of(row, *folds, *seed) == *fold;
                // Which rows validate differs between the folds.
                let u = uniform(mix(*seed ^ 0x243f_6a88).wrapping_add(*fold), row);
                from(tests, u < *validation)
            }
            Assigner::Order(validation, test) => from(row >= *test, row >= *validation),
            Assigner::LastDay(test, validation) => {
                from(row >= *test && row < *validation, row >= *validation)
            }
            Assigner::Time(validation, test) => from(time >= *test, time >= *validation),
            Assigner::Column(validation, test) => {
                from(test.iter().any(|t| t == fold), validation.iter().any(|v| v == fold))
            }
        }
    }
}

/// A number in [0, 1) that depends on nothing but the seed and the row.
fn uniform(seed: u64, row: u64) -> f64 {
    (mix(mix(seed).wrapping_add(row)) >> 11) as f64 / (1u64 << 53) as f64
}

/// The fold of a row. Of any K rows in a row, counted from the first on, each fold gets one, so that folds
/// are of one size, and so are classes that stand in blocks; which one gets which is random.
fn fold_of(row: u64, folds: u64, seed: u64) -> u64 {
    let mut order: Vec<u64> = (0..folds).collect();
    Rng::new(seed ^ 0x1319_8a2e, row / folds).shuffle(&mut order);
    order[(row % folds) as usize]
}

/// First validation row and first test row of `rows` rows in order.
fn cuts(shares: Shares, rows: u64) -> (u64, u64) {
    let test = rows - (rows as f64 * shares.test).round() as u64;
    (test - (rows as f64 * shares.validation).round() as u64, test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_stored_as_an_array() {
        let mut parts = Parts::from_fn(Part::name);
        parts[Part::Test] = "held out";
        let stored = serde_json::to_string(&parts).expect("plain data");
        assert_eq!(stored, "[\"train\",\"validation\",\"held out\"]");
        assert_eq!(parts.iter().map(|(part, _)| part).collect::<Vec<_>>(), Part::ALL);
        assert_eq!(parts.map(str::len)[Part::Train], 5);
    }

    #[test]
    fn shares_are_met() {
        let split = Split::Random { validation: 0.2, test: 0.1, seed: 3 };
        let assigner = Assigner::new(&split, Survey::default());
        let count = |part| (0..100_000).filter(|&r| assigner.part(r, 0.0, "") == part).count();
        assert!(count(Part::Test).abs_diff(10_000) < 400 && count(Part::Validation).abs_diff(20_000) < 500);
        let order = Assigner::new(
            &Split::Order { validation: 0.1, test: 0.1 },
            Survey { rows: 10, ..Survey::default() },
        );
        let parts: Vec<Part> = (0..10).map(|r| order.part(r, 0.0, "")).collect();
        assert_eq!(parts[7..], [Part::Train, Part::Validation, Part::Test]);
    }

    #[test]
    fn every_row_tests_in_one_fold() {
        let folds = 5;
        let part = |fold: u64, row: u64| {
            let split = Split::Folds { folds, fold, validation: 0.1, seed: 7 };
            split.check().expect("a fold");
            Assigner::new(&split, Survey::default()).part(row, 0.0, "")
        };
        for row in 0..203 {
            assert_eq!((0..folds).filter(|&fold| part(fold, row) == Part::Test).count(), 1, "row {row}");
        }
        for fold in 0..folds {
            let count = |wanted| (0..5_000).filter(|&row| part(fold, row) == wanted).count();
            assert_eq!(count(Part::Test), 1_000);
            assert!(count(Part::Validation).abs_diff(400) < 80, "{}", count(Part::Validation));
        }
        let tests = |seed| {
            let split = Split::Folds { folds, fold: 0, validation: 0.1, seed };
            let assigner = Assigner::new(&split, Survey::default());
            (0..100).filter(|&row| assigner.part(row, 0.0, "") == Part::Test).collect::<Vec<_>>()
        };
        assert_ne!(tests(0), tests(1));
        for (folds, fold, validation) in [(1, 0, 0.1), (5, 5, 0.1), (5, 0, 1.0)] {
            assert!(Split::Folds { folds, fold, validation, seed: 0 }.check().is_err());
        }
    }

    #[test]
    fn the_last_day_is_cut_in_halves() {
        // 23 rows in 7 days: 4 4 3 3 3 3 3, as the reference counts them; the first half is the longer one.
        let assigner =
            Assigner::new(&Split::LastDay { days: Some(7) }, Survey { rows: 23, ..Survey::default() });
        assert_eq!(
            [19, 20, 21, 22].map(|r| assigner.part(r, 0.0, "")),
            [Part::Train, Part::Test, Part::Test, Part::Validation]
        );
        let files = Assigner::new(
            &Split::LastDay { days: None },
            Survey { rows: 10, last_file: 6, ..Survey::default() },
        );
        assert_eq!(
            [5, 6, 7, 8, 9].map(|r| files.part(r, 0.0, "")),
            [Part::Train, Part::Test, Part::Test, Part::Validation, Part::Validation]
        );
        assert!(Split::LastDay { days: Some(1) }.check().is_err());
    }

    #[test]
    fn equal_times_stay_together() {
        let times = vec![5.0, 1.0, 5.0, 5.0, 2.0, 3.0, 9.0, 9.0, 8.0, 4.0];
        let split = Split::Time { validation: 0.2, test: 0.2 };
        let of = |times: &[f64]| Survey { cut_times: split.cut_times(times), ..Survey::default() };
        let assigner = Assigner::new(&split, of(&times));
        assert_eq!(
            [4.0, 5.0, 8.0, 9.0].map(|t| assigner.part(0, t, "")),
            [Part::Train, Part::Validation, Part::Validation, Part::Test]
        );
        let tied = [vec![1.0; 550], vec![2.0; 40], vec![3.0; 10]].concat();
        let tied = Assigner::new(&split, of(&tied));
        assert_eq!([1.0, 2.0, 3.0].map(|t| tied.part(0, t, "")), [Part::Train, Part::Test, Part::Test]);
        let fold = Assigner::new(
            &Split::Column { column: "f".into(), validation: vec!["4".into()], test: vec!["5".into()] },
            Survey::default(),
        );
        assert_eq!(
            ["1", "4", "5"].map(|f| fold.part(0, 0.0, f)),
            [Part::Train, Part::Validation, Part::Test]
        );
    }
}
