//! The tables in the memory of this process: all of them, or its share.
use crate::embedding_gradients::EmbeddingGradients;
use crate::placement::Placement;
use crate::row_index::RowIndex;
use crate::slot::{SlotRows, SlotSpec};
use crate::slots::{GroupId, Slots};
use crate::squares::TableSquares;
use crate::table::Table;
use crate::table_memory::TableMemory;
use crate::table_step::{TableStep, squares};
use crate::table_store::TableStore;
use dlrm_data::Batch;
use dlrm_data::schema::Pooling;
use dlrm_kernels::embedding::{self, BagsView, Pool, TableView};
use dlrm_kernels::quotient_remainder::{self, TablePair};
use dlrm_kernels::{Isa, Strided};
use rayon::prelude::*;
use std::ops::Range;

/// Tables, and which features read them.
#[derive(Debug, Clone)]
pub struct LocalTables {
    pub(crate) isa: Isa,
    pub(crate) slots: Slots,
    pub(crate) tables: Vec<Table>,
    pub(crate) placement: Placement,
}

impl LocalTables {
    /// Who holds which.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Learned pooling weights of the rows that a slot reads.
    fn row_weights(&self, rows: SlotRows) -> Option<&[f32]> {
        match rows {
            SlotRows::Whole { table } => self.tables[table].row_weights.as_deref(),
            SlotRows::Pair { .. } => None,
        }
    }

    /// Pools the bags of one slot, for some rows of the batch.
    pub(crate) fn pool_slot(&self, slot: &SlotSpec, batch: &Batch, rows: Range<usize>, out: Strided<'_>) {
        let bags = &batch.bags[slot.feature];
        let pool = match (slot.pooling, &bags.weights, self.row_weights(slot.rows)) {
            (Pooling::Learned, _, Some(rows)) => Pool::Learned(rows),
            (Pooling::Mean, ..) => Pool::Mean,
            (_, Some(weights), _) => Pool::Weighted(weights),
            _ => Pool::Sum,
        };
        let view = BagsView { ids: &bags.ids, offsets: &bags.offsets[rows.start..=rows.end] };
        let values = |table: usize| self.tables[table].values.view();
        match slot.rows {
            SlotRows::Whole { table } => {
                let table = TableView { values: values(table), dim: slot.dim };
                embedding::forward(self.isa, out, table, view, pool);
            }
            SlotRows::Pair { quotient, remainder, collisions, combine } => {
                let [quotient, remainder] = [quotient, remainder].map(|table| values(table).f32());
                let pair = TablePair { quotient, remainder, collisions, combine };
                quotient_remainder::forward(self.isa, out, pair, slot.dim, view, pool);
            }
        }
    }
}

impl TableStore for LocalTables {
    fn pool(&self, batch: &Batch, rows: Range<usize>, group: GroupId, out: &mut [f32]) {
        let width = self.slots.columns(group).len();
        let mut column = 0;
        for slot in self.slots.of(group) {
            self.pool_slot(slot, batch, rows.clone(), Strided::new(&mut out[column..], width));
            column += slot.dim;
        }
    }
}

impl LocalTables {
    /// Finds the rows of tables that `batch` touches, which an update needs and no gradient decides.
    pub(crate) fn index(&self, batch: &Batch, memory: &mut TableMemory) {
        let build = |(table, index): (usize, &mut RowIndex)| {
            index.build(self.slots.all(), (table, &self.tables[table]), batch)
        };
        memory.indices.par_iter_mut().enumerate().for_each(build);
    }

    /// Σ of squares of the gradients of all touched rows, each summed over its uses in the batch that was
    /// indexed last, table by table.
    pub(crate) fn squares(&self, dy: EmbeddingGradients<'_>, memory: &mut TableMemory) -> Vec<TableSquares> {
        self.multiply(dy, memory);
        let tables = self.tables.par_iter().zip(&memory.indices);
        tables.map(|(table, index)| squares(self.isa, table, index, dy)).collect()
    }

    /// Moves the rows touched by the batch that was indexed last, each once, by the gradients `dy` of its
    /// pooled vectors.
    pub(crate) fn apply(&mut self, dy: EmbeddingGradients<'_>, memory: &mut TableMemory, step: &TableStep) {
        self.multiply(dy, memory);
        step.run(&mut self.tables, memory, dy);
    }

    /// Sums the gradients that depend on the values of other tables, before any of them changes.
    fn multiply(&self, dy: EmbeddingGradients<'_>, memory: &mut TableMemory) {
        memory.indices.par_iter_mut().for_each(|index| index.multiply(self.isa, &self.tables, dy));
    }
}
