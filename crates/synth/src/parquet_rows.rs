//! Simulated rows as Parquet: integers, numbers and texts, empty fields as nulls, zstd.
use super::process::{DataGeneratingProcess, FieldKind};
use dlrm_data::error::{Error, Result};
use dlrm_data::row::RawRow;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Rows of one group, column by column.
pub(super) struct ParquetRows(Vec<Column>);

enum Column {
    Integers(Vec<i64>, Vec<i16>),
    Numbers(Vec<f64>, Vec<i16>),
    Texts(Vec<ByteArray>, Vec<i16>),
}

impl ParquetRows {
    pub(crate) fn new(process: &dyn DataGeneratingProcess) -> Self {
        let column = |i| match process.kind(i) {
            FieldKind::Integer => Column::Integers(Vec::new(), Vec::new()),
            FieldKind::Number => Column::Numbers(Vec::new(), Vec::new()),
            FieldKind::Text => Column::Texts(Vec::new(), Vec::new()),
        };
        ParquetRows((0..process.columns().len()).map(column).collect())
    }

    pub(crate) fn push(&mut self, row: &RawRow) {
        for (column, field) in self.0.iter_mut().zip(row.fields()) {
            let there = !field.is_empty();
            let levels = match column {
                Column::Integers(values, levels) => {
                    values.extend(field.parse::<i64>().ok());
                    levels
                }
                Column::Numbers(values, levels) => {
                    values.extend(field.parse::<f64>().ok());
                    levels
                }
                Column::Texts(values, levels) => {
                    values.extend(there.then(|| ByteArray::from(field)));
                    levels
                }
            };
            levels.push(i16::from(there));
        }
    }
}

/// A Parquet file being written, group by group.
pub(super) struct Writer(SerializedFileWriter<File>);

impl Writer {
    pub(crate) fn new(process: &dyn DataGeneratingProcess, aside: &Path) -> Result<Self> {
        let field = |(i, name): (usize, String)| {
            let (physical, logical) = match process.kind(i) {
                FieldKind::Integer => (Physical::INT64, None),
                FieldKind::Number => (Physical::DOUBLE, None),
                FieldKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            let field = Type::primitive_type_builder(&name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            Arc::new(field.build().expect("a plain column"))
        };
        let fields = process.columns().into_iter().enumerate().map(field).collect();
        let schema = Type::group_type_builder("clicks").with_fields(fields).build().expect("plain columns");
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let file = File::create(aside).map_err(Error::io("create", aside))?;
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
            .map(Writer)
            .map_err(failed(aside))
    }

    /// Appends a group of rows.
    pub(crate) fn push(&mut self, rows: &ParquetRows, path: &Path) -> Result<()> {
        let mut group = self.0.next_row_group().map_err(failed(path))?;
        for column in &rows.0 {
            match column {
                Column::Integers(values, levels) => write::<Int64Type>(&mut group, values, levels),
                Column::Numbers(values, levels) => write::<DoubleType>(&mut group, values, levels),
                Column::Texts(values, levels) => write::<ByteArrayType>(&mut group, values, levels),
            }
            .map_err(failed(path))?;
        }
        group.close().map(drop).map_err(failed(path))
    }

    /// The finished file.
    pub(crate) fn finish(self, path: &Path) -> Result<File> {
        self.0.into_inner().map_err(failed(path))
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: &[i16],
) -> Result<(), parquet::errors::ParquetError> {
    let mut column = group.next_column()?.expect("as many columns as the schema has");
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    column.close()
}

fn failed(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::io("write", &path)(std::io::Error::other(error))
}
