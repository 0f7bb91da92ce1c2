//! Moments in time: from a text to seconds since 1970, and to the hour and the weekday that recur.
use serde::{Deserialize, Serialize};

/// Which comes first in dates such as 03/04/2024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// The third of April.
    DayFirst,
    /// The fourth of March.
    MonthFirst,
}

/// What the numbers of a column of moments count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// None: their digits are a date, YYYYMMDD, YYYYMMDDHH or YYMMDDHH.
    Digits,
}

/// A part of a moment that recurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimePart {
    /// 0 to 23.
    Hour,
    /// Mon to Sun.
    Weekday,
    /// 1 to 12.
    Month,
}

const NUMBERS: [&str; 24] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
    "19", "20", "21", "22", "23",
];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY: f64 = 86_400.0;
/// Ten thousand years in seconds.
const FARTHEST: f64 = 3.2e11;
/// Days from 0000-03-01 to 1970-01-01, and of 400 years.
const EPOCH: i64 = 719_468;
const ERA: i64 = 146_097;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Seconds since 1970.
    pub seconds: f64,
    /// Seconds by which the clock that it was read from is ahead of UTC.
    ahead: f64,
}

impl Moment {
    /// The moment that a field holds: a number of `unit`s, or a date with or without a time.
    pub fn read(field: &str, unit: TimeUnit, order: Option<DateOrder>) -> Option<Self> {
        let field = field.trim();
        if unit == TimeUnit::Digits {
            return digits(field);
        }
        match field.parse::<f64>() {
            Ok(number) => {
                let seconds = match unit {
                    TimeUnit::Milliseconds => number / 1e3,
                    TimeUnit::Microseconds => number / 1e6,
                    TimeUnit::Nanoseconds => number / 1e9,
                    _ => number,
                };
                Moment::at(seconds)
            }
            Err(_) => written(field, order),
        }
    }

    /// So many seconds since 1970; `None` where no calendar goes.
    pub fn at(seconds: f64) -> Option<Self> {
        (seconds.abs() < FARTHEST).then_some(Moment { seconds, ahead: 0.0 })
    }

    /// Hour of the day, 0 to 23, by the clock that it was read from.
    pub fn hour(self) -> usize {
        let local = self.seconds + self.ahead;
        ((local - (local / DAY).floor() * DAY) / 3600.0).clamp(0.0, 23.0) as usize
    }

    /// Day of the week from Monday, 0 to 6.
    pub fn weekday(self) -> usize {
        // 1970 began on a Thursday.
        (self.days() + 3).rem_euclid(7) as usize
    }

    /// The text of a part.
    pub fn part(self, part: TimePart) -> &'static str {
        match part {
            TimePart::Hour => NUMBERS[self.hour()],
            TimePart::Weekday => WEEKDAYS[self.weekday()],
            TimePart::Month => NUMBERS[month(self.days())],
        }
    }

    /// Days since an earlier moment, or, less than 0, until a later one.
    pub fn days_since(self, earlier: Moment) -> f64 {
        (self.seconds - earlier.seconds) / DAY
    }

    fn days(self) -> i64 {
        ((self.seconds + self.ahead) / DAY).floor() as i64
    }
}

/// Seconds that order a field in time: a number as it stands, or those of a date.
pub(crate) fn seconds(field: &str, order: Option<DateOrder>) -> Option<f64> {
    let field = field.trim();
    match field.parse::<f64>() {
        Ok(number) => Some(number).filter(|n| n.is_finite()),
        Err(_) => written(field, order).map(|moment| moment.seconds),
    }
}

/// The first two numbers of a date that ends with its year, such as 16/07/2024, 16.7.2024 12:00 or 7-16-2024:
/// which of them is the day does not stand there.
pub fn day_and_month(field: &str) -> Option<[i64; 2]> {
    let date = field.trim().split([' ', 'T']).next()?;
    let [first, second, year] = three(date)?;
    let is_number =
        |text: &str, digits: usize| text.len() <= digits && text.bytes().all(|b| b.is_ascii_digit());
    let fits = is_number(first, 2) && is_number(second, 2) && year.len() == 4 && is_number(year, 4);
    fits.then(|| Some([first.parse().ok()?, second.parse().ok()?])).flatten()
}

