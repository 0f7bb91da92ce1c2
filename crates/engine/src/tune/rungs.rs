//! How long a trial trains on each rung of successive halving.

/// Trials of a bracket.
pub(super) const BRACKET: u64 = 9;
/// The rung on which trials are trained to their end.
pub(super) const LAST: u32 = 2;
/// Of so many trials one reaches the next rung, where it trains for so many times the rows.
const FACTOR: u64 = 3;
/// The default may stop early; a trial sees at least this many passes' worth of rows over all rungs.
const PASSES: u64 = 3;

/// Rows on each rung.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rungs {
    rows: u64,
}

impl Rungs {
    /// By the rows that the default was trained on until its end; a pass has `epoch` rows.
    pub(super) fn new(rows: u64, epoch: u64) -> Self {
        Rungs { rows: rows.max(PASSES * epoch) }
    }

    /// Steps of a trial on a rung before the last.
    pub(super) fn steps(self, rung: u32, batch_size: Option<usize>) -> u64 {
        let rows = self.rows / FACTOR.pow(LAST - rung);
        rows.div_ceil(batch_size.unwrap_or(1).max(1) as u64).max(1)
    }
}

/// Of so many trials, those that reach the next rung.
pub(super) fn kept(trials: usize) -> usize {
    trials.div_ceil(FACTOR as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_grow_as_trials_get_fewer() {
        let rungs = Rungs::new(90_000, 1_000);
        assert_eq!([rungs.steps(0, Some(100)), rungs.steps(1, Some(100))], [100, 300]);
        assert_eq!(Rungs::new(0, 900).steps(0, Some(1_000)), 1, "at least one step");
        assert_eq!([kept(BRACKET as usize), kept(3), kept(2), kept(1)], [3, 1, 1, 1]);
    }
}
