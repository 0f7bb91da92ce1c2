//! Which rows of a table a batch uses, and where: the ids sorted, so that each touched row is summed and
//! updated once. The cost depends on the ids of the batch, never on the size of the table.
use crate::embedding_gradients::EmbeddingGradients;
use crate::placement::HeldRows;
use crate::slot::{RowMap, SlotSpec, SlotTable};
use crate::table::Table;
use dlrm_data::Batch;
use dlrm_data::schema::Pooling;
use dlrm_kernels::Isa;
use dlrm_kernels::embedding::{Use, add_use};
use dlrm_kernels::prefetch::prefetch;
use dlrm_kernels::quotient_remainder::add_product;
use rayon::prelude::*;

/// The touched rows of one table, by their place among those that are held.
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
    /// Per use: row of the table that multiplies this one's. Empty if there is none.
    factors: Vec<u32>,
    /// [rows, D] summed gradients, where other tables' values are part of them: those must be the values
    /// before the step, which updates all tables at once. Else empty.
    sums: Vec<f32>,
    slots: Vec<SlotTable>,
    keys: Vec<u64>,
    spare: Vec<u64>,
    unsorted: Unsorted,
}

/// Places, scales and factors of the uses in batch order.
#[derive(Debug, Default)]
struct Unsorted {
    places: Vec<u32>,
    scales: Vec<f32>,
    factors: Vec<u32>,
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

    /// Indexes the ids of table number `number` in `batch`, which `slots` use: those of the rows that are
    /// held.
    pub fn build(&mut self, slots: &[SlotSpec], (number, table): (usize, &Table), batch: &Batch) {
        self.slots.clear();
        if !table.held.is_none() {
            self.slots.extend(slots.iter().flat_map(|s| s.tables()).filter(|p| p.table == number));
        }
        self.sums.clear();
        self.collect(table.held, batch);
        sort_by_id(&mut self.keys, &mut self.spare, (table.held_rows() as u64).saturating_sub(1));
        self.gather();
    }

    /// Lists every use, in batch order.
    fn collect(&mut self, held: HeldRows, batch: &Batch) {
        let Unsorted { places, scales, factors } = &mut self.unsorted;
        self.keys.clear();
        places.clear();
        scales.clear();
        factors.clear();
        let scaled =
            self.slots.iter().any(|p| p.pooling == Pooling::Mean || batch.bags[p.feature].weights.is_some());
        let multiplied = self.slots.iter().any(|p| p.factor.is_some());
        for (ordinal, slot) in self.slots.iter().enumerate() {
            let bags = &batch.bags[slot.feature];
            for (b, offsets) in bags.offsets.windows(2).enumerate() {
                let range = offsets[0] as usize..offsets[1] as usize;
                for e in range.clone() {
                    let Some(row) = held.place(slot.rows.row(bags.ids[e])) else { continue };
                    self.keys.push((u64::from(row) << 32) | places.len() as u64);
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
            if multiplied {
                let rows = slot.factor.map_or(RowMap::Whole, |(_, rows)| rows);
                factors.extend(bags.ids.iter().map(|&id| rows.row(id)));
            }
        }
    }

    /// Uses in the order of the sorted keys, and the boundaries between rows.
    fn gather(&mut self) {
        let Unsorted { places, scales, factors } = &self.unsorted;
        self.rows.clear();
        self.starts.clear();
        self.places.clear();
        self.scales.clear();
        self.factors.clear();
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
            if !factors.is_empty() {
                self.factors.push(factors[e]);
            }
        }
        self.starts.push(self.keys.len() as u32);
    }

    /// Sums the gradients of all touched rows, if they depend on the values of other tables. Must follow
    /// [`RowIndex::build`] before any table changes; done once only.
    pub(crate) fn multiply(&mut self, isa: Isa, tables: &[Table], dy: EmbeddingGradients<'_>) {
        if !self.sums.is_empty() {
            return;
        }
        let Some(dim) =
            self.slots.first().map(|p| p.dim).filter(|_| self.slots.iter().any(|p| p.factor.is_some()))
        else {
            return;
        };
        let mut sums = std::mem::take(&mut self.sums);
        sums.resize(self.rows.len() * dim, 0.0);
        sums.par_chunks_mut(dim)
            .with_min_len(ROWS)
            .enumerate()
            .for_each(|(i, sum)| self.sum_products((isa, tables), i, dy, sum));
        self.sums = sums;
    }

    /// The gradient of touched row `i`, in batch order: Σ scale · dy ⊙ factor.
    fn sum_products(
        &self,
        (isa, tables): (Isa, &[Table]),
        i: usize,
        dy: EmbeddingGradients<'_>,
        sum: &mut [f32],
    ) {
        for e in self.starts[i] as usize..self.starts[i + 1] as usize {
            let (slot, at) = self.at(e, dy);
            match slot.factor {
                None => add_use(isa, sum, at),
                Some((table, _)) => {
                    let factor =
                        &tables[table].values.view().f32()[self.factors[e] as usize * slot.dim..][..slot.dim];
                    add_product(isa, sum, at, factor);
                }
            }
        }
    }

    /// Use `e`.
    fn at<'a>(&self, e: usize, dy: EmbeddingGradients<'a>) -> (&SlotTable, Use<'a>) {
        let place = self.places[e] as usize;
        let (b, slot) = match &self.slots[..] {
            [only] => (place, only),
            many => (place / many.len(), &many[place % many.len()]),
        };
        (
            slot,
            Use { dy: dy.row(b, slot.column, slot.dim), scale: self.scales.get(e).copied().unwrap_or(1.0) },
        )
    }

