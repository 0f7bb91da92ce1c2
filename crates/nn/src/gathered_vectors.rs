//! Pooled vectors of tables that other processes hold: what one that holds rows sends, and what the one that
//! asks makes of it; and the way back of their gradients.
//!
//! Who holds a whole table pools it and sends [S, D] numbers. Rows of a table that lie apart travel as they
//! are and are pooled by whoever asked, so that a bag is summed in the order of its ids wherever they lie.
use crate::embedding_gradients::ShardGradients;
use crate::local_tables::LocalTables;
use crate::placement::Holder;
use crate::slot::{SlotRows, SlotSpec};
use crate::slots::GroupId;
use crate::table::Table;
use crate::table_store::TableStore;
use crate::table_values::Values;
use dlrm_data::Batch;
use dlrm_data::batch::Bags;
use dlrm_data::schema::Pooling;
use dlrm_kernels::Strided;
use dlrm_kernels::embedding::{BagsView, Pool, TableView};
use dlrm_kernels::half::{Numbers, NumbersMut};
use std::ops::Range;

/// The bytes of numbers.
fn bytes_of(numbers: Numbers<'_>) -> &[u8] {
    match numbers {
        Numbers::F32(numbers) => bytemuck::cast_slice(numbers),
        Numbers::Bf16(numbers) | Numbers::F16(numbers) => bytemuck::cast_slice(numbers),
    }
}

fn bytes_of_mut(numbers: NumbersMut<'_>) -> &mut [u8] {
    match numbers {
        NumbersMut::F32(numbers) => bytemuck::cast_slice_mut(numbers),
        NumbersMut::Bf16(numbers) | NumbersMut::F16(numbers) => bytemuck::cast_slice_mut(numbers),
    }
}

impl LocalTables {
    /// Who holds what a slot reads.
    fn holder(&self, slot: &SlotSpec) -> Holder {
        let table = slot.tables().next().map_or(0, |own| own.table);
        self.placement.holders.get(table).copied().unwrap_or(Holder::Rank(self.placement.rank))
    }

    /// Whether `rank` holds rows that a slot reads.
    pub(crate) fn is_held_by(&self, slot: &SlotSpec, rank: usize) -> bool {
        matches!(self.holder(slot), Holder::ByRow) || self.holder(slot) == Holder::Rank(rank)
    }

    /// Columns of the gradients that `rank` needs.
    pub fn width_of(&self, rank: usize) -> usize {
        self.slots.all().iter().filter(|slot| self.is_held_by(slot, rank)).map(|slot| slot.dim).sum()
    }

    /// The features, in ascending order, of which `rank` holds rows.
    pub fn features_of(&self, rank: usize) -> Vec<usize> {
        let held = self.slots.all().iter().filter(|slot| self.is_held_by(slot, rank));
        let mut features: Vec<usize> = held.map(|slot| slot.feature).collect();
        features.sort_unstable();
        features.dedup();
        features
    }

    /// The table of a slot whose rows lie apart, and whether they come with learned pooling weights.
    fn by_row(&self, slot: &SlotSpec) -> (&Table, bool) {
        let SlotRows::Whole { table } = slot.rows else { unreachable!("pairs of tables stay together") };
        let table = &self.tables[table];
        (table, slot.pooling == Pooling::Learned && table.row_weights.is_some())
    }

    /// Bytes of a row that travels for a slot.
    fn row_bytes(&self, slot: &SlotSpec) -> usize {
        let (table, learned) = self.by_row(slot);
        table.dim * table.values.precision().bytes() + 4 * usize::from(learned)
    }

    /// Appends to `out` what is held here of the pooled vectors of rows `rows` of `batch`.
    pub fn write_vectors(&self, batch: &Batch, rows: Range<usize>, out: &mut Vec<u8>) {
        let mut pooled = Vec::new();
        for slot in self.slots.all() {
            match self.holder(slot) {
                Holder::Rank(rank) if rank == self.placement.rank => {
                    pooled.resize(rows.len() * slot.dim, 0.0);
                    self.pool_slot(slot, batch, rows.clone(), Strided::new(&mut pooled, slot.dim));
                    out.extend_from_slice(bytemuck::cast_slice(&pooled));
                }
                Holder::Rank(_) => {}
                Holder::ByRow => self.write_rows(slot, batch, rows.clone(), out),
            }
        }
    }

    fn write_rows(&self, slot: &SlotSpec, batch: &Batch, rows: Range<usize>, out: &mut Vec<u8>) {
        let ((table, learned), bags) = (self.by_row(slot), &batch.bags[slot.feature]);
        let ids = bags.offsets[rows.start] as usize..bags.offsets[rows.end] as usize;
        for place in bags.ids[ids].iter().filter_map(|&id| table.held.place(id)) {
            let place = place as usize;
            let row = table.values.view().slice(place * table.dim..(place + 1) * table.dim);
            out.extend_from_slice(bytes_of(row));
            if let Some(weights) = table.row_weights.as_ref().filter(|_| learned) {
                out.extend_from_slice(&weights[place].to_ne_bytes());
            }
        }
    }
}

