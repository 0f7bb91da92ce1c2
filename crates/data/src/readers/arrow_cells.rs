//! The values of an Arrow array as text, one by one, as those of Parquet files.
use super::value_text::{Kind, MOST_DECIMALS, Show, Unfit, append_value, half, show_bytes};
use arrow_array::cast::AsArray;
use arrow_array::types as of;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use std::ops::Range;

/// The values of an array.
pub(super) trait Cells: Send {
    /// Whether there is none in place `row`.
    fn is_null(&self, row: usize) -> bool;

    /// Appends the value in place `row`, which is not null, to `out`.
    fn show(&self, row: usize, out: &mut String) -> Result<(), Unfit>;
}

/// For an array of any type that has a text form; else what it is.
pub(super) fn cells(array: &ArrayRef) -> Result<Box<dyn Cells>, String> {
    use Kind::{Date, Moment, Plain, Unsigned};
    Ok(match array.data_type() {
        DataType::Null => Box::new(Nothing),
        DataType::Boolean => shown(array.as_boolean(), |array, row, out| array.value(row).show(Plain, out)),
        DataType::Int8 => primitive::<of::Int8Type, i32>(array, Plain, i32::from),
        DataType::Int16 => primitive::<of::Int16Type, i32>(array, Plain, i32::from),
        DataType::Int32 => primitive::<of::Int32Type, i32>(array, Plain, |value| value),
        DataType::Int64 => primitive::<of::Int64Type, i64>(array, Plain, |value| value),
        DataType::UInt8 => primitive::<of::UInt8Type, i32>(array, Plain, i32::from),
        DataType::UInt16 => primitive::<of::UInt16Type, i32>(array, Plain, i32::from),
        DataType::UInt32 => primitive::<of::UInt32Type, i32>(array, Unsigned, u32::cast_signed),
        DataType::UInt64 => primitive::<of::UInt64Type, i64>(array, Unsigned, u64::cast_signed),
        DataType::Float16 => primitive::<of::Float16Type, f32>(array, Plain, |value| half(value.to_bits())),
        DataType::Float32 => primitive::<of::Float32Type, f32>(array, Plain, |value| value),
        DataType::Float64 => primitive::<of::Float64Type, f64>(array, Plain, |value| value),
        DataType::Date32 => primitive::<of::Date32Type, i32>(array, Date, |value| value),
        DataType::Date64 => {
            primitive::<of::Date64Type, i32>(array, Date, |value| value.div_euclid(86_400_000) as i32)
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            primitive::<of::TimestampSecondType, i64>(array, Moment(1), |value| value)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive::<of::TimestampMillisecondType, i64>(array, Moment(1_000), |value| value)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive::<of::TimestampMicrosecondType, i64>(array, Moment(1_000_000), |value| value)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            primitive::<of::TimestampNanosecondType, i64>(array, Moment(1_000_000_000), |value| value)
        }
        DataType::Time32(_) | DataType::Time64(_) | DataType::Duration(_) => of_a_clock(array)?,
        DataType::Dictionary(keys, _) => dictionary(array, keys)?,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let Items { values, range } = items(array)?;
            Box::new(Lists { array: array.clone(), values, range })
        }
        DataType::Map(..) => weighted(array)?,
        DataType::Struct(_) => paired(array)?,
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
            decimals(array, *scale)?
        }
        other => texts(array).ok_or_else(|| described(other))?,
    })
}

/// The values of an array of texts or bytes.
fn texts(array: &ArrayRef) -> Option<Box<dyn Cells>> {
    macro_rules! text {
        ($array:expr) => {
            shown($array, |array, row, out| {
                out.push_str(array.value(row));
                Ok(())
            })
        };
    }
    macro_rules! bytes {
        ($array:expr) => {
            shown($array, |array, row, out| show_bytes(array.value(row), Kind::Text, out))
        };
    }
    Some(match array.data_type() {
        DataType::Utf8 => text!(array.as_string::<i32>()),
        DataType::LargeUtf8 => text!(array.as_string::<i64>()),
        DataType::Utf8View => text!(array.as_string_view()),
        DataType::Binary => bytes!(array.as_binary::<i32>()),
        DataType::LargeBinary => bytes!(array.as_binary::<i64>()),
        DataType::BinaryView => bytes!(array.as_binary_view()),
        _ => return None,
    })
}

