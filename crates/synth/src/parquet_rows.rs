//! Simulated rows as Parquet: integers, numbers and texts, empty fields as nulls.
use super::process::{DataGeneratingProcess, FieldKind};
use dlrm_data::durable::AsideFile;
use dlrm_data::error::{Error, Result};
use dlrm_data::row::RawRow;
use dlrm_data::table::{self, Cell, Column, ColumnKind, ParquetTable};
use std::path::Path;

/// The columns of a process.
fn columns(process: &dyn DataGeneratingProcess) -> Vec<Column> {
    let column = |(i, name): (usize, String)| {
        let kind = match process.kind(i) {
            FieldKind::Integer => ColumnKind::Integer,
            FieldKind::Number => ColumnKind::Double,
            FieldKind::Text => ColumnKind::Text,
        };
        Column { name, kind }
    };
    process.columns().into_iter().enumerate().map(column).collect()
}

/// Rows of one group.
pub(super) struct ParquetRows {
    kinds: Vec<ColumnKind>,
    rows: table::ParquetRows,
}

impl ParquetRows {
    pub(crate) fn new(process: &dyn DataGeneratingProcess) -> Self {
        let columns = columns(process);
        let rows = table::ParquetRows::new(&columns);
        ParquetRows { kinds: columns.iter().map(|column| column.kind).collect(), rows }
    }

    pub(crate) fn push(&mut self, row: &RawRow) {
        let cells = self.kinds.iter().zip(row.fields()).map(|(kind, field)| match kind {
            _ if field.is_empty() => Cell::Missing,
            ColumnKind::Integer => field.parse().map_or(Cell::Missing, Cell::Integer),
            ColumnKind::Double | ColumnKind::Float => field.parse().map_or(Cell::Missing, Cell::Double),
            ColumnKind::Text => Cell::Text(field),
        });
        self.rows.push(cells);
    }
}

/// A Parquet file being written, group by group.
pub(super) struct Writer(ParquetTable<AsideFile>);

impl Writer {
    pub(crate) fn new(process: &dyn DataGeneratingProcess, path: &Path) -> Result<Self> {
        let table = ParquetTable::new(AsideFile::create(path)?, "clicks", &columns(process));
        table.map(Writer).map_err(Error::io("write", path))
    }

    /// Appends a group of rows.
    pub(crate) fn push(&mut self, rows: &ParquetRows, path: &Path) -> Result<()> {
        self.0.push(&rows.rows).map_err(Error::io("write", path))
    }

    /// The finished file, not yet in its place.
    pub(crate) fn finish(self, path: &Path) -> Result<AsideFile> {
        self.0.finish().map_err(Error::io("write", path))
    }
}
