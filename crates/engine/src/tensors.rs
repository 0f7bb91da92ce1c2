//! f32 tensors in safetensors files, written from and read into their final memory without a copy of the whole.
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, Metadata, View};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A tensor to write: name, shape, values.
pub type Tensor<'a> = (String, Vec<usize>, &'a [f32]);
/// A tensor to fill: name, shape, values.
pub type TensorMut<'a> = (String, Vec<usize>, &'a mut [f32]);

struct F32<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

// The format is little-endian and so is every machine we run on; `write` refuses others.
impl View for F32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(bytemuck::cast_slice(self.values))
    }
    fn data_len(&self) -> usize {
        std::mem::size_of_val(self.values)
    }
}

/// Writes `tensors` to a new file.
///
/// # Errors
/// As the file system.
pub fn write(path: &Path, tensors: &[Tensor<'_>]) -> Result<()> {
    const { assert!(cfg!(target_endian = "little"), "safetensors are little-endian") };
    let views = tensors.iter().map(|(name, shape, values)| (name.as_str(), F32 { shape, values }));
    safetensors::serialize_to_file(views, None, path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(source) => Error::Io { action: "write", path: path.to_owned(), source },
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
        let info = metadata.info(name).ok_or_else(|| Error::saved(path, format!("expected tensor \"{name}\", found none")))?;
        if info.dtype != Dtype::F32 || info.shape != *shape {
            let found = format!("{:?} {:?}", info.dtype, info.shape);
            return Err(Error::saved(path, format!("tensor \"{name}\": expected F32 {shape:?}, found {found}")));
        }
        file.seek(SeekFrom::Start(data_start + info.data_offsets.0 as u64)).map_err(Error::io("read", path))?;
        file.read_exact(bytemuck::cast_slice_mut(values)).map_err(Error::io("read", path))?;
    }
    let surplus = metadata.tensors().len().saturating_sub(tensors.len());
    if surplus > 0 {
        return Err(Error::saved(path, format!("expected {} tensors, found {}", tensors.len(), tensors.len() + surplus)));
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

    #[test]
    fn round_trip_and_every_mismatch() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("w.safetensors");
        let (a, b) = ([1.0f32, -2.5, 3.0e-20, f32::MAX, 0.1, -0.0], [7.0f32]);
        write(&path, &[("a".into(), vec![2, 3], &a), ("b".into(), vec![1], &b)]).unwrap();
        let (mut a2, mut b2) = ([0.0f32; 6], [0.0f32]);
        read(&path, &mut [("b".into(), vec![1], &mut b2), ("a".into(), vec![2, 3], &mut a2)]).unwrap();
        assert_eq!((a.map(f32::to_bits), b), (a2.map(f32::to_bits), b2));
        let wrong_shape = read(&path, &mut [("a".into(), vec![3, 2], &mut a2)]).unwrap_err().to_string();
        assert!(wrong_shape.contains("[3, 2]") && wrong_shape.contains("[2, 3]"), "{wrong_shape}");
        assert!(read(&path, &mut [("c".into(), vec![1], &mut b2)]).unwrap_err().to_string().contains("\"c\""));
        assert!(read(&path, &mut [("b".into(), vec![1], &mut b2)]).unwrap_err().to_string().contains("expected 1 tensors"));
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let tensors = &mut [("a".into(), vec![2, 3], &mut a2[..]), ("b".into(), vec![1], &mut b2[..])];
            assert!(read(&path, tensors).is_err(), "cut to {cut} bytes");
        }
    }
}
