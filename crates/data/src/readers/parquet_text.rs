//! What the columns of Parquet files mean, and values of the types that only they have.
use super::value_text::{Kind, MOST_DECIMALS, Show, Unfit, append_moment, show_bytes};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::schema::types::ColumnDescriptor;

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

#[cfg(test)]
mod tests {
    use super::super::value_text::tests::text;
    use super::*;

    #[test]
    fn decimals_of_bytes() {
        assert_eq!(text(&ByteArray::from(vec![0xff, 0x38]), Kind::Decimal(1)), "-20.0");
        assert!(ByteArray::from(vec![1; 17]).show(Kind::Decimal(1), &mut String::new()).is_err());
        assert!(ByteArray::from(vec![]).show(Kind::Decimal(1), &mut String::new()).is_err());
    }

    #[test]
    fn other_types() {
        let mut day = Int96::new();
        day.set_data(7, 0, 2_440_589);
        assert_eq!(text(&day, Kind::Plain), "1970-01-02 00:00:00.000000007");
        let uuid = FixedLenByteArray::from((0..16).collect::<Vec<u8>>());
        assert_eq!(text(&uuid, Kind::Uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
