//! Rows out of tensors of texts.
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

/// The number of values in a shape.
pub(crate) fn elements(shape: &[i64], place: &str) -> Result<usize, Refusal> {
    let product = shape
        .iter()
        .try_fold(1i64, |product, &size| (size >= 0).then_some(()).and_then(|()| product.checked_mul(size)));
    product.and_then(|product| usize::try_from(product).ok()).ok_or_else(|| {
        Refusal::expected(Code::BadRequest, place, "a shape of sizes from 0 on", format!("{shape:?}"))
    })
}

/// Rows out of tensors: one of N values for each raw column. Of a column with several
/// values there may be as many as `NAME.lengths` says of each row, with weights in `NAME.weights`. Columns
/// without a tensor are missing.
pub(crate) fn rows(model: &Loaded, tensors: Vec<TensorTexts>) -> Result<Vec<RawRow>, Refusal> {
    let columns = model.format.columns().len();
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
    for (values, input) in whole.iter().zip(model.format.columns()) {
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
        let input = &model.format.columns()[column];
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
