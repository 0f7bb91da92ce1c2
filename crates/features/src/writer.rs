//! What every store that is being filled can do, and who is told how it goes.
use crate::error::Result;
use crate::store::{Table, TableName};
use std::path::Path;

/// Who is told how a load goes, and may stop it.
pub trait Observer {
    /// Rows of this table are read now.
    fn table(&mut self, name: TableName);

    /// So many of its rows have been read; `false` to stop, which leaves the store as it was.
    fn rows(&mut self, rows: u64) -> bool;

    /// A file that is not whole as long as the load goes on.
    fn aside(&mut self, path: &Path);
}

/// A store that is being filled. What is not finished is as if nothing had been written.
pub(crate) trait Writer {
    /// Begins a table that takes the place of the one of this name.
    fn begin(&mut self, name: TableName, table: &Table) -> Result<()>;

    /// Puts a row into it, in the place of an earlier one of the same key: the key, then the columns.
    fn row(&mut self, fields: &[&str]) -> Result<()>;

    /// Ends it, and says how many rows it holds.
    fn end(&mut self) -> Result<u64>;

    /// Lets all tables take effect at once.
    fn finish(self: Box<Self>) -> Result<()>;

    /// Clears away what was written; a failure changes nothing, for nobody reads it.
    fn abandon(self: Box<Self>);
}
