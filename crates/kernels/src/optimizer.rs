//! One update step of a run of parameters. `w` weights, `g` their gradient, further slices are state.
//!
//! Each function is written once, element by element; the instruction sets only vectorise it.
//! Formulas are those of PyTorch 2 (`SGD`, `Adagrad`, `Adam`, `AdamW`, `SparseAdam`) and, for the row-wise
//! Adagrad, of the reference DLRM.
use crate::half::Numbers;
use crate::simd::Simd;

/// What a slice of the wrong length is told: updating only what fits would go unnoticed.
const LENGTHS: &str = "one gradient and one state per weight";

#[inline(always)]
fn sgd_body(simd: impl Simd, w: &mut [f32], g: &[f32], lr: f32, l2: f32) {
    assert_eq!(w.len(), g.len(), "{LENGTHS}");
    for (w, &g) in w.iter_mut().zip(g) {
        *w = simd.fma(-lr, simd.fma(l2, *w, g), *w);
    }
}

bind! {
    /// Gradient descent: w ← w - lr (g + l2·w).
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn sgd(w: &mut [f32], g: &[f32], lr: f32, l2: f32) = sgd_body
}

/// Settings of a step of stochastic gradient descent with momentum.
#[derive(Debug, Clone, Copy)]
pub struct Momentum {
    /// Learning rate.
    pub lr: f32,
    /// Share of the last step that the next one keeps.
    pub momentum: f32,
    /// L2 term added to the gradient.
    pub l2: f32,
}

#[inline(always)]
fn momentum_body(simd: impl Simd, w: &mut [f32], v: &mut [f32], g: &[f32], a: Momentum) {
    assert_eq!((w.len(), w.len()), (v.len(), g.len()), "{LENGTHS}");
    for ((w, v), &g) in w.iter_mut().zip(v).zip(g) {
        *v = simd.fma(a.momentum, *v, simd.fma(a.l2, *w, g));
        *w = simd.fma(-a.lr, *v, *w);
    }
}

bind! {
    /// Momentum: v ← momentum·v + (g + l2·w); w ← w - lr·v. (v starts at zero, which equals PyTorch's first
    /// step.)
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn momentum(w: &mut [f32], v: &mut [f32], g: &[f32], a: Momentum) = momentum_body
}

/// Settings of an Adagrad step.
#[derive(Debug, Clone, Copy)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f32,
    /// Added to the root.
    pub eps: f32,
    /// L2 term added to the gradient.
    pub l2: f32,
}

#[inline(always)]
fn adagrad_body(simd: impl Simd, w: &mut [f32], s: &mut [f32], g: &[f32], a: Adagrad) {
    assert_eq!((w.len(), w.len()), (s.len(), g.len()), "{LENGTHS}");
    for ((w, s), &g) in w.iter_mut().zip(s).zip(g) {
        let g = simd.fma(a.l2, *w, g);
        *s = simd.fma(g, g, *s);
        *w -= a.lr * g / (s.sqrt() + a.eps);
    }
}

bind! {
    /// Adagrad: s ← s + g²; w ← w - lr·g / (√s + eps), with g ← g + l2·w first.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn adagrad(w: &mut [f32], s: &mut [f32], g: &[f32], a: Adagrad) = adagrad_body
}

#[inline(always)]
fn rowwise_adagrad_body(simd: impl Simd, w: &mut [f32], s: &mut f32, g: &[f32], a: Adagrad) {
    assert_eq!(w.len(), g.len(), "{LENGTHS}");
    // Eight partial sums, so that the order is fixed and vectors can be used.
    let mut partial = [0.0f32; 8];
    for (w, g) in w.chunks(8).zip(g.chunks(8)) {
        for ((partial, &w), &g) in partial.iter_mut().zip(w).zip(g) {
            let g = simd.fma(a.l2, w, g);
            *partial = simd.fma(g, g, *partial);
        }
    }
    *s += partial.iter().sum::<f32>() / w.len() as f32;
    let step = a.lr / (s.sqrt() + a.eps);
    for (w, &g) in w.iter_mut().zip(g) {
        *w = simd.fma(-step, simd.fma(a.l2, *w, g), *w);
    }
}

bind! {
    /// Adagrad with one state per row: s ← s + mean(g²); w ← w - lr·g / (√s + eps), with g ← g + l2·w first.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn rowwise_adagrad(w: &mut [f32], s: &mut f32, g: &[f32], a: Adagrad) = rowwise_adagrad_body
}

