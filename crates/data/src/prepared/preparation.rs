//! A preparation that is asked for, and who is told of it.
use super::limits::Limits;
use super::manifest::Settings;
use super::work::Start;
use crate::dataset::Sources;
use crate::error::{Error, Result};
use crate::schema::Schema;

/// What a preparation tells while it goes.
pub trait PrepareObserver: Send {
    /// A new part of the work begins.
    fn stage(&mut self, name: &str);
    /// Within it, a pass over the rows begins.
    fn pass(&mut self, _pass: PassOf) {}
    /// So many rows of this pass have gone by. `false` if the user wants to stop.
    fn rows(&mut self, rows: u64) -> bool;
}

/// A pass of several over the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassOf {
    /// Which one; the first is 1.
    pub number: usize,
    /// How many there are. While the encoder is fitted, encoding counts as one; where memory is short it
    /// takes more.
    pub of: usize,
    /// Rows that it will see, where that is known.
    pub rows: Option<u64>,
}

/// A preparation to be done.
pub struct Preparation<'a> {
    /// The rows.
    pub sources: &'a Sources<'a>,
    /// Meaning of their columns.
    pub schema: &'a Schema,
    /// Where they come from, to be noted down.
    pub settings: Settings,
    /// What may be in memory at once.
    pub limits: Limits,
    /// What may be in the directory.
    pub start: Start,
}

/// An observer's answer as a result.
pub(super) fn going_on(go_on: bool) -> Result<()> {
    if go_on { Ok(()) } else { Err(Error::Interrupted) }
}
