//! One step of every optimiser against formulas written down independently, in f64.
mod common;

use common::{numbers, per_isa};
use dlrm_kernels::Isa;
use dlrm_kernels::optimizer::{self, Adagrad, Adam, Momentum};
use proptest::prelude::*;

/// Weights, gradients, two state arrays (the second positive) and the settings of a step.
#[derive(Debug, Clone)]
struct Case {
    w: Vec<f32>,
    g: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
    lr: f32,
    l2: f32,
}

fn cases() -> impl Strategy<Value = Case> {
    // The state of a first step is zero; later it is not.
    (
        1usize..=70,
        any::<u64>(),
        prop::sample::select(vec![0.0f32, 1e-4, 1.0]),
        1e-4f32..0.5,
        prop::sample::select(vec![0.0f32, 0.05]),
    )
        .prop_map(|(n, seed, state, lr, l2)| Case {
            w: numbers(n, seed),
            g: numbers(n, seed ^ 1),
            m: numbers(n, seed ^ 2).iter().map(|m| m * state).collect(),
            v: numbers(n, seed ^ 3).iter().map(|v| (v + 1.5) * state).collect(),
            lr,
            l2,
        })
}

/// Asserts a new weight: rounding of the weight itself, plus 1e-5 of the size of its update.
#[track_caller]
fn stepped(what: &str, got: f32, old: f32, want: f64, update: f64) {
    let tolerance = 1.2e-7 * (f64::from(old).abs() + want.abs()) + 1e-5 * update.abs();
    assert!(
        (f64::from(got) - want).abs() <= tolerance,
        "{what}: {got} is not {want} (from {old}, update {update:e})"
    );
}

/// Asserts a new state: relative 1e-6 of the terms it is the sum of.
#[track_caller]
fn kept(what: &str, got: f32, want: f64, size: f64) {
    assert!(
        (f64::from(got) - want).abs() <= 1e-6 * size,
        "{what}: {got} is not {want} (terms of size {size:e})"
    );
}

/// The gradient with its L2 term, and the size of its terms.
fn with_l2(case: &Case, i: usize) -> (f64, f64) {
    let (g, decay) = (f64::from(case.g[i]), f64::from(case.l2) * f64::from(case.w[i]));
    (g + decay, g.abs() + decay.abs())
}

fn sgd_agrees(isa: Isa) {
    proptest!(|(case in cases(), momentum in 0.0f32..0.99)| {
        let (mut plain, mut w, mut v) = (case.w.clone(), case.w.clone(), case.m.clone());
        optimizer::sgd(isa, &mut plain, &case.g, case.lr, case.l2);
        optimizer::momentum(isa, &mut w, &mut v, &case.g, Momentum { lr: case.lr, momentum, l2: case.l2 });
        for i in 0..w.len() {
            let (old, lr) = (f64::from(case.w[i]), f64::from(case.lr));
            let (g, size) = with_l2(&case, i);
            stepped("sgd", plain[i], case.w[i], old - lr * g, lr * size);
            let carried = f64::from(momentum) * f64::from(case.m[i]);
            kept("velocity", v[i], carried + g, carried.abs() + size);
            stepped("momentum", w[i], case.w[i], old - lr * (carried + g), lr * (carried.abs() + size));
        }
    });
}

fn adagrad_agrees(isa: Isa) {
    proptest!(|(case in cases())| {
        let eps = 1e-8;
        let settings = Adagrad { lr: case.lr, eps: eps as f32, l2: case.l2 };
        let (mut w, mut s) = (case.w.clone(), case.v.clone());
        optimizer::adagrad(isa, &mut w, &mut s, &case.g, settings);
        let (mut row, mut row_s) = (case.w.clone(), case.v[0]);
        optimizer::rowwise_adagrad(isa, &mut row, &mut row_s, &case.g, settings);
        let n = w.len();
        let (mut mean, mut mean_size) = (0.0, 0.0);
        for i in 0..n {
            let (g, size) = with_l2(&case, i);
            (mean, mean_size) = (mean + g * g / n as f64, mean_size + size * size / n as f64);
        }
        let want_row_s = f64::from(case.v[0]) + mean;
        kept("row sum", row_s, want_row_s, f64::from(case.v[0]) + mean_size);
        for i in 0..n {
            let (old, lr) = (f64::from(case.w[i]), f64::from(case.lr));
            let (g, size) = with_l2(&case, i);
            let want_s = f64::from(case.v[i]) + g * g;
            kept("sum", s[i], want_s, f64::from(case.v[i]) + size * size);
            // lr · g / √s is only as good as s is, and near g = 0 = s as good as nothing: hence the size of g
            // over its root.
            let step = lr / (want_s.sqrt() + eps);
            stepped("adagrad", w[i], case.w[i], old - step * g, step * size);
            let step = lr / (want_row_s.sqrt() + eps);
            stepped("row-wise adagrad", row[i], case.w[i], old - step * g, step * size);
        }
    });
}

