//! Whether files are the rows they should be, by the readers that will train on them.
use crate::catalogue::{DataSet, TableFile};
use crate::error::{Error, Result};
use crate::observer::Observer;
use dlrm_data::RawRow;
use dlrm_data::format::count;
use std::path::Path;

/// Rows between two looks at the observer.
const LOOK_EVERY: u64 = 1 << 14;

/// Whether every file that the data set needs lies in `directory`.
///
/// # Errors
/// Names the first that does not.
pub fn files(set: &DataSet, directory: &Path) -> Result<()> {
    for name in set.tables.iter().map(|table| table.file).chain(set.needed.iter().copied()) {
        let path = directory.join(name);
        if !path.is_file() {
            let error = Error::input(
                directory.display().to_string(),
                format!("{name} in it (of {})", set.title),
                "none",
            );
            return Err(
                error.with_hint("give the publisher's archive, or the directory that it was unpacked to")
            );
        }
    }
    Ok(())
}

/// Reads every table in `directory` and counts its rows.
///
/// # Errors
/// If there are more or fewer, or too many malformed ones; as the readers; if the observer wishes to stop.
pub fn rows(set: &DataSet, directory: &Path, observer: &mut dyn Observer) -> Result<()> {
    set.tables.iter().try_for_each(|table| table_rows(table, directory, observer))
}

fn table_rows(table: &TableFile, directory: &Path, observer: &mut dyn Observer) -> Result<()> {
    let mut source = table.input(directory).open()?;
    let (mut row, mut rows, mut bad) = (RawRow::default(), 0, 0);
    loop {
        row.clear();
        match source.next_row(&mut row) {
            Ok(true) => rows += 1,
            Ok(false) => break,
            Err(dlrm_data::Error::Row(_)) if bad < table.bad_rows => bad += 1,
            Err(error) => return Err(error.into()),
        }
        if rows % LOOK_EVERY == 0 && observer.should_stop() {
            return Err(Error::Interrupted {
                what: format!("while the rows of {} were counted", table.file),
            });
        }
    }
    if rows == table.rows {
        return Ok(());
    }
    let (expected, found) = (format!("{} rows", count(table.rows)), count(rows));
    Err(Error::input(directory.join(table.file).display().to_string(), expected, found)
        .with_hint("it is torn, or another edition"))
}
