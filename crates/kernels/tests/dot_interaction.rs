//! The interaction: definition against central differences, fast paths against the definition.
mod common;

use common::{check_gradient, close, dot, numbers, per_isa, same_bits, sizes, wide};
use dlrm_kernels::Isa;
use dlrm_kernels::dot_interaction::{Dims, Pairs, backward, forward, forward_after, reference, scratch_len};
use proptest::prelude::*;

const KINDS: [Pairs; 2] = [Pairs::Distinct, Pairs::WithSelf];

/// Scratch that would poison the result if a kernel read it before writing, and longer than needed.
fn scratch(d: Dims) -> Vec<f32> {
    vec![f32::NAN; scratch_len(d) + 3]
}

fn dims() -> impl Strategy<Value = Dims> {
    (0usize..5, 1usize..=40, 1usize..=70, prop::sample::select(&KINDS[..]))
        .prop_map(|(rows, fields, dim, pairs)| Dims { rows, fields, dim, pairs })
}

#[test]
fn reference_gradient_is_the_derivative() {
    for pairs in KINDS {
        for (rows, fields, dim) in [(1, 1, 1), (1, 2, 3), (3, 5, 7), (2, 9, 1)] {
            let d = Dims { rows, fields, dim, pairs };
            let (x, dz) = (wide(&numbers(rows * fields * dim, 1)), wide(&numbers(rows * d.pairs(), 2)));
            let mut dx = vec![0.0; x.len()];
            reference::backward(&mut dx, &dz, &x, d);
            check_gradient(&format!("{d:?}"), &x, &dx, |x| {
                let mut z = vec![0.0; dz.len()];
                reference::forward(&mut z, x, d);
                dot(&z, &dz)
            });
        }
    }
}

#[test]
fn pairs_come_in_row_major_order() {
    let x = [2.0, 3.0, 5.0];
    let mut z = [0.0; 3];
    reference::forward(&mut z, &x, Dims { rows: 1, fields: 3, dim: 1, pairs: Pairs::Distinct });
    assert_eq!(z, [6.0, 10.0, 15.0]);
    let mut z = [0.0; 6];
    reference::forward(&mut z, &x, Dims { rows: 1, fields: 3, dim: 1, pairs: Pairs::WithSelf });
    assert_eq!(z, [4.0, 6.0, 9.0, 10.0, 15.0, 25.0]);
}

fn common_fields_agree(isa: Isa) {
    proptest!(|(d in dims(), seed: u64, share in 0.0..1.0f64)| {
        let common = (share * (d.fields + 1) as f64) as usize;
        let mut x = numbers(d.rows * d.fields * d.dim, seed);
        let first = x.get(..common * d.dim).unwrap_or_default().to_vec();
        x.chunks_exact_mut(d.fields * d.dim).for_each(|row| row[..first.len()].copy_from_slice(&first));
        let (mut z, mut after) = (vec![f32::NAN; d.rows * d.pairs()], vec![f32::NAN; d.rows * d.pairs()]);
        forward(isa, &mut z, &x, d, &mut scratch(d));
        forward_after(isa, &mut after, &x, d, common, &mut scratch(d));
        let known = Dims { fields: common, ..d }.pairs();
        for (z, after) in z.chunks_exact(d.pairs().max(1)).zip(after.chunks_exact(d.pairs().max(1))) {
            same_bits("z", &after[known..], &z[known..]);
        }
    });
}

fn forward_agrees(isa: Isa) {
    proptest!(|(d in dims(), seed: u64)| {
        let x = numbers(d.rows * d.fields * d.dim, seed);
        let mut z = vec![f32::NAN; d.rows * d.pairs()];
        forward(isa, &mut z, &x, d, &mut scratch(d));
        let (mut want, mut size) = (vec![0.0; z.len()], vec![0.0; z.len()]);
        reference::forward(&mut want, &wide(&x), d);
        reference::forward(&mut size, &sizes(&x), d);
        close("z", &z, &want, &size);
    });
}

fn backward_agrees_and_adds(isa: Isa) {
    proptest!(|(d in dims(), seed: u64)| {
        let (x, dz) = (numbers(d.rows * d.fields * d.dim, seed), numbers(d.rows * d.pairs(), seed ^ 1));
        let before = numbers(x.len(), seed ^ 2);
        let mut dx = before.clone();
        backward(isa, &mut dx, &dz, &x, d, &mut scratch(d));
        let (mut want, mut size) = (wide(&before), sizes(&before));
        reference::backward(&mut want, &wide(&dz), &wide(&x), d);
        reference::backward(&mut size, &sizes(&dz), &sizes(&x), d);
        close("dx", &dx, &want, &size);
    });
}

fn a_row_has_the_same_bits_alone(isa: Isa) {
    proptest!(|(d in dims(), seed: u64)| {
        let size = d.fields * d.dim;
        let (x, dz) = (numbers(d.rows * size, seed), numbers(d.rows * d.pairs(), seed ^ 1));
        let (mut z, mut dx) = (vec![0.0; dz.len()], vec![0.5; x.len()]);
        forward(isa, &mut z, &x, d, &mut scratch(d));
        backward(isa, &mut dx, &dz, &x, d, &mut scratch(d));
        let one = Dims { rows: 1, ..d };
        for b in 0..d.rows {
            let (row, pairs) = (b * size..(b + 1) * size, b * d.pairs()..(b + 1) * d.pairs());
            let (mut z_alone, mut dx_alone) = (vec![0.0; d.pairs()], vec![0.5; size]);
            forward(isa, &mut z_alone, &x[row.clone()], one, &mut scratch(one));
            backward(isa, &mut dx_alone, &dz[pairs.clone()], &x[row.clone()], one, &mut scratch(one));
            same_bits("z", &z_alone, &z[pairs]);
            same_bits("dx", &dx_alone, &dx[row]);
        }
    });
}

fn nan_reaches_exactly_its_pairs(isa: Isa) {
    let d = Dims { rows: 3, fields: 21, dim: 5, pairs: Pairs::Distinct };
    let mut x = numbers(d.rows * d.fields * d.dim, 9);
    x[(d.fields + 17) * d.dim + 2] = f32::NAN; // row 1, field 17
    let mut z = vec![0.0; d.rows * d.pairs()];
    forward(isa, &mut z, &x, d, &mut scratch(d));
    let mut p = 0;
    for b in 0..d.rows {
        for i in 0..d.fields {
            for j in 0..i {
                assert_eq!(z[p].is_nan(), b == 1 && (i == 17 || j == 17), "row {b} pair ({i}, {j})");
                p += 1;
            }
        }
    }
}

per_isa! {
    common_fields_agree:
        dot_interaction_common_scalar, dot_interaction_common_avx2, dot_interaction_common_avx512;
    forward_agrees: dot_interaction_scalar, dot_interaction_avx2, dot_interaction_avx512;
    backward_agrees_and_adds:
        dot_interaction_backward_scalar, dot_interaction_backward_avx2, dot_interaction_backward_avx512;
    a_row_has_the_same_bits_alone:
        dot_interaction_bits_scalar, dot_interaction_bits_avx2, dot_interaction_bits_avx512;
    nan_reaches_exactly_its_pairs:
        dot_interaction_nan_scalar, dot_interaction_nan_avx2, dot_interaction_nan_avx512;
}

#[test]
#[should_panic(expected = "shapes of the interaction")]
fn wrong_shapes_are_refused() {
    let d = Dims { rows: 2, fields: 3, dim: 4, pairs: Pairs::Distinct };
    forward(Isa::detect(), &mut [0.0; 5], &[0.0; 24], d, &mut scratch(d));
}
