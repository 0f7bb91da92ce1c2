//! The columns of a schema that the facts suggest.
use super::column::ColumnProfile;
use super::counts::EXACT_DISTINCT;
use super::kind::Kind;
use super::times::TimeFormat;
use dlrm_data::moment::{DateOrder, TimePart};
use dlrm_data::schema::{Age, CategoricalColumn, DenseColumn, Encoding, MultiValued, PartOfTime, Transform};

/// Skewness from which on it is worth a word.
pub(super) const SKEWED: f64 = 3.0;
/// Share of missing values from which on they get an input of their own.
const OFTEN_MISSING: f64 = 0.01;
/// Vocabularies up to this size keep every value.
const SMALL_VOCABULARY: u64 = 100;

/// Hours of the day that moments must have: dates without a time of day have one, or two, where clocks are
/// put forward in summer.
const FEWEST_HOURS: u32 = 3;

/// Texts that every schema takes as missing.
pub(super) const USUAL: [&str; 5] = ["NA", "N/A", "NULL", "null", "\\N"];

/// Texts of missing fields that a schema must name.
pub(super) fn unusual_missing(column: &ColumnProfile) -> impl Iterator<Item = &str> {
    column.missing_texts.iter().map(String::as_str).filter(|text| !USUAL.contains(text))
}

/// The dense column that the facts suggest. Pieces follow whatever effect a number has, and leave out what
/// is far from all others; where a straight line is right, regularisation finds it.
pub(super) fn dense(column: &ColumnProfile) -> DenseColumn {
    DenseColumn {
        missing_indicator: column.missing_share > OFTEN_MISSING,
        ..DenseColumn::new(&column.name, Transform::PiecewiseLinear)
    }
}

/// The encoding that the facts suggest.
pub(super) fn encoding(column: &ColumnProfile) -> Encoding {
    let (distinct, singletons) =
        column.tokens.map_or((column.distinct, column.singleton_share), |t| (t.distinct, t.singleton_share));
    if distinct > EXACT_DISTINCT as u64 {
        // A quarter as many buckets as values, but no table that a plain machine would feel.
        let buckets = (distinct / 4).next_power_of_two().clamp(1 << 18, 1 << 22);
        return Encoding::Hash { buckets: buckets as u32, seed: 0 };
    }
    let min_count = match singletons {
        _ if distinct <= SMALL_VOCABULARY => 1,
        s if s > 0.8 => 3,
        s if s > 0.5 => 2,
        _ => 1,
    };
    Encoding::vocabulary(min_count)
}

/// The categorical column that the facts suggest.
pub(super) fn categorical(column: &ColumnProfile) -> CategoricalColumn {
    let multi = match column.kind {
        Kind::MultiValued { separator, weight_separator } => {
            Some(MultiValued { separator, weight_separator })
        }
        _ => None,
    };
    let integers = multi.is_none() && column.numbers.is_some_and(|numbers| numbers.integers);
    CategoricalColumn { encoding: encoding(column), integers, multi, ..CategoricalColumn::new(&column.name) }
}

/// The parts of a timestamp that are worth an input: those that recur within the time that it covers.
pub(super) fn times(column: &ColumnProfile) -> Vec<CategoricalColumn> {
    let (Kind::Timestamp { format }, Some(covered)) = (column.kind, column.covered) else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    if covered.hours >= FEWEST_HOURS && covered.days >= 2.0 {
        parts.push((TimePart::Hour, "hour"));
    }
    if covered.weekdays >= 2 && covered.days >= 14.0 {
        parts.push((TimePart::Weekday, "weekday"));
    }
    let column_of = |(part, name): (TimePart, &str)| CategoricalColumn {
        time: Some(PartOfTime { column: column.name.clone(), part, unit: format.unit() }),
        ..CategoricalColumn::new(format!("{}:{name}", column.name))
    };
    parts.into_iter().map(column_of).collect()
}

/// Columns of moments that go together.
pub(super) struct MomentColumns<'a> {
    pub(super) columns: Vec<&'a ColumnProfile>,
    /// One order of day and month holds for all columns: those of another one are left out.
    pub(super) date_order: Option<DateOrder>,
    /// The moment of the event that a row tells of: known of every row, and, of several, the one that covers
    /// the fewest days, for what was before it, such as when a user signed up, covers more.
    pub(super) event: Option<&'a ColumnProfile>,
}

impl<'a> MomentColumns<'a> {
    /// Those among the columns that can be inputs.
    pub(super) fn of(inputs: impl Iterator<Item = &'a ColumnProfile>) -> Self {
        let mut columns: Vec<_> = inputs.filter(|c| matches!(c.kind, Kind::Timestamp { .. })).collect();
        let date_order = columns.iter().find_map(|c| written_order(c));
        columns.retain(|c| written_order(c).is_none_or(|own| Some(own) == date_order));
        let days = |c: &ColumnProfile| c.covered.map_or(f64::INFINITY, |covered| covered.days);
        let complete = columns.iter().copied().filter(|c| c.missing == 0);
        let event = complete.min_by(|a, b| days(a).total_cmp(&days(b)));
        MomentColumns { columns, date_order, event }
    }

    /// How long before the event the moment in another column was. Moments that are often missing may be of
    /// what the label tells, such as a purchase.
    pub(super) fn age(&self, column: &ColumnProfile) -> Option<DenseColumn> {
        let until = self.event.filter(|event| event.name != column.name)?;
        let (Kind::Timestamp { format }, Kind::Timestamp { format: until_format }) =
            (column.kind, until.kind)
        else {
            return None;
        };
        let age = Age {
            column: column.name.clone(),
            until: until.name.clone(),
            unit: format.unit(),
            until_unit: until_format.unit(),
        };
        let new = DenseColumn::new(format!("{}:age", column.name), Transform::PiecewiseLinear);
        (column.missing_share <= OFTEN_MISSING).then_some(DenseColumn { age: Some(age), ..new })
    }
}

/// The order of day and month in a column of dates, where it matters.
fn written_order(column: &ColumnProfile) -> Option<DateOrder> {
    match column.kind {
        Kind::Timestamp { format: TimeFormat::DayFirst } => Some(DateOrder::DayFirst),
        Kind::Timestamp { format: TimeFormat::MonthFirst } => Some(DateOrder::MonthFirst),
        _ => None,
    }
}
