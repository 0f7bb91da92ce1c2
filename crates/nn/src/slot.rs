//! Where the vectors of a feature come from: one table, or two small ones whose rows are combined.
use dlrm_data::schema::Pooling;
use dlrm_kernels::quotient_remainder::Combine;
use std::ops::Range;

/// A table of R rows kept as two of ⌈R / c⌉ and c rows (Shi et al. 2019, see
/// [`dlrm_kernels::quotient_remainder`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotientRemainder {
    /// What is done with the two rows of an id.
    pub combine: Combine,
    /// c, at least 2
    pub collisions: u32,
}

/// One feature to embed.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Index in [`dlrm_data::batch::Layout::features`].
    pub feature: usize,
    /// Width.
    pub dim: usize,
    /// How pooled.
    pub pooling: Pooling,
    /// How its table is compressed, if it is.
    pub compression: Option<QuotientRemainder>,
}

/// The tables of a slot, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotRows {
    /// A row for each id.
    Whole {
        /// Which.
        table: usize,
    },
    /// Two rows for each id.
    Pair {
        /// Has row id / c.
        quotient: usize,
        /// Has row id % c.
        remainder: usize,
        /// c
        collisions: u32,
        /// What is done with them.
        combine: Combine,
    },
}

/// How an id finds its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMap {
    /// It is the row.
    Whole,
    /// id / c
    Quotient(u32),
    /// id % c
    Remainder(u32),
}

impl RowMap {
    /// The row of `id`.
    pub fn row(self, id: u32) -> u32 {
        match self {
            RowMap::Whole => id,
            RowMap::Quotient(collisions) => id / collisions,
            RowMap::Remainder(collisions) => id % collisions,
        }
    }
}

/// One use of a table (or of a pair of them) by a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotSpec {
    /// Which bags of the batch.
    pub feature: usize,
    /// Which tables.
    pub rows: SlotRows,
    /// How pooled.
    pub pooling: Pooling,
    /// Width.
    pub dim: usize,
    /// Column of its gradient in a shard's embedding gradients.
    pub column: usize,
}

/// What one table contributes to a slot.
#[derive(Debug, Clone, Copy)]
pub struct SlotTable {
    /// Which table.
    pub table: usize,
    /// How ids find its rows.
    pub rows: RowMap,
    /// Which bags of the batch.
    pub feature: usize,
    /// How pooled.
    pub pooling: Pooling,
    /// Width of its rows.
    pub dim: usize,
    /// Column of their gradient in a shard's embedding gradients.
    pub column: usize,
    /// The table whose rows multiply its own, and how ids find them.
    pub factor: Option<(usize, RowMap)>,
}

impl SlotSpec {
    /// The tables that it reads: one or two.
    pub fn tables(&self) -> impl Iterator<Item = SlotTable> + use<> {
        let SlotSpec { feature, rows, pooling, dim, column } = *self;
        let own = |table, rows| SlotTable { table, rows, feature, pooling, dim, column, factor: None };
        let tables = match rows {
            SlotRows::Whole { table } => [Some(own(table, RowMap::Whole)), None],
            SlotRows::Pair { quotient, remainder, collisions, combine } => {
                let (q, r) = (
                    own(quotient, RowMap::Quotient(collisions)),
                    own(remainder, RowMap::Remainder(collisions)),
                );
                let (left, right) = combine.widths(dim);
                match combine {
                    Combine::Multiply => [
                        Some(SlotTable { factor: Some((r.table, r.rows)), ..q }),
                        Some(SlotTable { factor: Some((q.table, q.rows)), ..r }),
                    ],
                    Combine::Add => [Some(q), Some(r)],
                    Combine::Concat => [
                        Some(SlotTable { dim: left, ..q }),
                        Some(SlotTable { dim: right, column: column + left, ..r }),
                    ],
                }
            }
        };
        tables.into_iter().flatten()
    }

    /// The columns that rows of tables are pooled into: one run, or one for each of two tables side by side.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let first = self.column;
        let parts = self.tables().map(|own| own.column..own.column + own.dim);
        // Both tables of a pair may have the same columns.
        parts
            .enumerate()
            .filter(move |(number, part)| *number == 0 || part.start > first)
            .map(|(_, part)| part)
    }
}
