//! Values of Parquet as text, exactly: no number passes through a float that it was not.
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::schema::types::ColumnDescriptor;
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
    Uuid,
    /// IEEE half precision.
    Half,
}

impl Kind {
    /// Kind of a column; `None` if it has no text form.
    pub(super) fn of(column: &ColumnDescriptor) -> Option<Kind> {
        let (converted, logical) = (column.converted_type(), column.logical_type_ref());
        let decimal = match logical {
            Some(LogicalType::Decimal(decimal)) => Some(decimal.scale),
            _ if converted == ConvertedType::DECIMAL => Some(column.type_scale()),
            _ => None,
        };
        if let Some(scale) = decimal {
            let fits = column.physical_type() != Physical::FIXED_LEN_BYTE_ARRAY || column.type_length() <= 16;
            let fits = fits && scale <= MOST_DECIMALS;
            return usize::try_from(scale).ok().filter(|_| fits).map(Kind::Decimal);
        }
        let is_unsigned = matches!(logical, Some(LogicalType::Integer(integer)) if !integer.is_signed)
            || matches!(
                converted,
                ConvertedType::UINT_8
                    | ConvertedType::UINT_16
                    | ConvertedType::UINT_32
                    | ConvertedType::UINT_64
            );
        let per_second = match (logical, converted) {
            (Some(LogicalType::Timestamp(moment)), _) => match moment.unit {
                TimeUnit::MILLIS => Some(1_000),
                TimeUnit::MICROS => Some(1_000_000),
                TimeUnit::NANOS => Some(1_000_000_000),
            },
            (None, ConvertedType::TIMESTAMP_MILLIS) => Some(1_000),
            (None, ConvertedType::TIMESTAMP_MICROS) => Some(1_000_000),
            _ => None,
        };
        match column.physical_type() {
            Physical::INT64 if per_second.is_some() => per_second.map(Kind::Moment),
            Physical::INT32 if converted == ConvertedType::DATE || logical == Some(&LogicalType::Date) => {
                Some(Kind::Date)
            }
            Physical::INT32 | Physical::INT64 if is_unsigned => Some(Kind::Unsigned),
            Physical::BYTE_ARRAY if converted == ConvertedType::BSON => None,
            Physical::BYTE_ARRAY => Some(Kind::Text),
            Physical::FIXED_LEN_BYTE_ARRAY => match logical {
                Some(LogicalType::Float16) if column.type_length() == 2 => Some(Kind::Half),
                Some(LogicalType::Uuid) if column.type_length() == 16 => Some(Kind::Uuid),
                _ => None,
            },
            _ => Some(Kind::Plain),
        }
    }
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

impl Show for Int96 {
    /// A moment, out of the nanoseconds of the day and the Julian day.
    fn show(&self, _: Kind, out: &mut String) -> Result<(), Unfit> {
        const JULIAN_DAY_OF_1970: i128 = 2_440_588;
        let [low, high, day] = self.data() else { return Err("a timestamp") };
        let of_day = i128::from(*low) | i128::from(*high) << 32;
        append_moment(
            (i128::from(*day) - JULIAN_DAY_OF_1970) * 86_400_000_000_000 + of_day,
            1_000_000_000,
            out,
        )
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

impl Show for ByteArray {
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit> {
        show_bytes(if self.is_empty() { &[] } else { self.data() }, kind, out)
    }
}

impl Show for FixedLenByteArray {
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit> {
        show_bytes(if self.is_empty() { &[] } else { self.data() }, kind, out)
    }
}

fn show_bytes(bytes: &[u8], kind: Kind, out: &mut String) -> Result<(), Unfit> {
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
fn append_moment(units: i128, per_second: i64, out: &mut String) -> Result<(), Unfit> {
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
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl Show, kind: Kind) -> String {
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
        assert_eq!(text(&12345i64, Kind::Decimal(0)), "12345");
        assert_eq!(text(&ByteArray::from(vec![0xff, 0x38]), Kind::Decimal(1)), "-20.0");
        assert!(ByteArray::from(vec![1; 17]).show(Kind::Decimal(1), &mut String::new()).is_err());
        assert!(ByteArray::from(vec![]).show(Kind::Decimal(1), &mut String::new()).is_err());
    }

    #[test]
    fn other_types() {
        let mut day = Int96::new();
        day.set_data(7, 0, 2_440_589);
        assert_eq!(text(&day, Kind::Plain), "1970-01-02 00:00:00.000000007");
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
        let uuid = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
        assert_eq!(text(&uuid, Kind::Uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
