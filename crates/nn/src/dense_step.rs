//! Moves dense parameters by their summed gradient, chunk by chunk, in parallel.
use crate::gradients::CHUNK;
use crate::optimizer::settings::{DenseOptimizer, adam, ftrl};
use dlrm_kernels::Isa;
use dlrm_kernels::optimizer::{self as kernel, Adagrad, Momentum};
use rayon::prelude::*;

/// A step of the dense parameters.
#[derive(Clone, Copy)]
pub(crate) struct DenseStep {
    pub optimizer: DenseOptimizer,
    pub lr: f64,
    pub step: u64,
    /// Factor on every gradient (clipping).
    pub scale: f32,
    pub isa: Isa,
}

impl DenseStep {
    /// Updates `w` by the chunks of its gradient.
    pub(crate) fn run<'g>(
        &self,
        w: &mut [f32],
        state: &mut [&mut [f32]],
        g: impl IndexedParallelIterator<Item = &'g mut [f32]>,
    ) {
        let chunks = w.par_chunks_mut(CHUNK).zip(g);
        match state {
            [] => chunks.for_each(|(w, g)| self.apply(w, [], g, 0.0)),
            [s] => chunks.zip(s.par_chunks_mut(CHUNK)).for_each(|((w, g), s)| self.apply(w, [s], g, 0.0)),
            [m, v, rate @ ..] => {
                let state = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
                let last = rate.first().map_or(0.0, |rate| rate[0]);
                chunks.zip(state).for_each(|((w, g), (m, v))| self.apply(w, [m, v], g, last));
                if let Some(rate) = rate.first_mut().filter(|_| self.lr as f32 > 0.0) {
                    rate.fill(self.lr as f32);
                }
            }
        }
    }

    /// `last` is the rate of the step before, of an optimiser that keeps it.
    fn apply<const N: usize>(&self, w: &mut [f32], mut state: [&mut [f32]; N], g: &mut [f32], last: f32) {
        let (isa, lr) = (self.isa, self.lr as f32);
        if self.scale != 1.0 {
            g.iter_mut().for_each(|g| *g *= self.scale);
        }
        match (self.optimizer, &mut state[..]) {
            (DenseOptimizer::Sgd { momentum, l2, .. }, [v]) => {
                kernel::momentum(isa, w, v, g, Momentum { lr, momentum: momentum as f32, l2: l2 as f32 });
            }
            (DenseOptimizer::Sgd { l2, .. }, _) => kernel::sgd(isa, w, g, lr, l2 as f32),
            (DenseOptimizer::Adagrad { eps, l2, .. }, [s]) => {
                kernel::adagrad(isa, w, s, g, Adagrad { lr, eps: eps as f32, l2: l2 as f32 });
            }
            (DenseOptimizer::Adam { beta1, beta2, eps, l2, .. }, [m, v]) => {
                kernel::adam(isa, w, m, v, g, adam(lr, (beta1, beta2), eps, l2, 0.0, self.step));
            }
            (DenseOptimizer::Adamw { beta1, beta2, eps, weight_decay, .. }, [m, v]) => {
                kernel::adam(isa, w, m, v, g, adam(lr, (beta1, beta2), eps, 0.0, weight_decay, self.step));
            }
            (DenseOptimizer::Ftrl { beta, l1, l2, .. }, [z, n]) => {
                kernel::ftrl(isa, w, z, n, g, ftrl(self.lr, last, [beta, l1, l2]))
            }
            _ => unreachable!("the optimiser made its own state"),
        }
    }
}
