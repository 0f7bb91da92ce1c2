//! Encoded rows, as models consume them.
//!
//! Shapes: B rows, n dense values per row, F categorical features.
use crate::error::Result;

/// The ids of one categorical feature for B rows in compressed sparse row form:
/// row b owns `ids[offsets[b]..offsets[b + 1]]`. One-hot is one id per row, multi-hot any number.
#[derive(Debug, Clone, PartialEq)]
pub struct Bags {
    /// Row numbers in the feature's table.
    pub ids: Vec<u32>,
    /// One weight per id; `None` means all ones.
    pub weights: Option<Vec<f32>>,
    /// B + 1 ascending positions in `ids`, the first 0.
    pub offsets: Vec<u32>,
}

impl Default for Bags {
    fn default() -> Self {
        Bags::new()
    }
}

impl Bags {
    /// No rows, for ids without weights.
    pub fn new() -> Self {
        Bags { ids: Vec::new(), weights: None, offsets: vec![0] }
    }

    /// No rows, for ids with weights.
    pub fn weighted() -> Self {
        Bags { weights: Some(Vec::new()), ..Bags::new() }
    }

    /// Removes all rows; keeps the memory.
    pub fn clear(&mut self) {
        self.ids.clear();
        if let Some(weights) = &mut self.weights {
            weights.clear();
        }
        self.offsets.clear();
        self.offsets.push(0);
    }

    /// Makes rows of the ids (and weights) from place `first` on: each row has as many as `lengths` says, and
    /// a row of none gets the id `missing`. The number of those.
    pub(crate) fn close_rows(
        &mut self,
        first: usize,
        lengths: impl DoubleEndedIterator<Item = usize> + Clone,
        missing: u32,
    ) -> u64 {
        let mut end = first;
        self.offsets.extend(lengths.clone().map(|length| {
            end += length.max(1);
            end as u32
        }));
        let empty = end - self.ids.len();
        if empty > 0 {
            // From the back, so that each id moves to a place that nothing needs any longer.
            let mut from = self.ids.len();
            self.ids.resize(end, missing);
            self.weights.iter_mut().for_each(|weights| weights.resize(end, 1.0));
            for length in lengths.rev() {
                if from == end {
                    break;
                }
                (from, end) = (from - length, end - length.max(1));
                if length > 0 {
                    self.ids.copy_within(from..from + length, end);
                    self.weights.iter_mut().for_each(|w| w.copy_within(from..from + length, end));
                } else {
                    self.ids[end] = missing;
                    self.weights.iter_mut().for_each(|weights| weights[end] = 1.0);
                }
            }
        }
        empty as u64
    }

    /// Appends row `b` of `other`.
    pub fn push_row_of(&mut self, other: &Bags, b: usize) {
        let range = other.offsets[b] as usize..other.offsets[b + 1] as usize;
        self.ids.extend_from_slice(&other.ids[range.clone()]);
        if let (Some(to), Some(from)) = (&mut self.weights, &other.weights) {
            to.extend_from_slice(&from[range]);
        }
        self.offsets.push(self.ids.len() as u32);
    }

    /// Appends these rows of `other`, whose bags are as `arity` says.
    fn push_rows_of(&mut self, other: &Bags, rows: &[u32], arity: Arity) {
        let start = self.ids.len() as u32;
        match arity {
            Arity::None => return self.offsets.resize(self.offsets.len() + rows.len(), start),
            Arity::Any => return rows.iter().for_each(|&b| self.push_row_of(other, b as usize)),
            Arity::One => {}
        }
        self.ids.extend(rows.iter().map(|&b| other.ids[b as usize]));
        self.offsets.extend(start + 1..=start + rows.len() as u32);
        if let (Some(to), Some(from)) = (&mut self.weights, &other.weights) {
            to.extend(rows.iter().map(|&b| from[b as usize]));
        }
    }

    /// Ids that each row has.
    pub fn arity(&self) -> Arity {
        let single =
            self.ids.len() == self.len() && self.offsets.iter().zip(0..).all(|(&offset, b)| offset == b);
        match single {
            _ if self.ids.is_empty() => Arity::None,
            true => Arity::One,
            false => Arity::Any,
        }
    }

