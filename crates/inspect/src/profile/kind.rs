//! From the evidence to the kind of a column, as a practitioner would judge.
use super::counts::Precision;
use super::evidence::{Evidence, are_strays};
use super::moments::Numbers;
use super::names::Hint;
use super::times::{self, Dates, TimeFormat};
use dlrm_data::moment::DateOrder;
use dlrm_data::schema::MultiValued;
use serde::{Deserialize, Serialize};

/// What a column seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A number whose size means something.
    Dense,
    /// One of a set of values.
    Categorical,
    /// Several of a set of values.
    MultiValued {
        /// Between values.
        separator: char,
        /// Between a value and its weight, if the values have weights.
        weight_separator: Option<char>,
    },
    /// A moment.
    Timestamp {
        /// How it is written.
        format: TimeFormat,
    },
    /// One value in every row.
    Constant,
    /// Missing in every row.
    Empty,
    /// Another value in every row: nothing can be learned of it.
    Identifier,
    /// Free text.
    Text,
    /// Left out, as was said.
    Ignored,
    /// Sample weights, as was said.
    Weight,
}

/// Integers with at most so many values are categories, if there are enough rows to say so.
const FEW: u64 = 50;
/// Rows from which on unique integers without a telling name are identifiers rather than measures.
const MANY_ROWS: u64 = 1000;
const ENOUGH_ROWS: u64 = 20;

/// Judges a column.
pub(super) fn infer(e: &Evidence, multi: Option<&MultiValued>) -> Kind {
    if e.present == 0 {
        return Kind::Empty;
    }
    if e.distinct == 1 {
        // Present or not is information.
        return if e.missing == 0 { Kind::Constant } else { Kind::Categorical };
    }
    if e.iso > 0 && are_strays(e.present - e.iso, e.present) {
        return Kind::Timestamp { format: TimeFormat::Iso };
    }
    match e.dates {
        Some(Dates::Ordered(DateOrder::DayFirst)) => {
            return Kind::Timestamp { format: TimeFormat::DayFirst };
        }
        Some(Dates::Ordered(DateOrder::MonthFirst)) => {
            return Kind::Timestamp { format: TimeFormat::MonthFirst };
        }
        _ => {}
    }
    match (e.numbers, multi) {
        (Some(numbers), _) if numbers.integers => integers(e, &numbers),
        (Some(_), _) => Kind::Dense,
        (None, Some(multi)) => {
            Kind::MultiValued { separator: multi.separator, weight_separator: multi.weight_separator }
        }
        (None, None) => texts(e),
    }
}

/// Whether (all but) every row has its own value.
fn is_unique(e: &Evidence) -> bool {
    let share = e.distinct as f64 / e.present as f64;
    e.present >= ENOUGH_ROWS && share >= if e.precision == Precision::Exact { 0.999 } else { 0.98 }
}

fn texts(e: &Evidence) -> Kind {
    if is_unique(e) {
        Kind::Identifier
    } else if e.mean_words >= 4.0 && e.present >= ENOUGH_ROWS && e.distinct as f64 > 0.3 * e.present as f64 {
        Kind::Text
    } else {
        Kind::Categorical
    }
}

fn integers(e: &Evidence, numbers: &Numbers) -> Kind {
    if let Some(format) = moment(e, numbers) {
        return Kind::Timestamp { format };
    }
    let unique = is_unique(e);
    if e.huge > 0 {
        // Whatever its name says: as a number, it would be another one.
        return if unique { Kind::Identifier } else { Kind::Categorical };
    }
    if e.rounded > 0 && e.hint != Hint::Id {
        return Kind::Dense;
    }
    // Numbers given out one after another: 0 or 1 to n with hardly a gap.
    let range = numbers.max - numbers.min + 1.0;
    let consecutive =
        e.distinct > 200 && (0.0..=1.0).contains(&numbers.min) && e.distinct as f64 > 0.9 * range;
    if unique && e.hint == Hint::None && consecutive {
        // The row number, such as an index that was written along.
        return Kind::Identifier;
    }
    if unique && (e.hint == Hint::Id || (e.hint == Hint::None && e.present >= MANY_ROWS)) {
        return Kind::Identifier;
    }
    if e.hint == Hint::Id || e.leading_zeros > 0 || e.distinct == 2 {
        return Kind::Categorical;
    }
    if e.hint == Hint::Number {
        return Kind::Dense;
    }
    let few = e.distinct <= FEW.min((e.present / 20).max(10));
    if few || consecutive { Kind::Categorical } else { Kind::Dense }
}

