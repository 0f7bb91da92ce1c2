//! Bytes of a file, decompressed, as windows that end at a line end: the floor under all text readers.
//!
//! One buffer, refilled in place; memory is bounded by [`LONGEST_RECORD`] whatever the file holds.
use super::unpacking::Unpacking;
use crate::error::{Error, Position, Result, quoted};
use crate::row::RawRow;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A longer line, or a longer quoted record, is taken for a mistake (a wrong format, an unclosed quote).
pub(super) const LONGEST_RECORD: usize = 16 << 20;
const READ_SIZE: usize = 256 << 10;

/// First bytes of files that hold no text, what they are, and what to do.
const FOREIGN: [(&[u8], &str, &str); 14] = [
    (b"\xff\xfe", "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8"),
    (b"PK\x03\x04", "a zip archive", "unpack it first; of a workbook (.xlsx, .ods) save the sheet as CSV"),
    (b"BZh", "a bzip2 file", "unpack it first: bunzip2"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it first: unxz"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first: 7z x"),
    (b"PAR1", "a Parquet file", "set format to \"parquet\""),
    (b"\x1f\x8b", "a file compressed twice", "unpack it once first: gunzip"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (.xls)", "save the sheet as CSV"),
    (b"ARROW1", "an Arrow (Feather) file", "write it as Parquet"),
    (b"SQLite format", "an SQLite database", "export the table as CSV: sqlite3 -header -csv"),
    (b"\x89HDF", "an HDF5 file", "write it as Parquet or CSV"),
    (b"\x89PNG", "a picture", "name the file with the rows"),
    (b"%PDF", "a PDF document", "name the file with the rows"),
];

/// Where a tar archive, whose first bytes are the name of a file, says that it is one.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// What [`Lines::window`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// So many bytes lie ready in [`Lines::bytes`]; 0 at the end of the file.
    Bytes(usize),
    /// No line end within [`LONGEST_RECORD`].
    TooLong,
}

/// A text file from which lines are taken at the front.
pub(super) struct Lines {
    input: Box<dyn Read + Send>,
    path: PathBuf,
    file: Arc<str>,
    packing: Packing,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    line: u64,
    longest: usize,
}

impl Lines {
    /// Opens `path`, sees through gzip and zstd, and stands behind a byte order mark.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        Lines::of(unpacked(file, path)?, path)
    }

    /// Stands behind a byte order mark of these bytes, which messages call `path`.
    pub(super) fn of(bytes: Unpacked, path: &Path) -> Result<Self> {
        let Unpacked { input, packing } = bytes;
        let mut lines = Lines {
            input,
            path: path.to_owned(),
            file: path.display().to_string().into(),
            packing,
            buffer: vec![0; READ_SIZE],
            start: 0,
            end: 0,
            at_end: false,
            line: 1,
            longest: LONGEST_RECORD,
        };
        lines.check_text()?;
        Ok(lines)
    }

    /// The shortest run of at least `least` unread bytes that ends behind a line end or at the end of
    /// the file. `window(1)` is the next line.
    pub(super) fn window(&mut self, least: usize) -> Result<Window> {
        let mut searched = least.max(1) - 1;
        loop {
            let ready = &self.buffer[self.start..self.end];
            if searched < ready.len()
                && let Some(at) = memchr::memchr(b'\n', &ready[searched..])
            {
                return Ok(Window::Bytes(searched + at + 1));
            }
            if self.at_end {
                return Ok(Window::Bytes(ready.len()));
            }
            if ready.len() >= self.longest {
                return Ok(Window::TooLong);
            }
            searched = searched.max(ready.len());
            self.refill()?;
        }
    }

    /// The first `length` unread bytes, which a [`Window`] announced.
    pub(super) fn bytes(&self, length: usize) -> &[u8] {
        &self.buffer[self.start..self.start + length]
    }

    /// The unread bytes up to the last line end among those that lie ready.
    pub(super) fn whole_lines(&self) -> &[u8] {
        let ready = &self.buffer[self.start..self.end];
        &ready[..memchr::memrchr(b'\n', ready).map_or(0, |at| at + 1)]
    }

    /// Marks the first `length` unread bytes as read; they hold `lines` line ends.
    pub(super) fn consume(&mut self, length: usize, lines: u64) {
        self.start += length;
        self.line += lines;
    }

    /// Length of the next line without and with its line end, or `None` at the end of the file.
    /// A line beyond bounded memory is an [`Error::Row`] and already skipped.
    pub(super) fn peek_line(&mut self) -> Result<Option<(usize, usize)>> {
        match self.window(1)? {
            Window::Bytes(0) => Ok(None),
            Window::Bytes(length) => Ok(Some((without_line_end(self.bytes(length)).len(), length))),
            Window::TooLong => Err(self.skip_long_line()),
        }
    }

    /// Goes past an endless line in bounded memory; the error to report for it.
    pub(super) fn skip_long_line(&mut self) -> Error {
        let position = self.position();
        let error =
            Error::row(position, format!("a line of at most {} MiB", self.longest >> 20), "a longer one");
        let error = error.with_hint("is this a text file with line ends? Check the format and the delimiter");
        loop {
            self.start = self.end;
            match self.window(1) {
                Ok(Window::TooLong) => {}
                Ok(Window::Bytes(length)) => {
                    self.consume(length, 1);
                    return error;
                }
                Err(error) => return error,
            }
        }
    }

    /// Empties `row` and stamps it with the position of the next line.
    pub(super) fn begin(&self, row: &mut RawRow) {
        row.clear();
        row.line = self.line;
        if !Arc::ptr_eq(&row.file, &self.file) {
            row.file = Arc::clone(&self.file);
        }
    }

    /// Position of the next line.
    pub(super) fn position(&self) -> Position {
        Position { file: self.file.to_string(), line: self.line, column: None }
    }

    /// The file, as the user named it.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    fn refill(&mut self) -> Result<()> {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.packing.error(&self.path, self.line, error)),
            }
            return Ok(());
        }
    }

    /// Refuses what is recognisably no UTF-8 text, with what to do about it.
    fn check_text(&mut self) -> Result<()> {
        while !self.at_end && self.end < TAR_MARK.end {
            self.refill()?;
        }
        let head = &self.buffer[..self.end];
        if head.get(TAR_MARK).is_some_and(|mark| mark == b"ustar") {
            let error = Error::input(self.file(), "text, plain or packed by gzip or zstd", "a tar archive");
            return Err(error.with_hint("unpack it first (tar -xf FILE), and name the files that were in it"));
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            self.start = 3;
            return Ok(());
        }
        match FOREIGN.iter().find(|(magic, _, _)| head.starts_with(magic)) {
            Some((_, found, hint)) => {
                Err(Error::input(self.file(), "text, plain or packed by gzip or zstd", *found)
                    .with_hint(*hint))
            }
            None => Ok(()),
        }
    }
}

