//! A run of encoded rows as 32-bit words, column by column.
//!
//! For each feature one word, 0 where every row has one id, else one more than the number of ids; then, in the second case, the
//! end of each row's ids; the ids; the weights, if it has any. Then dense values, labels, sample weights and groups, as the
//! layout has them. Floats are stored by their bits, groups as two words, the lower first.
use crate::batch::{Arity, Batch, Layout};
use std::ops::Range;

/// Rows that can be appended to batches.
#[derive(Default)]
pub(super) struct Block {
    words: Vec<u32>,
    rows: usize,
    columns: Vec<Column>,
    dense: Range<usize>,
    labels: Range<usize>,
    weights: Option<Range<usize>>,
    groups: Option<Range<usize>>,
}

/// Where the words of a feature are.
struct Column {
    ends: Option<Range<usize>>,
    ids: Range<usize>,
    weights: Option<Range<usize>>,
}

/// Refills `words` from rows `rows` of `batch`.
pub(super) fn pack(words: &mut Vec<u32>, batch: &Batch, rows: Range<usize>) {
    words.clear();
    for bags in &batch.bags {
        let (first, last) = (bags.offsets[rows.start], bags.offsets[rows.end]);
        let ids = first as usize..last as usize;
        let offsets = &bags.offsets[rows.start..=rows.end];
        match offsets.iter().zip(first..).all(|(&offset, single)| offset == single) {
            true => words.push(0),
            false => {
                words.push(1 + last - first);
                words.extend(offsets[1..].iter().map(|end| end - first));
            }
        }
        words.extend_from_slice(&bags.ids[ids.clone()]);
        if let Some(weights) = &bags.weights {
            words.extend_from_slice(bytemuck::cast_slice(&weights[ids]));
        }
    }
    let n = batch.dense.len() / batch.len();
    words.extend_from_slice(bytemuck::cast_slice(&batch.dense[rows.start * n..rows.end * n]));
    words.extend_from_slice(bytemuck::cast_slice(&batch.labels[rows.clone()]));
    if let Some(weights) = &batch.weights {
        words.extend_from_slice(bytemuck::cast_slice(&weights[rows.clone()]));
    }
    if let Some(groups) = &batch.groups {
        words.extend(groups[rows].iter().flat_map(|&group| [group as u32, (group >> 32) as u32]));
    }
}

/// Hands out the words of a block from the front.
struct Words<'w> {
    words: &'w [u32],
    at: usize,
}

impl Words<'_> {
    fn take(&mut self, count: usize) -> Option<Range<usize>> {
        let range = self.at..self.at.checked_add(count)?;
        self.at = range.end;
        (range.end <= self.words.len()).then_some(range)
    }
}

impl Block {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Memory for the words of the next block.
    pub fn words_mut(&mut self) -> &mut Vec<u32> {
        &mut self.words
    }

    /// Reads the words as `rows` rows of this layout; `None` if they are none.
    pub fn unpack(&mut self, layout: &Layout, rows: usize) -> Option<()> {
        let mut words = Words { words: &self.words, at: 0 };
        self.rows = rows;
        self.columns.clear();
        for feature in &layout.features {
            let head = words.take(1)?.start;
            let (arity, ids) = match self.words[head].checked_sub(1) {
                None => (Arity::One, rows),
                Some(ids) => (Arity::Any, ids as usize),
            };
            let ends = if arity == Arity::Any { Some(words.take(rows)?) } else { None };
            let ascending = |ends: &[u32]| ends.is_sorted() && ends.last().is_none_or(|&last| last as usize == ids);
            if ends.clone().is_some_and(|ends| !ascending(&self.words[ends])) {
                return None;
            }
            let column = Column { ends, ids: words.take(ids)?, weights: if feature.weighted { Some(words.take(ids)?) } else { None } };
            self.columns.push(column);
        }
        self.dense = words.take(rows.checked_mul(layout.dense.len())?)?;
        self.labels = words.take(rows)?;
        self.weights = if layout.sample_weights { Some(words.take(rows)?) } else { None };
        self.groups = if layout.groups { Some(words.take(2 * rows)?) } else { None };
        (words.at == self.words.len()).then_some(())
    }

    /// Appends rows `rows` to `batch`.
    pub fn append(&self, batch: &mut Batch, rows: Range<usize>) {
        let floats = |place: &Range<usize>, rows: Range<usize>| -> &[f32] { bytemuck::cast_slice(&self.words[place.clone()][rows]) };
        for (bags, column) in batch.bags.iter_mut().zip(&self.columns) {
            let before = bags.ids.len() as u32;
            let ids = match &column.ends {
                None => {
                    bags.offsets.extend(before + 1..=before + rows.len() as u32);
                    rows.clone()
                }
                Some(ends) => {
                    let ends = &self.words[ends.clone()];
                    let first = if rows.start == 0 { 0 } else { ends[rows.start - 1] };
                    bags.offsets.extend(ends[rows.clone()].iter().map(|end| before + end - first));
                    first as usize..ends[rows.end - 1] as usize
                }
            };
            bags.ids.extend_from_slice(&self.words[column.ids.clone()][ids.clone()]);
            if let (Some(to), Some(from)) = (&mut bags.weights, &column.weights) {
                to.extend_from_slice(floats(from, ids));
            }
        }
        let n = self.dense.len() / self.rows;
        batch.dense.extend_from_slice(floats(&self.dense, rows.start * n..rows.end * n));
        batch.labels.extend_from_slice(floats(&self.labels, rows.clone()));
        if let (Some(to), Some(from)) = (&mut batch.weights, &self.weights) {
            to.extend_from_slice(floats(from, rows.clone()));
        }
        if let (Some(to), Some(from)) = (&mut batch.groups, &self.groups) {
            let words = &self.words[from.clone()][2 * rows.start..2 * rows.end];
            to.extend(words.chunks_exact(2).map(|two| u64::from(two[0]) | u64::from(two[1]) << 32));
        }
    }
}
