//! The moments that a column may hold, by each way of reading it.
use super::evidence::are_strays;
use super::times::{self, Dates, TimeFormat};
use dlrm_data::error::quoted;
use dlrm_data::moment::{DateOrder, Moment, TimeUnit, day_and_month};
use serde::{Deserialize, Serialize};

/// How much of the day and the week the moments of a column cover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Covered {
    /// Different hours of the day.
    pub hours: u32,
    /// Different days of the week.
    pub weekdays: u32,
    /// Days from the first moment to the last.
    pub days: f64,
}

/// Moments by one way of reading.
#[derive(Debug, Clone, Copy)]
struct Seen {
    count: u64,
    hours: u32,
    weekdays: u8,
    first: f64,
    last: f64,
}

impl Default for Seen {
    fn default() -> Self {
        Seen { count: 0, hours: 0, weekdays: 0, first: f64::INFINITY, last: f64::NEG_INFINITY }
    }
}

impl Seen {
    fn add(&mut self, moment: Option<Moment>) {
        let Some(moment) = moment else { return };
        self.count += 1;
        self.hours |= 1 << moment.hour();
        self.weekdays |= 1 << moment.weekday();
        self.first = self.first.min(moment.seconds);
        self.last = self.last.max(moment.seconds);
    }
}

const ORDERS: [DateOrder; 2] = [DateOrder::DayFirst, DateOrder::MonthFirst];

/// The moments in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    unix: Seen,
    digits: Seen,
    /// Dates, with the day first, with the month first.
    dates: [Seen; 2],
    /// Dates that end with their year, and the first of them whose first, whose second number is above 12.
    unordered: u64,
    above: [Option<String>; 2],
    example: Option<String>,
}

impl Clock {
    /// Adds a field that is the number `x`.
    pub(super) fn add_number(&mut self, x: f64, field: &str) {
        if let Some(seconds) = times::plausible(x) {
            self.unix.add(Moment::at(seconds));
        }
        if times::is_compact(field) {
            self.digits.add(Moment::read(field, TimeUnit::Digits, None));
        }
    }

    /// Adds a field that is no number.
    pub(super) fn add_text(&mut self, field: &str) {
        if !field.starts_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        let mut is_date = false;
        for (seen, order) in self.dates.iter_mut().zip(ORDERS) {
            let moment = Moment::read(field, TimeUnit::Seconds, Some(order));
            is_date |= moment.is_some();
            seen.add(moment);
        }
        let Some(numbers) = day_and_month(field).filter(|_| is_date) else { return };
        self.unordered += 1;
        self.example.get_or_insert_with(|| field.to_owned());
        for (above, _) in self.above.iter_mut().zip(numbers).filter(|(_, number)| *number > 12) {
            above.get_or_insert_with(|| field.to_owned());
        }
    }

    /// What is known of day and month, if nearly all of `present` fields are dates that end with their year.
    pub(super) fn dates(&self, present: u64) -> Option<Dates> {
        let most = self.dates[0].count.max(self.dates[1].count).max(self.unordered);
        if self.unordered == 0 || !are_strays(present.saturating_sub(most), present) {
            return None;
        }
        Some(match [self.above[0].is_some(), self.above[1].is_some()] {
            [true, false] => Dates::Ordered(DateOrder::DayFirst),
            [false, true] => Dates::Ordered(DateOrder::MonthFirst),
            [true, true] => Dates::Mixed,
            [false, false] => Dates::Unclear,
        })
    }

    /// What is wrong with the dates.
    pub(super) fn warning(&self, present: u64) -> Option<String> {
        let shown = |text: &Option<String>| text.as_deref().map(quoted).unwrap_or_default();
        match self.dates(present)? {
            Dates::Ordered(_) => None,
            Dates::Unclear => Some(format!(
                "dates such as {}, and no row tells whether the day or the month comes first: say \
                    date_order = \"day_first\" or \"month_first\" in the schema and take their parts for \
                    inputs there",
                shown(&self.example)
            )),
            Dates::Mixed => Some(format!(
                "dates of both orders, such as {} and {}: not taken for moments; write them YYYY-MM-DD",
                shown(&self.above[0]),
                shown(&self.above[1])
            )),
        }
    }

    /// How much of day and week the moments cover, if each of `present` fields can be read so.
    pub(super) fn covered(&self, format: TimeFormat, present: u64) -> Option<Covered> {
        let seen = match format {
            TimeFormat::Compact => self.digits,
            TimeFormat::Iso | TimeFormat::DayFirst => self.dates[0],
            TimeFormat::MonthFirst => self.dates[1],
            _ => self.unix,
        };
        (seen.count == present && present > 0).then(|| Covered {
            hours: seen.hours.count_ones(),
            weekdays: seen.weekdays.count_ones(),
            days: (seen.last - seen.first) / 86_400.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(fields: &[&str]) -> Clock {
        let mut clock = Clock::default();
        fields.iter().for_each(|field| clock.add_text(field));
        clock
    }

    #[test]
    fn day_and_month_are_told_by_all_rows() {
        let dates = |fields: &[&str]| clock(fields).dates(fields.len() as u64);
        assert_eq!(dates(&["03/04/2024", "16/07/2024"]), Some(Dates::Ordered(DateOrder::DayFirst)));
        assert_eq!(dates(&["03.04.2024", "07.16.2024"]), Some(Dates::Ordered(DateOrder::MonthFirst)));
        assert_eq!(dates(&["03/04/2024", "07/11/2024"]), Some(Dates::Unclear));
        assert_eq!(dates(&["16/04/2024", "07/16/2024"]), Some(Dates::Mixed));
        assert_eq!(dates(&["16/04/2024", "abc"]), None);
        assert_eq!(dates(&["2024-04-16", "17/17/2024"]), None);
        let warning = clock(&["03/04/2024", "07/11/2024"]).warning(2).unwrap();
        assert!(warning.contains("\"03/04/2024\"") && warning.contains("date_order"), "{warning}");
        assert!(clock(&["16/04/2024", "07/16/2024"]).warning(2).unwrap().contains("both orders"));
    }

    #[test]
    fn what_moments_cover() {
        let covered = clock(&["01/07/2024 10:00", "16/07/2024 12:00", "16/07/2024 12:30"])
            .covered(TimeFormat::DayFirst, 3)
            .unwrap();
        assert_eq!((covered.hours, covered.weekdays), (2, 2));
        assert!((covered.days - 15.1).abs() < 0.01);
        assert_eq!(clock(&["16/07/2024", "soon"]).covered(TimeFormat::DayFirst, 2), None, "one is no moment");
        let mut numbers = Clock::default();
        numbers.add_number(1.7e12, "1700000000000");
        assert_eq!(numbers.covered(TimeFormat::Milliseconds, 1).unwrap().hours, 1);
    }
}
