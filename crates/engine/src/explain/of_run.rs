//! The importance of the columns for the report of a run: on a part of its measured rows that costs little
//! beside the training.
use super::columns::columns;
use super::importance::{Importance, Shuffles, importance};
use super::sample::sample_of;
use crate::config::RunConfig;
use crate::error::Result;
use crate::learner::Learner;
use dlrm_data::{Batch, Encoder};

/// Rows at most.
const MOST_ROWS: u64 = 20_000;
/// Rows at least, where there are so many.
const FEWEST_ROWS: u64 = 200;
/// Times that each column is shuffled, where there is time for it.
const REPEATS: u64 = 3;
/// Rows that are scored in any case: a moment.
const FREE: u64 = 300_000;

/// Measures the columns on `rows` after `trained` rows went through training. A training step costs about
/// three forward passes a row, so scoring a quarter as many rows as were trained on takes a twelfth of the
/// time. `None` without rows or columns.
///
/// # Errors
/// If a score is not finite.
pub(crate) fn of_run(
    learner: &mut Learner,
    (encoder, rows): (&Encoder, Option<&Batch>),
    config: &RunConfig,
    trained: u64,
) -> Result<Option<Importance>> {
    let (columns, task) = (columns(encoder), config.complete_schema()?.label.task);
    let Some(rows) = rows.filter(|_| !columns.is_empty()) else { return Ok(None) };
    let (repeats, most) = shape(columns.len() as u64, trained);
    let seed = config.train.seed;
    let rows = sample_of(rows, &encoder.layout(), most as usize, seed);
    let shuffles = Shuffles { repeats: repeats as usize, seed };
    let mut failed = None;
    let mut score = |batch: &Batch| {
        learner.logits(batch).unwrap_or_else(|error| {
            failed = Some(error);
            vec![f32::NAN; batch.len()]
        })
    };
    let found = importance(&rows, &columns, task, shuffles, &mut score);
    failed.map_or(found.map(Some), Err)
}

/// Repeats and rows for so many columns.
fn shape(columns: u64, trained: u64) -> (u64, u64) {
    let affordable = FREE.max(trained / 4) / columns;
    let repeats = (affordable / FEWEST_ROWS).clamp(1, REPEATS);
    (repeats, (affordable / repeats).clamp(FEWEST_ROWS, MOST_ROWS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_rows_are_measured_in_fewer_places() {
        assert_eq!(shape(10, 0), (3, 10_000));
        assert_eq!(shape(4, 100_000), (3, 20_000));
        assert_eq!(shape(39, 40_000_000), (3, 20_000));
        assert_eq!(shape(1000, 1_000_000), (1, 300));
        assert_eq!(shape(100_000, 0), (1, 200));
    }
}
