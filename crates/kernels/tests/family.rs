//! Kernels of the model family: definitions against central differences, fast paths against the definitions.
mod common;

use common::{check_gradient, close, dot, numbers, per_isa, same_bits, sizes, wide};
use dlrm_kernels::activation::{self, Activation, ActivationGradients, reference as act};
use dlrm_kernels::interaction::{self, reference as inter};
use dlrm_kernels::norm::{self, Columns, Dropout, NormGradients};
use dlrm_kernels::{Isa, elementwise};
use proptest::prelude::*;

/// All but the one that is learned.
const FIXED: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
];

/// As [`check_gradient`], for functions that are no polynomials: differences of fourth order, errors near
/// 1e-11.
fn check_smooth(what: &str, x: &[f64], gradient: &[f64], tolerance: f64, loss: impl Fn(&[f64]) -> f64) {
    let h = 1e-3;
    for i in 0..x.len() {
        let at = |step: f64| {
            let mut moved = x.to_vec();
            moved[i] += step;
            loss(&moved)
        };
        let numeric = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
        assert!(
            (numeric - gradient[i]).abs() <= tolerance * (1.0 + numeric.abs()),
            "{what} at {i}: {numeric} but {}",
            gradient[i]
        );
    }
}

#[test]
fn slopes_are_derivatives() {
    let x = wide(&numbers(33, 1)).iter().map(|x| 4.0 * x).collect::<Vec<_>>();
    for f in FIXED {
        let slopes: Vec<f64> = x.iter().map(|&x| act::derivative(f, x, 0.0)).collect();
        check_smooth(&format!("{f:?}"), &x, &slopes, 1e-9, |x| {
            x.iter().map(|&x| act::value(f, x, 0.0)).sum()
        });
    }
    for (x, a) in [(0.7, 0.3), (-0.7, 0.3)] {
        let (dx, da) = act::prelu_backward(1.0, x, a);
        assert_eq!(dx, act::derivative(Activation::Prelu, x, a));
        check_gradient("prelu", &[x, a], &[dx, da], |v| act::value(Activation::Prelu, v[0], v[1]));
    }
}

#[test]
fn reference_gradients_of_interactions_are_derivatives() {
    for (rows, fields, dim) in [(1, 1, 1), (2, 3, 5), (3, 4, 1)] {
        let x = wide(&numbers(rows * fields * dim, 1));
        let dy = wide(&numbers(rows * dim, 2));
        let mut dx = vec![0.0; x.len()];
        inter::fm_interaction_backward(&mut dx, &dy, &x, fields, dim);
        check_gradient("second order", &x, &dx, |x| {
            let mut y = vec![0.0; dy.len()];
            inter::fm_interaction(&mut y, x, fields, dim);
            dot(&y, &dy)
        });
        let x = wide(&numbers(rows * fields * fields * dim, 3));
        let dy = wide(&numbers(rows, 4));
        let mut dx = vec![0.0; x.len()];
        inter::ffm_interaction_backward(&mut dx, &dy, &x, fields, dim);
        check_gradient("field aware", &x, &dx, |x| {
            let mut y = vec![0.0; dy.len()];
            inter::ffm_interaction(&mut y, x, fields, dim);
            dot(&y, &dy)
        });
        let shape = (fields, dim);
        let (a, b, dy) = (
            wide(&numbers(rows * fields, 5)),
            wide(&numbers(rows * dim, 6)),
            wide(&numbers(rows * fields * dim, 7)),
        );
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        inter::outer_backward_left(&mut da, &dy, &b, shape);
        inter::outer_backward_right(&mut db, &dy, &a, shape);
        let loss = |a: &[f64], b: &[f64]| {
            let mut y = vec![0.0; dy.len()];
            inter::outer(&mut y, a, b, shape);
            dot(&y, &dy)
        };
        check_gradient("outer, left", &a, &da, |a| loss(a, &b));
        check_gradient("outer, right", &b, &db, |b| loss(&a, b));
    }
}

