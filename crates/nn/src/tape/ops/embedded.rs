//! Pooled embeddings, which a [`TableStore`](crate::TableStore) gives: the tape sees their values alone.
use super::{Description, Operation};
use crate::graph::EMBEDDINGS;
use crate::slot::SlotSpec;
use crate::slots::GroupId;
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;

#[derive(Debug)]
pub(in crate::tape) struct Embedded {
    group: GroupId,
}

impl Tape<'_> {
    /// Pooled embeddings of a group, side by side: [S, Σ D_f].
    pub fn embed(&mut self, group: GroupId) -> Var {
        let (store, batch, rows) = (self.store, self.batch, self.range());
        let width = self.weights.slots_of(group).iter().map(|slot| slot.dim).sum();
        self.push(Embedded { group }, width, |y, _| store.pool(batch, rows, group, y))
    }
}

impl Operation for Embedded {
    fn backward(&self, back: Backward<'_>) {
        back.shard.add(back.weights.slots(), self.group, back.dy);
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        let slots = tape.weights.slots_of(self.group);
        let tables = slots.iter().flat_map(SlotSpec::tables).map(|own| &tape.weights.tables()[own.table]);
        // Every part of an id's vector is read and added (or multiplied) once.
        let width = |slot: &SlotSpec| slot.tables().map(|own| own.dim).sum::<usize>() as f64;
        let ids: f64 = slots.iter().map(|slot| width(slot) * tape.mean_ids(slot.feature)).sum();
        let parameters = tables.map(|table| table.name.clone()).collect();
        Description { parameters, slots: slots.to_vec(), ..Description::new(EMBEDDINGS, &[]).cost(ids, ids) }
    }
}
