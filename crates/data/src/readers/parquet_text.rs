//! Values of Parquet as text, exactly: no number passes through a float that it was not.
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::schema::types::ColumnDescriptor;
use std::fmt::Write;

/// What the bits of a column mean, where its physical type does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the physical type says; dates and times are integers in their unit.
    Plain,
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
    pub fn of(column: &ColumnDescriptor) -> Option<Kind> {
        let (converted, logical) = (column.converted_type(), column.logical_type_ref());
        let decimal = match logical {
            Some(LogicalType::Decimal(decimal)) => Some(decimal.scale),
            _ if converted == ConvertedType::DECIMAL => Some(column.type_scale()),
            _ => None,
        };
        if let Some(scale) = decimal {
            let fits = column.physical_type() != Physical::FIXED_LEN_BYTE_ARRAY || column.type_length() <= 16;
            return usize::try_from(scale).ok().filter(|_| fits).map(Kind::Decimal);
        }
        let is_unsigned = matches!(logical, Some(LogicalType::Integer(integer)) if !integer.is_signed)
            || matches!(converted, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64);
        match column.physical_type() {
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
            Kind::Unsigned => append!(out, "{}", self.cast_unsigned()),
            Kind::Decimal(scale) => append_decimal(i128::from(*self), scale, out),
            _ => append!(out, "{self}"),
        }
    }
}

impl Show for i64 {
    fn show(&self, kind: Kind, out: &mut String) -> Result<(), Unfit> {
        match kind {
            Kind::Unsigned => append!(out, "{}", self.cast_unsigned()),
            Kind::Decimal(scale) => append_decimal(i128::from(*self), scale, out),
            _ => append!(out, "{self}"),
        }
    }
}

impl Show for Int96 {
    /// Nanoseconds since 1970-01-01, out of those of the day and the Julian day.
    fn show(&self, _: Kind, out: &mut String) -> Result<(), Unfit> {
        const JULIAN_DAY_OF_1970: i128 = 2_440_588;
        let [low, high, day] = self.data() else { return Err("a timestamp") };
        let of_day = i128::from(*low) | i128::from(*high) << 32;
        append!(out, "{}", (i128::from(*day) - JULIAN_DAY_OF_1970) * 86_400_000_000_000 + of_day)
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
        (Kind::Decimal(scale), _) => append_decimal(big_endian(bytes).ok_or("a decimal of at most 16 bytes")?, scale, out),
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
        assert_eq!(text(&day, Kind::Plain), "86400000000007");
        assert_eq!(half(0x3c00), 1.0);
        assert_eq!(half(0xc000), -2.0);
        assert_eq!(half(0x0001), 2f32.powi(-24));
        assert_eq!(half(0x7c00), f32::INFINITY);
        let uuid = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
        assert_eq!(text(&uuid, Kind::Uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
