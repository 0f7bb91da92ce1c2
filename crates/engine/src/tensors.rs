//! Tensors in safetensors files, written from and read into their final memory without a copy of the whole.
use crate::error::{Error, Result};
use dlrm_nn::{Numbers, NumbersMut};
use safetensors::tensor::{Dtype, Metadata, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A tensor to write: name, shape, values.
pub type Tensor<'a> = (String, Vec<usize>, Numbers<'a>);
/// A tensor to fill: name, shape, values.
pub type TensorMut<'a> = (String, Vec<usize>, NumbersMut<'a>);

struct Shaped<'a> {
    shape: &'a [usize],
    values: Numbers<'a>,
}

// The format is little-endian and so is every machine we run on; `write` refuses others.
impl View for Shaped<'_> {
    fn dtype(&self) -> Dtype {
        dtype(self.values)
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(match self.values {
            Numbers::F32(values) => bytemuck::cast_slice(values),
            Numbers::Bf16(values) | Numbers::F16(values) => bytemuck::cast_slice(values),
        })
    }
    fn data_len(&self) -> usize {
        self.data().len()
    }
}

fn dtype(values: Numbers<'_>) -> Dtype {
    match values {
        Numbers::F32(_) => Dtype::F32,
        Numbers::Bf16(_) => Dtype::BF16,
        Numbers::F16(_) => Dtype::F16,
    }
}

/// Writes `tensors` to a new file.
///
/// # Errors
/// If the file cannot be written, say for want of space.
pub fn write(path: &Path, tensors: &[Tensor<'_>]) -> Result<()> {
    write_with(path, tensors, None)
}

/// Writes `tensors` to a new file, and a number `key` in its header.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_with_number(path: &Path, tensors: &[Tensor<'_>], key: &str, number: u64) -> Result<()> {
    write_with(path, tensors, Some(HashMap::from([(key.to_owned(), number.to_string())])))
}

/// The number `key` in the header of a file, if there is one.
///
/// # Errors
/// A damaged file.
pub(crate) fn number(path: &Path, key: &str) -> Result<Option<u64>> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (_, metadata) = header(&mut file, path)?;
    let text = metadata.metadata().as_ref().and_then(|notes| notes.get(key));
    Ok(text.and_then(|text| text.parse().ok()))
}

fn write_with(path: &Path, tensors: &[Tensor<'_>], notes: Option<HashMap<String, String>>) -> Result<()> {
    const { assert!(cfg!(target_endian = "little"), "safetensors are little-endian") };
    let views =
        tensors.iter().map(|(name, shape, values)| (name.as_str(), Shaped { shape, values: *values }));
    safetensors::serialize_to_file(views, notes, path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(source) => Error::io("write", path)(source),
        other => Error::saved(path, format!("cannot be written: {other}")),
    })
}

/// Fills `tensors` from a file that must hold exactly these names and shapes.
///
/// # Errors
/// A missing or unexpected tensor, another shape or type, or a damaged file.
pub fn read(path: &Path, tensors: &mut [TensorMut<'_>]) -> Result<()> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (data_start, metadata) = header(&mut file, path)?;
    for (name, shape, values) in &mut *tensors {
        let info = metadata
            .info(name)
            .ok_or_else(|| Error::saved(path, format!("expected tensor \"{name}\", found none")))?;
        let expected = dtype(values.view());
        if info.dtype != expected || info.shape != *shape {
            let found = format!("{:?} {:?}", info.dtype, info.shape);
            return Err(Error::saved(
                path,
                format!("tensor \"{name}\": expected {expected:?} {shape:?}, found {found}"),
            ));
        }
        file.seek(SeekFrom::Start(data_start + info.data_offsets.0 as u64))
            .map_err(Error::io("read", path))?;
        let bytes = match values {
            NumbersMut::F32(values) => bytemuck::cast_slice_mut(values),
            NumbersMut::Bf16(values) | NumbersMut::F16(values) => bytemuck::cast_slice_mut(values),
        };
        file.read_exact(bytes).map_err(Error::io("read", path))?;
    }
    let surplus = metadata.tensors().len().saturating_sub(tensors.len());
    if surplus > 0 {
        return Err(Error::saved(
            path,
            format!("expected {} tensors, found {}", tensors.len(), tensors.len() + surplus),
        ));
    }
    Ok(())
}

/// The checked header, and where the data starts.
fn header(file: &mut File, path: &Path) -> Result<(u64, Metadata)> {
    let damaged = |what: String| Error::saved(path, format!("expected a safetensors file, found {what}"));
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(|_| damaged(format!("{length} bytes")))?;
    let header = u64::from_le_bytes(prefix);
    if header > length.saturating_sub(8) || header > 100_000_000 {
        return Err(damaged(format!("a header of {header} bytes in a file of {length}")));
    }
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text).map_err(Error::io("read", path))?;
    // Deserialising checks shapes against offsets; what remains is that the file holds them all.
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    let expected = 8 + header + metadata.data_len() as u64;
    if length != expected {
        return Err(damaged(format!("{length} bytes instead of {expected}")));
    }
    Ok((8 + header, metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_fill<'a>(name: &str, shape: [usize; 2], values: NumbersMut<'a>) -> TensorMut<'a> {
        (name.to_owned(), shape.to_vec(), values)
    }

    fn refused(path: &Path, name: &str, shape: [usize; 2], values: NumbersMut<'_>) -> String {
        read(path, &mut [to_fill(name, shape, values)]).unwrap_err().to_string()
    }

    #[test]
    fn round_trip_and_every_mismatch() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("w.safetensors");
        let (a, b) = ([1.0f32, -2.5, 3.0e-20, f32::MAX, 0.1, -0.0], [0x3C00, 7u16]);
        let tensor = |name: &str, shape: [usize; 2], values| (name.to_owned(), shape.to_vec(), values);
        write(&path, &[tensor("a", [2, 3], Numbers::F32(&a)), tensor("b", [2, 1], Numbers::F16(&b))])
            .unwrap();
        let (mut a2, mut b2) = ([0.0f32; 6], [0u16; 2]);
        read(
            &path,
            &mut [
                to_fill("b", [2, 1], NumbersMut::F16(&mut b2)),
                to_fill("a", [2, 3], NumbersMut::F32(&mut a2)),
            ],
        )
        .unwrap();
        assert_eq!((a.map(f32::to_bits), b), (a2.map(f32::to_bits), b2));
        let wrong_shape = refused(&path, "a", [3, 2], NumbersMut::F32(&mut a2));
        assert!(wrong_shape.contains("[3, 2]") && wrong_shape.contains("[2, 3]"), "{wrong_shape}");
        let wrong_type = refused(&path, "b", [2, 1], NumbersMut::Bf16(&mut b2));
        assert!(wrong_type.contains("expected BF16") && wrong_type.contains("found F16"), "{wrong_type}");
        assert!(refused(&path, "c", [2, 1], NumbersMut::F16(&mut b2)).contains("\"c\""));
        assert!(refused(&path, "b", [2, 1], NumbersMut::F16(&mut b2)).contains("expected 1 tensors"));
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let tensors = &mut [
                to_fill("a", [2, 3], NumbersMut::F32(&mut a2)),
                to_fill("b", [2, 1], NumbersMut::F16(&mut b2)),
            ];
            assert!(read(&path, tensors).is_err(), "cut to {cut} bytes");
        }
    }
}