    /// Number of rows B.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids of row `b`.
    pub fn row(&self, b: usize) -> &[u32] {
        &self.ids[self.offsets[b] as usize..self.offsets[b + 1] as usize]
    }
}

/// Ids in a bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// None in any row: of a column that was left out.
    None,
    /// One in every row.
    One,
    /// Any number.
    Any,
}

/// B encoded rows. Also the in-memory form of a whole data set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// [B, n] dense features, row-major.
    pub dense: Vec<f32>,
    /// F features.
    pub bags: Vec<Bags>,
    /// `[B]` labels: 0 or 1 for clicks, any number for ratings.
    pub labels: Vec<f32>,
    /// `[B]` sample weights; `None` means all ones.
    pub weights: Option<Vec<f32>>,
    /// `[B]` group of each row, a hash of the group column's text; `None` where the schema has none.
    pub groups: Option<Vec<u64>>,
}

impl Batch {
    /// No rows, with one empty [`Bags`] per feature of `layout`.
    pub fn new(layout: &Layout) -> Self {
        Batch {
            dense: Vec::new(),
            bags: layout
                .features
                .iter()
                .map(|f| if f.weighted { Bags::weighted() } else { Bags::new() })
                .collect(),
            labels: Vec::new(),
            weights: layout.sample_weights.then(Vec::new),
            groups: layout.groups.then(Vec::new),
        }
    }

    /// One row of zeros with one id per feature: enough to record a model's operations.
    pub fn placeholder(layout: &Layout) -> Self {
        let mut batch = Batch::new(layout);
        batch.dense.resize(layout.dense.len(), 0.0);
        for bags in &mut batch.bags {
            bags.ids.push(0);
            bags.offsets.push(1);
            if let Some(weights) = &mut bags.weights {
                weights.push(1.0);
            }
        }
        batch.labels.push(0.0);
        if let Some(weights) = &mut batch.weights {
            weights.push(1.0);
        }
        if let Some(groups) = &mut batch.groups {
            groups.push(0);
        }
        batch
    }

    /// Removes all rows; keeps the memory.
    pub fn clear(&mut self) {
        self.dense.clear();
        self.bags.iter_mut().for_each(Bags::clear);
        self.labels.clear();
        if let Some(weights) = &mut self.weights {
            weights.clear();
        }
        if let Some(groups) = &mut self.groups {
            groups.clear();
        }
    }

    /// Makes room for `rows` rows of `dense` dense values and one id per feature, so that filling a large
    /// batch does not double its memory. Where a file lies about its rows and the allocator refuses so much,
    /// no room is made, and the batch grows by the rows that there are (an allocator that ends the process
    /// then, as that of the command does, ends it).
    pub fn reserve(&mut self, rows: usize, dense: usize) {
        let mut refused = self.dense.try_reserve_exact(rows.saturating_mul(dense)).is_err();
        refused |= self.labels.try_reserve_exact(rows).is_err();
        for bags in &mut self.bags {
            if refused {
                return;
            }
            refused |= bags.ids.try_reserve(rows).is_err();
            refused |= bags.offsets.try_reserve_exact(rows).is_err();
            refused |= bags.weights.as_mut().is_some_and(|weights| weights.try_reserve(rows).is_err());
        }
    }

    /// Number of rows B.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether rows of `other` can be appended without loss: features, weights and groups are there in both
    /// or in neither.
    pub fn has_form_of(&self, other: &Batch) -> bool {
        let bags = |a: &Bags, b: &Bags| a.weights.is_some() == b.weights.is_some();
        self.bags.len() == other.bags.len()
            && self.bags.iter().zip(&other.bags).all(|(a, b)| bags(a, b))
            && self.weights.is_some() == other.weights.is_some()
            && self.groups.is_some() == other.groups.is_some()
    }

    /// Appends row `b` of `other`, which has the same layout.
    pub fn push_row_of(&mut self, other: &Batch, b: usize) {
        for (to, from) in self.bags.iter_mut().zip(&other.bags) {
            to.push_row_of(from, b);
        }
        self.push_rest_of(other, b);
    }

