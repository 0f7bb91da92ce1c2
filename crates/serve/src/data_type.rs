//! Data types of the Open Inference Protocol, and their values as texts.
use crate::refusal::{Code, Refusal};
use dlrm_data::error::quoted;
use serde_json::value::RawValue;

/// A data type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp32,
    Fp64,
    Bytes,
}

const TYPES: [(&str, DataType); 12] = [
    ("BOOL", DataType::Bool),
    ("UINT8", DataType::Uint8),
    ("UINT16", DataType::Uint16),
    ("UINT32", DataType::Uint32),
    ("UINT64", DataType::Uint64),
    ("INT8", DataType::Int8),
    ("INT16", DataType::Int16),
    ("INT32", DataType::Int32),
    ("INT64", DataType::Int64),
    ("FP32", DataType::Fp32),
    ("FP64", DataType::Fp64),
    ("BYTES", DataType::Bytes),
];

impl DataType {
    /// Names of all of them.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
        TYPES.iter().map(|(name, _)| *name)
    }

    pub(crate) fn named(name: &str, place: &str) -> Result<Self, Refusal> {
        let known = TYPES.iter().find(|(known, _)| *known == name);
        known.map(|&(_, kind)| kind).ok_or_else(|| {
            Refusal::unknown(Code::BadRequest, &format!("for {place} a datatype"), name, DataType::names())
        })
    }

    fn name(self) -> &'static str {
        TYPES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Bytes of a value; none where each has its own length.
    fn width(self) -> Option<usize> {
        match self {
            DataType::Bool | DataType::Uint8 | DataType::Int8 => Some(1),
            DataType::Uint16 | DataType::Int16 => Some(2),
            DataType::Uint32 | DataType::Int32 | DataType::Fp32 => Some(4),
            DataType::Uint64 | DataType::Int64 | DataType::Fp64 => Some(8),
            DataType::Bytes => None,
        }
    }

    /// The texts of `count` little-endian values that lie one behind the other; texts begin with their length
    /// in four bytes.
    pub(crate) fn of_bytes(self, bytes: &[u8], count: usize, place: &str) -> Result<Vec<String>, Refusal> {
        let Some(width) = self.width() else { return texts(bytes, count, place) };
        if bytes.len() != count.saturating_mul(width) {
            let expected = format!("{count} values of {width} bytes, as the shape says");
            let found = format!("{} bytes", bytes.len());
            return Err(Refusal::expected(Code::BadRequest, place, &expected, found));
        }
        Ok(bytes.chunks_exact(width).map(|value| self.text(value)).collect())
    }

    fn text(self, value: &[u8]) -> String {
        macro_rules! number {
            ($type:ty) => {
                <$type>::from_le_bytes(value.try_into().unwrap_or_default())
            };
        }
        match self {
            DataType::Bool => u8::from(value != [0]).to_string(),
            DataType::Uint8 => number!(u8).to_string(),
            DataType::Uint16 => number!(u16).to_string(),
            DataType::Uint32 => number!(u32).to_string(),
            DataType::Uint64 => number!(u64).to_string(),
            DataType::Int8 => number!(i8).to_string(),
            DataType::Int16 => number!(i16).to_string(),
            DataType::Int32 => number!(i32).to_string(),
            DataType::Int64 => number!(i64).to_string(),
            DataType::Fp32 => fp32(number!(f32)),
            DataType::Fp64 => fp64(number!(f64)),
            DataType::Bytes => String::new(),
        }
    }

    /// The text of a JSON value, which must be one of this type. JSON has no NaN: clients write null in its
    /// place, so null of a floating-point type is missing, as NaN is.
    pub(crate) fn of_json(self, value: &RawValue, place: &str) -> Result<String, Refusal> {
        let value = value.get();
        let text = match self {
            DataType::Bytes => serde_json::from_str::<String>(value).ok(),
            DataType::Bool => serde_json::from_str::<bool>(value).ok().map(|v| u8::from(v).to_string()),
            DataType::Fp32 | DataType::Fp64 if value == "null" => Some(String::new()),
            // As the same tensor in bytes has it: rounded, then as short as it can be.
            DataType::Fp32 => serde_json::from_str::<f64>(value).ok().map(|v| fp32(v as f32)),
            DataType::Fp64 => serde_json::from_str::<f64>(value).ok().map(fp64),
            _ => value.parse::<i128>().ok().filter(|&v| self.holds(v)).map(|_| value.to_owned()),
        };
        text.ok_or_else(|| {
            let expected = format!("a value of {}", self.name());
            Refusal::expected(Code::BadValue, place, &expected, quoted(value))
        })
    }

    /// Whether a whole number is one of this type.
    pub(crate) fn holds(self, value: i128) -> bool {
        let (least, most): (i128, i128) = match self {
            DataType::Uint8 => (0, u8::MAX.into()),
            DataType::Uint16 => (0, u16::MAX.into()),
            DataType::Uint32 => (0, u32::MAX.into()),
            DataType::Uint64 => (0, u64::MAX.into()),
            DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
            DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
            _ => return false,
        };
        (least..=most).contains(&value)
    }

    /// The texts of whole numbers, which must be of this type.
    pub(crate) fn of_integers<T: Into<i128> + Copy>(
        self,
        values: &[T],
        place: &str,
    ) -> Result<Vec<String>, Refusal> {
        let text = |&value: &T| {
            let value: i128 = value.into();
            let expected = format!("a value of {}", self.name());
            let refused = || Refusal::expected(Code::BadValue, place, &expected, value.to_string());
            self.holds(value).then(|| value.to_string()).ok_or_else(refused)
        };
        values.iter().map(text).collect()
    }
}

