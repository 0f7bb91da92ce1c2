//! What the Open Inference Protocol says of models, over HTTP and gRPC alike.
use crate::inputs::InputKind;
use crate::models::Loaded;
use crate::refusal::{Code, Refusal};
use crate::work::Scored;

/// Extensions that the server knows.
pub(crate) const EXTENSIONS: [&str; 4] =
    ["binary_tensor_data", "model_repository", "statistics", "model_configuration"];

/// A tensor that models answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The probability, or the rating.
    Prediction,
    /// What it is made of.
    Logit,
}

impl Output {
    pub(crate) const ALL: [Output; 2] = [Output::Prediction, Output::Logit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Output::Prediction => "prediction",
            Output::Logit => "logit",
        }
    }

    pub(crate) fn datatype(self) -> &'static str {
        match self {
            Output::Prediction => "FP64",
            Output::Logit => "FP32",
        }
    }

    /// # Errors
    /// A name that is none.
    pub(crate) fn named(name: &str) -> Result<Self, Refusal> {
        let known = Output::ALL.into_iter().find(|output| output.name() == name);
        let names = Output::ALL.iter().map(|output| output.name());
        known.ok_or_else(|| Refusal::unknown(Code::BadRequest, "an output", name, names))
    }

    /// The values one behind the other, little-endian.
    pub(crate) fn bytes(self, scored: &Scored) -> Vec<u8> {
        match self {
            Output::Prediction => scored.predictions.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Output::Logit => scored.logits.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }
}

/// The tensors that a model reads, or that rows are looked up by: name and data type.
pub(crate) fn inputs(model: &Loaded) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    for input in model.format.columns() {
        let datatype = if input.kind == InputKind::Numeric { "FP32" } else { "BYTES" };
        all.push((input.name.clone(), datatype));
        if let InputKind::MultiValued { weight_separator, .. } = input.kind {
            all.push((format!("{}.lengths", input.name), "INT32"));
            all.extend(weight_separator.map(|_| (format!("{}.weights", input.name), "FP32")));
        }
    }
    all
}

/// What configurations call a data type.
pub(crate) fn config_type(datatype: &str) -> String {
    format!("TYPE_{}", if datatype == "BYTES" { "STRING" } else { datatype })
}
