//! Embedding bags: definition against central differences, fast paths against the definition.
mod common;

use common::{check_gradient, close, dot, numbers, per_isa, same_bits, sizes, wide};
use dlrm_kernels::embedding::{BagsView, Pool, TableView, Use, add_use, forward, reference};
use dlrm_kernels::half::Numbers;
use dlrm_kernels::{Isa, Strided};
use proptest::prelude::*;

/// Bags over a table of a few rows (so that ids repeat within and across bags), some of them empty.
#[derive(Debug, Clone)]
struct Case {
    dim: usize,
    stride: usize,
    ids: Vec<u32>,
    offsets: Vec<u32>,
    table: Vec<f32>,
    weights: Vec<f32>,
    row_weights: Vec<f32>,
}

impl Case {
    fn new(rows: usize, dim: usize, gap: usize, lens: &[usize], seed: u64) -> Self {
        let mut offsets = vec![0];
        offsets.extend(lens.iter().scan(0, |end, &len| {
            *end += len as u32;
            Some(*end)
        }));
        let count = lens.iter().sum();
        let ids = numbers(count, seed ^ 3).iter().map(|x| ((x + 1.0) / 2.0 * rows as f32) as u32).collect();
        Case {
            dim,
            stride: dim + gap,
            ids,
            offsets,
            table: numbers(rows * dim, seed),
            weights: numbers(count, seed ^ 1),
            row_weights: numbers(rows, seed ^ 2),
        }
    }

    fn view(&self) -> TableView<'_> {
        TableView { values: Numbers::F32(&self.table), dim: self.dim }
    }

    fn bags(&self) -> BagsView<'_> {
        BagsView { ids: &self.ids, offsets: &self.offsets }
    }

    fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    fn pools(&self) -> [Pool<'_>; 4] {
        [Pool::Sum, Pool::Mean, Pool::Weighted(&self.weights), Pool::Learned(&self.row_weights)]
    }
}

fn cases() -> impl Strategy<Value = Case> {
    // Rows of 16, 32 and 64 columns have code of their own.
    let dims = prop_oneof![1usize..=70, prop::sample::select(vec![16, 32, 64])];
    (
        1usize..9,
        dims,
        0usize..6,
        prop::collection::vec(prop::sample::select(vec![0usize, 1, 1, 1, 2, 3, 7]), 0..30),
        any::<u64>(),
    )
        .prop_map(|(rows, dim, gap, lens, seed)| Case::new(rows, dim, gap, &lens, seed))
}

/// The pooling with absolute weights, for the size of the terms.
fn absolute<'a>(pool: Pool<'a>, weights: &'a [f32]) -> Pool<'a> {
    match pool {
        Pool::Weighted(_) => Pool::Weighted(weights),
        Pool::Learned(_) => Pool::Learned(weights),
        plain => plain,
    }
}

fn absolute_weights(pool: Pool<'_>) -> Vec<f32> {
    match pool {
        Pool::Weighted(weights) | Pool::Learned(weights) => weights.iter().map(|w| w.abs()).collect(),
        Pool::Sum | Pool::Mean => vec![],
    }
}

#[test]
fn reference_gradient_is_the_derivative() {
    let case = Case::new(5, 3, 0, &[0, 1, 4, 2, 0, 7], 4);
    let dy = wide(&numbers(case.count() * case.dim, 5));
    let table = wide(&case.table);
    for pool in case.pools() {
        let mut dtable = vec![0.0; table.len()];
        reference::backward(&mut dtable, &dy, case.dim, case.bags(), pool);
        check_gradient(&format!("{pool:?}"), &table, &dtable, |table| {
            let mut y = vec![f64::NAN; dy.len()];
            reference::forward(&mut y, table, case.dim, case.bags(), pool);
            dot(&y, &dy)
        });
    }
}

