//! Tensors in safetensors files, written from and read into their final memory without a copy of the whole.
use crate::error::{Error, Result};
use dlrm_nn::{Numbers, NumbersMut};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;

/// A tensor to write: name, shape, values.
pub type Tensor<'a> = (String, Vec<usize>, Numbers<'a>);
/// A tensor to fill: name, shape, values.
pub type TensorMut<'a> = (String, Vec<usize>, NumbersMut<'a>);

/// Short texts in the header of a file, by key.
pub type Notes = HashMap<String, String>;
/// What a file says that it holds.
pub type Header = Metadata;

/// The longest header that is read.
const LONGEST_HEADER: u64 = 100_000_000;

pub(crate) fn dtype(values: Numbers<'_>) -> Dtype {
    match values {
        Numbers::F32(_) => Dtype::F32,
        Numbers::Bf16(_) => Dtype::BF16,
        Numbers::F16(_) => Dtype::F16,
    }
}

/// A tensor without its numbers, which may lie anywhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: Dtype,
}

impl Described {
    fn of((name, shape, values): &Tensor<'_>) -> Self {
        Described { name: name.clone(), shape: shape.clone(), dtype: dtype(*values) }
    }
}

// The format is little-endian and so is every machine we run on; `write` refuses others.
pub(crate) fn bytes_of(values: Numbers<'_>) -> &[u8] {
    match values {
        Numbers::F32(values) => bytemuck::cast_slice(values),
        Numbers::Bf16(values) | Numbers::F16(values) => bytemuck::cast_slice(values),
    }
}

/// As [`bytes_of`], for writing.
pub(crate) fn bytes_of_mut(values: NumbersMut<'_>) -> &mut [u8] {
    match values {
        NumbersMut::F32(values) => bytemuck::cast_slice_mut(values),
        NumbersMut::Bf16(values) | NumbersMut::F16(values) => bytemuck::cast_slice_mut(values),
    }
}

/// Writes `tensors` as a file with these notes in its header. The library could only write whole files, which
/// nobody but their owner may read, and could not be interrupted.
///
/// # Errors
/// If `out` refuses, say for want of space.
pub fn write(out: &mut dyn Write, tensors: &[Tensor<'_>], notes: Option<Notes>) -> io::Result<()> {
    let described: Vec<Described> = tensors.iter().map(Described::of).collect();
    write_described(out, &described, notes, &mut |index, out| out.write_all(bytes_of(tensors[index].2)))
}

/// As [`write`], of tensors whose bytes `put` writes when their turn comes.
///
/// # Errors
/// If `out` or `put` refuses.
pub(crate) fn write_described(
    out: &mut dyn Write,
    tensors: &[Described],
    notes: Option<Notes>,
    put: &mut dyn FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    const { assert!(cfg!(target_endian = "little"), "safetensors are little-endian") };
    // By falling alignment, then by name, as the library does.
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&tensors[a], &tensors[b]);
        b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name))
    });
    let mut end = 0;
    let infos = order.iter().map(|&index| {
        let Described { name, shape, dtype } = &tensors[index];
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name.clone(), TensorInfo { dtype: *dtype, shape: shape.clone(), data_offsets: (start, end) })
    });
    let header = Metadata::new(notes, infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&header).map_err(io::Error::other)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    order.into_iter().try_for_each(|index| put(index, out))
}

/// Fills `tensors` from the `length` bytes of a file, `path`, that must hold exactly these names and shapes;
/// its notes. It is read once, from the first byte to the last.
///
/// # Errors
/// A missing or unexpected tensor, another shape or type, or a damaged file.
pub fn read(input: &mut dyn Read, length: u64, path: &Path, tensors: &mut [TensorMut<'_>]) -> Result<Notes> {
    let of = |(name, shape, values): &TensorMut<'_>| Described {
        name: name.clone(),
        shape: shape.clone(),
        dtype: dtype(values.view()),
    };
    let described: Vec<Described> = tensors.iter().map(of).collect();
    read_described(input, (length, path), &described, &mut |index, input| {
        let values = &mut tensors[index].2;
        let len = values.view().len();
        let bytes = bytes_of_mut(values.slice(0..len));
        input.read_exact(bytes).map_err(Error::io("read", path))
    })
}

/// As [`read`], of tensors whose bytes `take` reads when their turn comes.
///
/// # Errors
/// As [`read`], or what `take` refuses.
pub(crate) fn read_described(
    input: &mut dyn Read,
    (length, path): (u64, &Path),
    tensors: &[Described],
    take: &mut dyn FnMut(usize, &mut dyn Read) -> Result<()>,
) -> Result<Notes> {
    let header = header(input, length, path)?;
    let mut order = Vec::with_capacity(tensors.len());
    for (index, Described { name, shape, dtype: expected }) in tensors.iter().enumerate() {
        let info = header
            .info(name)
            .ok_or_else(|| Error::saved(path, format!("expected tensor \"{name}\", found none")))?;
        if info.dtype != *expected || info.shape != *shape {
            let found = format!("{:?} {:?}", info.dtype, info.shape);
            return Err(Error::saved(
                path,
                format!("tensor \"{name}\": expected {expected:?} {shape:?}, found {found}"),
            ));
        }
        order.push((info.data_offsets.0, index));
    }
    let found = header.tensors().len();
    if found > order.len() {
        return Err(Error::saved(path, format!("expected {} tensors, found {found}", order.len())));
    }
    // They lie there one after the other, without gaps.
    order.sort_by_key(|(start, _)| *start);
    order.into_iter().try_for_each(|(_, index)| take(index, input))?;
    Ok(header.metadata().clone().unwrap_or_default())
}

