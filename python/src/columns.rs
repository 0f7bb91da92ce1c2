//! Columns that are no Arrow arrays: NumPy's numbers, whose bytes are taken over, and lists of Python
//! objects.
use crate::error;
use arrow_array::builder::LargeStringBuilder;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, DurationMicrosecondType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, DictionaryArray, Int8Array, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use bytes::Bytes;
use dlrm_data::schema::MultiValued;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::fmt::Write;
use std::sync::Arc;

/// The array of NumPy's numbers of type `kind` (as its `dtype.str` has it, without byte order); `None` if
/// they are of a type that is not known. What is no number, no moment, is missing.
pub(crate) fn of_numbers(kind: &str, numbers: PyBackedBytes) -> Option<ArrayRef> {
    let not_a_time = |value: i64| value == i64::MIN;
    Some(match kind {
        "b1" => Arc::new(BooleanArray::from_iter(numbers.iter().map(|&byte| Some(byte != 0)))),
        "i1" => primitive::<Int8Type>(numbers, None),
        "i2" => primitive::<Int16Type>(numbers, None),
        "i4" => primitive::<Int32Type>(numbers, None),
        "i8" => primitive::<Int64Type>(numbers, None),
        "u1" => primitive::<UInt8Type>(numbers, None),
        "u2" => primitive::<UInt16Type>(numbers, None),
        "u4" => primitive::<UInt32Type>(numbers, None),
        "u8" => primitive::<UInt64Type>(numbers, None),
        "f2" => primitive::<Float16Type>(numbers, Some(&|value| value.to_bits() & 0x7fff > 0x7c00)),
        "f4" => primitive::<Float32Type>(numbers, Some(&|value: f32| value.is_nan())),
        "f8" => primitive::<Float64Type>(numbers, Some(&|value: f64| value.is_nan())),
        "M8[s]" => primitive::<TimestampSecondType>(numbers, Some(&not_a_time)),
        "M8[ms]" => primitive::<TimestampMillisecondType>(numbers, Some(&not_a_time)),
        "M8[us]" => primitive::<TimestampMicrosecondType>(numbers, Some(&not_a_time)),
        "M8[ns]" => primitive::<TimestampNanosecondType>(numbers, Some(&not_a_time)),
        "M8[D]" => days(numbers),
        "m8[us]" => primitive::<DurationMicrosecondType>(numbers, Some(&not_a_time)),
        _ => return None,
    })
}

/// Days, which NumPy counts in 64 bits.
fn days(numbers: PyBackedBytes) -> ArrayRef {
    let days = numbers.chunks_exact(8).map(|bytes| {
        let day = i64::from_le_bytes(bytes.try_into().unwrap_or_default());
        i32::try_from(day).ok()
    });
    Arc::new(PrimitiveArray::<Date32Type>::from_iter(days))
}

fn primitive<T: ArrowPrimitiveType>(
    numbers: PyBackedBytes,
    missing: Option<&dyn Fn(T::Native) -> bool>,
) -> ArrayRef {
    let length = numbers.len() / size_of::<T::Native>();
    let mut buffer = Buffer::from(Bytes::from_owner(numbers));
    if buffer.as_ptr().align_offset(align_of::<T::Native>()) != 0 {
        buffer = Buffer::from_slice_ref(buffer.as_slice());
    }
    let values = ScalarBuffer::<T::Native>::new(buffer, 0, length);
    let nulls = missing.filter(|missing| values.iter().any(|&value| missing(value)));
    let nulls = nulls.map(|missing| NullBuffer::from_iter(values.iter().map(|&value| !missing(value))));
    Arc::new(PrimitiveArray::<T>::new(values, nulls))
}