/// A time of day without its zone, and the seconds by which the zone is ahead; `None` for a zone that is
/// none.
pub fn split_zone(time: &str) -> Option<(&str, f64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0.0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0.0)) };
    let (sign, digits) =
        (if time[at..].starts_with('-') { -1.0 } else { 1.0 }, time[at + 1..].replace(':', ""));
    let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && matches!(digits.len(), 2 | 4);
    let (hours, minutes) = if is_number { digits.split_at(2) } else { return None };
    let (hours, minutes) = (hours.parse::<f64>().ok()?, minutes.parse::<f64>().unwrap_or(0.0));
    (hours <= 18.0 && minutes < 60.0).then_some((&time[..at], sign * (hours * 3600.0 + minutes * 60.0)))
}

/// The three numbers of a date and what stands between them.
fn three(date: &str) -> Option<[&str; 3]> {
    let separator = date.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
    let mut parts = date.splitn(3, separator);
    Some([parts.next()?, parts.next()?, parts.next()?])
}

/// A date YYYY-MM-DD (or with / or . between), or one that ends with its year where `order` is known; with or
/// without ` HH:MM:SS` or `THH:MM:SS`, AM or PM, and a zone (`Z`, `+02:00`).
fn written(field: &str, order: Option<DateOrder>) -> Option<Moment> {
    let (date, time) = field.split_once([' ', 'T']).unwrap_or((field, "00:00:00"));
    let [a, b, c] = three(date)?;
    let (year, month, day) = match (day_and_month(date), order) {
        (None, _) => (a, b, c),
        (Some(_), Some(DateOrder::DayFirst)) => (c, b, a),
        (Some(_), Some(DateOrder::MonthFirst)) => (c, a, b),
        (Some(_), None) => return None,
    };
    let days = days(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    let (time, ahead) = split_zone(time)?;
    Some(Moment { seconds: days as f64 * DAY + of_day(time)? - ahead, ahead })
}

/// Seconds of a time of day.
fn of_day(time: &str) -> Option<f64> {
    let half = |suffixes: [&str; 2]| suffixes.iter().find_map(|suffix| time.strip_suffix(suffix));
    let (clock, later) = match (half(["AM", "am"]), half(["PM", "pm"])) {
        (Some(clock), _) => (clock.trim_end(), Some(0.0)),
        (_, Some(clock)) => (clock.trim_end(), Some(12.0)),
        _ => (time, None),
    };
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0.0))?;
    let hour = match later {
        Some(later) if (1.0..13.0).contains(&hour) => hour % 12.0 + later,
        Some(_) => return None,
        None => hour,
    };
    // A leap second is 60.
    let in_range =
        (0.0..24.0).contains(&hour) && (0.0..60.0).contains(&minute) && (0.0..61.0).contains(&second);
    in_range.then_some(hour * 3600.0 + minute * 60.0 + second)
}

/// A date of digits alone: YYYYMMDD, YYYYMMDDHH or YYMMDDHH.
fn digits(field: &str) -> Option<Moment> {
    if !matches!(field.len(), 8 | 10) || !field.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| field[range].parse::<i64>().ok();
    let long = field.len() == 10 || (1980..=2100).contains(&number(0..4)?);
    let year = if long { number(0..4)? } else { 2000 + number(0..2)? };
    let rest = if long { 4 } else { 2 };
    let days = days(year, number(rest..rest + 2)?, number(rest + 2..rest + 4)?)?;
    let hour = if field.len() > rest + 4 { number(rest + 4..rest + 6)? } else { 0 };
    (hour < 24).then_some(Moment { seconds: days as f64 * DAY + hour as f64 * 3600.0, ahead: 0.0 })
}

/// Days since 1970-01-01 in the Gregorian calendar (Hinnant's algorithm: years start in March).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let year_of_era = year.rem_euclid(400);
    Some(era * ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH)
}