/// Times of day and durations: integers in the unit that Parquet keeps them in, which has no seconds.
fn of_a_clock(array: &ArrayRef) -> Result<Box<dyn Cells>, String> {
    use Kind::Plain;
    Ok(match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            primitive::<of::Time32SecondType, i64>(array, Plain, |value| i64::from(value) * 1_000)
        }
        DataType::Time32(_) => primitive::<of::Time32MillisecondType, i32>(array, Plain, |value| value),
        DataType::Time64(TimeUnit::Microsecond) => {
            primitive::<of::Time64MicrosecondType, i64>(array, Plain, |value| value)
        }
        DataType::Time64(_) => primitive::<of::Time64NanosecondType, i64>(array, Plain, |value| value),
        DataType::Duration(TimeUnit::Second) => {
            primitive::<of::DurationSecondType, i64>(array, Plain, |value| value)
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            primitive::<of::DurationMillisecondType, i64>(array, Plain, |value| value)
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            primitive::<of::DurationMicrosecondType, i64>(array, Plain, |value| value)
        }
        DataType::Duration(_) => primitive::<of::DurationNanosecondType, i64>(array, Plain, |value| value),
        other => return Err(described(other)),
    })
}

/// Values that are the keys of others.
fn dictionary(array: &ArrayRef, keys: &DataType) -> Result<Box<dyn Cells>, String> {
    macro_rules! keyed {
        ($($key:ident: $type:ident),*) => {
            match keys {
                $(DataType::$key => {
                    let values = cells(array.as_dictionary::<of::$type>().values())?;
                    Box::new(Keyed { array: array.clone(), values, key: |array: &ArrayRef, row: usize| {
                        array.as_dictionary::<of::$type>().keys().value(row) as usize
                    } })
                })*
                other => return Err(described(other)),
            }
        };
    }
    Ok(keyed!(
        Int8: Int8Type, Int16: Int16Type, Int32: Int32Type, Int64: Int64Type,
        UInt8: UInt8Type, UInt16: UInt16Type, UInt32: UInt32Type, UInt64: UInt64Type
    ))
}

/// Where the values of each row stand among those of all.
type RangeOf = Box<dyn Fn(usize) -> Range<usize> + Send>;

/// The values of lists.
struct Items {
    values: Box<dyn Cells>,
    range: RangeOf,
}

/// Of an array of lists.
fn items(array: &ArrayRef) -> Result<Items, String> {
    let (values, range): (_, RangeOf) = match array.data_type() {
        DataType::LargeList(_) => {
            let offsets = array.as_list::<i64>().offsets().clone();
            let range = move |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
            (array.as_list::<i64>().values(), Box::new(range))
        }
        DataType::FixedSizeList(_, length) => {
            let length = *length as usize;
            (array.as_fixed_size_list().values(), Box::new(move |row| row * length..(row + 1) * length))
        }
        _ => {
            let offsets = array.as_list::<i32>().offsets().clone();
            let range = move |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
            (array.as_list::<i32>().values(), Box::new(range))
        }
    };
    if values.data_type().is_nested() && !matches!(values.data_type(), DataType::Dictionary(..)) {
        return Err("a list of lists or structs".to_owned());
    }
    Ok(Items { values: cells(values)?, range })
}

/// Whether an array holds pairs of lists: values, and a number for each.
pub(super) fn is_paired(kind: &DataType) -> bool {
    let item = |field: &FieldRef| match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type().clone())
        }
        _ => None,
    };
    match kind {
        DataType::Struct(fields) => {
            matches!(&fields[..], [values, weights] if item(values).is_some()
                && item(weights).is_some_and(|kind| kind.is_numeric() || kind == DataType::Null))
        }
        _ => false,
    }
}

/// Lists of values with lists of their weights.
fn paired(array: &ArrayRef) -> Result<Box<dyn Cells>, String> {
    if !is_paired(array.data_type()) {
        return Err(described(array.data_type()));
    }
    let [values, weights] = [0, 1].map(|field| items(array.as_struct().column(field)));
    Ok(Box::new(Paired { array: array.clone(), values: values?, weights: weights? }))
}

/// Maps from values to weights.
fn weighted(array: &ArrayRef) -> Result<Box<dyn Cells>, String> {
    let map = array.as_map();
    if [map.keys(), map.values()].iter().any(|array| array.data_type().is_nested()) {
        return Err("a map of lists or structs".to_owned());
    }
    let weights = Weights { weights: cells(map.values())?, values: cells(map.keys())? };
    let (array, offsets) = (array.clone(), map.offsets().clone());
    let range = Box::new(move |row: usize| offsets[row] as usize..offsets[row + 1] as usize);
    Ok(Box::new(Lists { array, values: Box::new(weights), range }))
}

