//! All tables in the memory of this process.
use crate::embedding_gradients::EmbeddingGradients;
use crate::row_index::RowIndex;
use crate::slot::{SlotRows, SlotSpec};
use crate::slots::{GroupId, Slots};
use crate::table::Table;
use crate::table_memory::TableMemory;
use crate::table_step::{TableStep, squared_norm};
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
}

impl LocalTables {
    /// Learned pooling weights of the rows that a slot reads.
    fn row_weights(&self, rows: SlotRows) -> Option<&[f32]> {
        match rows {
            SlotRows::Whole { table } => self.tables[table].row_weights.as_deref(),
            SlotRows::Pair { .. } => None,
        }
    }

    /// Pools the bags of one slot, for some rows of the batch.
    fn pool_slot(&self, slot: &SlotSpec, batch: &Batch, rows: Range<usize>, out: Strided<'_>) {
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

    fn index(&self, batch: &Batch, memory: &mut TableMemory) {
        let build = |(table, index): (usize, &mut RowIndex)| {
            index.build(self.slots.all(), (table, self.tables[table].rows), batch)
        };
        memory.indices.par_iter_mut().enumerate().for_each(build);
    }

    fn squared_norm(&self, dy: EmbeddingGradients<'_>, memory: &mut TableMemory) -> f64 {
        self.multiply(dy, memory);
        let tables = self.tables.par_iter().zip(&memory.indices);
        let squares: Vec<f64> =
            tables.map(|(table, index)| squared_norm(self.isa, table, index, dy)).collect();
        squares.iter().sum()
    }

    fn apply(&mut self, dy: EmbeddingGradients<'_>, memory: &mut TableMemory, step: &TableStep) {
        self.multiply(dy, memory);
        step.run(&mut self.tables, memory, dy);
    }
}

impl LocalTables {
    /// Sums the gradients that depend on the values of other tables, before any of them changes.
    fn multiply(&self, dy: EmbeddingGradients<'_>, memory: &mut TableMemory) {
        memory.indices.par_iter_mut().for_each(|index| index.multiply(self.isa, &self.tables, dy));
    }
}