/// The array of a list of Python objects, which become the text that the same values of a file become.
/// `place` is what messages call the column.
pub(crate) fn of_objects(
    py: Python<'_>,
    place: &str,
    objects: &Bound<'_, PyList>,
) -> PyResult<(ArrayRef, Option<MultiValued>)> {
    let mut lists = None;
    let mut texts = LargeStringBuilder::new();
    let mut text = String::new();
    for (row, value) in objects.iter().enumerate() {
        text.clear();
        if value.is_instance_of::<PyDict>() || pair(&value).is_some() {
            lists = Some(MultiValued::weighted());
        } else if is_list(&value) {
            lists = lists.or_else(|| Some(MultiValued::separated()));
        }
        let shown = show(&value, &mut text, Depth::Row)
            .map_err(|found| unfit(py, &format!("{place}, row {}", row + 1), &found, &value))?;
        match shown {
            Shown::Value => texts.append_value(&text),
            Shown::Missing => texts.append_null(),
        }
    }
    Ok((Arc::new(texts.finish()), lists))
}

/// The array of so many rows of one value.
pub(crate) fn constant(
    py: Python<'_>,
    place: &str,
    value: &Bound<'_, PyAny>,
    rows: usize,
) -> PyResult<ArrayRef> {
    let mut text = String::new();
    let shown = show(value, &mut text, Depth::Row).map_err(|found| unfit(py, place, &found, value))?;
    let values = StringArray::from(vec![matches!(shown, Shown::Value).then_some(text)]);
    let keys = Int8Array::from_value(0, rows);
    Ok(Arc::new(DictionaryArray::new(keys, Arc::new(values) as Arc<dyn Array>)))
}

fn unfit(py: Python<'_>, place: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let message = format!("{place}: expected {expected}, found {}", error::described(value));
    let hint = "make it a text or a number, or leave the column out (ignore)";
    error::exception(py, "DataError", &message, Some(hint))
}

/// What became of a value.
enum Shown {
    Value,
    Missing,
}

/// Whether a value is that of a row, or stands in a list.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Row,
    List,
}

/// Appends a value to `out`; otherwise what it should be.
fn show(value: &Bound<'_, PyAny>, out: &mut String, depth: Depth) -> Result<Shown, String> {
    const EXPECTED: &str = "a text, a number, a date, or a list or dictionary of them";
    let failed = |_: PyErr| EXPECTED.to_owned();
    if value.is_none() {
        return Ok(Shown::Missing);
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = PyBackedStr::try_from(text.clone()).map_err(|_| "UTF-8 text".to_owned())?;
        out.push_str(&text);
    } else if let Ok(value) = value.cast::<PyBool>() {
        out.push(if value.is_true() { '1' } else { '0' });
    } else if value.is_instance_of::<PyInt>() {
        out.push_str(&value.str().map_err(failed)?.to_string_lossy());
    } else if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(float(value.value(), out));
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        out.push_str(std::str::from_utf8(bytes.as_bytes()).map_err(|_| "UTF-8 text".to_owned())?);
    } else if let (Some((values, weights)), true) = (pair(value), depth == Depth::Row) {
        return paired(&values, &weights, out);
    } else if depth == Depth::Row && is_list(value) {
        return list(value, out);
    } else if let (Ok(weights), true) = (value.cast::<PyDict>(), depth == Depth::Row) {
        return weighted(weights, out);
    } else {
        return other(value, out, depth).map_err(failed)?.ok_or_else(|| EXPECTED.to_owned());
    }
    Ok(Shown::Value)
}

fn float(value: f64, out: &mut String) -> Shown {
    if value.is_nan() {
        return Shown::Missing;
    }
    let _ = write!(out, "{value}");
    Shown::Value
}

/// Values between `|`, missing ones left out.
fn list(values: &Bound<'_, PyAny>, out: &mut String) -> Result<Shown, String> {
    for value in values.try_iter().map_err(|error| error.to_string())? {
        item(&value.map_err(|error| error.to_string())?, out)?;
    }
    Ok(Shown::Value)
}

/// A value of a list.
fn item(value: &Bound<'_, PyAny>, out: &mut String) -> Result<Shown, String> {
    let (before, separated) = (out.len(), !out.is_empty());
    out.extend(separated.then_some('|'));
    let start = out.len();
    let shown = show(value, out, Depth::List)?;
    if matches!(shown, Shown::Missing) {
        out.truncate(before);
    } else if out[start..].contains('|') {
        return Err("list values without `|`, which separates them".to_owned());
    }
    Ok(shown)
}

fn is_list(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()
}