fn decimals(array: &ArrayRef, scale: i8) -> Result<Box<dyn Cells>, String> {
    let digits = usize::try_from(scale).map_err(|_| "decimals whose last digits are left out")?;
    if digits > MOST_DECIMALS as usize {
        return Err(format!("decimals with {digits} digits behind the point"));
    }
    let kind = Kind::Decimal(digits);
    Ok(match array.data_type() {
        DataType::Decimal32(..) => primitive::<of::Decimal32Type, i32>(array, kind, |value| value),
        DataType::Decimal64(..) => primitive::<of::Decimal64Type, i64>(array, kind, |value| value),
        _ => primitive::<of::Decimal128Type, i128>(array, kind, |value| value),
    })
}

fn described(kind: &DataType) -> String {
    match kind {
        DataType::Struct(_) => "a struct".to_owned(),
        other => format!("values of type {other}"),
    }
}

/// An array and how its values are shown.
struct Shown<A, F> {
    array: A,
    show: F,
}

fn shown<A: Array + Clone + 'static>(
    array: &A,
    show: impl Fn(&A, usize, &mut String) -> Result<(), Unfit> + Send + 'static,
) -> Box<dyn Cells> {
    Box::new(Shown { array: array.clone(), show })
}

fn primitive<T: ArrowPrimitiveType, S: Show>(
    array: &ArrayRef,
    kind: Kind,
    value: impl Fn(T::Native) -> S + Send + 'static,
) -> Box<dyn Cells> {
    shown(array.as_primitive::<T>(), move |array, row, out| value(array.value(row)).show(kind, out))
}

impl<A: Array, F> Cells for Shown<A, F>
where
    F: Fn(&A, usize, &mut String) -> Result<(), Unfit> + Send,
{
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn show(&self, row: usize, out: &mut String) -> Result<(), Unfit> {
        (self.show)(&self.array, row, out)
    }
}

/// No value at all.
struct Nothing;

impl Cells for Nothing {
    fn is_null(&self, _: usize) -> bool {
        true
    }

    fn show(&self, _: usize, _: &mut String) -> Result<(), Unfit> {
        Ok(())
    }
}

/// Values of a dictionary.
struct Keyed<F> {
    array: ArrayRef,
    values: Box<dyn Cells>,
    key: F,
}

impl<F: Fn(&ArrayRef, usize) -> usize + Send> Cells for Keyed<F> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || self.values.is_null((self.key)(&self.array, row))
    }

    fn show(&self, row: usize, out: &mut String) -> Result<(), Unfit> {
        self.values.show((self.key)(&self.array, row), out)
    }
}

/// Lists of values: `a|b|c`, nulls left out.
struct Lists {
    array: ArrayRef,
    values: Box<dyn Cells>,
    range: RangeOf,
}

impl Cells for Lists {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn show(&self, row: usize, out: &mut String) -> Result<(), Unfit> {
        let (start, mut result) = (out.len(), Ok(()));
        for place in (self.range)(row).filter(|&place| !self.values.is_null(place)) {
            let shown = append_value(out, start, true, |out| self.values.show(place, out));
            result = result.and(shown);
        }
        result
    }
}

/// A value and its weight: `a:0.5`.
struct Weights {
    values: Box<dyn Cells>,
    weights: Box<dyn Cells>,
}

impl Cells for Weights {
    fn is_null(&self, row: usize) -> bool {
        self.values.is_null(row)
    }

    fn show(&self, row: usize, out: &mut String) -> Result<(), Unfit> {
        self.values.show(row, out)?;
        if self.weights.is_null(row) {
            return Ok(());
        }
        out.push(':');
        self.weights.show(row, out)
    }
}

/// Values and their weights in two lists: `a:0.5|b:2`, values that are null left out.
struct Paired {
    array: ArrayRef,
    values: Items,
    weights: Items,
}

impl Cells for Paired {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn show(&self, row: usize, out: &mut String) -> Result<(), Unfit> {
        let (values, weights) = ((self.values.range)(row), (self.weights.range)(row));
        if values.len() != weights.len() {
            return Err("as many weights as values");
        }
        let (start, mut result) = (out.len(), Ok(()));
        for (value, weight) in values.zip(weights).filter(|&(value, _)| !self.values.values.is_null(value)) {
            let shown = append_value(out, start, true, |out| self.values.values.show(value, out));
            result = result.and(shown);
            if !self.weights.values.is_null(weight) {
                out.push(':');
                result = result.and(self.weights.values.show(weight, out));
            }
        }
        result
    }
}
