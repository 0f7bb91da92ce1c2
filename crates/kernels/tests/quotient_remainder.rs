//! Quotient-remainder bags: definition against central differences, fast paths against the definition.
mod common;

use common::{check_gradient, close, dot, numbers, per_isa, same_bits, sizes, wide};
use dlrm_kernels::embedding::{BagsView, Pool, Use, add_use};
use dlrm_kernels::quotient_remainder::{Combine, TablePair, add_product, forward, reference};
use dlrm_kernels::{Isa, Strided};
use proptest::prelude::*;

const ALL: [Combine; 3] = [Combine::Multiply, Combine::Add, Combine::Concat];

/// Bags over a few ids, some of them empty.
#[derive(Debug, Clone)]
struct Case {
    rows: usize,
    collisions: u32,
    dim: usize,
    stride: usize,
    ids: Vec<u32>,
    offsets: Vec<u32>,
    weights: Vec<f32>,
    seed: u64,
}

impl Case {
    fn new((rows, collisions): (usize, u32), (dim, gap): (usize, usize), lens: &[usize], seed: u64) -> Self {
        let mut offsets = vec![0];
        offsets.extend(lens.iter().scan(0, |end, &len| {
            *end += len as u32;
            Some(*end)
        }));
        let count = lens.iter().sum();
        let ids = numbers(count, seed ^ 3).iter().map(|x| ((x + 1.0) / 2.0 * rows as f32) as u32).collect();
        Case {
            rows,
            collisions,
            dim,
            stride: dim + gap,
            ids,
            offsets,
            weights: numbers(count, seed ^ 1),
            seed,
        }
    }

    /// The quotient and the remainder table.
    fn tables(&self, combine: Combine) -> (Vec<f32>, Vec<f32>) {
        let (left, right) = combine.widths(self.dim);
        let quotient = numbers(self.rows.div_ceil(self.collisions as usize) * left, self.seed);
        (quotient, numbers(self.collisions as usize * right, self.seed ^ 2))
    }

    fn pair<'a, T>(&self, quotient: &'a [T], remainder: &'a [T], combine: Combine) -> TablePair<'a, T> {
        TablePair { quotient, remainder, collisions: self.collisions, combine }
    }

    fn bags(&self) -> BagsView<'_> {
        BagsView { ids: &self.ids, offsets: &self.offsets }
    }

    fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    fn pools(&self) -> [Pool<'_>; 3] {
        [Pool::Sum, Pool::Mean, Pool::Weighted(&self.weights)]
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let lens = prop::collection::vec(prop::sample::select(vec![0usize, 1, 1, 1, 2, 3, 7]), 0..30);
    ((1usize..40, 2u32..7), (2usize..=70, 0usize..6), lens, any::<u64>())
        .prop_map(|(rows, widths, lens, seed)| Case::new(rows, widths, &lens, seed))
}

/// The pooling with absolute weights, for the size of the terms.
fn absolute<'a>(pool: Pool<'a>, weights: &'a [f32]) -> Pool<'a> {
    if let Pool::Weighted(_) = pool { Pool::Weighted(weights) } else { pool }
}

#[test]
fn reference_gradient_is_the_derivative() {
    let case = Case::new((11, 4), (3, 0), &[0, 1, 4, 2, 0, 7], 4);
    let dy = wide(&numbers(case.count() * case.dim, 5));
    for combine in ALL {
        let (q, r) = case.tables(combine);
        let (q, r) = (wide(&q), wide(&r));
        for pool in case.pools() {
            let (mut dq, mut dr) = (vec![0.0; q.len()], vec![0.0; r.len()]);
            reference::backward(
                (&mut dq, &mut dr),
                &dy,
                case.pair(&q, &r, combine),
                case.dim,
                (case.bags(), pool),
            );
            let loss = |q: &[f64], r: &[f64]| {
                let mut y = vec![f64::NAN; dy.len()];
                reference::forward(&mut y, case.pair(q, r, combine), case.dim, case.bags(), pool);
                dot(&y, &dy)
            };
            check_gradient(&format!("quotient {combine:?} {pool:?}"), &q, &dq, |q| loss(q, &r));
            check_gradient(&format!("remainder {combine:?} {pool:?}"), &r, &dr, |r| loss(&q, r));
        }
    }
}

