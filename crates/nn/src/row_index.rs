//! Which rows of a table a batch uses, and where: the ids sorted, so that each touched row is summed and
//! updated once. The cost depends on the ids of the batch, never on the size of the table.
use crate::gradients::EmbeddingGradients;
use crate::weights::{SlotSpec, Weights};
use dlrm_data::Batch;
use dlrm_data::schema::Pooling;
use dlrm_kernels::Isa;
use dlrm_kernels::embedding::{Use, add_use};

/// The touched rows of one table.
#[derive(Debug, Default)]
pub struct RowIndex {
    /// Touched rows, unique and ascending.
    rows: Vec<u32>,
    /// Uses of row i: `starts[i]..starts[i + 1]`.
    starts: Vec<u32>,
    /// Per use: batch row × number of slots + slot.
    places: Vec<u32>,
    /// Per use: factor of the pooling. Empty if all are 1.
    scales: Vec<f32>,
    slots: Vec<SlotSpec>,
    keys: Vec<u64>,
    spare: Vec<u64>,
    unsorted: (Vec<u32>, Vec<f32>),
}

impl RowIndex {
    /// Touched rows, unique and ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Number of uses before row `i`.
    pub(crate) fn uses_before(&self, i: usize) -> usize {
        self.starts[i] as usize
    }

    /// Indexes the ids of `table` in `batch`.
    pub fn build(&mut self, weights: &Weights, table: usize, batch: &Batch) {
        self.slots.clear();
        self.slots.extend(weights.slots.iter().filter(|s| s.table == table));
        self.collect(batch);
        let rows = weights.tables[table].rows as u64;
        sort_by_id(&mut self.keys, &mut self.spare, rows.saturating_sub(1));
        self.gather();
    }

    /// Lists every use, in batch order.
    fn collect(&mut self, batch: &Batch) {
        let (places, scales) = &mut self.unsorted;
        self.keys.clear();
        places.clear();
        scales.clear();
        let scaled = self.slots.iter().any(|s| s.pooling == Pooling::Mean || batch.bags[s.feature].weights.is_some());
        for (ordinal, slot) in self.slots.iter().enumerate() {
            let bags = &batch.bags[slot.feature];
            for (b, offsets) in bags.offsets.windows(2).enumerate() {
                let range = offsets[0] as usize..offsets[1] as usize;
                for e in range.clone() {
                    self.keys.push((u64::from(bags.ids[e]) << 32) | places.len() as u64);
                    places.push((b * self.slots.len() + ordinal) as u32);
                    if scaled {
                        scales.push(match (slot.pooling, &bags.weights) {
                            (Pooling::Mean, _) => 1.0 / range.len() as f32,
                            (Pooling::Sum, Some(weights)) => weights[e],
                            _ => 1.0,
                        });
                    }
                }
            }
        }
    }

    /// Uses in the order of the sorted keys, and the boundaries between rows.
    fn gather(&mut self) {
        let (places, scales) = &self.unsorted;
        self.rows.clear();
        self.starts.clear();
        self.places.clear();
        self.scales.clear();
        for (position, &key) in self.keys.iter().enumerate() {
            let (id, e) = ((key >> 32) as u32, key as u32 as usize);
            if self.rows.last() != Some(&id) {
                self.rows.push(id);
                self.starts.push(position as u32);
            }
            self.places.push(places[e]);
            if !scales.is_empty() {
                self.scales.push(scales[e]);
            }
        }
        self.starts.push(self.keys.len() as u32);
    }

    /// Sums the gradient of touched row `i`, in batch order: `plain` takes the uses without, `learned`
    /// those with learned pooling weights. Returns whether there was one of the latter.
    pub(crate) fn sum(&self, isa: Isa, i: usize, dy: EmbeddingGradients<'_>, plain: &mut [f32], learned: &mut [f32]) -> bool {
        plain.fill(0.0);
        learned.fill(0.0);
        let mut any_learned = false;
        for e in self.starts[i] as usize..self.starts[i + 1] as usize {
            let place = self.places[e] as usize;
            let (b, slot) = match &self.slots[..] {
                [only] => (place, only),
                many => (place / many.len(), &many[place % many.len()]),
            };
            let at = Use { dy: dy.row(b, slot.column, slot.dim), scale: self.scales.get(e).copied().unwrap_or(1.0) };
            if slot.pooling == Pooling::Learned {
                any_learned = true;
                add_use(isa, learned, at);
            } else {
                add_use(isa, plain, at);
            }
        }
        any_learned
    }
}

/// Sorts keys by their upper half (at most `largest`), keeping the order of equal ones: a radix sort,
/// eight bits at a time, over the digits that ids can have.
fn sort_by_id(keys: &mut Vec<u64>, spare: &mut Vec<u64>, largest: u64) {
    let digits = (64 - largest.leading_zeros()).div_ceil(8);
    spare.clear();
    spare.resize(keys.len(), 0);
    for digit in 0..digits {
        let shift = 32 + 8 * digit;
        let mut counts = [0u32; 256];
        for key in &*keys {
            counts[(key >> shift) as usize & 255] += 1;
        }
        let mut start = 0;
        for count in &mut counts {
            start += std::mem::replace(count, start);
        }
        for &key in &*keys {
            let at = &mut counts[(key >> shift) as usize & 255];
            spare[*at as usize] = key;
            *at += 1;
        }
        std::mem::swap(keys, spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_is_stable_and_complete() {
        let ids = [70_000u64, 3, 3, 0, 65_536, 70_000, 255, 256];
        let mut keys: Vec<u64> = ids.iter().enumerate().map(|(e, id)| (id << 32) | e as u64).collect();
        let mut expected = keys.clone();
        expected.sort_unstable();
        sort_by_id(&mut keys, &mut Vec::new(), 70_000);
        assert_eq!(keys, expected);
    }
}