fn moment(e: &Evidence, numbers: &Numbers) -> Option<TimeFormat> {
    let named = e.hint == Hint::Time;
    if named && e.compact > 0 && are_strays(e.present - e.compact, e.present) {
        return Some(TimeFormat::Compact);
    }
    let telling = named || (e.hint == Hint::None && e.distinct > FEW);
    telling.then(|| times::unix(numbers.min, numbers.max, named)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(hint: Hint, present: u64, distinct: u64, range: Option<(f64, f64)>) -> Evidence {
        let numbers = range.map(|(min, max)| Numbers {
            min,
            max,
            mean: 0.0,
            deviation: 1.0,
            skewness: 0.0,
            negative_share: 0.0,
            integers: max.fract() == 0.0,
        });
        Evidence {
            hint,
            present,
            missing: 0,
            distinct,
            precision: Precision::Exact,
            numbers,
            leading_zeros: 0,
            huge: 0,
            rounded: 0,
            iso: 0,
            compact: 0,
            dates: None,
            mean_words: 1.0,
        }
    }

    #[test]
    fn judgements() {
        let judge = |hint, present, distinct, range| infer(&evidence(hint, present, distinct, range), None);
        let seconds = Kind::Timestamp { format: TimeFormat::Seconds };
        for (kind, got) in [
            (Kind::Empty, judge(Hint::None, 0, 0, None)),
            (Kind::Constant, judge(Hint::None, 9, 1, None)),
            (Kind::Categorical, judge(Hint::None, 1000, 7, Some((0.0, 6.0)))),
            (Kind::Dense, judge(Hint::Number, 1000, 7, Some((0.0, 6.0)))),
            (Kind::Dense, judge(Hint::None, 1000, 7, Some((0.0, 6.5)))),
            (Kind::Dense, judge(Hint::None, 100, 40, Some((0.0, 60.0)))),
            (Kind::Dense, judge(Hint::None, 1000, 73, Some((17.0, 90.0)))),
            (Kind::Categorical, judge(Hint::Id, 1000, 500, Some((1.0, 9e9)))),
            (Kind::Categorical, judge(Hint::None, 100_000, 943, Some((1.0, 943.0)))),
            (Kind::Identifier, judge(Hint::None, 600, 600, Some((0.0, 599.0)))),
            (Kind::Identifier, judge(Hint::Id, 100, 100, Some((1.0, 9e9)))),
            (Kind::Identifier, judge(Hint::None, 5000, 5000, Some((1.0, 9e18)))),
            (Kind::Dense, judge(Hint::Number, 5000, 5000, Some((1.0, 9e5)))),
            (Kind::Identifier, judge(Hint::None, 100, 100, None)),
            (Kind::Categorical, judge(Hint::None, 100, 60, None)),
            (seconds, judge(Hint::Time, 100, 100, Some((8.7e8, 8.9e8)))),
            (seconds, judge(Hint::None, 100, 100, Some((8.7e8, 8.9e8)))),
            (Kind::Categorical, judge(Hint::Id, 100, 90, Some((8.7e8, 8.9e8)))),
        ] {
            assert_eq!(got, kind);
        }
        let huge =
            Evidence { huge: 3, ..evidence(Hint::Number, 1000, 200, Some((0.0, 9_007_199_254_741_192.0))) };
        assert_eq!(infer(&huge, None), Kind::Categorical);
        for (hint, kind) in [(Hint::None, Kind::Dense), (Hint::Id, Kind::Identifier)] {
            let floats = Evidence { rounded: 3, ..evidence(hint, 5000, 5000, Some((1e15, 1e21))) };
            assert_eq!(infer(&floats, None), kind);
        }
    }
}
