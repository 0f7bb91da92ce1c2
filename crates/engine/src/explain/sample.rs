//! A bounded number of the rows of a stream, each as likely as any other.
use dlrm_data::Batch;
use dlrm_data::batch::{Arity, Layout};
use dlrm_data::rng::mix;

/// At most so many rows, uniform among all that were shown: those whose hashed numbers are the smallest, in
/// their order. It depends on the seed and on the rows' numbers alone.
pub struct RowSample {
    most: usize,
    seed: u64,
    shown: u64,
    rows: Batch,
    numbers: Vec<u64>,
    empty: Batch,
}

impl RowSample {
    /// No rows yet, of this layout.
    pub fn new(layout: &Layout, most: usize, seed: u64) -> Self {
        let empty = Batch::new(layout);
        RowSample { most, seed, shown: 0, rows: empty.clone(), numbers: Vec::new(), empty }
    }

    /// Shows the next rows.
    pub fn show(&mut self, batch: &Batch) {
        let all: Vec<u32> = (0..batch.len() as u32).collect();
        self.rows = picked(batch, &all, std::mem::take(&mut self.rows));
        self.numbers.extend(self.shown..self.shown + batch.len() as u64);
        self.shown += batch.len() as u64;
        // Sorted out in bulk: a row in the middle of a batch cannot be replaced.
        if self.numbers.len() > 2 * self.most.max(1 << 14) {
            self.cut();
        }
    }

    /// Keeps the rows that belong to the sample.
    fn cut(&mut self) {
        let chosen = chosen(&self.numbers, self.most, self.seed);
        if chosen.len() < self.numbers.len() {
            self.rows = picked(&self.rows, &chosen, self.empty.clone());
            self.numbers = chosen.iter().map(|&place| self.numbers[place as usize]).collect();
        }
    }

    /// The sample, and the number of each row among all that were shown (the first is 0).
    pub fn finish(mut self) -> (Batch, Vec<u64>) {
        self.cut();
        (self.rows, self.numbers)
    }
}

/// A sample of rows that are all in memory.
pub(super) fn sample_of(rows: &Batch, layout: &Layout, most: usize, seed: u64) -> Batch {
    let numbers: Vec<u64> = (0..rows.len() as u64).collect();
    picked(rows, &chosen(&numbers, most, seed), Batch::new(layout))
}

/// `to` with these rows of `from` behind its own.
fn picked(from: &Batch, rows: &[u32], mut to: Batch) -> Batch {
    to.push_rows_of(from, rows, &vec![Arity::Any; from.bags.len()]);
    to
}

/// The places of the `most` numbers whose hashes are the smallest, in order.
fn chosen(numbers: &[u64], most: usize, seed: u64) -> Vec<u32> {
    let mut places: Vec<u32> = (0..numbers.len() as u32).collect();
    if places.len() > most {
        let hash = |&place: &u32| mix(mix(seed ^ 0x5a3b_1e57).wrapping_add(numbers[place as usize]));
        places.sort_by_cached_key(hash);
        places.truncate(most);
        places.sort_unstable();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: std::ops::Range<u64>) -> Batch {
        Batch { labels: labels.map(|label| label as f32).collect(), ..Batch::default() }
    }

    #[test]
    fn a_sample_does_not_depend_on_how_rows_are_shown() {
        let sample = |piece: u64| {
            let mut sample = RowSample::new(&Layout::default(), 100, 7);
            (0..50_000).step_by(piece as usize).for_each(|at| sample.show(&rows(at..at + piece)));
            sample.finish()
        };
        let (batch, numbers) = sample(50_000);
        assert_eq!((batch.len(), numbers.len()), (100, 100));
        assert!(numbers.iter().zip(&batch.labels).all(|(&number, &label)| number as f32 == label));
        assert!(numbers.is_sorted());
        let mean = numbers.iter().sum::<u64>() / 100;
        assert!((20_000..30_000).contains(&mean), "{mean}");
        assert_eq!((batch, numbers), sample(1000));
        let mut few = RowSample::new(&Layout::default(), 100, 7);
        few.show(&rows(0..60));
        assert_eq!(few.finish().1, (0..60).collect::<Vec<u64>>());
    }
}
