//! What a builder has been told so far.
use super::{Builder, ParamSpec, TableSpec};
use crate::param::{ParamId, Role};
use crate::sharding::Sharding;
use crate::slot::SlotSpec;
use crate::table_values::TablePrecision;
use crate::weight_gradient::is_worth_postponing;
use dlrm_data::schema::Pooling;

impl Builder<'_> {
    /// Number of trained parameters declared: (dense, tables).
    pub fn count(&self) -> (usize, usize) {
        let trained = self.params.iter().filter(|p| p.role != Role::Statistic);
        let in_table = |t: &TableSpec| t.rows.saturating_mul(t.dim + usize::from(t.learned));
        let dense = trained.map(ParamSpec::len).fold(0, usize::saturating_add);
        (dense, self.tables.iter().map(in_table).fold(0, usize::saturating_add))
    }

    /// Numbers that a step keeps to compute the gradients of large weights from, of a batch of `rows` rows.
    pub fn kept_numbers(&self, rows: usize, sharding: Sharding) -> usize {
        let lanes = sharding.lanes_of(rows);
        let of = |weight: &ParamId| {
            let shape = &self.params[weight.0 as usize].shape;
            let is_kept = is_worth_postponing((shape[0], shape[1]), rows, lanes);
            if is_kept { rows.saturating_mul(shape[0] + shape[1]) } else { 0 }
        };
        self.matrices.iter().map(of).fold(0, usize::saturating_add)
    }

    /// Whether anything of a linear part is declared.
    pub fn has_linear_part(&self) -> bool {
        let mut roles = self.params.iter().map(|p| p.role).chain(self.tables.iter().map(|t| t.role));
        roles.any(|role| role == Role::Linear)
    }

    /// Whether a feature of the layout, by index, is embedded.
    pub fn embeds(&self, feature: usize) -> bool {
        self.slots.all().iter().any(|slot| slot.feature == feature)
    }

    /// Declared tables.
    pub fn tables(&self) -> &[TableSpec] {
        &self.tables
    }

    /// Uses of tables by features.
    pub fn slots(&self) -> &[SlotSpec] {
        self.slots.all()
    }

    /// Numbers in the memory of dense parameters: of those that are trained, and with the running statistics.
    pub fn dense_len(&self) -> (usize, usize) {
        let (_, [_, trained, end]) = super::laid_out(&self.params);
        (trained, end)
    }

    /// Of each declared table: the first one that it has to be with, where both are parts of one, and numbers
    /// of a row that features look up in it.
    pub fn table_uses(&self) -> Vec<(usize, usize)> {
        let mut uses: Vec<(usize, usize)> = (0..self.tables.len()).map(|table| (table, 0)).collect();
        for slot in self.slots.all() {
            let first = slot.tables().map(|own| own.table).min().unwrap_or(0);
            for own in slot.tables() {
                uses[own.table] = (uses[own.table].0.min(first), uses[own.table].1 + own.dim);
            }
        }
        uses
    }

    /// Bytes of the tables, kept as `precision` says, and of learned pooling weights.
    pub fn table_bytes(&self, precision: TablePrecision) -> usize {
        self.tables.iter().map(|spec| spec.bytes(precision)).fold(0, usize::saturating_add)
    }
}

impl TableSpec {
    /// Bytes of a row on its way to who pools it like this, where tables are kept as `precision` says.
    pub fn row_bytes(&self, precision: TablePrecision, pooling: Pooling) -> usize {
        self.dim * self.precision(precision).bytes()
            + 4 * usize::from(self.learned && pooling == Pooling::Learned)
    }

    /// Bytes of its numbers, kept as `precision` says, and of learned pooling weights.
    pub fn bytes(&self, precision: TablePrecision) -> usize {
        let values = self.rows.saturating_mul(self.dim).saturating_mul(self.precision(precision).bytes());
        values.saturating_add(self.rows.saturating_mul(4 * usize::from(self.learned)))
    }
}
