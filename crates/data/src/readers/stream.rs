//! Bytes that can be read only once, such as standard input. Their beginning is kept, so that format and
//! columns can be detected as of a file, any number of times, before the one pass over them.
use super::lines::{Lines, Packing, Unpacked, unpacked};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are kept for detection.
const HEAD: usize = 256 << 10;

/// Bytes of rows that can be read only once.
pub struct Stream {
    name: PathBuf,
    head: Arc<[u8]>,
    packing: Packing,
    /// Whether there is more than the head.
    is_cut: bool,
    rest: Mutex<Option<Box<dyn Read + Send>>>,
}

impl Stream {
    /// Reads the beginning of `bytes`, which messages call `name`, and sees through gzip and zstd.
    ///
    /// # Errors
    /// If reading fails, or the packed data is damaged.
    pub fn new(name: &str, bytes: impl Read + Send + 'static) -> Result<Self> {
        let name = PathBuf::from(name);
        let Unpacked { mut input, packing } = unpacked(bytes, &name)?;
        let mut head = Vec::new();
        let read = (&mut input).take(HEAD as u64).read_to_end(&mut head);
        let line = || 1 + memchr::memchr_iter(b'\n', &head).count() as u64;
        read.map_err(|error| packing.error(&name, line(), error))?;
        let is_cut = head.len() == HEAD;
        Ok(Stream { name, head: head.into(), packing, is_cut, rest: Mutex::new(Some(input)) })
    }

    /// The whole lines of the beginning; all of it where no line ends in it.
    fn ahead(&self) -> Unpacked {
        let end = match memchr::memrchr(b'\n', &self.head) {
            Some(at) if self.is_cut => at + 1,
            _ => self.head.len(),
        };
        let bytes = Cursor::new(self.head.clone()).take(end as u64);
        Unpacked { input: Box::new(bytes), packing: self.packing }
    }

    /// All bytes, once.
    fn take(&self) -> Result<Unpacked> {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rest = rest.ok_or_else(|| {
            Error::input(self.name(), "one pass over what can be read only once", "another one")
        })?;
        let bytes = Cursor::new(self.head.clone()).chain(rest);
        Ok(Unpacked { input: Box::new(bytes), packing: self.packing })
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        self.name.display().to_string()
    }

    pub(super) fn begins_with(&self, bytes: &[u8]) -> bool {
        self.head.starts_with(bytes)
    }
}

/// A small file, read whole: it can be looked at and read later without being opened again.
pub(super) struct SmallFile {
    path: PathBuf,
    bytes: Bytes,
}

impl SmallFile {
    /// The file at `path` if it has at most `most` bytes.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub(super) fn read(path: &Path, most: u64) -> Result<Option<Self>> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length = file.metadata().map_err(Error::io("open", path))?.len();
        if length > most {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(most + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        let is_small = bytes.len() as u64 <= most;
        Ok(is_small.then(|| SmallFile { path: path.to_owned(), bytes: bytes.into() }))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Where a reader finds its bytes.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    File(&'a Path),
    /// A file that has been read already.
    Small(&'a SmallFile),
    /// The beginning of a stream.
    Ahead(&'a Stream),
    /// A stream, whole.
    Stream(&'a Stream),
}

impl<'a> Place<'a> {
    /// What a look ahead reads: of a stream its beginning.
    pub(super) fn ahead(self) -> Self {
        match self {
            Place::Stream(stream) => Place::Ahead(stream),
            other => other,
        }
    }

    /// Its lines; those of a stream once, but for its beginning.
    pub(super) fn lines(self) -> Result<Lines> {
        match self {
            Place::File(path) => Lines::open(path),
            Place::Small(SmallFile { path, bytes }) => {
                Lines::of(unpacked(Cursor::new(bytes.clone()), path)?, path)
            }
            Place::Ahead(stream) => Lines::of(stream.ahead(), &stream.name),
            Place::Stream(stream) => Lines::of(stream.take()?, &stream.name),
        }
    }

    /// What messages call it.
    pub(super) fn path(self) -> &'a Path {
        match self {
            Place::File(path) => path,
            Place::Small(small) => &small.path,
            Place::Ahead(stream) | Place::Stream(stream) => &stream.name,
        }
    }

    /// The bytes of a file that has been read already.
    #[cfg(feature = "parquet")]
    pub(super) fn bytes(self) -> Option<Bytes> {
        match self {
            Place::Small(small) => Some(small.bytes.clone()),
            _ => None,
        }
    }

    /// The file, which readers of `format` need.
    pub(super) fn file(self, format: &str) -> Result<&'a Path> {
        match self {
            Place::File(_) | Place::Small(_) => Ok(self.path()),
            Place::Ahead(stream) | Place::Stream(stream) => {
                let error =
                    Error::input(stream.name(), "text that is read from its beginning to its end", format);
                Err(error.with_hint("write it to a file first, and name that"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::Input;
    use crate::row::RawRow;

    fn rows(input: &Input, bytes: Vec<u8>) -> Result<Vec<String>> {
        let stream = Stream::new("standard input", Cursor::new(bytes))?;
        // Looking changes nothing.
        let columns = input.columns_of_stream(&stream)?;
        assert_eq!(input.columns_of_stream(&stream)?, columns);
        let (mut source, mut row, mut all) = (input.open_stream(&stream)?, RawRow::default(), Vec::new());
        assert_eq!(source.columns(), columns);
        while source.next_row(&mut row)? {
            all.push(row.to_line());
        }
        assert!(input.open_stream(&stream).is_err(), "one pass");
        Ok(all)
    }

    #[test]
    fn a_stream_is_read_as_a_file_of_these_bytes() {
        let any = Input::new(["-"]);
        let long: String = (0..60_000).map(|i| format!("{i},x{i}\n")).collect();
        let text = format!("a,b\n{long}");
        assert!(text.len() > 2 * HEAD);
        let expected: Vec<&str> = long.lines().collect();
        assert_eq!(rows(&any, text.clone().into_bytes()).unwrap(), expected);
        assert_eq!(rows(&any, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap(), expected);
        assert_eq!(rows(&any, b"a\tb\n1\t2\n".to_vec()).unwrap(), ["1,2"]);
        assert_eq!(rows(&any, b"1 3:0.5 7:1\n-1 2:1\n".to_vec()).unwrap(), ["1,3:0.5|7:1", "-1,2:1"]);
        // No line end within the beginning, or at the end.
        let field = "x".repeat(HEAD);
        assert_eq!(rows(&any, format!("a,b\n{field},2").into_bytes()).unwrap(), [format!("{field},2")]);
    }

    #[test]
    fn what_cannot_be_read_from_a_stream_is_refused() {
        let any = Input::new(["-"]);
        for (bytes, parts) in [
            (&b"PAR1....PAR1"[..], ["found Parquet", "write it to a file first"]),
            (b"", ["an empty file", "came to its end"]),
            (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\xce", ["truncated", "-t"]),
        ] {
            let error = rows(&any, bytes.to_vec()).unwrap_err();
            let told = format!("{error} {}", error.hint().expect("a hint"));
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
    }
}