fn activations_agree(isa: Isa) {
    let (x, dy) = (numbers(67, 1).iter().map(|x| 9.0 * x).collect::<Vec<_>>(), numbers(67, 2));
    for f in FIXED {
        let mut y = vec![f32::NAN; x.len()];
        activation::forward(isa, &mut y, &x, f, &[]);
        let want: Vec<f64> = x.iter().map(|&x| act::value(f, f64::from(x), 0.0)).collect();
        close("y", &y, &want, &want.iter().map(|y| y.abs() + 0.01).collect::<Vec<_>>());
        let mut dx = vec![1.0; x.len()];
        let into = ActivationGradients { dx: &mut dx, dslopes: &mut [] };
        activation::backward(isa, into, &dy, &x, f, &[]);
        let want: Vec<f64> = x
            .iter()
            .zip(&dy)
            .map(|(&x, &dy)| 1.0 + f64::from(dy) * act::derivative(f, f64::from(x), 0.0))
            .collect();
        close("dx", &dx, &want, &vec![2.0; x.len()]);
    }
    let (slopes, x, dy) = (numbers(7, 3), numbers(35, 4), numbers(35, 5));
    let (mut y, mut dx, mut ds) = (vec![0.0; 35], vec![0.0; 35], vec![0.0; 7]);
    activation::forward(isa, &mut y, &x, Activation::Prelu, &slopes);
    let into = ActivationGradients { dx: &mut dx, dslopes: &mut ds };
    activation::backward(isa, into, &dy, &x, Activation::Prelu, &slopes);
    let mut want = vec![0.0f32; 7];
    for i in 0..35 {
        assert_eq!(y[i], act::value(Activation::Prelu, x[i], slopes[i % 7]));
        let (own, slope) = act::prelu_backward(dy[i], x[i], slopes[i % 7]);
        assert_eq!(dx[i], own);
        want[i % 7] += slope;
    }
    same_bits("slopes", &ds, &want);
}

fn interactions_agree(isa: Isa) {
    proptest!(|(rows in 0usize..4, fields in 1usize..=9, dim in 1usize..=37, seed: u64)| {
        let (x, dy) = (numbers(rows * fields * dim, seed), numbers(rows * dim, seed ^ 1));
        let mut y = vec![f32::NAN; rows * dim];
        interaction::fm_interaction(isa, &mut y, &x, fields, dim);
        let (mut want, mut size) = (vec![0.0; y.len()], vec![0.0; y.len()]);
        inter::fm_interaction(&mut want, &wide(&x), fields, dim);
        inter::fm_interaction(&mut size, &sizes(&x), fields, dim);
        close("second order", &y, &want, &size.iter().map(|s| s + 0.1).collect::<Vec<_>>());
        let before = numbers(x.len(), seed ^ 2);
        let (mut dx, mut want, mut size) = (before.clone(), wide(&before), sizes(&before));
        interaction::fm_interaction_backward(isa, &mut dx, &dy, &x, fields, dim);
        inter::fm_interaction_backward(&mut want, &wide(&dy), &wide(&x), fields, dim);
        inter::fm_interaction_backward(&mut size, &sizes(&dy), &sizes(&x), fields, dim);
        // The sum of all less the own vector rounds as the sum of all.
        close("second order dx", &dx, &want, &size.iter().map(|s| s + 1.0).collect::<Vec<_>>());

        let (x, dy) = (numbers(rows * fields * fields * dim, seed), numbers(rows, seed ^ 1));
        let mut y = vec![f32::NAN; rows];
        interaction::ffm_interaction(isa, &mut y, &x, fields, dim);
        let (mut want, mut size) = (vec![0.0; rows], vec![0.0; rows]);
        inter::ffm_interaction(&mut want, &wide(&x), fields, dim);
        inter::ffm_interaction(&mut size, &sizes(&x), fields, dim);
        close("field aware", &y, &want, &size);
        let mut dx = vec![0.0; x.len()];
        let (mut want, mut size) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        interaction::ffm_interaction_backward(isa, &mut dx, &dy, &x, fields, dim);
        inter::ffm_interaction_backward(&mut want, &wide(&dy), &wide(&x), fields, dim);
        inter::ffm_interaction_backward(&mut size, &sizes(&dy), &sizes(&x), fields, dim);
        close("field aware dx", &dx, &want, &size);
    });
}