fn forward_agrees(isa: Isa) {
    proptest!(|(case in cases())| {
        for pool in case.pools() {
            let mut y = vec![7.0; case.count() * case.stride];
            forward(isa, Strided::new(&mut y, case.stride), case.view(), case.bags(), pool);
            let weights = absolute_weights(pool);
            let (mut want, mut size) =
                (vec![0.0; case.count() * case.dim], vec![0.0; case.count() * case.dim]);
            reference::forward(&mut want, &wide(&case.table), case.dim, case.bags(), pool);
            reference::forward(
                &mut size,
                &sizes(&case.table),
                case.dim,
                case.bags(),
                absolute(pool, &weights),
            );
            for (b, y) in y.chunks_exact(case.stride).enumerate() {
                let row = b * case.dim..(b + 1) * case.dim;
                close(&format!("{pool:?} bag {b}"), &y[..case.dim], &want[row.clone()], &size[row]);
                prop_assert!(y[case.dim..].iter().all(|&y| y == 7.0), "wrote between the rows");
            }
        }
    });
}

fn uses_add_up_to_the_gradient(isa: Isa) {
    proptest!(|(case in cases())| {
        let dy = numbers(case.count() * case.dim, 8);
        for pool in case.pools() {
            let before = numbers(case.table.len(), 9);
            let mut dtable = before.clone();
            for (b, dy) in dy.chunks_exact(case.dim).enumerate() {
                let range = case.offsets[b] as usize..case.offsets[b + 1] as usize;
                for e in range.clone() {
                    let id = case.ids[e] as usize;
                    let scale = match pool {
                        Pool::Sum => 1.0,
                        Pool::Mean => 1.0 / range.len() as f32,
                        Pool::Weighted(weights) => weights[e],
                        Pool::Learned(rows) => rows[id],
                    };
                    add_use(isa, &mut dtable[id * case.dim..][..case.dim], Use { dy, scale });
                }
            }
            let weights = absolute_weights(pool);
            let (mut want, mut size) = (wide(&before), sizes(&before));
            reference::backward(&mut want, &wide(&dy), case.dim, case.bags(), pool);
            reference::backward(&mut size, &sizes(&dy), case.dim, case.bags(), absolute(pool, &weights));
            close(&format!("{pool:?}"), &dtable, &want, &size);
        }
    });
}

fn a_bag_has_the_same_bits_alone(isa: Isa) {
    proptest!(|(case in cases())| {
        for pool in case.pools() {
            let mut y = vec![0.0; case.count() * case.stride];
            forward(isa, Strided::new(&mut y, case.stride), case.view(), case.bags(), pool);
            for (b, y) in y.chunks_exact(case.stride).enumerate() {
                let range = case.offsets[b] as usize..case.offsets[b + 1] as usize;
                let offsets = [0, range.len() as u32];
                let pool = if let Pool::Weighted(weights) = pool {
                    Pool::Weighted(&weights[range.clone()])
                } else {
                    pool
                };
                let mut alone = vec![0.0; case.dim];
                let bag = BagsView { ids: &case.ids[range], offsets: &offsets };
                forward(isa, Strided::new(&mut alone, case.dim), case.view(), bag, pool);
                same_bits("y", &alone, &y[..case.dim]);
            }
        }
    });
}

fn many_ids_with_prefetch(isa: Isa) {
    // Longer than the prefetch distance, so that both its middle and its end are met.
    let case = Case::new(997, 16, 0, &[1; 300], 6);
    let mut y = vec![0.0; 300 * 16];
    forward(
        isa,
        Strided::new(&mut y, 16),
        TableView { values: Numbers::F32(&case.table), dim: 16 },
        case.bags(),
        Pool::Mean,
    );
    for (y, &id) in y.chunks_exact(16).zip(&case.ids) {
        same_bits("one-hot copies its row", y, &case.table[id as usize * 16..][..16]);
    }
}

per_isa! {
    forward_agrees: embedding_scalar, embedding_avx2, embedding_avx512;
    uses_add_up_to_the_gradient: embedding_uses_scalar, embedding_uses_avx2, embedding_uses_avx512;
    a_bag_has_the_same_bits_alone: embedding_bits_scalar, embedding_bits_avx2, embedding_bits_avx512;
    many_ids_with_prefetch: embedding_prefetch_scalar, embedding_prefetch_avx2, embedding_prefetch_avx512;
}

#[test]
#[should_panic(expected = "out of range")]
fn an_id_beyond_the_table_is_refused() {
    let bags = BagsView { ids: &[3], offsets: &[0, 1] };
    forward(
        Isa::detect(),
        Strided::new(&mut [0.0; 2], 2),
        TableView { values: Numbers::F32(&[0.0; 6]), dim: 2 },
        bags,
        Pool::Sum,
    );
}
