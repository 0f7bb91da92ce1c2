//! Requests and answers of the Open Inference Protocol over HTTP: JSON, with values as JSON or as bytes
//! behind it.
use crate::oip::Output as Kind;
use crate::refusal::{Code, Refusal};
use crate::tensor_text::{DataType, TensorTexts, elements};
use crate::work::Scored;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use dlrm_data::readers::append_json;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// How long the JSON is where bytes stand behind it.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(default)]
    outputs: Option<Vec<Output>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// What an answer should look like.
pub(super) struct Wanted {
    id: Option<String>,
    /// Outputs, and whether each is to come as bytes.
    outputs: Vec<(Kind, bool)>,
}

impl Wanted {
    /// What the request calls itself.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

/// The tensors of a body, and what is wanted of them.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Vec<TensorTexts>, Wanted), Refusal> {
    let (json, mut bytes) = parts(headers, body)?;
    let request: Request<'_> = serde_json::from_slice(json).map_err(|error| {
        let code = if error.is_data() { Code::BadRequest } else { Code::BadJson };
        Refusal::new(code, format!("body: {error}"))
    })?;
    let mut tensors = Vec::with_capacity(request.inputs.len());
    for input in &request.inputs {
        tensors.push(tensor(input, &mut bytes)?);
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
    let outputs = match &request.outputs {
        Some(outputs) if !outputs.is_empty() => {
            outputs.iter().map(|output| wanted(output, all_binary)).collect()
        }
        _ => Ok(Kind::ALL.map(|output| (output, all_binary)).to_vec()),
    };
    Ok((tensors, Wanted { id: request.id, outputs: outputs? }))
}

fn wanted(output: &Output, all_binary: bool) -> Result<(Kind, bool), Refusal> {
    let name = Kind::named(&output.name)?;
    if output.parameters.contains_key("classification") {
        return Err(Refusal::expected(
            Code::BadRequest,
            "outputs",
            "no classification of single numbers",
            "one",
        ));
    }
    let binary = match output.parameters.get("binary_data") {
        Some(_) => is_true(&output.parameters, "binary_data"),
        None => all_binary,
    };
    Ok((name, binary))
}

fn is_true(parameters: &Map<String, Value>, name: &str) -> bool {
    parameters.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The JSON of a body and the bytes behind it.
fn parts<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        let found = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
        return Err(Refusal::expected(Code::BadRequest, "body", "bytes that are not packed", found));
    }
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

fn tensor(input: &Input<'_>, bytes: &mut &[u8]) -> Result<TensorTexts, Refusal> {
    let place = format!("input \"{}\"", input.name);
    let kind = DataType::named(&input.datatype, &place)?;
    let values = match (input.parameters.get("binary_data_size"), input.data) {
        (Some(size), None) => {
            let size = size.as_u64().and_then(|size| usize::try_from(size).ok());
            let Some((own, rest)) = size.and_then(|size| bytes.split_at_checked(size)) else {
                let found = input.parameters["binary_data_size"].to_string();
                let expected = format!("a binary_data_size up to the {} bytes that are left", bytes.len());
                return Err(Refusal::expected(Code::BadRequest, &place, &expected, found));
            };
            *bytes = rest;
            kind.texts(own, &place)?
        }
        (None, Some(data)) => {
            let mut values = Vec::with_capacity(elements(&input.shape, &place)?.min(1 << 16));
            flatten(data, &place, &mut values)?;
            values
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::expected(Code::BadRequest, &place, "data or binary_data_size", "both"));
        }
        (None, None) => return Err(Refusal::expected(Code::BadRequest, &place, "data", "none")),
    };
    Ok(TensorTexts { name: input.name.clone(), shape: input.shape.clone(), values })
}

/// The texts of values in lists, which may lie in one another.
fn flatten(data: &RawValue, place: &str, values: &mut Vec<String>) -> Result<(), Refusal> {
    if data.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(data.get())
            .map_err(|error| Refusal::expected(Code::BadJson, place, "a list", error.to_string()))?;
        return items.into_iter().try_for_each(|item| flatten(item, place, values));
    }
    let mut text = String::new();
    append_json(data.get(), None, &mut text)
        .map_err(|bad| Refusal::expected(Code::BadValue, place, bad.expected, bad.found))?;
    values.push(text);
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