/// The shortest text that is this number again, as people write it: that of 0.1 as FP32 is 0.1. What is no
/// number is missing, as in data frames.
pub(crate) fn fp32(value: f32) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

/// As [`fp32`].
pub(crate) fn fp64(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

fn texts(mut bytes: &[u8], count: usize, place: &str) -> Result<Vec<String>, Refusal> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let cut =
            || Refusal::expected(Code::BadRequest, place, "texts behind their lengths", "the end within one");
        if texts.len() == count {
            let expected = format!("{count} values, as the shape says");
            return Err(Refusal::expected(Code::BadRequest, place, &expected, "more"));
        }
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        texts.push(utf8(text.to_vec(), place)?);
        bytes = rest;
    }
    Ok(texts)
}

/// Bytes as text.
pub(crate) fn utf8(bytes: Vec<u8>, place: &str) -> Result<String, Refusal> {
    let error = |_| Refusal::expected(Code::BadValue, place, "texts in UTF-8", "other bytes");
    String::from_utf8(bytes).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(kind: DataType, value: &str) -> Result<String, Refusal> {
        kind.of_json(&RawValue::from_string(value.to_owned()).unwrap(), "x")
    }

    #[test]
    fn values_of_each_type() {
        assert_eq!(json(DataType::Fp32, "12.3400001526").unwrap(), "12.34", "what 12.34 is as FP32");
        assert_eq!(json(DataType::Fp64, "0.1").unwrap(), "0.1");
        assert_eq!(json(DataType::Uint64, "18446744073709551615").unwrap(), "18446744073709551615");
        assert_eq!(json(DataType::Bool, "true").unwrap(), "1");
        assert_eq!(json(DataType::Fp32, "null").unwrap(), "", "NaN, which JSON does not have");
        for (kind, value) in [
            (DataType::Int64, "\"x\""),
            (DataType::Int64, "1.5"),
            (DataType::Uint8, "256"),
            (DataType::Int8, "-129"),
            (DataType::Uint64, "-1"),
            (DataType::Bool, "7"),
            (DataType::Fp32, "true"),
            (DataType::Fp32, "\"1\""),
            (DataType::Bytes, "1"),
            (DataType::Int64, "null"),
            (DataType::Bytes, "null"),
        ] {
            assert!(json(kind, value).is_err(), "{kind:?} {value}");
        }
        assert!(DataType::Int8.of_integers(&[1000i32], "x").is_err());
        assert_eq!(DataType::Fp32.of_bytes(&0.1f32.to_le_bytes(), 1, "x").unwrap(), ["0.1"]);
        assert_eq!(DataType::Fp64.of_bytes(&f64::NAN.to_le_bytes(), 1, "x").unwrap(), [""]);
        assert!(
            DataType::Uint8.of_bytes(&[0; 9], 8, "x").is_err()
                && DataType::Bytes.of_bytes(&[0; 8], 1, "x").is_err()
        );
    }
}