/// The checked header of a file of `length` bytes; its data lies behind.
///
/// # Errors
/// A damaged file.
pub fn header(input: &mut dyn Read, length: u64, path: &Path) -> Result<Header> {
    let damaged = |what: String| Error::saved(path, format!("expected a safetensors file, found {what}"));
    let mut prefix = [0; 8];
    input.read_exact(&mut prefix).map_err(|_| damaged(format!("{length} bytes")))?;
    let header = u64::from_le_bytes(prefix);
    if header > length.saturating_sub(8) || header > LONGEST_HEADER {
        return Err(damaged(format!("a header of {header} bytes in a file of {length}")));
    }
    let mut text = vec![0; header as usize];
    input.read_exact(&mut text).map_err(Error::io("read", path))?;
    // Deserialising checks shapes against offsets; what remains is that the file holds them all.
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    let expected = (8 + header).checked_add(metadata.data_len() as u64);
    if expected != Some(length) {
        let expected = expected.map_or_else(|| "more than can be".to_owned(), |bytes| bytes.to_string());
        return Err(damaged(format!("{length} bytes instead of {expected}")));
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_fill<'a>(name: &str, shape: [usize; 2], values: NumbersMut<'a>) -> TensorMut<'a> {
        (name.to_owned(), shape.to_vec(), values)
    }

    fn filled(file: &[u8], tensors: &mut [TensorMut<'_>]) -> Result<Notes> {
        read(&mut &file[..], file.len() as u64, Path::new("w.safetensors"), tensors)
    }

    fn refused(file: &[u8], name: &str, shape: [usize; 2], values: NumbersMut<'_>) -> String {
        filled(file, &mut [to_fill(name, shape, values)]).unwrap_err().to_string()
    }

    /// A view of a tensor for the library.
    struct Theirs<'a>(&'a Tensor<'a>);

    impl safetensors::View for Theirs<'_> {
        fn dtype(&self) -> Dtype {
            dtype(self.0.2)
        }
        fn shape(&self) -> &[usize] {
            &self.0.1
        }
        fn data(&self) -> std::borrow::Cow<'_, [u8]> {
            bytes_of(self.0.2).into()
        }
        fn data_len(&self) -> usize {
            bytes_of(self.0.2).len()
        }
    }

    #[test]
    fn round_trip_and_every_mismatch() {
        let (a, b) = ([1.0f32, -2.5, 3.0e-20, f32::MAX, 0.1, -0.0], [0x3C00, 7u16]);
        let tensor = |name: &str, shape: [usize; 2], values| (name.to_owned(), shape.to_vec(), values);
        let tensors = [tensor("b", [2, 1], Numbers::F16(&b)), tensor("a", [2, 3], Numbers::F32(&a))];
        let notes = HashMap::from([("steps".to_owned(), "7".to_owned())]);
        let mut whole = Vec::new();
        write(&mut whole, &tensors, Some(notes.clone())).unwrap();
        let theirs = tensors.iter().map(|tensor| (tensor.0.clone(), Theirs(tensor)));
        assert_eq!(whole, safetensors::serialize(theirs, Some(notes.clone())).unwrap(), "as the library");
        let (mut a2, mut b2) = ([0.0f32; 6], [0u16; 2]);
        let fill = &mut [
            to_fill("b", [2, 1], NumbersMut::F16(&mut b2)),
            to_fill("a", [2, 3], NumbersMut::F32(&mut a2)),
        ];
        assert_eq!(filled(&whole, fill).unwrap(), notes);
        assert_eq!((a.map(f32::to_bits), b), (a2.map(f32::to_bits), b2));
        let wrong_shape = refused(&whole, "a", [3, 2], NumbersMut::F32(&mut a2));
        assert!(wrong_shape.contains("[3, 2]") && wrong_shape.contains("[2, 3]"), "{wrong_shape}");
        let wrong_type = refused(&whole, "b", [2, 1], NumbersMut::Bf16(&mut b2));
        assert!(wrong_type.contains("expected BF16") && wrong_type.contains("found F16"), "{wrong_type}");
        assert!(refused(&whole, "c", [2, 1], NumbersMut::F16(&mut b2)).contains("\"c\""));
        assert!(refused(&whole, "b", [2, 1], NumbersMut::F16(&mut b2)).contains("expected 1 tensors"));
        for cut in 0..whole.len() {
            let fill = &mut [
                to_fill("a", [2, 3], NumbersMut::F32(&mut a2)),
                to_fill("b", [2, 1], NumbersMut::F16(&mut b2)),
            ];
            assert!(filled(&whole[..cut], fill).is_err(), "cut to {cut} bytes");
        }
    }
}