/// The month of a day since 1970-01-01, likewise.
fn month(days: i64) -> usize {
    let day = (days + EPOCH).rem_euclid(ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    ((5 * day_of_year + 2) / 153 + 2) as usize % 12 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: f64 = 951_913_800.0;

    fn parts(moment: Option<Moment>) -> [&'static str; 3] {
        [TimePart::Hour, TimePart::Weekday, TimePart::Month].map(|part| moment.expect("a moment").part(part))
    }

    #[test]
    fn dates_with_and_without_zones() {
        for text in [
            "2000-03-01 12:30:00",
            "2000-03-01T12:30:00Z",
            "2000-03-01 14:30:00+02:00",
            "2000-03-01T09:00:00-0330",
            "2000/03/01 12:30",
            "2000-03-01 12:30 PM",
        ] {
            assert_eq!(seconds(text, None), Some(NOON), "{text}");
        }
        assert_eq!((seconds(" 17.5 ", None), seconds("nan", None)), (Some(17.5), None));
        for text in
            ["2000-03-01T12:30:00+2", "2023-02-29", "soon", "2000-03-01 13:30 PM", "2000-03", "-", "1/2"]
        {
            assert_eq!(seconds(text, None), None, "{text}");
        }
        let read = |text| Moment::read(text, TimeUnit::Seconds, None);
        // Wednesday; the hour is that of the clock that was read.
        assert_eq!(parts(read("2000-03-01 12:30:00")), ["12", "Wed", "3"]);
        assert_eq!(parts(read("2000-03-01T23:30:00-05:00")), ["23", "Wed", "3"]);
        assert_eq!(parts(read("2024-12-31")), ["0", "Tue", "12"]);
        assert_eq!(parts(read("2024-02-29 12:00 AM")), ["0", "Thu", "2"]);
    }

    #[test]
    fn the_order_of_day_and_month_must_be_known() {
        let read = |text, order| Moment::read(text, TimeUnit::Seconds, order).map(|moment| moment.seconds);
        let (day, month) = (Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst));
        for text in ["16/07/2024", "16.7.2024", "16-07-2024", "16/07/2024 00:00"] {
            assert_eq!([read(text, None), read(text, month)], [None, None], "{text}");
            assert_eq!(read(text, day), read("2024-07-16", None), "{text}");
            assert_eq!(day_and_month(text), Some([16, 7]));
        }
        assert_eq!(read("03/04/2024", day), read("2024-04-03", None));
        assert_eq!(read("03/04/2024", month), read("2024-03-04", None));
        assert_eq!([day_and_month("2024-07-16"), day_and_month("1.5"), day_and_month("a/b/2024")], [None; 3]);
    }

    #[test]
    fn numbers_of_every_unit_are_one_moment() {
        let expected = ["12", "Wed", "3"];
        for (text, unit) in [
            ("951913800", TimeUnit::Seconds),
            ("951913800000", TimeUnit::Milliseconds),
            ("951913800000000", TimeUnit::Microseconds),
            ("951913800000000000", TimeUnit::Nanoseconds),
            ("2000030112", TimeUnit::Digits),
            ("00030112", TimeUnit::Digits),
        ] {
            assert_eq!(parts(Moment::read(text, unit, None)), expected, "{text}");
        }
        assert_eq!(parts(Moment::read("20000301", TimeUnit::Digits, None)), ["0", "Wed", "3"]);
        assert_eq!(parts(Moment::read("-1", TimeUnit::Seconds, None)), ["23", "Wed", "12"]);
        for (text, unit) in
            [("1e30", TimeUnit::Seconds), ("20001301", TimeUnit::Digits), ("inf", TimeUnit::Seconds)]
        {
            assert_eq!(Moment::read(text, unit, None), None, "{text}");
        }
    }

    #[test]
    fn months_are_those_of_their_dates() {
        for year in [1899, 1970, 2000, 2023, 2024, 2100] {
            for month_of_year in 1..=12 {
                for day in [1, 28] {
                    assert_eq!(
                        month(days(year, month_of_year, day).expect("a date")),
                        month_of_year as usize
                    );
                }
            }
        }
    }
}