/// Bytes as they were before they were packed.
pub(super) struct Unpacked {
    pub input: Box<dyn Read + Send>,
    pub packing: Packing,
}

/// Sees through gzip and zstd; messages call the bytes `path`.
pub(super) fn unpacked(raw: impl Read + Send + 'static, path: &Path) -> Result<Unpacked> {
    let mut raw = BufReader::with_capacity(READ_SIZE, raw);
    let packing = Packing::of(raw.fill_buf().map_err(Error::io("read", path))?);
    let packed: Box<dyn Read + Send> = match packing {
        Packing::Plain => return Ok(Unpacked { input: Box::new(raw), packing }),
        Packing::Gzip => Box::new(MultiGzDecoder::new(raw)),
        Packing::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(raw).map_err(Error::io("read", path))?)
        }
    };
    let input = Box::new(Unpacking::new(packed).map_err(Error::io("start a thread to unpack", path))?);
    Ok(Unpacked { input, packing })
}

/// How the bytes of a file are packed, by its first bytes (names lie).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(head: &[u8]) -> Self {
        // A zstd file may begin with skippable frames, 0x184D2A50 to 0x184D2A5F.
        let skippable = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == *b"\x2a\x4d\x18";
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            _ if skippable => Packing::Zstd,
            _ => Packing::Plain,
        }
    }

    pub(super) fn error(self, path: &Path, line: u64, error: std::io::Error) -> Error {
        let (format, tool) = match self {
            Packing::Plain => return Error::io("read", path)(error),
            Packing::Gzip => ("gzip", "gzip -t"),
            Packing::Zstd => ("zstd", "zstd -t"),
        };
        // The decoder's own failures carry no number of the operating system.
        if error.raw_os_error().is_some() {
            return Error::io("read", path)(error);
        }
        let told = error.to_string();
        let packed_otherwise = match self {
            Packing::Zstd if told.contains("too much memory") => Some((
                "one whose window takes more than 128 MiB (zstd --long)",
                "pack it again without --long: zstd -d --long=31 -c FILE | zstd -o NEW",
            )),
            Packing::Zstd if told.to_lowercase().contains("dictionary") => {
                Some(("one that was packed with a dictionary", "unpack it first: zstd -d -D DICTIONARY FILE"))
            }
            _ => None,
        };
        if let Some((found, hint)) = packed_otherwise {
            return Error::input(
                path.display().to_string(),
                format!("a {format} file that can be read alone"),
                found,
            )
            .with_hint(hint);
        }
        let found = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => format!("its end inside line {line}: the file is truncated"),
            _ => format!("damaged data at line {line} ({error})"),
        };
        let hint = if path.exists() {
            format!("check it with `{tool} {}`, then copy or write the file again", path.display())
        } else {
            format!("see whether the program that wrote it came to its end; `{tool}` checks what it wrote")
        };
        Error::input(path.display().to_string(), format!("a whole {format} file"), found).with_hint(hint)
    }
}

