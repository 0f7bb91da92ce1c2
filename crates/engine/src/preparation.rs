//! A prepared data set of the rows that a configuration speaks of.
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::rows::{GivenRows, with_raw_rows};
use dlrm_data::Stop;
use dlrm_data::prepared::{Limits, Preparation, PrepareObserver, Prepared, Settings, Start};
use std::path::Path;

/// Prepares the rows of the complete configuration `config`, or those `given` in their place, in `dir`, or
/// goes on with that. So many threads read, unless they are to stop.
///
/// # Errors
/// If they are prepared already, and as [`Preparation::run`].
pub fn prepare(
    (config, given): (&RunConfig, Option<&GivenRows>),
    dir: &Path,
    (limits, start): (Limits, Start),
    reading: (usize, &Stop),
    observer: &mut dyn PrepareObserver,
) -> Result<Prepared> {
    let data = &config.data;
    if let Some(set) = &data.prepared {
        let found = format!("the prepared data set {}", set.display());
        return Err(Error::config("input.paths", "raw files", found).with_hint("train on it as it is"));
    }
    let settings = Settings {
        input: config.input.clone(),
        validation: data.validation.clone(),
        test: data.test.clone(),
        split: data.split.clone(),
        max_bad_rows: data.max_bad_rows,
    };
    let schema = config.complete_schema()?;
    let made = with_raw_rows(config, given, reading, |sources| {
        Preparation { sources, schema, settings, limits, start }.run(dir, observer)
    });
    Ok(made?)
}