fn adam_agrees(isa: Isa) {
    let betas = prop::sample::select(vec![(0.9, 0.999), (0.8, 0.99), (0.0, 0.9999)]);
    let decays = prop::sample::select(vec![0.0f32, 0.01]);
    proptest!(|(case in cases(), t in 1u64..3000, (beta1, beta2) in betas, decay in decays)| {
        let eps = 1e-8;
        let a = Adam { lr: case.lr, eps: eps as f32, l2: case.l2, decay, ..Adam::default() }
            .at_step(t, beta1, beta2);
        let [(mut w, mut m, mut v), (mut lazy, mut lazy_m, mut lazy_v)] =
            [(); 2].map(|()| (case.w.clone(), case.m.clone(), case.v.clone()));
        optimizer::adam(isa, &mut w, &mut m, &mut v, &case.g, a);
        optimizer::adam_lazy(isa, &mut lazy, &mut lazy_m, &mut lazy_v, &case.g, a);
        common::same_bits("m", &m, &lazy_m);
        common::same_bits("v", &v, &lazy_v);
        let (c1, c2) = (1.0 - beta1.powi(t as i32), 1.0 - beta2.powi(t as i32));
        for i in 0..w.len() {
            let (old, lr, decay) = (f64::from(case.w[i]), f64::from(case.lr), f64::from(decay));
            let (g, size) = with_l2(&case, i);
            let (old_m, old_v) = (beta1 * f64::from(case.m[i]), beta2 * f64::from(case.v[i]));
            let (want_m, want_v) = (old_m + (1.0 - beta1) * g, old_v + (1.0 - beta2) * g * g);
            let m_size = old_m.abs() + (1.0 - beta1) * size;
            kept("m", m[i], want_m, m_size);
            kept("v", v[i], want_v, old_v + (1.0 - beta2) * size * size);
            let step = lr / c1 / ((want_v / c2).sqrt() + eps);
            stepped(
                "adam",
                w[i],
                case.w[i],
                old * (1.0 - lr * decay) - step * want_m,
                step * m_size + lr * decay * old,
            );
            let step = lr * c2.sqrt() / c1 / (want_v.sqrt() + eps);
            stepped("lazy adam", lazy[i], case.w[i], old - step * want_m, step * m_size);
        }
    });
}

per_isa! {
    sgd_agrees: sgd_scalar, sgd_avx2, sgd_avx512;
    adagrad_agrees: adagrad_scalar, adagrad_avx2, adagrad_avx512;
    adam_agrees: adam_scalar, adam_avx2, adam_avx512;
}

/// Steps small enough to be done by hand.
#[test]
fn first_steps_are_those_of_the_papers() {
    let isa = Isa::detect();
    // Heavy ball: v = 1, then 0.5 · 1 + 1; w = -0.1, then -0.25.
    let (mut w, mut v) = ([0.0], [0.0]);
    optimizer::momentum(isa, &mut w, &mut v, &[1.0], Momentum { lr: 0.1, momentum: 0.5, l2: 0.0 });
    optimizer::momentum(isa, &mut w, &mut v, &[1.0], Momentum { lr: 0.1, momentum: 0.5, l2: 0.0 });
    assert!((w[0] + 0.25f32).abs() < 1e-7 && v[0] == 1.5);
    // Adam's first step is lr · sign(g), whatever the size of g.
    for g in [1e-3, 10.0] {
        let (mut w, mut m, mut v) = ([0.0], [0.0], [0.0]);
        let a = Adam { lr: 0.01, ..Adam::default() }.at_step(1, 0.9, 0.999);
        optimizer::adam(isa, &mut w, &mut m, &mut v, &[g], a);
        assert!((w[0] + 0.01f32).abs() < 1e-7, "{w:?}");
    }
}

#[test]
#[should_panic(expected = "one gradient and one state per weight")]
fn a_short_gradient_is_refused() {
    optimizer::sgd(Isa::detect(), &mut [0.0; 3], &[0.0; 2], 0.1, 0.0);
}