impl LocalTables {
    /// Appends to `out` the gradients of a shard, of the rows `rows` of `batch`, that rank `rank` needs:
    /// those of vectors that were pooled from rows that it holds.
    pub fn write_gradients(
        &self,
        of: &ShardGradients,
        (batch, rows): (&Batch, Range<usize>),
        rank: usize,
        out: &mut Vec<u8>,
    ) {
        for slot in self.slots.all().iter().filter(|slot| self.is_held_by(slot, rank)) {
            let all = of.of_slot(slot);
            if self.holder(slot) == Holder::ByRow {
                let bags = self.bags_of(rank, &batch.bags[slot.feature], rows.clone());
                let own = all.chunks_exact(slot.dim).zip(bags).filter(|(_, needs)| *needs);
                own.for_each(|(dy, _)| out.extend_from_slice(bytemuck::cast_slice(dy)));
            } else {
                out.extend_from_slice(bytemuck::cast_slice(all));
            }
        }
    }

    /// Takes the gradients of a shard from the front of `rest`, if they are there: those that are needed
    /// here. Of others nothing is known.
    pub fn read_gradients(
        &self,
        rest: &mut &[u8],
        into: &mut ShardGradients,
        (batch, rows): (&Batch, Range<usize>),
    ) -> Option<()> {
        into.start(&self.slots, rows.len());
        let own = self.placement.rank;
        for slot in self.slots.all().iter().filter(|slot| self.is_held_by(slot, own)) {
            let all = into.of_slot_mut(slot);
            if self.holder(slot) == Holder::ByRow {
                let bags = self.bags_of(own, &batch.bags[slot.feature], rows.clone());
                for (dy, _) in all.chunks_exact_mut(slot.dim).zip(bags).filter(|(_, needs)| *needs) {
                    bytemuck::cast_slice_mut(dy).copy_from_slice(rest.split_off(..4 * slot.dim)?);
                }
            } else {
                let own = rest.split_off(..4 * all.len())?;
                bytemuck::cast_slice_mut(all).copy_from_slice(own);
            }
        }
        Some(())
    }

    /// Of each of some bags, whether `rank` holds a row of it, where the rows of a table lie apart.
    fn bags_of(&self, rank: usize, bags: &Bags, rows: Range<usize>) -> impl Iterator<Item = bool> {
        let ranks = self.placement.ranks;
        rows.map(move |b| bags.row(b).iter().any(|&id| id as usize % ranks == rank))
    }
}

/// A run of rows of the batch, and where what it is pooled from begins.
#[derive(Debug)]
struct Run {
    rows: Range<usize>,
    /// The first of its `places`.
    first: usize,
}

/// Pooled vectors of runs of rows of a batch, as all other ranks have sent them; those of tables that are
/// here are pooled when they are asked for, while the shard's values are hot.
#[derive(Debug)]
pub struct GatheredVectors<'a> {
    tables: &'a LocalTables,
    /// By rank.
    messages: Vec<Vec<u8>>,
    runs: Vec<Run>,
    /// Of each run, slot by slot: where it begins in the message of its holder, or in each where rows lie
    /// apart.
    places: Vec<usize>,
    /// Of each slot: the first of its places in a run.
    firsts: Vec<usize>,
}

impl<'a> GatheredVectors<'a> {
    /// From what each other rank has written of the rows `runs`, which ascend; none if that is not their
    /// length.
    pub fn new(
        tables: &'a LocalTables,
        batch: &Batch,
        runs: impl Iterator<Item = Range<usize>>,
        messages: Vec<Vec<u8>>,
    ) -> Option<Self> {
        let (ranks, own) = (tables.placement.ranks, tables.placement.rank);
        let slots = tables.slots.all();
        let mut firsts = Vec::with_capacity(slots.len());
        let mut per_run = 0;
        for slot in slots {
            firsts.push(per_run);
            per_run += if tables.holder(slot) == Holder::ByRow { ranks } else { 1 };
        }
        let mut ends = vec![0usize; ranks];
        let (mut all, mut places) = (Vec::new(), Vec::new());
        for rows in runs {
            all.push(Run { rows: rows.clone(), first: places.len() });
            for slot in slots {
                match tables.holder(slot) {
                    Holder::Rank(rank) => {
                        places.push(ends[rank]);
                        ends[rank] += rows.len() * slot.dim * 4;
                    }
                    Holder::ByRow => {
                        places.extend_from_slice(&ends);
                        let (bags, bytes) = (&batch.bags[slot.feature], tables.row_bytes(slot));
                        let ids = bags.offsets[rows.start] as usize..bags.offsets[rows.end] as usize;
                        bags.ids[ids].iter().for_each(|&id| ends[id as usize % ranks] += bytes);
                    }
                }
            }
        }
        ends[own] = 0;
        let fits = messages.len() == ranks && messages.iter().zip(&ends).all(|(m, &end)| m.len() == end);
        fits.then_some(GatheredVectors { tables, messages, runs: all, places, firsts })
    }