    /// Appends these rows of `other`, which has the same layout and bags of these arities; of a column that
    /// is said to have none, no ids. It goes column by column: reads from all over a column wait for memory
    /// together, and a column is small where a whole row is not.
    pub fn push_rows_of(&mut self, other: &Batch, rows: &[u32], arities: &[Arity]) {
        for ((to, from), &arity) in self.bags.iter_mut().zip(&other.bags).zip(arities) {
            to.push_rows_of(from, rows, arity);
        }
        let n = other.dense.len().checked_div(other.len()).unwrap_or(0);
        for &b in rows {
            self.dense.extend_from_slice(&other.dense[b as usize * n..(b as usize + 1) * n]);
        }
        self.labels.extend(rows.iter().map(|&b| other.labels[b as usize]));
        if let (Some(to), Some(from)) = (&mut self.weights, &other.weights) {
            to.extend(rows.iter().map(|&b| from[b as usize]));
        }
        if let (Some(to), Some(from)) = (&mut self.groups, &other.groups) {
            to.extend(rows.iter().map(|&b| from[b as usize]));
        }
    }

    /// Arity of each feature's bags.
    pub fn arities(&self) -> Vec<Arity> {
        self.bags.iter().map(Bags::arity).collect()
    }

    /// Appends everything but the bags of row `b` of `other`.
    pub(crate) fn push_rest_of(&mut self, other: &Batch, b: usize) {
        let n = other.dense.len() / other.len();
        self.dense.extend_from_slice(&other.dense[b * n..(b + 1) * n]);
        self.labels.push(other.labels[b]);
        if let (Some(to), Some(from)) = (&mut self.weights, &other.weights) {
            to.push(from[b]);
        }
        if let (Some(to), Some(from)) = (&mut self.groups, &other.groups) {
            to.push(from[b]);
        }
    }
}

/// One categorical feature as a model sees it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Feature {
    /// Column name.
    pub name: String,
    /// Index in [`Layout::tables`]; several features may share a table.
    pub table: usize,
    /// Whether its bags carry weights.
    pub weighted: bool,
    /// Embedding width asked for by the schema, else the model's.
    pub embedding_dim: Option<usize>,
    /// Pooling asked for by the schema, else the model's.
    pub pooling: Option<crate::schema::Pooling>,
    /// Whether it is a conjunction of columns, which only linear parts use.
    pub crossed: bool,
}

impl Feature {
    /// The column `name`, whose ids are rows of this table: no weights, and nothing asked for.
    pub fn new(name: impl Into<String>, table: usize) -> Self {
        let name = name.into();
        Feature { name, table, weighted: false, embedding_dim: None, pooling: None, crossed: false }
    }
}

/// One id space.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TableLayout {
    /// Name: the column's, or the shared one.
    pub name: String,
    /// Number of rows; every id is smaller.
    pub rows: usize,
}

/// The shape of encoded rows: all that a model needs to know of the data.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    /// Names of the n dense inputs.
    pub dense: Vec<String>,
    /// Which of them are bins of the piecewise-linear encoding of another: without these, a linear model has
    /// one slope for each number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bins: Vec<usize>,
    /// The F categorical features.
    pub features: Vec<Feature>,
    /// The id spaces.
    pub tables: Vec<TableLayout>,
    /// Whether rows carry sample weights.
    pub sample_weights: bool,
    /// Whether rows belong to groups.
    pub groups: bool,
}

/// A stream of batches.
pub trait BatchSource: Send {
    /// Refills `out`; `false` at the end (then `out` is empty).
    ///
    /// # Errors
    /// As the reader and the encoder behind it.
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of rows come from files.
    #[test]
    fn room_for_more_rows_than_any_memory_holds_is_not_made() {
        let layout =
            Layout { dense: vec!["x".into(), "y".into()], sample_weights: true, ..Layout::default() };
        for rows in [usize::MAX, usize::MAX / 4, isize::MAX as usize] {
            let mut batch = Batch::new(&layout);
            batch.reserve(rows, layout.dense.len());
            batch.push_row_of(&Batch::placeholder(&layout), 0);
            assert_eq!(batch.len(), 1);
        }
    }
}