    /// Sums the gradient of touched row `i`, in batch order: `plain` takes the uses without, `learned`
    /// those with learned pooling weights. Returns whether there was one of the latter.
    pub(crate) fn sum(
        &self,
        isa: Isa,
        i: usize,
        dy: EmbeddingGradients<'_>,
        plain: &mut [f32],
        learned: &mut [f32],
    ) -> bool {
        learned.fill(0.0);
        if !self.sums.is_empty() {
            plain.copy_from_slice(&self.sums[i * plain.len()..][..plain.len()]);
            return false;
        }
        plain.fill(0.0);
        let mut any_learned = false;
        for e in self.starts[i] as usize..self.starts[i + 1] as usize {
            if e + USES_AHEAD < self.places.len() {
                prefetch(self.at(e + USES_AHEAD, dy).1.dy);
            }
            let (slot, at) = self.at(e, dy);
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

/// How many uses ahead a gradient is fetched: sorted by row, they lie anywhere in the batch.
const USES_AHEAD: usize = 8;

/// Rows that one task sums at least.
const ROWS: usize = 256;

/// Sorts keys by their upper half (at most `largest`), keeping the order of equal ones: a radix sort over the
/// digits that ids can have, in larger digits where there are many keys.
fn sort_by_id(keys: &mut Vec<u64>, spare: &mut Vec<u64>, largest: u64) {
    if keys.len() < 1 << 14 {
        sort_by_digits::<8, 256>(keys, spare, largest)
    } else {
        sort_by_digits::<11, 2048>(keys, spare, largest)
    }
}

/// Sorts keys by their upper half in digits of `BITS` bits, which have `VALUES` values.
fn sort_by_digits<const BITS: u32, const VALUES: usize>(
    keys: &mut Vec<u64>,
    spare: &mut Vec<u64>,
    largest: u64,
) {
    let digits = (64 - largest.leading_zeros()).div_ceil(BITS);
    spare.clear();
    spare.resize(keys.len(), 0);
    for digit in 0..digits {
        let value = |key: u64| (key >> (32 + BITS * digit)) as usize & (VALUES - 1);
        let mut counts = [0u32; VALUES];
        for &key in &*keys {
            counts[value(key)] += 1;
        }
        let mut start = 0;
        for count in &mut counts {
            start += std::mem::replace(count, start);
        }
        for &key in &*keys {
            let at = &mut counts[value(key)];
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
        let mut many: Vec<u64> = (0..20_000u64).map(|e| ((e * 7919 % 70_001) << 32) | e).collect();
        let mut expected = many.clone();
        expected.sort_unstable();
        sort_by_id(&mut many, &mut Vec::new(), 70_000);
        assert_eq!(many, expected);
    }
}
