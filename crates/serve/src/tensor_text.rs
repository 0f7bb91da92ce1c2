//! Values of tensors as the texts that rows are made of.
use crate::inputs::InputKind;
use crate::models::Loaded;
use crate::refusal::{Code, Refusal};
use dlrm_data::row::RawRow;
use std::fmt::Write;

/// A tensor of a request: its name, its shape and the text of each value.
pub(crate) struct TensorTexts {
    pub(crate) name: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) values: Vec<String>,
}

/// Data types of the Open Inference Protocol.
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
    pub(crate) fn named(name: &str, place: &str) -> Result<Self, Refusal> {
        let known = TYPES.iter().find(|(known, _)| *known == name);
        known.map(|&(_, kind)| kind).ok_or_else(|| {
            let names = TYPES.iter().map(|(name, _)| *name);
            Refusal::unknown(Code::BadRequest, &format!("for {place} a datatype"), name, names)
        })
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

    /// The texts of little-endian values that lie one behind the other; texts begin with their length in four
    /// bytes.
    pub(crate) fn texts(self, bytes: &[u8], place: &str) -> Result<Vec<String>, Refusal> {
        let Some(width) = self.width() else { return texts_of_bytes(bytes, place) };
        if !bytes.len().is_multiple_of(width) {
            let expected = format!("values of {width} bytes");
            return Err(Refusal::expected(
                Code::BadRequest,
                place,
                &expected,
                format!("{} bytes", bytes.len()),
            ));
        }
        Ok(bytes.chunks_exact(width).map(|value| self.text(value)).collect())
    }

    fn text(self, value: &[u8]) -> String {
        macro_rules! number {
            ($type:ty) => {
                <$type>::from_le_bytes(value.try_into().unwrap_or_default()).to_string()
            };
        }
        match self {
            DataType::Bool => u8::from(value != [0]).to_string(),
            DataType::Uint8 => number!(u8),
            DataType::Uint16 => number!(u16),
            DataType::Uint32 => number!(u32),
            DataType::Uint64 => number!(u64),
            DataType::Int8 => number!(i8),
            DataType::Int16 => number!(i16),
            DataType::Int32 => number!(i32),
            DataType::Int64 => number!(i64),
            DataType::Fp32 => {
                float_text(f64::from(f32::from_le_bytes(value.try_into().unwrap_or_default())), || {
                    number!(f32)
                })
            }
            DataType::Fp64 => {
                float_text(f64::from_le_bytes(value.try_into().unwrap_or_default()), || number!(f64))
            }
            DataType::Bytes => String::new(),
        }
    }
}

/// The shortest text that is this number again, as people write it: that of 0.1 as FP32 is 0.1. What is not a
/// number is missing, as in data frames.
pub(crate) fn float_text(value: f64, shortest: impl FnOnce() -> String) -> String {
    if value.is_nan() { String::new() } else { shortest() }
}

fn texts_of_bytes(mut bytes: &[u8], place: &str) -> Result<Vec<String>, Refusal> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let cut =
            || Refusal::expected(Code::BadRequest, place, "texts behind their lengths", "the end within one");
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

/// The number of values in a shape.
pub(crate) fn elements(shape: &[i64], place: &str) -> Result<usize, Refusal> {
    let product = shape
        .iter()
        .try_fold(1i64, |product, &size| (size >= 0).then_some(()).and_then(|()| product.checked_mul(size)));
    product.and_then(|product| usize::try_from(product).ok()).ok_or_else(|| {
        Refusal::expected(Code::BadRequest, place, "a shape of sizes from 0 on", format!("{shape:?}"))
    })
}