/// What an Adam step needs besides the slices: fill in `lr`, `eps`, `l2` and `decay`, then call
/// [`Adam::at_step`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Adam {
    /// Learning rate of this step.
    pub lr: f32,
    /// Added to the root.
    pub eps: f32,
    /// L2 term added to the gradient.
    pub l2: f32,
    /// Decoupled decay: w ← w (1 - lr·decay) first (AdamW).
    pub decay: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// 1 - beta1, rounded once: taken from the rounded beta it would be wrong in the fifth digit.
    pub gain1: f32,
    /// 1 - beta2, likewise.
    pub gain2: f32,
    /// 1 - beta1^t
    pub correction1: f32,
    /// √(1 - beta2^t)
    pub root_correction2: f32,
}

impl Adam {
    /// Fills in everything that the betas and the step `t` (the first is 1) decide, computed in f64.
    pub fn at_step(self, t: u64, beta1: f64, beta2: f64) -> Self {
        let t = t as f64;
        Adam {
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            gain1: (1.0 - beta1) as f32,
            gain2: (1.0 - beta2) as f32,
            correction1: (1.0 - libm::pow(beta1, t)) as f32,
            root_correction2: (1.0 - libm::pow(beta2, t)).sqrt() as f32,
            ..self
        }
    }
}

#[inline(always)]
fn adam_body(simd: impl Simd, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], a: Adam) {
    assert_eq!((w.len(), w.len(), w.len()), (m.len(), v.len(), g.len()), "{LENGTHS}");
    let step = a.lr / a.correction1;
    for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
        let g = simd.fma(a.l2, *w, g);
        let decayed = *w * (1.0 - a.lr * a.decay);
        *m = simd.fma(a.beta1, *m, a.gain1 * g);
        *v = simd.fma(a.beta2, *v, a.gain2 * g * g);
        *w = decayed - step * *m / (v.sqrt() / a.root_correction2 + a.eps);
    }
}

bind! {
    /// Adam or AdamW: m, v moments; w ← w - lr/c1 · m / (√v/√c2 + eps).
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn adam(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], a: Adam) = adam_body
}

#[inline(always)]
fn adam_lazy_body(simd: impl Simd, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], a: Adam) {
    assert_eq!((w.len(), w.len(), w.len()), (m.len(), v.len(), g.len()), "{LENGTHS}");
    let step = a.lr * a.root_correction2 / a.correction1;
    for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
        let g = simd.fma(a.l2, *w, g);
        *m = simd.fma(a.beta1, *m, a.gain1 * g);
        *v = simd.fma(a.beta2, *v, a.gain2 * g * g);
        *w -= step * *m / (v.sqrt() + a.eps);
    }
}

bind! {
    /// PyTorch's `SparseAdam` on a touched row: as [`adam`], with eps inside the correction:
    /// w ← w - lr·√c2/c1 · m / (√v + eps).
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn adam_lazy(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], a: Adam) = adam_lazy_body
}

/// Settings of an FTRL-Proximal step.
#[derive(Debug, Clone, Copy)]
pub struct Ftrl {
    /// α: learning rate.
    pub lr: f32,
    /// α of the last step of these weights; of their start before the first.
    pub last: f32,
    /// β: added to the root, so that the first steps are not too long.
    pub beta: f32,
    /// λ1: weights whose |z| stays below it are exactly zero.
    pub l1: f32,
    /// λ2
    pub l2: f32,
}

#[inline(always)]
fn ftrl_body(simd: impl Simd, w: &mut [f32], z: &mut [f32], n: &mut [f32], g: &[f32], a: Ftrl) {
    assert_eq!((w.len(), w.len(), w.len()), (z.len(), n.len(), g.len()), "{LENGTHS}");
    if a.lr == 0.0 {
        return; // A schedule may end at a rate of zero, which moves nothing.
    }
    for (((w, z), n), &g) in w.iter_mut().zip(z).zip(n).zip(g) {
        let squares = simd.fma(g, g, *n);
        let root = squares.sqrt();
        // By the first formula as long as the rate stays, which rounds less.
        let sigma = if a.last == a.lr {
            (root - n.sqrt()) / a.lr
        } else {
            (a.beta + root) / a.lr - (a.beta + n.sqrt()) / a.last
        };
        *z = simd.fma(-sigma, *w, *z + g);
        *n = squares;
        let shrunk = z.signum() * a.l1 - *z;
        *w = if z.abs() <= a.l1 { 0.0 } else { shrunk / ((a.beta + root) / a.lr + a.l2) };
    }
}

bind! {
    /// FTRL-Proximal (McMahan et al. 2013, algorithm 1), z and n its two sums:
    /// σ = (β + √(n + g²)) / α - (β + √n) / α', where α' is the rate of the step before; z ← z + g - σw;
    /// n ← n + g²; w ← 0 where |z| ≤ λ1, else -(z - sign(z) λ1) / ((β + √n) / α + λ2).
    ///
    /// The strengths σ of the steps add up to (β + √n) / α whatever the rate was before. With this step's
    /// rate alone in σ, a new rate would scale all that was learned by their ratio.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn ftrl(w: &mut [f32], z: &mut [f32], n: &mut [f32], g: &[f32], a: Ftrl) = ftrl_body
}

