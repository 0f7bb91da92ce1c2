//! The values of Parquet column chunks as text, a batch of rows at a time.
use super::value_text::{Kind, Show, append_value};
use crate::guard;
use arrow_array::cast::AsArray;
use arrow_array::{Array, StringViewArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type as types;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

/// Rows decoded at a time.
pub(super) const BATCH: usize = 1024;

/// Runs a part of the decoder, which panics on some damaged files.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    guard::guarded(decode).unwrap_or_else(|| Err(ParquetError::General("contradictory contents".to_owned())))
}

/// The values of one column chunk, row by row.
pub(super) trait Chunk: Send {
    /// Decodes the next rows; how many.
    fn decode(&mut self) -> Result<usize, ParquetError>;

    /// Appends the field of the next decoded row to `out`.
    fn show(&mut self, out: &mut String) -> Result<(), &'static str>;
}

/// For a chunk of any type.
pub(super) fn chunk(column: ColumnDescPtr, kind: Kind, reader: ColumnReader) -> Box<dyn Chunk> {
    match reader {
        ColumnReader::BoolColumnReader(_) => Box::new(Typed::<types::BoolType>::new(column, kind, reader)),
        ColumnReader::Int32ColumnReader(_) => Box::new(Typed::<types::Int32Type>::new(column, kind, reader)),
        ColumnReader::Int64ColumnReader(_) => Box::new(Typed::<types::Int64Type>::new(column, kind, reader)),
        ColumnReader::Int96ColumnReader(_) => Box::new(Typed::<types::Int96Type>::new(column, kind, reader)),
        ColumnReader::FloatColumnReader(_) => Box::new(Typed::<types::FloatType>::new(column, kind, reader)),
        ColumnReader::DoubleColumnReader(_) => {
            Box::new(Typed::<types::DoubleType>::new(column, kind, reader))
        }
        ColumnReader::ByteArrayColumnReader(_) => {
            Box::new(Typed::<types::ByteArrayType>::new(column, kind, reader))
        }
        ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Box::new(Typed::<types::FixedLenByteArrayType>::new(column, kind, reader))
        }
    }
}

/// A chunk of one physical type. Levels as in the Dremel paper: a value is there where its definition
/// level is the greatest; a row begins where the repetition level is 0.
pub(super) struct Typed<T: types::DataType> {
    reader: ColumnReaderImpl<T>,
    kind: Kind,
    greatest_definition: i16,
    is_list: bool,
    values: Vec<T::T>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    next_value: usize,
    next_level: usize,
}

impl<T: types::DataType> Typed<T> {
    pub(super) fn new(column: ColumnDescPtr, kind: Kind, reader: ColumnReader) -> Self {
        Typed {
            reader: get_typed_column_reader(reader),
            kind,
            greatest_definition: column.max_def_level(),
            is_list: column.max_rep_level() > 0,
            values: Vec::new(),
            definitions: Vec::new(),
            repetitions: Vec::new(),
            next_value: 0,
            next_level: 0,
        }
    }
}

impl<T: types::DataType> Chunk for Typed<T>
where
    T::T: Show,
{
    fn decode(&mut self) -> Result<usize, ParquetError> {
        self.values.clear();
        self.definitions.clear();
        self.repetitions.clear();
        (self.next_value, self.next_level) = (0, 0);
        let read = self.reader.read_records(
            BATCH,
            Some(&mut self.definitions),
            Some(&mut self.repetitions),
            &mut self.values,
        );
        read.map(|(records, _, _)| records)
    }

    fn show(&mut self, out: &mut String) -> Result<(), &'static str> {
        let start = out.len();
        let mut result = Ok(());
        loop {
            let is_there =
                self.definitions.get(self.next_level).is_none_or(|&level| level == self.greatest_definition);
            self.next_level += 1;
            if let (true, Some(value)) = (is_there, self.values.get(self.next_value)) {
                self.next_value += 1;
                let shown = append_value(out, start, self.is_list, |out| value.show(self.kind, out));
                result = result.and(shown);
            }
            if !self.is_list || self.repetitions.get(self.next_level).is_none_or(|&level| level == 0) {
                return result;
            }
        }
    }
}

/// A chunk of texts, single values. Most time of reading goes into columns of them, so they are decoded a
/// batch at once; what cannot be is left to the reader of single values, which finds the one that is wrong.
pub(super) struct TextColumn {
    fast: Option<ParquetRecordBatchReader>,
    slow: Typed<types::ByteArrayType>,
    texts: StringViewArray,
    next: usize,
    /// Rows decoded by `fast`.
    rows: usize,
}

impl TextColumn {
    pub(super) fn new(fast: ParquetRecordBatchReader, slow: Typed<types::ByteArrayType>) -> Self {
        TextColumn { fast: Some(fast), slow, texts: StringViewArray::new_null(0), next: 0, rows: 0 }
    }
}

impl Chunk for TextColumn {
    fn decode(&mut self) -> Result<usize, ParquetError> {
        if let Some(fast) = &mut self.fast {
            let decoded = guarded(|| Ok(fast.next().transpose()?));
            let texts = decoded.map(|batch| match batch {
                Some(batch) => batch.column(0).as_string_view_opt().cloned(),
                None => Some(StringViewArray::new_null(0)),
            });
            if let Ok(Some(texts)) = texts {
                (self.texts, self.next) = (texts, 0);
                self.rows += self.texts.len();
                return Ok(self.texts.len());
            }
            self.fast = None;
            self.slow.reader.skip_records(self.rows)?;
        }
        self.slow.decode()
    }

    fn show(&mut self, out: &mut String) -> Result<(), &'static str> {
        if self.fast.is_none() {
            return self.slow.show(out);
        }
        if self.texts.is_valid(self.next) {
            out.push_str(self.texts.value(self.next));
        }
        self.next += 1;
        Ok(())
    }
}