/// Rows of the model's columns out of tensors: one of N values for each raw column. Of a column with several
/// values there may be as many as `NAME.lengths` says of each row, with weights in `NAME.weights`. Columns
/// without a tensor are missing.
pub(crate) fn rows(model: &Loaded, tensors: Vec<TensorTexts>) -> Result<Vec<RawRow>, Refusal> {
    let columns = model.format.inputs.len();
    let mut whole: Vec<Option<Vec<String>>> = vec![None; columns];
    let mut parts: Vec<Parts> = (0..columns).map(|_| Parts::default()).collect();
    for tensor in tensors {
        let TensorTexts { name, shape, values } = tensor;
        let place = format!("input \"{name}\"");
        if elements(&shape, &place)? != values.len() {
            let expected = format!("as many values as the shape {shape:?} has");
            return Err(Refusal::expected(Code::BadRequest, &place, &expected, values.len().to_string()));
        }
        let flat = shape.len() <= 1 || shape[1..].iter().all(|&size| size == 1);
        if !flat {
            let refusal =
                Refusal::expected(Code::BadRequest, &place, "a shape [N] or [N, 1]", format!("{shape:?}"));
            return Err(refusal.with_hint("one tensor for each column"));
        }
        let part = ["lengths", "weights"].into_iter().find_map(|part| {
            let column = name.strip_suffix(part)?.strip_suffix('.')?;
            Some((model.format.place(column)?, part))
        });
        let slot = match (model.format.place(&name), part) {
            (Some(place), _) => &mut whole[place],
            (None, Some((place, "lengths"))) => &mut parts[place].lengths,
            (None, Some((place, _))) => &mut parts[place].weights,
            (None, None) => return Err(model.format.unknown(&name, "the inputs")),
        };
        if slot.replace(values).is_some() {
            return Err(Refusal::expected(Code::BadRequest, &place, "each input once", "it twice"));
        }
    }
    for (column, parts) in parts.into_iter().enumerate() {
        if let Some(joined) = parts.join(model, column, whole[column].take())? {
            whole[column] = Some(joined);
        }
    }
    let count = whole.iter().flatten().map(Vec::len).max().unwrap_or(0);
    for (values, input) in whole.iter().zip(&model.format.inputs) {
        if let Some(values) = values.as_ref().filter(|values| values.len() != count) {
            let place = format!("input \"{}\"", input.name);
            let expected = format!("{count} rows, as in another input");
            return Err(Refusal::expected(Code::BadRequest, &place, &expected, values.len().to_string()));
        }
    }
    let row = |number: usize| {
        let mut row = RawRow::default();
        whole.iter().for_each(|values| row.push(values.as_ref().map_or("", |values| &values[number])));
        row
    };
    Ok((0..count).map(row).collect())
}

/// What says how the values of a column belong to rows.
#[derive(Default)]
struct Parts {
    lengths: Option<Vec<String>>,
    weights: Option<Vec<String>>,
}

impl Parts {
    /// The text of each row, if the column came in parts or as it is.
    fn join(
        self,
        model: &Loaded,
        column: usize,
        values: Option<Vec<String>>,
    ) -> Result<Option<Vec<String>>, Refusal> {
        let input = &model.format.inputs[column];
        let place = format!("input \"{}\"", input.name);
        let refused =
            |expected: &str, found: &str| Err(Refusal::expected(Code::BadRequest, &place, expected, found));
        let (Some(lengths), weights) = (self.lengths, self.weights) else {
            return Ok(values);
        };
        let InputKind::MultiValued { separator, weight_separator } = input.kind else {
            return refused("one value in each row", "lengths");
        };
        let values = values.unwrap_or_default();
        if weights.as_ref().is_some_and(|weights| weights.len() != values.len()) {
            return refused("as many weights as values", "another number");
        }
        let weight_separator = match (&weights, weight_separator) {
            (Some(_), None) => {
                return refused("values without weights, which the model has none of", "weights");
            }
            (_, separator) => separator.unwrap_or(':'),
        };
        let mut next = 0usize;
        let mut rows = Vec::with_capacity(lengths.len());
        for length in &lengths {
            let end = length.parse::<usize>().ok().and_then(|length| next.checked_add(length));
            let Some(end) = end.filter(|&end| end <= values.len()) else {
                return refused("lengths from 0 on that add up to the number of values", length);
            };
            let mut text = String::new();
            for place in next..end {
                if place > next {
                    text.push(separator);
                }
                if values[place].contains(separator) {
                    return refused("values without the separator of the column", &values[place]);
                }
                text.push_str(&values[place]);
                if let Some(weights) = &weights {
                    // Writing into memory does not fail.
                    let _ = write!(text, "{weight_separator}{}", weights[place]);
                }
            }
            rows.push(text);
            next = end;
        }
        if next != values.len() {
            return refused(
                "lengths that add up to the number of values",
                &format!("{next} of {}", values.len()),
            );
        }
        Ok(Some(rows))
    }
}
