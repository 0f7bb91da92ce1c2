//! Constant tensors of an ONNX graph, within its file or in one beside it.
use crate::port::ElementType;
use dlrm_data::protobuf::Message;
use dlrm_nn::Numbers;
use std::borrow::Cow;

/// Tensors in the file beside the model start at multiples of this, so that runtimes can map them.
const ALIGN: usize = 4096;
/// Smaller ones stay in the graph, where tools that read shapes look for them.
const SMALL: usize = 1024;

/// A constant.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    pub(crate) name: String,
    pub(crate) element_type: ElementType,
    pub(crate) shape: Vec<i64>,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> Tensor<'a> {
    /// Numbers as they are kept.
    pub(crate) fn of_numbers(name: String, shape: &[usize], numbers: Numbers<'a>) -> Self {
        let (element_type, bytes): (_, &'a [u8]) = match numbers {
            Numbers::F32(x) => (ElementType::Float32, bytemuck::cast_slice(x)),
            Numbers::Bf16(x) => (ElementType::Bfloat16, bytemuck::cast_slice(x)),
            Numbers::F16(x) => (ElementType::Float16, bytemuck::cast_slice(x)),
        };
        let shape = shape.iter().map(|&n| n as i64).collect();
        Tensor { name, element_type, shape, bytes: little_endian(bytes, element_type) }
    }

    pub(crate) fn of_floats(name: String, shape: &[i64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Tensor { name, element_type: ElementType::Float32, shape: shape.to_vec(), bytes: Cow::Owned(bytes) }
    }

    pub(crate) fn of_ints(name: String, shape: &[i64], values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        Tensor { name, element_type: ElementType::Int64, shape: shape.to_vec(), bytes: Cow::Owned(bytes) }
    }

    /// A `TensorProto` that holds its values.
    pub(crate) fn message(&self) -> Message<'a> {
        self.described().bytes(9, self.bytes.clone())
    }

    /// A `TensorProto` whose values lie in the file `location`, from `offset` on.
    fn outside(&self, location: &str, offset: usize) -> Message<'a> {
        let entry = |key: &str, value: &str| Message::new().text(1, key).text(2, value);
        self.described()
            .message(13, entry("location", location))
            .message(13, entry("offset", &offset.to_string()))
            .message(13, entry("length", &self.bytes.len().to_string()))
            .int(14, 1)
    }

    fn described(&self) -> Message<'a> {
        Message::new().ints(1, &self.shape).int(2, self.element_type as i64).text(8, &self.name)
    }
}

/// ONNX keeps numbers with the lowest byte first.
fn little_endian(bytes: &[u8], element_type: ElementType) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytes);
    }
    let width = if element_type == ElementType::Float32 { 4 } else { 2 };
    Cow::Owned(bytes.chunks_exact(width).flat_map(|number| number.iter().rev().copied()).collect())
}

/// What a file beside the model holds: zeros up to where each of some tensors begins, and its bytes.
#[derive(Debug, Default)]
pub(crate) struct Beside<'a> {
    pieces: Vec<(usize, Cow<'a, [u8]>)>,
    len: usize,
}

impl<'a> Beside<'a> {
    /// The message of a tensor, whose values go to the file `location` if they are large.
    pub(crate) fn place(&mut self, tensor: &Tensor<'a>, location: &str) -> Message<'a> {
        if tensor.bytes.len() < SMALL {
            return tensor.message();
        }
        let offset = self.len.next_multiple_of(ALIGN);
        self.pieces.push((offset - self.len, tensor.bytes.clone()));
        self.len = offset + tensor.bytes.len();
        tensor.outside(location, offset)
    }

    /// Whether nothing lies there.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        self.pieces.iter().try_for_each(|(gap, bytes)| {
            out.write_all(&[0; ALIGN][..*gap])?;
            out.write_all(bytes)
        })
    }
}
