//! How much of each column a profile keeps in memory.
use super::counts::EXACT_COUNTS;
use dlrm_data::error::{Error, Hint, Result};
use dlrm_data::format;

/// Bytes that a profile takes at most where nothing is said, unless there are very many columns. It does not
/// depend on the machine, and neither do the schemas that follow: up to a hundred and sixty columns nothing
/// of what is counted is given up for it.
const USUAL: u64 = 4 << 30;
/// Bytes for each value that is counted, all that is counted of a column together.
const VALUE: u64 = 200;
/// Least bytes for a column: so many values of it, and what does not depend on them.
const LEAST: u64 = 256 * VALUE + (48 << 10);
/// Hashes that all columns together may keep to count distinct values, and their bytes.
const MOST_KEPT: u64 = 10_000_000;
const HASH: u64 = 18;
/// Rows after which that is looked at.
const LOOK_EVERY: u64 = 1 << 16;

/// What may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Different values of a column that are counted.
    pub values: usize,
    /// Hashes of all columns together.
    pub hashes: usize,
    /// Rows after which those are counted.
    pub look_every: u64,
}

impl Room {
    /// For so many columns, in so many bytes.
    ///
    /// # Errors
    /// Too few of them.
    pub(super) fn new(columns: usize, memory: Option<u64>) -> Result<Self> {
        let columns = columns.max(1) as u64;
        let memory = memory.unwrap_or(USUAL.max(LEAST * columns));
        if memory / columns < LEAST {
            let least = format!("at least {} MB", (LEAST * columns).div_ceil(1_000_000));
            let found = format!("{} MB for {} columns", memory / 1_000_000, format::count(columns));
            let hint = Hint::from("give a schema, then no column is looked at (").name("schema").say(")");
            return Err(Error::input("memory limit", least, found).with_hint(hint));
        }
        // A quarter for hashes, the rest for values.
        let hashes = MOST_KEPT.min(memory / 4 / HASH);
        let values = memory / 4 * 3 / columns / VALUE;
        Ok(Room {
            values: values.min(EXACT_COUNTS as u64) as usize,
            hashes: hashes as usize,
            look_every: (hashes / columns).clamp(1, LOOK_EVERY),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_tables_keep_less_of_each_column() {
        let usual = Room::new(150, None).expect("room");
        assert_eq!((usual.values, usual.hashes, usual.look_every), (EXACT_COUNTS, 10_000_000, LOOK_EVERY));
        let wide = Room::new(10_000, None).expect("room");
        assert!(wide.values < 3000 && wide.look_every == 1000, "{wide:?}");
        let limited = Room::new(40, Some(100_000_000)).expect("room");
        assert_eq!(limited.values, 9375);
        let widest = Room::new(100_000, None).expect("as much as so many columns need");
        assert!(widest.values >= 256, "{widest:?}");
        let error = Room::new(10_000, Some(100_000_000)).expect_err("too little").to_string();
        assert!(error.contains("at least 1004 MB") && error.contains("10,000 columns"), "{error}");
    }
}
