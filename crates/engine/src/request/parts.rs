//! Which rows train, validate and test.
use crate::error::{Error, Result};
use dlrm_data::readers::{Format, Input};
use dlrm_data::schema::Schema;
use dlrm_data::split::Split;
use std::path::PathBuf;

/// What was said of the parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartsRequest {
    /// Files of validation rows.
    pub validation: Vec<PathBuf>,
    /// Files of test rows.
    pub test: Vec<PathBuf>,
    /// How the other rows are split: random, order, time or last-day.
    pub split: Option<String>,
}

/// The split of that name, with a tenth of the rows each to validate and to test.
///
/// # Errors
/// Another name.
pub fn split_of(kind: &str, seed: u64) -> Result<Split> {
    let (validation, test) = (0.1, 0.1);
    match kind {
        "random" => Ok(Split::Random { validation, test, seed }),
        "order" => Ok(Split::Order { validation, test }),
        "time" => Ok(Split::Time { validation, test }),
        "last-day" => Ok(Split::LastDay { days: None }),
        other => {
            let expected = "random, order, time or last-day";
            Err(Error::config("data.split", expected, format!("\"{other}\"")).with_hint(
                "folds that a column gives are set in the configuration: data.split.kind = \"column\"",
            ))
        }
    }
}

/// How an input is split where nothing is said.
pub fn usual_split(input: &Input) -> Split {
    match input.format {
        // Criteo's rows are in the order of time; a random split would leak the future.
        Format::Criteo => Split::Order { validation: 0.1, test: 0.1 },
        _ => Split::default(),
    }
}

/// Refuses a split by time without a column that tells it.
///
/// # Errors
/// If the schema names none.
pub fn check_time(split: &Split, schema: &Schema) -> Result<()> {
    if matches!(split, Split::Time { .. }) && schema.time.is_none() {
        return Err(Error::config("data.split", "a `time` column in the schema for a split by time", "none")
            .with_hint("set `time` in the schema, or split by order (data.split.kind = \"order\")"));
    }
    Ok(())
}
