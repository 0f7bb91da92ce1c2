//! Requests and answers of the Open Inference Protocol over HTTP: JSON, with values as JSON or as bytes
//! behind it.
use crate::data_type::DataType;
use crate::limits::Limits;
use crate::oip::Output as Kind;
use crate::refusal::{Code, Refusal};
use crate::tensor_text::{TensorTexts, elements};
use crate::work::Scored;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::time::Duration;

/// How long the JSON is where bytes stand behind it.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(default, deserialize_with = "said")]
    id: Option<String>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    outputs: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Input<'a> {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

type Parameters = HashMap<String, Parameter>;

/// A text that is there: null is none.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// A setting of a request or tensor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a text, a number, true or false as parameter")]
enum Parameter {
    Truth(bool),
    Count(u64),
    Number(f64),
    Text(String),
}

/// What an answer should look like.
pub(super) struct Wanted {
    id: Option<String>,
    /// How long it may take.
    pub(super) time: Option<Duration>,
    /// Outputs, and whether each is to come as bytes.
    outputs: Vec<(Kind, bool)>,
}

impl Wanted {
    /// What the request calls itself.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// An object of JSON. Lists, which would be taken for one by their order, are none.
fn object<'a, T: Deserialize<'a>>(text: &'a [u8], place: &str) -> Result<T, Refusal> {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'[') {
        return Err(Refusal::expected(Code::BadRequest, place, "an object", "a list"));
    }
    serde_json::from_slice(text).map_err(|error| {
        let code = if error.is_data() { Code::BadRequest } else { Code::BadJson };
        Refusal::new(code, format!("{place}: {error}"))
    })
}

/// The tensors of a body, and what is wanted of them.
pub(super) fn read(
    headers: &HeaderMap,
    body: &[u8],
    limits: &Limits,
) -> Result<(Vec<TensorTexts>, Wanted), Refusal> {
    let (json, mut bytes) = parts(headers, body)?;
    limits.check_depth(json)?;
    let request: Request<'_> = object(json, "body")?;
    let mut tensors = Vec::with_capacity(request.inputs.len());
    let mut left = limits.values;
    for (number, input) in request.inputs.iter().enumerate() {
        let input: Input<'_> = object(input.get().as_bytes(), &place(input, number))?;
        tensors.push(tensor(&input, &mut bytes, &mut left)?);
    }
    if !bytes.is_empty() {
        let found = format!("{} more", bytes.len());
        return Err(Refusal::expected(
            Code::BadRequest,
            "body",
            "no bytes behind those of the inputs",
            found,
        ));
    }
    let all_binary = is_true(&request.parameters, "binary_data_output");
    let outputs = match &request.outputs[..] {
        [] => Ok(Kind::ALL.map(|output| (output, all_binary)).to_vec()),
        outputs => outputs.iter().map(|output| wanted(output, all_binary)).collect(),
    };
    let time = match request.parameters.get("timeout") {
        Some(Parameter::Count(micros)) => Some(Duration::from_micros(*micros)),
        _ => None,
    };
    Ok((tensors, Wanted { id: request.id, time, outputs: outputs? }))
}

/// What messages call an input, whatever else is wrong with it.
fn place(input: &RawValue, number: usize) -> String {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    match serde_json::from_str::<Named>(input.get()) {
        Ok(Named { name }) => format!("input \"{name}\""),
        Err(_) => format!("inputs[{number}]"),
    }
}

fn wanted(output: &RawValue, all_binary: bool) -> Result<(Kind, bool), Refusal> {
    let output: Output = object(output.get().as_bytes(), "outputs")?;
    let name = Kind::named(&output.name)?;
    if output.parameters.contains_key("classification") {
        let expected = "no classification of single numbers";
        return Err(Refusal::expected(Code::BadRequest, "outputs", expected, "one"));
    }
    let binary = match output.parameters.get("binary_data") {
        Some(_) => is_true(&output.parameters, "binary_data"),
        None => all_binary,
    };
    Ok((name, binary))
}

fn is_true(parameters: &Parameters, name: &str) -> bool {
    parameters.get(name) == Some(&Parameter::Truth(true))
}

/// The JSON of a body and the bytes behind it.
fn parts<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    let Some(length) = headers.get(JSON_LENGTH) else { return Ok((body, &[])) };
    let text = length.to_str().unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse::<usize>().ok().filter(|_| digits);
    length.and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
        let expected = format!("a number of bytes up to the {} of the body", body.len());
        let found = dlrm_data::error::quoted(text);
        Refusal::expected(Code::BadRequest, "Inference-Header-Content-Length", &expected, found)
    })
}

