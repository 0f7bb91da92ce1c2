//! Recognising moments in time.
use dlrm_data::moment::{DateOrder, TimeUnit, split_zone};
use serde::{Deserialize, Serialize};

/// How a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// `2014-10-21` or `2014-10-21 13:05:00`, with or without a zone (`Z` or `+02:00`).
    Iso,
    /// `16/07/2024`, with or without a time.
    DayFirst,
    /// `07/16/2024`, with or without a time.
    MonthFirst,
    /// Digits of date and hour that grow with time: 20141021, 2014102113 or 14102113.
    Compact,
}

/// What the dates of a column say of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// Some number above 12 tells which is the day.
    Ordered(DateOrder),
    /// No number does.
    Unclear,
    /// Numbers above 12 stand in both places.
    Mixed,
}

impl TimeFormat {
    /// What numbers of this format count.
    pub(super) fn unit(self) -> TimeUnit {
        match self {
            TimeFormat::Milliseconds => TimeUnit::Milliseconds,
            TimeFormat::Microseconds => TimeUnit::Microseconds,
            TimeFormat::Nanoseconds => TimeUnit::Nanoseconds,
            TimeFormat::Compact => TimeUnit::Digits,
            _ => TimeUnit::Seconds,
        }
    }
}

/// Seconds since 1970 of a number that is a plausible Unix time in some unit.
pub(super) fn plausible(x: f64) -> Option<f64> {
    // Few numbers are so large.
    if x < *PLAUSIBLE.start() {
        return None;
    }
    [1.0, 1e3, 1e6, 1e9].into_iter().map(|unit| x / unit).find(|seconds| PLAUSIBLE.contains(seconds))
}

/// 1980 to 2100, in seconds.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 315_532_800.0..=4_102_444_800.0;
/// 1995 to 2040: for columns whose name says nothing.
const RECENT: std::ops::RangeInclusive<f64> = 788_918_400.0..=2_208_988_800.0;

/// Whether numbers from `min` to `max` are Unix times. `named`: whether the column is named like one.
pub(super) fn unix(min: f64, max: f64, named: bool) -> Option<TimeFormat> {
    let range = if named { PLAUSIBLE } else { RECENT };
    let fits = |unit: f64| range.contains(&(min / unit)) && range.contains(&(max / unit));
    if fits(1.0) {
        Some(TimeFormat::Seconds)
    } else if fits(1000.0) {
        Some(TimeFormat::Milliseconds)
    } else if named && fits(1e6) {
        // Identifiers of 16 and 19 digits lie in the same range: these two need a name that says so.
        Some(TimeFormat::Microseconds)
    } else if named && fits(1e9) {
        Some(TimeFormat::Nanoseconds)
    } else {
        None
    }
}

/// Whether a text is a date, with or without a time, in a form that splits by time can order.
pub(super) fn is_iso(field: &str) -> bool {
    let field = field.trim();
    let (date, time) = match field.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (field, None),
    };
    is_date(date) && time.is_none_or(is_time)
}

/// A number of `digits` digits within `range`.
fn within(text: &str, digits: std::ops::RangeInclusive<usize>, range: std::ops::RangeInclusive<u32>) -> bool {
    digits.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse().is_ok_and(|n: u32| range.contains(&n))
}

fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, if text.contains('/') { '/' } else { '-' });
    let mut next = |digits, range| parts.next().is_some_and(|part| within(part, digits, range));
    next(4..=4, 1900..=2200) && next(1..=2, 1..=12) && next(1..=2, 1..=31)
}

fn is_time(text: &str) -> bool {
    let Some((text, _)) = split_zone(text) else { return false };
    let mut parts = text.splitn(3, ':');
    let mut next = |range| {
        parts.next().map(|part| within(part.split_once('.').map_or(part, |(whole, _)| whole), 1..=2, range))
    };
    let fraction_is_digits =
        text.split_once('.').is_none_or(|(_, fraction)| fraction.bytes().all(|b| b.is_ascii_digit()));
    next(0..=23) == Some(true)
        && next(0..=59) == Some(true)
        && next(0..=59) != Some(false)
        && fraction_is_digits
}

/// Whether a text is a compact date: YYYYMMDD, YYYYMMDDHH or YYMMDDHH.
pub(super) fn is_compact(field: &str) -> bool {
    if !matches!(field.len(), 8 | 10) || !field.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let day = |text: &str| within(&text[..2], 2..=2, 1..=12) && within(&text[2..4], 2..=2, 1..=31);
    let long = within(&field[..4], 4..=4, 1980..=2100)
        && day(&field[4..8])
        && (field.len() == 8 || within(&field[8..], 2..=2, 0..=23));
    let short = field.len() == 8 && day(&field[2..6]) && within(&field[6..], 2..=2, 0..=23);
    long || short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_dates() {
        for good in [
            "2014-10-21",
            "2014-1-2",
            "2014/1/2 13:05",
            "2014-10-21 13:05",
            "2014-10-21T13:05:59Z",
            " 2014-10-21 13:05:59.25 ",
            "2014-10-21T10:00:00+02:00",
        ] {
            assert!(is_iso(good), "{good}");
        }
        for bad in [
            "",
            "2014",
            "2014-13-01",
            "2014-10-21 25:00",
            "2014-10-21 10",
            "14-10-21",
            "2014-10-2x",
            "16/07/2024",
            "2014-10-21T10:00:00+2x",
        ] {
            assert!(!is_iso(bad), "{bad}");
        }
    }

    #[test]
    fn compact_dates_and_unix_times() {
        assert!(["20141021", "2014102113", "14102113"].into_iter().all(is_compact));
        assert!(!["1410211", "99999999", "ab102113", "é12345"].into_iter().any(is_compact));
        assert_eq!(unix(8.8e8, 8.9e8, false), Some(TimeFormat::Seconds));
        assert_eq!(unix(1.5e12, 1.6e12, true), Some(TimeFormat::Milliseconds));
        assert_eq!(unix(1.5e15, 1.6e15, true), Some(TimeFormat::Microseconds));
        assert_eq!(unix(1.5e18, 1.6e18, true), Some(TimeFormat::Nanoseconds));
        assert_eq!((unix(1.5e18, 1.6e18, false), unix(1.0, 8.9e8, true)), (None, None));
    }
}