    /// Whether these rows are one of the runs.
    pub fn has(&self, rows: &Range<usize>) -> bool {
        self.run(rows).is_some()
    }

    fn run(&self, rows: &Range<usize>) -> Option<&Run> {
        let run = self.runs.partition_point(|run| run.rows.start < rows.start);
        self.runs.get(run).filter(|run| run.rows == *rows)
    }

    /// What it was made of, when it is not needed any more.
    pub fn into_messages(self) -> Vec<Vec<u8>> {
        self.messages
    }

    /// Copies the pooled vectors that came whole into `out`, whose rows are `stride` apart.
    fn copy(&self, rank: usize, start: usize, dim: usize, (out, stride): (&mut [f32], usize)) {
        let vectors = self.messages[rank][start..].chunks_exact(4 * dim);
        for (into, vector) in out.chunks_mut(stride).zip(vectors) {
            bytemuck::cast_slice_mut(&mut into[..dim]).copy_from_slice(vector);
        }
    }

    /// Pools rows that have come one by one.
    fn pool_rows(&self, slot: &SlotSpec, batch: &Batch, run: &Run, places: &[usize], out: Strided<'_>) {
        let ((table, learned), bags) = (self.tables.by_row(slot), &batch.bags[slot.feature]);
        let offsets = &bags.offsets[run.rows.start..=run.rows.end];
        let uses = offsets[0] as usize..offsets[run.rows.len()] as usize;
        let mut values = Values::zeroed(table.values.precision(), uses.len() * table.dim);
        let mut weights = vec![0.0f32; if learned { uses.len() } else { 0 }];
        let (mut places, bytes) = (places.to_vec(), self.tables.row_bytes(slot));
        let row_bytes = bytes - 4 * usize::from(learned);
        let all = bytes_of_mut(values.view_mut());
        for (at, &id) in bags.ids[uses.clone()].iter().enumerate() {
            let into = &mut all[at * row_bytes..(at + 1) * row_bytes];
            if let Some(place) = table.held.place(id) {
                let place = place as usize;
                let row = table.values.view().slice(place * table.dim..(place + 1) * table.dim);
                into.copy_from_slice(bytes_of(row));
                if let (Some(into), Some(own)) = (weights.get_mut(at), &table.row_weights) {
                    *into = own[place];
                }
                continue;
            }
            let rank = id as usize % places.len();
            let row = &self.messages[rank][places[rank]..][..bytes];
            places[rank] += bytes;
            let (row, weight) = row.split_at(row_bytes);
            into.copy_from_slice(row);
            if let Some(into) = weights.get_mut(at) {
                bytemuck::bytes_of_mut(into).copy_from_slice(weight);
            }
        }
        let ids: Vec<u32> = (0..uses.len() as u32).collect();
        let offsets: Vec<u32> = offsets.iter().map(|&offset| offset - uses.start as u32).collect();
        let pool = match (slot.pooling, &bags.weights) {
            (Pooling::Learned, _) if learned => Pool::Learned(&weights),
            (Pooling::Mean, _) => Pool::Mean,
            (_, Some(weights)) => Pool::Weighted(&weights[uses]),
            _ => Pool::Sum,
        };
        let view = BagsView { ids: &ids, offsets: &offsets };
        let table = TableView { values: values.view(), dim: slot.dim };
        dlrm_kernels::embedding::forward(self.tables.isa, out, table, view, pool);
    }
}

impl TableStore for GatheredVectors<'_> {
    fn pool(&self, batch: &Batch, rows: Range<usize>, group: GroupId, out: &mut [f32]) {
        let slots = &self.tables.slots;
        let (columns, own) = (slots.columns(group), slots.of(group));
        let run = self.run(&rows).expect("rows that were asked for");
        let Some(first) = own.first() else { return };
        let number = slots.all().partition_point(|slot| slot.column < first.column);
        for (slot, number) in own.iter().zip(number..) {
            let place = run.first + self.firsts[number];
            let out = &mut out[slot.column - columns.start..];
            match self.tables.holder(slot) {
                Holder::Rank(rank) if rank == self.tables.placement.rank => {
                    self.tables.pool_slot(slot, batch, rows.clone(), Strided::new(out, columns.len()));
                }
                Holder::Rank(rank) => {
                    self.copy(rank, self.places[place], slot.dim, (out, columns.len()));
                }
                Holder::ByRow => {
                    let places = &self.places[place..place + self.messages.len()];
                    self.pool_rows(slot, batch, run, places, Strided::new(out, columns.len()));
                }
            }
        }
    }
}
