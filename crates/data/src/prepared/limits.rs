//! What a preparation may hold in memory at once.
use crate::error::{Error, Result};

/// Memory of a preparation, and how often it is saved. No encoded byte depends on the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of counts; more are kept on disk.
    pub counts: Option<u64>,
    /// Bytes of vocabularies; more are looked up in further passes.
    pub vocabularies: Option<u64>,
    /// A file of rows ends with the row that makes it these many (rounded up to 256) …
    pub shard_rows: usize,
    /// … or these many encoded bytes.
    pub shard_bytes: usize,
    /// After so many rows of a pass it is saved where it stands, so that a later attempt can resume it. No
    /// encoded byte depends on it.
    pub save_rows: u64,
}

/// Memory beside counts or vocabularies: the files of three parts while they are filled and one while it is
/// written, rows read ahead, packed files unpacked ahead, the program itself.
const FIXED: u64 = 352 << 20;
/// Least memory for counts and vocabularies.
const LEAST: u64 = 64 << 20;
/// Least memory that a preparation can be limited to, in bytes.
pub const LEAST_MEMORY: u64 = FIXED + LEAST;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            counts: None,
            vocabularies: None,
            shard_rows: 1 << 18,
            shard_bytes: 32 << 20,
            save_rows: 1 << 25,
        }
    }
}

impl Limits {
    /// Those that keep within so many bytes of memory; `None` for as many as are needed.
    ///
    /// # Errors
    /// Less than [`LEAST_MEMORY`].
    pub fn of_memory(limit: Option<u64>) -> Result<Self> {
        let Some(limit) = limit else { return Ok(Limits::default()) };
        match limit.checked_sub(FIXED).filter(|&budget| budget >= LEAST) {
            // Sorting what is left when all is counted takes memory too.
            Some(budget) => {
                Ok(Limits { counts: Some(budget / 4 * 3), vocabularies: Some(budget), ..Limits::default() })
            }
            None => {
                let least = format!("at least {} MB", LEAST_MEMORY.div_ceil(1_000_000));
                let error = Error::setting("memory limit".into(), least, format!("{} MB", limit / 1_000_000));
                Err(error.with_hint("files of rows are filled in memory before they are written"))
            }
        }
    }
}
