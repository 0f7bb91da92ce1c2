//! In the place of the writer of Parquet files, in builds without it.
use super::process::DataGeneratingProcess;
use dlrm_data::error::{Error, Result};
use dlrm_data::row::RawRow;
use std::fs::File;
use std::path::Path;

/// Rows that are never written.
pub(super) struct ParquetRows;

impl ParquetRows {
    pub(crate) fn new(_law: &dyn DataGeneratingProcess) -> Self {
        ParquetRows
    }

    pub(crate) fn push(&mut self, _row: &RawRow) {}
}

/// A writer that no build without Parquet has.
pub(super) enum Writer {}

impl Writer {
    pub(crate) fn new(_law: &dyn DataGeneratingProcess, aside: &Path) -> Result<Self> {
        let error =
            Error::input(aside.display().to_string(), "a form other than Parquet in this build", "Parquet");
        Err(error.with_hint("build dlrm with its default features, of which `parquet` was left out"))
    }

    pub(crate) fn push(&mut self, _rows: &ParquetRows, _path: &Path) -> Result<()> {
        match *self {}
    }

    pub(crate) fn finish(self, _path: &Path) -> Result<File> {
        match self {}
    }
}
