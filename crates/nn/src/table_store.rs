//! Where embeddings come from. The tape asks a [`TableStore`] for pooled vectors; it knows neither tables nor
//! ids. [`crate::LocalTables`] keeps tables in this process and pools them shard by shard, while the shard's
//! values are hot. [`crate::GatheredVectors`] are those of tables that others hold.
use crate::slots::GroupId;
use dlrm_data::Batch;
use std::ops::Range;

/// Pooled vectors.
pub trait TableStore: Send + Sync {
    /// Writes the pooled vectors of the features of `group` side by side to `out` [S, W], for the rows `rows`
    /// of `batch`. What a row gets depends on neither the other rows nor the range.
    fn pool(&self, batch: &Batch, rows: Range<usize>, group: GroupId, out: &mut [f32]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding_gradients::EmbeddingGradients;
    use crate::table_memory::{TableMemory, TableState};
    use crate::table_step::{Rule, TableStep};
    use crate::{
        Activation, Arena, Bias, Builder, Combine, L2Rows, Linear, LocalTables, QuotientRemainder,
        ShardGradients, Slot, TableOptimizer, TablePrecision, Tape, Weights,
    };
    use dlrm_data::batch::{Feature, Layout, TableLayout};
    use dlrm_data::schema::Pooling;
    use dlrm_kernels::Isa;

    const ROWS: usize = 37;

    /// Tables that lie elsewhere: their pooled vectors came for the whole batch, [B, W] for each group.
    struct Elsewhere {
        pooled: Vec<Vec<f32>>,
        own: LocalTables,
    }

    impl Elsewhere {
        fn new(own: &LocalTables, batch: &Batch, groups: &[GroupId]) -> Self {
            let pooled = groups.iter().map(|&group| {
                let mut all = vec![0.0; ROWS * own.slots.columns(group).len()]; // [B, W]
                own.pool(batch, 0..ROWS, group, &mut all);
                all
            });
            Elsewhere { pooled: pooled.collect(), own: own.clone() }
        }
    }

    impl TableStore for Elsewhere {
        fn pool(&self, _: &Batch, rows: Range<usize>, group: GroupId, out: &mut [f32]) {
            let width = self.own.slots.columns(group).len();
            out.copy_from_slice(&self.pooled[group.0 as usize][rows.start * width..rows.end * width]);
        }
    }

    fn layout() -> Layout {
        let feature = |name: &str, table| Feature::new(name, table);
        let table = |name: &str, rows| TableLayout { name: name.into(), rows };
        Layout {
            dense: Vec::new(),
            features: vec![feature("a", 0), feature("b", 1), feature("c", 1)],
            tables: vec![table("a", 11), table("b", 23)],
            ..Layout::default()
        }
    }

    /// Three features in two groups, one of them compressed, and a layer over all.
    fn model(layout: &Layout) -> (Weights, [GroupId; 2], Linear) {
        let mut b = Builder::new(layout);
        let slot = |feature, dim, pooling| Slot { feature, dim, pooling, compression: None };
        let compression = Some(QuotientRemainder { combine: Combine::Multiply, collisions: 4 });
        let compressed = Slot { compression, ..slot(1, 4, Pooling::Mean) };
        let first = b.embed("tables", &[slot(0, 5, Pooling::Learned), compressed], None).expect("a group");
        let second = b.embed("own", &[slot(2, 3, Pooling::Sum)], None).expect("a group");
        let layer = b.linear("layer", 12, 2, Activation::Relu, Bias::Reference).expect("a layer");
        (b.finish(7, Isa::detect(), TablePrecision::F32), [first, second], layer)
    }

    fn batch(layout: &Layout) -> Batch {
        let mut batch = Batch::new(layout);
        batch.labels = vec![0.0; ROWS];
        for (feature, rows) in [(0, 11), (1, 23), (2, 23)] {
            let bags = &mut batch.bags[feature];
            for row in 0..ROWS {
                bags.ids
                    .extend((0..(row + feature) % 4).map(|i| ((row * 7 + i * 3 + feature) % rows) as u32));
                bags.offsets.push(bags.ids.len() as u32);
            }
        }
        batch
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn vectors_pooled_elsewhere_give_the_same_bits() {
        let layout = layout();
        let ((weights, groups, layer), batch) = (model(&layout), batch(&layout));
        let elsewhere = Elsewhere::new(&weights.tables, &batch, &groups);
        for rows in [0..ROWS, 5..9, 9..ROWS, 36..37] {
            let of = |store: &dyn TableStore| {
                let mut arena = Arena::default();
                let mut t = Tape::new(&weights, &batch, rows.clone(), &mut arena).with_store(store);
                let pooled = groups.map(|group| t.embed(group));
                let all = t.concat(&pooled); // [S, 12]
                let y = t.linear(all, layer); // [S, 2]
                [all, y].map(|x| bits(t.value(x)))
            };
            assert_eq!(of(weights.store()), of(&elsewhere), "{rows:?}");
        }
    }

    #[test]
    fn gradients_in_one_piece_or_by_shards_move_tables_alike() {
        let layout = layout();
        let ((weights, groups, _), batch) = (model(&layout), batch(&layout));
        let width = weights.slots().width();
        let dy: Vec<f32> = (0..ROWS * width).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let piece = |dy: &[f32]| {
            let mut shard = ShardGradients::default();
            shard.start(weights.slots(), dy.len() / width);
            for group in groups {
                let columns = weights.slots().columns(group);
                let own: Vec<f32> = dy.chunks(width).flat_map(|dy| &dy[columns.clone()]).copied().collect();
                shard.add(weights.slots(), group, &own);
            }
            shard
        };
        let moved = |store: &mut LocalTables, shard_rows: usize| {
            let shards: Vec<ShardGradients> = dy.chunks(shard_rows * width).map(piece).collect();
            let dy = EmbeddingGradients::new(&shards, shard_rows);
            let mut memory = TableMemory::default();
            memory.states.resize_with(weights.tables().len(), TableState::default);
            memory.indices.resize_with(weights.tables().len(), Default::default);
            let sgd = TableOptimizer::Sgd { lr: 0.1, l2: 0.01 };
            let rule = Rule::new(sgd, 0.1, L2Rows::Touched, 1);
            let step =
                TableStep { common: rule, linear: rule, step: 1, seed: 7, scale: 0.5, isa: weights.isa() };
            store.index(&batch, &mut memory);
            let squares = store.squares(dy, &mut memory);
            store.apply(dy, &mut memory, &step);
            squares.into_iter().map(|table| table.sum().to_bits()).collect::<Vec<_>>()
        };
        let (mut local, mut other) = (weights.tables.clone(), weights.tables.clone());
        assert_eq!(moved(&mut local, 10), moved(&mut other, ROWS));
        for ((local, other), before) in local.tables.iter().zip(&other.tables).zip(weights.tables()) {
            let [local, other, before] = [local, other, before].map(|t| bits(t.values.view().f32()));
            assert!(local == other && local != before);
        }
    }
}
