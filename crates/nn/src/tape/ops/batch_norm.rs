//! Columns normalised (Ioffe and Szegedy 2015): in training by the moments of the shard (ghost batch
//! normalisation, Hoffer et al. 2017), in inference by the running statistics, which are those of whole
//! batches.
use super::{Description, Operation};
use crate::mode::Mode;
use crate::param::BatchNormParams;
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::{Var, grown};
use dlrm_kernels::Isa;
use dlrm_kernels::norm::{self, Columns, NormGradients};

#[derive(Debug)]
pub(in crate::tape) struct BatchNorm {
    x: Var,
    /// Number of its parameters and statistics.
    norm: usize,
    /// In training, where the shard's moments [mean, variance, scale] are kept for the way back.
    saved: Option<usize>,
}

impl Tape<'_> {
    /// Columns normalised: in training by the moments of this shard (ghost batch normalisation, Hoffer et al.
    /// 2017), in inference by the running statistics, which are those of whole batches.
    pub fn batch_norm(&mut self, x: Var, index: usize) -> Var {
        let (isa, width, weights) = (self.isa, self.width(x), self.weights);
        let BatchNormParams { gamma, beta, mean, variance } = weights.norms[index];
        let saved = (self.mode != Mode::Inference).then_some(self.arena.saved.len());
        self.push(BatchNorm { x, norm: index, saved }, width, |y, forward| {
            let x = forward.value(x);
            let (mean, scale) = match saved {
                Some(at) => {
                    forward.saved.resize(at + 3 * width, 0.0);
                    shard_moments(isa, &mut forward.saved[at..], x, width)
                }
                None => {
                    let scale = grown(forward.scratch, width);
                    scale.copy_from_slice(weights.values(variance));
                    norm::scales(scale);
                    (weights.values(mean), &*scale)
                }
            };
            let (gamma, beta) = (weights.values(gamma), weights.values(beta));
            norm::batch(isa, y, x, Columns { mean, scale, gamma, beta });
        })
    }
}

/// Fills [mean, variance, scale] from the columns of `x`; returns mean and scale.
fn shard_moments<'m>(isa: Isa, moments: &'m mut [f32], x: &[f32], width: usize) -> (&'m [f32], &'m [f32]) {
    let (mean, rest) = moments.split_at_mut(width);
    let (variance, scale) = rest.split_at_mut(width);
    norm::column_moments(isa, mean, variance, x);
    scale.copy_from_slice(variance);
    norm::scales(scale);
    (mean, scale)
}

impl Operation for BatchNorm {
    /// Gradients, and the shard's share of the running statistics: Σ n (mean - r) and Σ n (variance + (mean -
    /// r)²), where r is the running mean, from which those of the whole batch follow.
    fn backward(&self, mut back: Backward<'_>) {
        let saved = &back.saved[self.saved.expect("only training goes back")..];
        let (weights, width, n) = (back.weights, back.width, back.rows() as f32);
        let BatchNormParams { gamma, beta, mean, variance } = weights.norms[self.norm];
        let (means, rest) = saved.split_at(width);
        let (variances, rest) = rest.split_at(width);
        let scale = &rest[..width];
        let [sum, squares] = back.lane.slots(weights, [mean, variance]);
        for (j, &running) in weights.values(mean).iter().enumerate() {
            let shift = means[j] - running;
            sum[j] += n * shift;
            squares[j] += n * (variances[j] + shift * shift);
        }
        let by = Columns { mean: means, scale, gamma: weights.values(gamma), beta: weights.values(beta) };
        let x = back.value(self.x);
        let [dgamma, dbeta] = back.lane.slots(weights, [gamma, beta]);
        if let Some(dx) = back.into.add_to(self.x) {
            let sums = grown(back.scratch, 2 * width);
            norm::batch_backward(back.isa, NormGradients { dx, dgamma, dbeta }, back.dy, x, by, sums);
        }
    }

    fn describe(&self, tape: &Tape<'_>, width: usize) -> Description {
        let (width, params) = (width as f64, tape.weights.norms[self.norm]);
        Description::new("batch norm", &[self.x])
            .parameters(tape, [params.gamma, params.beta, params.mean, params.variance])
            .cost(2.0 * width, 4.0 * width)
            .number("epsilon", norm::EPS as f32)
    }
}
