//! Inputs and outputs of an exported model.
use dlrm_data::protobuf::Message;
use serde::Serialize;
use std::fmt;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// 32-bit floating point.
    Float32 = 1,
    /// 64-bit integers.
    Int64 = 7,
    /// IEEE 754 half precision.
    Float16 = 10,
    /// The upper half of a 32-bit number.
    Bfloat16 = 16,
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ElementType::Float32 => "float32",
            ElementType::Int64 => "int64",
            ElementType::Float16 => "float16",
            ElementType::Bfloat16 => "bfloat16",
        })
    }
}

/// A dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Dim {
    /// This many.
    Fixed(usize),
    /// As many as the caller gives; equal names, equal numbers.
    Free(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(n) => write!(f, "{n}"),
            Dim::Free(name) => f.write_str(name),
        }
    }
}

impl Dim {
    /// Rows of a call.
    pub(crate) fn batch() -> Self {
        Dim::Free("batch".into())
    }
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Of its elements.
    pub element_type: ElementType,
    /// Its dimensions.
    pub shape: Vec<Dim>,
    /// What it is.
    pub about: String,
}

impl Port {
    /// Its shape as `[batch, 13]`.
    pub fn shape_text(&self) -> String {
        format!("[{}]", self.shape.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "))
    }

    /// A `ValueInfoProto`.
    pub(crate) fn message<'a>(&self) -> Message<'a> {
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(n) => Message::new().int(1, *n as i64),
            Dim::Free(name) => Message::new().text(2, name),
        };
        let shape = Message::new().messages(1, self.shape.iter().map(dim));
        let tensor = Message::new().int(1, self.element_type as i64).message(2, shape);
        Message::new().text(1, &self.name).message(2, Message::new().message(1, tensor)).text(3, &self.about)
    }
}
