//! Arrow files that are mapped, each with a checksum of itself, its format and its version.
//!
//! ```text
//! ARROW1 …   the schema, whose metadata say format, format_version and what else the format needs
//!            record batches
//!            the footer of Arrow, whose metadata say how many bytes before it have which checksum
//! ```
//! What the footer says beside that is for other programs: batches are read one behind the other from the
//! beginning, so that no byte counts which the checksum does not cover.
use crate::error::{Error, Result, quoted};
use crate::guard::guarded;
use crate::prepared::into_io;
use crate::sum::{FileSum, Summed};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::{StreamDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{MetadataVersion, root_as_footer};
use arrow_schema::{ArrowError, Field, Schema};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Alignment of columns in the file, so that mapped ones can be read where they lie. Its first message stands
/// there too.
const ALIGNMENT: usize = 64;
/// What every Arrow file begins and ends with.
pub(crate) const MAGIC: &[u8] = b"ARROW1";
/// What stands behind the last batch.
const END: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Bytes behind the footer: its length, and the magic.
const TRAILER: usize = 10;
const FORMAT: &str = "format";
const VERSION: &str = "format_version";
const BYTES: &str = "bytes";
const CHECKSUM: &str = "xxh3";

/// What files of a format are.
pub(crate) struct Format {
    /// What the file says it is.
    pub(crate) name: &'static str,
    /// Version of the layout; a program refuses newer ones.
    pub(crate) version: u32,
    /// What messages expect.
    pub(crate) what: &'static str,
    /// What to do about a damaged one.
    pub(crate) hint: &'static str,
}

impl Format {
    fn wrong(&self, path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::input(path.display().to_string(), expected, found).with_hint(self.hint)
    }
}

/// Writes such a file.
pub(crate) struct ArrowFileWriter<W: Write> {
    writer: FileWriter<Summed<W>>,
    /// How messages call the file.
    path: PathBuf,
}

impl<W: Write> ArrowFileWriter<W> {
    /// Of these columns, with these metadata beside those of the format.
    pub(crate) fn new(
        out: W,
        path: &Path,
        format: &Format,
        fields: Vec<Field>,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        let own = [(FORMAT, format.name.to_owned()), (VERSION, format.version.to_string())];
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let metadata: HashMap<String, String> =
            own.into_iter().chain(more).map(|(key, value)| (key.to_owned(), value)).collect();
        let schema = Schema::new_with_metadata(fields, metadata);
        let options =
            IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).expect("a valid alignment");
        let writer = FileWriter::try_new_with_options(Summed::new(out), &schema, options);
        let writer = writer.map_err(|error| Error::io("write", path)(into_io(error)))?;
        Ok(ArrowFileWriter { writer, path: path.to_owned() })
    }

    /// Appends a batch of the columns.
    pub(crate) fn write(&mut self, columns: Vec<arrow_array::ArrayRef>) -> Result<()> {
        let failed = |error: ArrowError| Error::io("write", &self.path)(into_io(error));
        let batch = RecordBatch::try_new(self.writer.schema().clone(), columns).map_err(failed)?;
        self.writer.write(&batch).map_err(|error| Error::io("write", &self.path)(into_io(error)))
    }

    /// Writes the footer.
    pub(crate) fn finish(mut self) -> Result<()> {
        let sum = self.writer.get_ref().sum();
        self.writer.write_metadata(BYTES, sum.bytes.to_string());
        self.writer.write_metadata(CHECKSUM, sum.xxh3);
        let finished = self.writer.into_inner().map_err(into_io).and_then(|mut out| out.flush());
        finished.map_err(Error::io("write", &self.path))
    }
}

/// What such a file holds.
pub(crate) struct Contents {
    /// Its columns and metadata.
    pub(crate) schema: Arc<Schema>,
    /// Their rows.
    pub(crate) batches: Vec<RecordBatch>,
}

/// Reads `bytes`, the file `path`: the batches are parts of them.
pub(crate) fn read(bytes: &Buffer, path: &Path, format: &Format) -> Result<Contents> {
    let torn = |found: &str| format.wrong(path, format.what, found);
    let sum = sum_in_footer(bytes).ok_or_else(|| torn("a file without its checksum at the end"))?;
    let length = usize::try_from(sum.bytes).ok().filter(|&length| length <= bytes.len());
    let length = length.ok_or_else(|| torn("a file that is cut short"))?;
    if FileSum::of(&bytes[..length]).xxh3 != sum.xxh3 {
        return Err(torn("other bytes than its checksum says"));
    }
    let rest = length.checked_sub(ALIGNMENT).filter(|_| bytes.starts_with(MAGIC));
    let rest = rest.filter(|_| bytes[length..].starts_with(END)).ok_or_else(|| torn("no columns"))?;
    let messages = bytes.slice_with_length(ALIGNMENT, rest + END.len());
    let contradictory = || Err(ArrowError::ParseError("lengths that contradict each other".to_owned()));
    let decoded = guarded(|| decode(messages)).unwrap_or_else(contradictory);
    let contents = decoded.map_err(|error| torn(&quoted(&error.to_string())))?;
    let said = |key| contents.schema.metadata().get(key).map(String::as_str);
    if said(FORMAT) != Some(format.name) {
        return Err(torn("an Arrow file of something else"));
    }
    match said(VERSION).and_then(|version| version.parse::<u32>().ok()) {
        Some(version) if version <= format.version => Ok(contents),
        version => {
            let expected = format!("format version {} or older", format.version);
            let found = version.map_or_else(|| "none".to_owned(), |version| version.to_string());
            let error = Error::input(path.display().to_string(), expected, found);
            Err(error.with_hint("it was written by a newer dlrm: update this one"))
        }
    }
}

/// What the footer says of the bytes before it.
fn sum_in_footer(bytes: &[u8]) -> Option<FileSum> {
    let trailer = bytes.len().checked_sub(TRAILER)?;
    let length = read_footer_length(bytes[trailer..].try_into().ok()?).ok()?;
    let footer = root_as_footer(&bytes[trailer.checked_sub(length)?..trailer]).ok()?;
    let said = |wanted: &str| {
        let mut all = footer.custom_metadata()?.iter();
        all.find(|pair| pair.key() == Some(wanted))?.value().map(str::to_owned)
    };
    Some(FileSum { bytes: said(BYTES)?.parse().ok()?, xxh3: said(CHECKSUM)? })
}

fn decode(mut bytes: Buffer) -> Result<Contents, ArrowError> {
    let mut decoder = StreamDecoder::new().with_require_alignment(true);
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        batches.extend(decoder.decode(&mut bytes)?);
    }
    let schema = decoder.schema().ok_or_else(|| ArrowError::ParseError("no schema".to_owned()))?;
    decoder.finish()?;
    Ok(Contents { schema, batches })
}