/// Two lists, of values and of their weights.
fn pair<'py>(value: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let is_array = |value: &Bound<'_, PyAny>| value.get_type().name().is_ok_and(|name| name == "ndarray");
    if !is_list(value) || value.len().ok()? != 2 {
        return None;
    }
    let (values, weights) = (value.get_item(0).ok()?, value.get_item(1).ok()?);
    [&values, &weights].iter().all(|part| is_list(part) || is_array(part)).then_some((values, weights))
}

/// Values with their weights: `a:0.5|b:2`.
fn weighted(weights: &Bound<'_, PyDict>, out: &mut String) -> Result<Shown, String> {
    weights.iter().try_for_each(|(value, weight)| weighted_item(&value, &weight, out))?;
    Ok(Shown::Value)
}

/// Two lists as values with their weights.
fn paired(values: &Bound<'_, PyAny>, weights: &Bound<'_, PyAny>, out: &mut String) -> Result<Shown, String> {
    let failed = |error: PyErr| error.to_string();
    let (length, expected) = (values.len().map_err(failed)?, weights.len().map_err(failed)?);
    if length != expected {
        return Err(format!("as many weights as values ({length})"));
    }
    for (value, weight) in values.try_iter().map_err(failed)?.zip(weights.try_iter().map_err(failed)?) {
        weighted_item(&value.map_err(failed)?, &weight.map_err(failed)?, out)?;
    }
    Ok(Shown::Value)
}

/// A value of a list with its weight, 1 where that is missing.
fn weighted_item(
    value: &Bound<'_, PyAny>,
    weight: &Bound<'_, PyAny>,
    out: &mut String,
) -> Result<(), String> {
    if let Shown::Value = item(value, out)? {
        out.push(':');
        if let Shown::Missing = show(weight, out, Depth::List)? {
            out.pop();
        }
    }
    Ok(())
}

/// Scalars of NumPy and pandas, dates, decimals, arrays as lists; `None` for what has no text form.
fn other(value: &Bound<'_, PyAny>, out: &mut String, depth: Depth) -> PyResult<Option<Shown>> {
    let kind = value.get_type();
    let (module, name) = (kind.module()?.to_string(), kind.name()?.to_string());
    let shown = match (module.split('.').next().unwrap_or_default(), name.as_str()) {
        ("pandas", "NAType" | "NaTType") => Shown::Missing,
        ("numpy", "ndarray") => {
            return Ok(list(&value.call_method0("tolist")?, out).ok().filter(|_| depth == Depth::Row));
        }
        ("numpy", "datetime64") => return moment(&value.call_method0("item")?, out),
        ("numpy", _) => return Ok(show(&value.call_method0("item")?, out, depth).ok()),
        ("datetime" | "pandas", _) => return moment(value, out),
        ("decimal", "Decimal") => {
            out.push_str(&value.call_method1("__format__", ("f",))?.extract::<String>()?);
            Shown::Value
        }
        ("uuid", "UUID") => {
            out.push_str(&value.str()?.to_string_lossy());
            Shown::Value
        }
        _ => return Ok(None),
    };
    Ok(Some(shown))
}

/// A date, or a moment as `YYYY-MM-DD HH:MM:SS` with as many decimals as it needs, in UTC where it has a
/// zone.
fn moment(value: &Bound<'_, PyAny>, out: &mut String) -> PyResult<Option<Shown>> {
    if value.is_none() {
        return Ok(Some(Shown::Missing));
    }
    if !value.hasattr("isoformat")? || value.hasattr("total_seconds")? {
        return Ok(None);
    }
    let mut value = value.clone();
    if value.getattr_opt("tzinfo")?.is_some_and(|zone| !zone.is_none()) {
        let utc = value.py().import("datetime")?.getattr("timezone")?.getattr("utc")?;
        value = value.call_method1("astimezone", (utc,))?;
    }
    let text: String = value.call_method0("isoformat")?.extract()?;
    let text = text.trim_end_matches("+00:00").replace('T', " ");
    out.push_str(if text.contains('.') { text.trim_end_matches('0') } else { &text });
    Ok(Some(Shown::Value))
}