fn products_agree(isa: Isa) {
    proptest!(|(rows in 1usize..5, h in 1usize..=9, m in 1usize..=37, seed: u64)| {
        let shape = (h, m);
        let (a, b, dy) =
            (numbers(rows * h, seed), numbers(rows * m, seed ^ 1), numbers(rows * h * m, seed ^ 2));
        let mut y = vec![f32::NAN; dy.len()];
        interaction::outer(isa, &mut y, &a, &b, shape);
        let mut exact = vec![0.0; dy.len()];
        inter::outer(&mut exact, &a, &b, shape);
        same_bits("outer", &y, &exact);
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        interaction::outer_backward_left(isa, &mut da, &dy, &b, shape);
        interaction::outer_backward_right(isa, &mut db, &dy, &a, shape);
        let (mut want_a, mut size_a, mut want_b, mut size_b) =
            (vec![0.0; a.len()], vec![0.0; a.len()], vec![0.0; b.len()], vec![0.0; b.len()]);
        inter::outer_backward_left(&mut want_a, &wide(&dy), &wide(&b), shape);
        inter::outer_backward_left(&mut size_a, &sizes(&dy), &sizes(&b), shape);
        inter::outer_backward_right(&mut want_b, &wide(&dy), &wide(&a), shape);
        inter::outer_backward_right(&mut size_b, &sizes(&dy), &sizes(&a), shape);
        close("outer, left", &da, &want_a, &size_a);
        close("outer, right", &db, &want_b, &size_b);

        let (x, z) = (numbers(rows * m, seed ^ 3), numbers(rows, seed ^ 4));
        let (mut product, mut dots, mut scaled) = (vec![0.5; b.len()], vec![0.5; rows], vec![0.5; b.len()]);
        elementwise::add_product(isa, &mut product, &b, &x);
        elementwise::row_dots(isa, &mut dots, &b, &x);
        elementwise::add_scaled_rows(isa, &mut scaled, &b, &z);
        for i in 0..rows * m {
            let (b, x, z) = (f64::from(b[i]), f64::from(x[i]), f64::from(z[i / m]));
            close("product", &product[i..=i], &[0.5 + b * x], &[1.0]);
            close("scaled", &scaled[i..=i], &[0.5 + b * z], &[1.0]);
        }
        for s in 0..rows {
            let want: f64 = (0..m).map(|j| f64::from(b[s * m + j]) * f64::from(x[s * m + j])).sum();
            close("dots", &dots[s..=s], &[0.5 + want], &[0.5 + m as f64]);
        }
    });
}

