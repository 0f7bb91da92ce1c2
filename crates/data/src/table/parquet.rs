//! Tables as Parquet: groups of rows, column by column, missing values as nulls, zstd.
use super::{Cell, Column, ColumnKind};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::io::{self, Write};
use std::sync::Arc;

/// Rows of one group, column by column.
pub struct ParquetRows {
    rows: usize,
    columns: Vec<(Values, Vec<i16>)>,
}

/// The values of a column that are not missing; beside them stands 1 for each row with one and 0 for others.
enum Values {
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Floats(Vec<f32>),
    Texts(Vec<ByteArray>),
}

impl ParquetRows {
    /// No rows.
    pub fn new(columns: &[Column]) -> Self {
        let values = |column: &Column| match column.kind {
            ColumnKind::Integer => Values::Integers(Vec::new()),
            ColumnKind::Double => Values::Doubles(Vec::new()),
            ColumnKind::Float => Values::Floats(Vec::new()),
            ColumnKind::Text => Values::Texts(Vec::new()),
        };
        ParquetRows { rows: 0, columns: columns.iter().map(|column| (values(column), Vec::new())).collect() }
    }

    /// Adds a row. A cell of another kind than its column is missing.
    pub fn push<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        self.rows += 1;
        for ((values, levels), cell) in self.columns.iter_mut().zip(cells) {
            let mut is_there = true;
            match (values, cell) {
                (Values::Integers(values), Cell::Integer(value)) => values.push(value),
                (Values::Doubles(values), Cell::Double(value)) => values.push(value),
                (Values::Floats(values), Cell::Float(value)) => values.push(value),
                (Values::Texts(values), Cell::Text(text)) => values.push(ByteArray::from(text)),
                _ => is_there = false,
            }
            levels.push(i16::from(is_there));
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// A Parquet file being written, group by group.
pub struct ParquetTable<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> ParquetTable<W> {
    /// Begins a table that is called `name` in its file.
    ///
    /// # Errors
    /// If the output refuses it.
    pub fn new(out: W, name: &str, columns: &[Column]) -> io::Result<Self> {
        let field = |column: &Column| {
            let (physical, logical) = match column.kind {
                ColumnKind::Integer => (Physical::INT64, None),
                ColumnKind::Double => (Physical::DOUBLE, None),
                ColumnKind::Float => (Physical::FLOAT, None),
                ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            let field = Type::primitive_type_builder(&column.name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            Arc::new(field.build().expect("a plain column"))
        };
        let fields = columns.iter().map(field).collect();
        let schema = Type::group_type_builder(name).with_fields(fields).build().expect("plain columns");
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties));
        writer.map(ParquetTable).map_err(into_io)
    }

    /// Appends a group of rows, of the columns of the table.
    ///
    /// # Errors
    /// If the output refuses it.
    pub fn push(&mut self, rows: &ParquetRows) -> io::Result<()> {
        let mut group = self.0.next_row_group().map_err(into_io)?;
        for (values, levels) in &rows.columns {
            match values {
                Values::Integers(values) => write::<Int64Type, _>(&mut group, values, levels),
                Values::Doubles(values) => write::<DoubleType, _>(&mut group, values, levels),
                Values::Floats(values) => write::<FloatType, _>(&mut group, values, levels),
                Values::Texts(values) => write::<ByteArrayType, _>(&mut group, values, levels),
            }
            .map_err(into_io)?;
        }
        group.close().map(drop).map_err(into_io)
    }

    /// Ends the file and gives the output back.
    ///
    /// # Errors
    /// If the output refuses it.
    pub fn finish(self) -> io::Result<W> {
        self.0.into_inner().map_err(into_io)
    }
}

fn write<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: &[i16],
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.expect("as many columns as the schema has");
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    column.close()
}

/// The reason of the operating system, where that is what the error is about.
fn into_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
