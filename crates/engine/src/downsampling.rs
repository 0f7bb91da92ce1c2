//! Training on a share of the negative rows, with scores that are right for all of them.
//!
//! With a share w of the negatives kept, the odds that a model learns are the true ones divided by w, so its
//! logits are corrected by ln w when it scores (He et al. 2014, section 6.3: p = q / (q + (1 - q) / w)).
use dlrm_data::Batch;
use dlrm_data::batch::{Arity, Layout};
use dlrm_data::batches::RowStream;
use dlrm_data::rng::mix;

/// Which negative rows are kept. The decision depends on the seed and on the number of the training row
/// alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegativeDownsampling {
    rate: f64,
    seed: u64,
}

impl NegativeDownsampling {
    /// Keeps this share of the negative rows; none is needed where that is all.
    pub fn new(rate: f64, seed: u64) -> Option<Self> {
        (rate < 1.0).then_some(NegativeDownsampling { rate, seed })
    }

    fn keeps(self, row: u64, label: f32) -> bool {
        let u = (mix(mix(self.seed ^ 0x7e61_5f4e).wrapping_add(row)) >> 11) as f64 / (1u64 << 53) as f64;
        label > 0.5 || u < self.rate
    }

    /// The rows of `batch` that are kept.
    pub fn apply(self, batch: &Batch, layout: &Layout) -> Batch {
        let kept: Vec<u32> = (0..)
            .zip(&batch.labels)
            .filter(|&(row, &label)| self.keeps(u64::from(row), label))
            .map(|(row, _)| row)
            .collect();
        let mut rows = Batch::new(layout);
        rows.reserve(kept.len(), layout.dense.len());
        rows.push_rows_of(batch, &kept, &batch.arities());
        rows
    }

    /// The rows of a stream that are kept.
    pub fn stream(self, rows: Box<dyn RowStream>, layout: &Layout) -> Box<dyn RowStream> {
        let arities = vec![Arity::Any; layout.features.len()];
        Box::new(Kept { downsampling: self, rows, read: Batch::new(layout), arities, number: 0 })
    }
}

/// The kept rows of a stream.
struct Kept {
    downsampling: NegativeDownsampling,
    rows: Box<dyn RowStream>,
    read: Batch,
    arities: Vec<Arity>,
    number: u64,
}

impl RowStream for Kept {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> dlrm_data::Result<usize> {
        loop {
            self.read.clear();
            let read = self.rows.append_rows(&mut self.read, most)?;
            let first = self.number;
            self.number += read as u64;
            let keeps = |&(row, &label): &(u32, &f32)| self.downsampling.keeps(first + u64::from(row), label);
            let kept: Vec<u32> = (0..).zip(&self.read.labels).filter(keeps).map(|(row, _)| row).collect();
            batch.push_rows_of(&self.read, &kept, &self.arities);
            // None may be left of some rows, which is not the end.
            if !kept.is_empty() || read == 0 {
                return Ok(kept.len());
            }
        }
    }
}