/// Forward against the definition, backward against central differences of the definition in f64.
fn norms_agree(isa: Isa) {
    for (rows, n) in [(1, 1), (2, 3), (5, 17), (9, 40)] {
        let (x, gamma, beta, dy) = (numbers(rows * n, 1), numbers(n, 2), numbers(n, 3), numbers(rows * n, 4));
        let (mut mean, mut scale) = (vec![0.0; n], vec![0.0; n]);
        norm::column_moments(isa, &mut mean, &mut scale, &x);
        norm::scales(&mut scale);
        let by = Columns { mean: &mean, scale: &scale, gamma: &gamma, beta: &beta };
        type Definition = fn(&mut [f64], &[f64], &[f64], &[f64]);
        let kinds: [(&str, Definition); 2] =
            [("layer", norm::reference::layer), ("batch", norm::reference::batch)];
        for (name, definition) in kinds {
            let (mut y, mut dx, mut dgamma, mut dbeta) =
                (vec![f32::NAN; x.len()], vec![0.0; x.len()], vec![0.0; n], vec![0.0; n]);
            let into = NormGradients { dx: &mut dx, dgamma: &mut dgamma, dbeta: &mut dbeta };
            if name == "layer" {
                norm::layer(isa, &mut y, &x, &gamma, &beta);
                norm::layer_backward(isa, into, &dy, &x, &gamma);
            } else {
                norm::batch(isa, &mut y, &x, by);
                norm::batch_backward(isa, into, &dy, &x, by, &mut vec![f32::NAN; 2 * n]);
            }
            let mut want = vec![0.0; x.len()];
            definition(&mut want, &wide(&x), &wide(&gamma), &wide(&beta));
            // Two rows of nearly equal values divide a small difference by a small deviation.
            close(name, &y, &want, &vec![10.0; x.len()]);
            let loss = |x: &[f64], gamma: &[f64], beta: &[f64]| {
                let mut y = vec![0.0; x.len()];
                definition(&mut y, x, gamma, beta);
                dot(&y, &wide(&dy))
            };
            check_smooth(&format!("{name} dx"), &wide(&x), &wide(&dx), 2e-4, |x| {
                loss(x, &wide(&gamma), &wide(&beta))
            });
            check_smooth(&format!("{name} dgamma"), &wide(&gamma), &wide(&dgamma), 1e-4, |gamma| {
                loss(&wide(&x), gamma, &wide(&beta))
            });
            check_smooth(&format!("{name} dbeta"), &wide(&beta), &wide(&dbeta), 1e-5, |beta| {
                loss(&wide(&x), &wide(&gamma), beta)
            });
        }
    }
}

/// The share of zeros, the scale of the rest, and independence of how rows are cut into shards.
fn dropout_is_a_function_of_the_place(isa: Isa) {
    let (rows, n, rate) = (200, 100, 0.3);
    let x = vec![1.0; rows * n];
    let mut whole = vec![0.0; rows * n];
    let by = Dropout { key: 7, first_row: 5, rate };
    norm::dropout(isa, &mut whole, &x, n, by);
    let zeros = whole.iter().filter(|&&y| y == 0.0).count() as f64 / whole.len() as f64;
    assert!((zeros - 0.3).abs() < 0.015, "{zeros}");
    assert!(whole.iter().all(|&y| y == 0.0 || y == 1.0 / 0.7));
    for column in 0..n {
        let zeros = (0..rows).filter(|r| whole[r * n + column] == 0.0).count();
        assert!((25..=100).contains(&zeros), "column {column}: {zeros} of {rows}");
    }
    let (mut first, mut second) = (vec![0.0; 70 * n], vec![0.0; 130 * n]);
    norm::dropout(isa, &mut first, &x[..70 * n], n, by);
    norm::dropout(isa, &mut second, &x[70 * n..], n, Dropout { first_row: 75, ..by });
    assert_eq!([first, second].concat(), whole);
    let mut other = vec![0.0; rows * n];
    norm::dropout(isa, &mut other, &x, n, Dropout { key: 8, ..by });
    let both =
        whole.iter().zip(&other).filter(|&(&a, &b)| a == 0.0 && b == 0.0).count() as f64 / whole.len() as f64;
    assert!((both - 0.09).abs() < 0.01, "another key is independent: {both}");
}

per_isa! {
    activations_agree: activations_scalar, activations_avx2, activations_avx512;
    interactions_agree: interactions_scalar, interactions_avx2, interactions_avx512;
    products_agree: products_scalar, products_avx2, products_avx512;
    norms_agree: norms_scalar, norms_avx2, norms_avx512;
    dropout_is_a_function_of_the_place: dropout_scalar, dropout_avx2, dropout_avx512;
}