fn forward_agrees(isa: Isa) {
    proptest!(|(case in cases())| {
        let weights: Vec<f32> = case.weights.iter().map(|w| w.abs()).collect();
        for (combine, pool) in ALL.into_iter().flat_map(|c| case.pools().map(|p| (c, p))) {
            let (q, r) = case.tables(combine);
            let mut y = vec![7.0; case.count() * case.stride];
            forward(
                isa,
                Strided::new(&mut y, case.stride),
                case.pair(&q, &r, combine),
                case.dim,
                case.bags(),
                pool,
            );
            let (mut want, mut size) =
                (vec![0.0; case.count() * case.dim], vec![0.0; case.count() * case.dim]);
            reference::forward(
                &mut want,
                case.pair(&wide(&q), &wide(&r), combine),
                case.dim,
                case.bags(),
                pool,
            );
            let terms = absolute(pool, &weights);
            reference::forward(
                &mut size,
                case.pair(&sizes(&q), &sizes(&r), combine),
                case.dim,
                case.bags(),
                terms,
            );
            for (b, y) in y.chunks_exact(case.stride).enumerate() {
                let row = b * case.dim..(b + 1) * case.dim;
                close(
                    &format!("{combine:?} {pool:?} bag {b}"),
                    &y[..case.dim],
                    &want[row.clone()],
                    &size[row],
                );
                prop_assert!(y[case.dim..].iter().all(|&y| y == 7.0), "wrote between the rows");
            }
        }
    });
}

/// Adds up the uses of both tables as a training step does.
fn uses(
    isa: Isa,
    case: &Case,
    (pair, pool): (TablePair<'_>, Pool<'_>),
    dy: &[f32],
    (dq, dr): (&mut [f32], &mut [f32]),
) {
    let (left, right) = pair.combine.widths(case.dim);
    for (b, dy) in dy.chunks_exact(case.dim).enumerate() {
        let range = case.offsets[b] as usize..case.offsets[b + 1] as usize;
        for e in range.clone() {
            let scale = match pool {
                Pool::Mean => 1.0 / range.len() as f32,
                Pool::Weighted(weights) => weights[e],
                _ => 1.0,
            };
            let (i, j) = ((case.ids[e] / case.collisions) as usize, (case.ids[e] % case.collisions) as usize);
            let (dq, dr) = (&mut dq[i * left..][..left], &mut dr[j * right..][..right]);
            if pair.combine == Combine::Multiply {
                add_product(isa, dq, Use { dy, scale }, &pair.remainder[j * right..][..right]);
                add_product(isa, dr, Use { dy, scale }, &pair.quotient[i * left..][..left]);
            } else {
                add_use(isa, dq, Use { dy: &dy[..left], scale });
                add_use(isa, dr, Use { dy: &dy[case.dim - right..], scale });
            }
        }
    }
}

fn uses_add_up_to_the_gradient(isa: Isa) {
    proptest!(|(case in cases())| {
        let dy = numbers(case.count() * case.dim, 8);
        let weights: Vec<f32> = case.weights.iter().map(|w| w.abs()).collect();
        for (combine, pool) in ALL.into_iter().flat_map(|c| case.pools().map(|p| (c, p))) {
            let (q, r) = case.tables(combine);
            let (mut dq, mut dr) = (numbers(q.len(), 9), numbers(r.len(), 10));
            let (mut want_q, mut want_r, mut size_q, mut size_r) =
                (wide(&dq), wide(&dr), sizes(&dq), sizes(&dr));
            uses(isa, &case, (case.pair(&q, &r, combine), pool), &dy, (&mut dq, &mut dr));
            let pair = case.pair(&q, &r, combine);
            let wide_pair = (wide(pair.quotient), wide(pair.remainder));
            let pair = case.pair(&wide_pair.0, &wide_pair.1, combine);
            reference::backward((&mut want_q, &mut want_r), &wide(&dy), pair, case.dim, (case.bags(), pool));
            let (q, r) = (sizes(&q), sizes(&r));
            let terms = (case.bags(), absolute(pool, &weights));
            reference::backward(
                (&mut size_q, &mut size_r),
                &sizes(&dy),
                case.pair(&q, &r, combine),
                case.dim,
                terms,
            );
            close(&format!("quotient {combine:?} {pool:?}"), &dq, &want_q, &size_q);
            close(&format!("remainder {combine:?} {pool:?}"), &dr, &want_r, &size_r);
        }
    });
}

fn a_bag_has_the_same_bits_alone(isa: Isa) {
    proptest!(|(case in cases())| {
        for (combine, pool) in ALL.into_iter().flat_map(|c| case.pools().map(|p| (c, p))) {
            let (q, r) = case.tables(combine);
            let pair = case.pair(&q, &r, combine);
            let mut y = vec![0.0; case.count() * case.stride];
            forward(isa, Strided::new(&mut y, case.stride), pair, case.dim, case.bags(), pool);
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
                forward(isa, Strided::new(&mut alone, case.dim), pair, case.dim, bag, pool);
                same_bits("y", &alone, &y[..case.dim]);
            }
        }
    });
}

per_isa! {
    forward_agrees: pair_scalar, pair_avx2, pair_avx512;
    uses_add_up_to_the_gradient: pair_uses_scalar, pair_uses_avx2, pair_uses_avx512;
    a_bag_has_the_same_bits_alone: pair_bits_scalar, pair_bits_avx2, pair_bits_avx512;
}
