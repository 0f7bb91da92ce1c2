//! The wish that long work ends before its time.
use crate::error::{Error, Result};
use crate::row::{RawRow, RowSource};
use crate::schema::MultiValued;
use std::fmt;
use std::sync::Arc;

/// Tells any thread whether to stop. Copies ask the same.
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

/// Of work that nobody wishes to end.
static NEVER: Stop = Stop(None);

impl Stop {
    /// Wished when `asked` says so. Any thread may call it, a few thousand times in a second.
    pub fn when(asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Stop(Some(Arc::new(asked)))
    }

    /// Never wished.
    pub fn never() -> &'static Self {
        &NEVER
    }

    /// The rows of `source` until then, and [`Error::Interrupted`] in the place of the others.
    pub fn over(&self, source: Box<dyn RowSource>) -> Box<dyn RowSource> {
        if self.0.is_none() {
            return source;
        }
        Box::new(Stoppable { source, stop: self.clone(), read: 0 })
    }

    /// [`Error::Interrupted`] where it is wished.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.0 {
            Some(asked) if asked() => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }
}

/// Rows between two looks.
const ROWS: u64 = 512;

/// Rows that end where it is wished.
struct Stoppable {
    source: Box<dyn RowSource>,
    stop: Stop,
    read: u64,
}

impl RowSource for Stoppable {
    fn columns(&self) -> &[String] {
        self.source.columns()
    }

    fn lists(&self) -> Vec<(usize, MultiValued)> {
        self.source.lists()
    }

    fn next_row(&mut self, row: &mut RawRow) -> Result<bool> {
        if self.read.is_multiple_of(ROWS) {
            self.stop.check()?;
        }
        self.read += 1;
        self.source.next_row(row)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}