/// The z for which FTRL's weights are `w` before the first step, n being `n`: without it the first step would
/// forget them. What one of both has more than the other stays.
pub fn ftrl_start(z: &mut [f32], w: Numbers<'_>, n: f32, a: Ftrl) {
    for (z, w) in z.iter_mut().zip(w.iter()) {
        *z = if w == 0.0 { 0.0 } else { -w * ((a.beta + n.sqrt()) / a.lr + a.l2) - w.signum() * a.l1 };
    }
}

/// Definitions in f64, one element at a time, for the tests.
pub mod reference {
    /// Step of [`super::sgd`].
    pub fn sgd(w: f64, g: f64, lr: f64, l2: f64) -> f64 {
        w - lr * (g + l2 * w)
    }

    /// Step of [`super::adagrad`]: (w, s).
    pub fn adagrad(w: f64, s: f64, g: f64, (lr, eps, l2): (f64, f64, f64)) -> (f64, f64) {
        let g = g + l2 * w;
        let s = s + g * g;
        (w - lr * g / (s.sqrt() + eps), s)
    }

    /// Step of [`super::ftrl`]: (w, z, n). `last` is the rate of the step before.
    pub fn ftrl(
        (w, z, n): (f64, f64, f64),
        g: f64,
        [alpha, last, beta, l1, l2]: [f64; 5],
    ) -> (f64, f64, f64) {
        let sigma = (beta + (n + g * g).sqrt()) / alpha - (beta + n.sqrt()) / last;
        let (z, n) = (z + g - sigma * w, n + g * g);
        let w = if z.abs() <= l1 { 0.0 } else { -(z - z.signum() * l1) / ((beta + n.sqrt()) / alpha + l2) };
        (w, z, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_isa_equals_the_definition(
            w in prop::collection::vec(-2.0f32..2.0, 1..40), lr in 0.01f32..0.5, l2 in 0.0f32..0.1
        ) {
            let g: Vec<f32> = w.iter().rev().map(|x| x * 0.7 + 0.1).collect();
            for isa in Isa::available() {
                let mut plain = w.clone();
                sgd(isa, &mut plain, &g, lr, l2);
                let (mut ada, mut s) = (w.clone(), vec![0.1; w.len()]);
                adagrad(isa, &mut ada, &mut s, &g, Adagrad { lr, eps: 1e-10, l2 });
                for i in 0..w.len() {
                    let (w, g, lr, l2) = (f64::from(w[i]), f64::from(g[i]), f64::from(lr), f64::from(l2));
                    prop_assert!((f64::from(plain[i]) - reference::sgd(w, g, lr, l2)).abs() < 1e-6);
                    let (want, want_s) = reference::adagrad(w, f64::from(0.1f32), g, (lr, 1e-10, l2));
                    prop_assert!((f64::from(ada[i]) - want).abs() < 1e-6);
                    prop_assert!((f64::from(s[i]) - want_s).abs() < 1e-5);
                }
            }
        }
    }
    /// Untouched rows are updated by one call for many: the bits are those of a call for each.
    #[test]
    fn a_run_of_rows_is_updated_as_its_rows() {
        let adam = Adam { lr: 0.01, eps: 1e-8, l2: 0.1, decay: 0.0, ..Adam::default() };
        let adam = adam.at_step(3, 0.9, 0.999);
        let adagrad = Adagrad { lr: 0.1, eps: 1e-10, l2: 0.1 };
        for isa in Isa::available() {
            for (dim, rows) in [(1, 77), (3, 41), (16, 9), (17, 8)] {
                let value = |i: usize| ((i * 37) % 101) as f32 * 0.013 - 0.5;
                let start: Vec<f32> = (0..dim * rows).map(value).collect();
                let state: Vec<f32> = start.iter().map(|x| x * x).collect();
                let g = vec![0.0; dim * rows];
                let update = |at_once: usize| {
                    let mut all: [Vec<f32>; 6] =
                        [&start, &state, &state, &start, &state, &start].map(Vec::clone);
                    let [w, m, v, w2, s, w3] = &mut all;
                    for run in (0..rows).step_by(at_once) {
                        let run = run * dim..(run + at_once).min(rows) * dim;
                        let g = &g[run.clone()];
                        super::adam(
                            isa,
                            &mut w[run.clone()],
                            &mut m[run.clone()],
                            &mut v[run.clone()],
                            g,
                            adam,
                        );
                        super::adagrad(isa, &mut w2[run.clone()], &mut s[run.clone()], g, adagrad);
                        sgd(isa, &mut w3[run], g, 0.1, 0.1);
                    }
                    all.map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
                };
                assert_eq!(update(1), update(rows), "{isa:?} {dim} {rows}");
                assert_eq!(update(1), update(5), "{isa:?} {dim} {rows}");
            }
        }
    }

    #[test]
    fn ftrl_keeps_its_start_and_is_sparse() {
        let a = Ftrl { lr: 0.1, last: 0.1, beta: 1.0, l1: 0.5, l2: 0.2 };
        let settings = [0.1f32, 0.1, 1.0, 0.5, 0.2].map(f64::from);
        for isa in Isa::available() {
            let start: Vec<f32> = (0..37).map(|i| (i as f32 - 18.0) * 0.03).collect();
            let (mut w, mut z, mut n) = (start.clone(), vec![0.0; 37], vec![0.0; 37]);
            ftrl_start(&mut z, Numbers::F32(&w), 0.0, a);
            ftrl(isa, &mut w, &mut z, &mut n, &[0.0; 37], a);
            assert!(
                w.iter().zip(&start).all(|(w, start)| (w - start).abs() < 1e-6),
                "no gradient, no change"
            );
            let (mut w, mut z, mut n) = (vec![0.0; 37], vec![0.0; 37], vec![0.0; 37]);
            let mut want = [(0.0, 0.0, 0.0); 37];
            for step in 0..20 {
                let g: Vec<f32> = (0..37)
                    .map(|i| ((i * 7 + step * 3) % 11) as f32 * 0.02 - 0.1 + (i % 4) as f32 * 0.05)
                    .collect();
                ftrl(isa, &mut w, &mut z, &mut n, &g, a);
                for (want, &g) in want.iter_mut().zip(&g) {
                    *want = reference::ftrl(*want, f64::from(g), settings);
                }
            }
            for (i, &(want_w, want_z, want_n)) in want.iter().enumerate() {
                let close = |x: f32, y: f64| (f64::from(x) - y).abs() < 1e-5;
                assert!(close(w[i], want_w) && close(z[i], want_z) && close(n[i], want_n), "{i}");
            }
            assert!(w.contains(&0.0) && w.iter().any(|&w| w != 0.0), "l1 zeroes some weights, not all");
        }
    }

    /// The weights minimise Σ g·w + ½ Σ σ (w - w_s)² + λ1 |w| + ½ λ2 w² over the steps s so far, where the
    /// sum of the σ is (β + √n) / α at every step, whatever its rate.
    #[test]
    fn ftrl_under_a_changing_rate_minimises_its_sum() {
        let (beta, l1, l2) = (1.0f32, 0.05f32, 0.01f32);
        let [beta_wide, l1_wide, l2_wide] = [beta, l1, l2].map(f64::from);
        for isa in Isa::available() {
            let (mut w, mut z, mut n, mut last) = ([0.0f32; 9], [0.0f32; 9], [0.0f32; 9], 0.3f32);
            // Of each weight: Σ g, Σ g², Σ σ w_s, Σ σ, and w.
            let mut sums = [[0.0, 0.0, 0.0, beta_wide / f64::from(last), 0.0]; 9];
            for step in 0..40 {
                // Warmed up, then a cosine down to a thousandth.
                let lr = if step < 5 {
                    0.06 * (step + 1) as f32
                } else {
                    0.15 * (1.002 + (step as f32 / 12.5).cos())
                };
                let g: [f32; 9] = std::array::from_fn(|i| ((i * 7 + step * 3) % 11) as f32 * 0.05 - 0.2);
                ftrl(isa, &mut w, &mut z, &mut n, &g, Ftrl { lr, last, beta, l1, l2 });
                last = lr;
                for (i, [gradients, squares, pulled, strength, old]) in sums.iter_mut().enumerate() {
                    let g = f64::from(g[i]);
                    (*gradients, *squares) = (*gradients + g, *squares + g * g);
                    let now = (beta_wide + squares.sqrt()) / f64::from(lr);
                    *pulled += (now - *strength) * *old;
                    *strength = now;
                    let slope = *gradients - *pulled;
                    let beyond = (slope.abs() - l1_wide).max(0.0);
                    *old = -slope.signum() * beyond / (*strength + l2_wide);
                    assert!((f64::from(w[i]) - *old).abs() < 1e-4, "step {step}, {i}: {} {old}", w[i]);
                }
            }
            let before = w;
            assert!(before.iter().any(|w| w.abs() > 0.05), "{before:?}");
            ftrl(isa, &mut w, &mut z, &mut n, &[0.0; 9], Ftrl { lr: last / 50.0, last, beta, l1, l2 });
            let moved = w.iter().zip(before).map(|(w, before)| (w - before).abs()).fold(0.0, f32::max);
            assert!(moved < 1e-5, "a rate alone moves nothing: {moved}");
        }
    }
}
