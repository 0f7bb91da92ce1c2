//! The rows that a configuration speaks of, opened.
use crate::config::RunConfig;
use crate::error::{Error, Result};
use dlrm_data::Stop;
use dlrm_data::dataset::Sources;
use dlrm_data::prepared::Prepared;
use dlrm_data::rows::OpenRows;
use dlrm_data::source::DataSource;
use std::sync::Arc;

/// Rows of another program (a data frame, a simulator) in the place of files.
#[derive(Clone)]
pub struct GivenRows {
    /// Split as the configuration says, unless further rows are given.
    pub main: Arc<dyn OpenRows>,
    /// Validation rows.
    pub validation: Option<Arc<dyn OpenRows>>,
    /// Test rows.
    pub test: Option<Arc<dyn OpenRows>>,
}

/// Does `work` on the raw rows of a configuration: those given, else its files; so many threads read them,
/// unless they are to stop.
pub fn with_raw_rows<R>(
    config: &RunConfig,
    given: Option<&GivenRows>,
    (threads, stop): (usize, &Stop),
    work: impl FnOnce(&Sources<'_>) -> R,
) -> R {
    let data = &config.data;
    let files = [&data.validation, &data.test].map(|paths| config.input_of(paths));
    let file = |index: usize| files[index].as_ref().map(|input| input as &dyn OpenRows);
    let (main, validation, test) = match given {
        Some(GivenRows { main, validation, test }) => (&**main, validation.as_deref(), test.as_deref()),
        None => (&config.input as &dyn OpenRows, file(0), file(1)),
    };
    let (split, max_bad_rows) = (&data.split, data.max_bad_rows);
    work(&Sources { main, validation, test, split, max_bad_rows, threads, stop })
}

/// Does `work` on the rows of a configuration: its prepared data set, else as [`with_raw_rows`].
///
/// # Errors
/// If the prepared data set cannot be opened, reading is to stop, or as `work`.
pub fn with_rows<R>(
    config: &RunConfig,
    given: Option<&GivenRows>,
    reading: (usize, &Stop),
    work: impl FnOnce(DataSource<'_>) -> Result<R>,
) -> Result<R> {
    let done = match config.data.prepared.as_deref().map(Prepared::open).transpose()? {
        Some(prepared) => work(DataSource::Prepared(&prepared)),
        None => with_raw_rows(config, given, reading, |sources| work(DataSource::Raw(sources))),
    };
    done.map_err(|error| match error {
        Error::Data(dlrm_data::Error::Interrupted) => Error::Interrupted { step: 0, checkpoint: None },
        other => other,
    })
}