/// Whether nothing comes of the packed file `path`.
pub(super) fn unpacks_to_nothing(path: &Path) -> Result<bool> {
    let mut lines = Lines::open(path)?;
    Ok(matches!(lines.window(1), Ok(Window::Bytes(0))))
}

/// `line` without `\n` or `\r\n` (or a last `\r`).
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `bytes` as text, or the error for the row at `position`; `field` tells the field of a byte offset.
pub(super) fn as_text(
    bytes: &[u8],
    position: impl FnOnce() -> Position,
    field: impl FnOnce(usize) -> (usize, String),
) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let around =
            String::from_utf8_lossy(&bytes[at.saturating_sub(12)..bytes.len().min(at + 12)]).into_owned();
        let mut position = position();
        position.column = Some(field(at));
        let found = format!("byte 0x{:02x} in {}", bytes[at], quoted(&around));
        Error::row(position, "UTF-8 text", found)
            .with_hint("if the whole file is in another encoding, convert it: iconv -f ISO-8859-1 -t UTF-8")
    })
}

/// A bad row met while a file is opened (in its header, in a side file) is no row to skip: the same
/// message as an error of the whole input.
pub(super) fn into_final(error: Error) -> Error {
    match error {
        Error::Row(bad) => Error::Input {
            input: bad.position.to_string(),
            expected: bad.expected,
            found: bad.found,
            hint: bad.hint,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
        file.write_all(bytes).expect("a written file");
        file
    }

    fn all_lines(bytes: &[u8]) -> Result<Vec<String>> {
        let file = file(bytes);
        let mut lines = Lines::open(file.path())?;
        let mut found = Vec::new();
        while let Some((used, length)) = lines.peek_line()? {
            found.push(String::from_utf8_lossy(lines.bytes(used)).into_owned());
            lines.consume(length, 1);
        }
        Ok(found)
    }

    #[test]
    fn line_ends_of_all_kinds() {
        assert_eq!(all_lines(b"a\nb\r\n\r\nc").expect("lines"), ["a", "b", "", "c"]);
        assert_eq!(all_lines(b"\xef\xbb\xbfa\n").expect("lines"), ["a"]);
        assert!(all_lines(b"").expect("lines").is_empty());
    }

    #[test]
    fn packed_files_are_known_by_their_bytes() {
        let text: String = (0..50_000).map(|i| format!("{i}\n")).collect();
        let mut gzip = Vec::new();
        for half in [&text[..100_000], &text[100_000..]] {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(half.as_bytes()).expect("packed");
            gzip.extend(writer.finish().expect("packed"));
        }
        let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        writer.include_checksum(true).expect("a setting");
        writer.write_all(text.as_bytes()).expect("packed");
        let zstd = writer.finish().expect("packed");
        for packed in [&gzip, &zstd] {
            assert_eq!(all_lines(packed).expect("lines").len(), 50_000);
            let error = all_lines(&packed[..packed.len() - 20]).expect_err("truncated");
            assert!(error.to_string().contains("truncated"), "{error}");
            assert!(error.hint().expect("a hint").to_string().contains("-t "));
            let mut damaged = packed.clone();
            let middle = damaged.len() / 2;
            damaged[middle..middle + 50].fill(0x5a);
            assert!(matches!(all_lines(&damaged), Err(Error::Input { .. })));
        }
    }

    #[test]
    fn foreign_files_are_refused_with_a_hint() {
        for (head, hint) in [
            (&b"PK\x03\x04rest of it"[..], "unpack"),
            (b"\xff\xfea\0b\0", "iconv"),
            (b"PAR1....PAR1", "parquet"),
        ] {
            let error = all_lines(head).expect_err("not text");
            assert!(error.hint().expect("a hint").to_string().contains(hint));
        }
    }

    #[test]
    fn endless_lines_are_skipped_in_bounded_memory() {
        let mut text = b"first\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 3 << 20));
        text.extend(b"\nlast");
        let file = file(&text);
        let mut lines = Lines::open(file.path()).expect("opened");
        lines.longest = 1 << 20;
        lines.consume(6, 1);
        let error = lines.peek_line().expect_err("too long");
        assert!(error.to_string().contains(":2: expected a line of at most 1 MiB"), "{error}");
        let (used, _) = lines.peek_line().expect("readable").expect("a line");
        assert_eq!(lines.bytes(used), b"last");
        assert_eq!(lines.position().line, 3);
        assert!(lines.buffer.len() <= 4 << 20);
    }
}
