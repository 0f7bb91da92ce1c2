//! Values of columns as text, exactly: no number passes through a float that it was not. Parquet files and
//! Arrow arrays in memory show their values with this code, so the same rows are the same text.
use std::fmt::Write;

/// Digits behind the point that a decimal may have: those of its number and a hundred zeros. The format
/// allows no more than it has digits in all.
pub(super) const MOST_DECIMALS: i32 = 138;

/// What the bits of a column mean, where its physical type does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the physical type says; times of day are integers in their unit.
    Plain,
    /// Days since 1970.
    Date,
    /// Moments, in so many units per second since 1970.
    Moment(i64),
    Unsigned,
    /// Unscaled integer and number of digits behind the point.
    Decimal(usize),
    Text,
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only Parquet has them"))]
    Uuid,
    /// IEEE half precision.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "only Parquet has them"))]
    Half,
}

/// What was expected instead of a value.
pub(super) type Unfit = &'static str;

/// A value that can be written as text.
pub(super) trait Show {
    /// Appends the value to `out`.
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit>;
}

/// Appends an integer: most columns of numbers hold them.
fn append_integer(value: impl itoa::Integer, out: &mut String) -> Result<(), Unfit> {
    out.push_str(itoa::Buffer::new().format(value));
    Ok(())
}

/// Writing to a string cannot fail.
macro_rules! append {
    ($out:expr, $($arguments:tt)*) => {{
        let _ = write!($out, $($arguments)*);
        Ok(())
    }};
}

impl Show for bool {
    fn show(&self, _: Kind, out: &mut String) -> Result<(), Unfit> {
        out.push(if *self { '1' } else { '0' });
        Ok(())
    }
}

impl Show for i32 {
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit> {
        match kind {
            Kind::Unsigned => append_integer(self.cast_unsigned(), out),
            Kind::Decimal(scale) => append_decimal(i128::from(*self), scale, out),
            Kind::Date => append_date(i64::from(*self), out),
            _ => append_integer(*self, out),
        }
    }
}

impl Show for i64 {
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit> {
        match kind {
            Kind::Unsigned => append_integer(self.cast_unsigned(), out),
            Kind::Decimal(scale) => append_decimal(i128::from(*self), scale, out),
            Kind::Moment(per_second) => append_moment(i128::from(*self), per_second, out),
            _ => append_integer(*self, out),
        }
    }
}

impl Show for i128 {
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit> {
        match kind {
            Kind::Decimal(scale) => append_decimal(*self, scale, out),
            _ => append_integer(*self, out),
        }
    }
}

impl Show for f32 {
    fn show(&self, _: Kind, out: &mut String) -> Result<(), Unfit> {
        append!(out, "{self}")
    }
}

impl Show for f64 {
    fn show(&self, _: Kind, out: &mut String) -> Result<(), Unfit> {
        append!(out, "{self}")
    }
}

/// Appends what bytes of this kind mean.
pub(super) fn show_bytes(bytes: &[u8], kind: Kind, out: &mut String) -> Result<(), Unfit> {
    match (kind, bytes) {
        (Kind::Decimal(scale), _) => {
            append_decimal(big_endian(bytes).ok_or("a decimal of at most 16 bytes")?, scale, out)
        }
        (Kind::Half, &[low, high]) => half(u16::from_le_bytes([low, high])).show(kind, out),
        (Kind::Uuid, _) => {
            for (i, byte) in bytes.iter().enumerate() {
                let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                let _ = write!(out, "{dash}{byte:02x}");
            }
            Ok(())
        }
        _ => {
            out.push_str(std::str::from_utf8(bytes).map_err(|_| "UTF-8 text")?);
            Ok(())
        }
    }
}

/// The two's complement number of `bytes`.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if *bytes.first()? >= 0x80 { 0xff } else { 0 };
    let mut full = [sign; 16];
    full[16usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(full))
}

fn append_decimal(unscaled: i128, scale: usize, out: &mut String) -> Result<(), Unfit> {
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    append!(out, "{sign}{whole}{point}{fraction}")
}

/// Day number `days` since 1970-01-01 as `YYYY-MM-DD` (Hinnant's algorithm: years start in March).
fn append_date(days: i64, out: &mut String) -> Result<(), Unfit> {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    append!(out, "{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

/// A moment as `YYYY-MM-DD HH:MM:SS` with as many decimals as it needs.
pub(super) fn append_moment(units: i128, per_second: i64, out: &mut String) -> Result<(), Unfit> {
    let per_second = i128::from(per_second);
    let (seconds, fraction) = (units.div_euclid(per_second), units.rem_euclid(per_second));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    append_date(i64::try_from(days).map_err(|_| "a timestamp")?, out)?;
    let _ = write!(out, " {:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
    if fraction > 0 {
        let digits = format!("{:0width$}", fraction, width = per_second.ilog10() as usize);
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    Ok(())
}

/// A half as the float of the same value.
pub(super) fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// Appends a value of a field that begins at `start`; those of a list stand between `|`.
pub(super) fn append_value(
    out: &mut String,
    start: usize,
    is_list: bool,
    show: impl FnOnce(&mut String) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    if out.len() > start {
        out.push('|');
    }
    let value_start = out.len();
    let shown = show(out);
    if is_list && out[value_start..].contains('|') {
        return Err("list values without `|`, which separates them here");
    }
    shown
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The text of a value.
    pub(in super::super) fn text(value: &impl Show, kind: Kind) -> String {
        let mut out = String::new();
        value.show(kind, &mut out).expect("shown");
        out
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(text(&-1i32, Kind::Unsigned), "4294967295");
        assert_eq!(text(&-1i64, Kind::Unsigned), "18446744073709551615");
        assert_eq!(text(&i64::MIN, Kind::Plain), "-9223372036854775808");
        assert_eq!(text(&0.1f32, Kind::Plain), "0.1");
        assert_eq!(text(&0.1f64, Kind::Plain), "0.1");
        assert_eq!(text(&-5i32, Kind::Decimal(2)), "-0.05");
        assert_eq!(text(&-5i128, Kind::Decimal(2)), "-0.05");
        assert_eq!(text(&12345i64, Kind::Decimal(0)), "12345");
    }

    #[test]
    fn moments_and_halves() {
        assert_eq!(
            [0, -1, 11_016, 19_723].map(|day: i32| text(&day, Kind::Date)),
            ["1970-01-01", "1969-12-31", "2000-02-29", "2024-01-01"]
        );
        assert_eq!(text(&951_913_800_250i64, Kind::Moment(1000)), "2000-03-01 12:30:00.25");
        assert_eq!(text(&-1i64, Kind::Moment(1)), "1969-12-31 23:59:59");
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), 2f32.powi(-24));
        assert_eq!(half(0x7c00), f32::INFINITY);
    }
}