/// `left` is how many values the request may still have.
fn tensor(input: &Input<'_>, bytes: &mut &[u8], left: &mut usize) -> Result<TensorTexts, Refusal> {
    let place = format!("input \"{}\"", input.name);
    let kind = DataType::named(&input.datatype, &place)?;
    let count = elements(&input.shape, &place)?;
    // Nothing is made of values that are too many.
    *left = left.checked_sub(count).ok_or_else(|| {
        let expected = format!("at most {left} values, with those of the inputs before it");
        Refusal::expected(Code::TooManyRows, &place, &expected, count.to_string())
    })?;
    let values = match (input.parameters.get("binary_data_size"), input.data) {
        (Some(size), None) => {
            let known = match size {
                Parameter::Count(size) => usize::try_from(*size).ok(),
                _ => None,
            };
            let Some((own, rest)) = known.and_then(|size| bytes.split_at_checked(size)) else {
                let expected = format!("a binary_data_size up to the {} bytes that are left", bytes.len());
                return Err(Refusal::expected(Code::BadRequest, &place, &expected, format!("{size:?}")));
            };
            *bytes = rest;
            kind.of_bytes(own, count, &place)?
        }
        (None, Some(data)) if !data.get().starts_with('[') => {
            let found = dlrm_data::error::quoted(data.get());
            return Err(Refusal::expected(Code::BadRequest, &place, "data as a list", found));
        }
        (None, Some(data)) => {
            let mut values = Vec::new();
            flatten(data, (kind, count), &place, &mut values)?;
            values
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::expected(Code::BadRequest, &place, "data or binary_data_size", "both"));
        }
        (None, None) => return Err(Refusal::expected(Code::BadRequest, &place, "data", "none")),
    };
    Ok(TensorTexts { name: input.name.clone(), shape: input.shape.clone(), values })
}

/// The texts of values in lists, which may lie in one another as deep as JSON may.
fn flatten(
    data: &RawValue,
    (kind, count): (DataType, usize),
    place: &str,
    values: &mut Vec<String>,
) -> Result<(), Refusal> {
    if data.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(data.get())
            .map_err(|error| Refusal::expected(Code::BadJson, place, "a list", error.to_string()))?;
        return items.into_iter().try_for_each(|item| flatten(item, (kind, count), place, values));
    }
    if values.len() == count {
        let expected = format!("{count} values, as the shape says");
        return Err(Refusal::expected(Code::BadRequest, place, &expected, "more"));
    }
    values.push(kind.of_json(data, place)?);
    Ok(())
}

/// The answer.
pub(super) fn answer((model, version): (&str, &str), wanted: &Wanted, scored: &Scored) -> Response {
    let (mut outputs, mut bytes) = (Vec::new(), Vec::new());
    for &(kind, binary) in &wanted.outputs {
        let shape = [scored.logits.len()];
        let mut output = json!({ "name": kind.name(), "datatype": kind.datatype(), "shape": shape });
        if binary {
            let mut own = kind.bytes(scored);
            output["parameters"] = json!({ "binary_data_size": own.len() });
            bytes.append(&mut own);
        } else {
            output["data"] = match kind {
                Kind::Prediction => json!(scored.predictions),
                Kind::Logit => json!(scored.logits),
            };
        }
        outputs.push(output);
    }
    let mut whole = json!({ "model_name": model, "model_version": version, "outputs": outputs });
    if let Some(id) = &wanted.id {
        whole["id"] = json!(id);
    }
    if wanted.outputs.iter().all(|(_, binary)| !binary) {
        return super::answers::json(&whole);
    }
    let mut body = serde_json::to_vec(&whole).unwrap_or_default();
    let length = HeaderValue::from(body.len());
    body.append(&mut bytes);
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(JSON_LENGTH, length), (header::CONTENT_TYPE, kind)], body).into_response()
}
