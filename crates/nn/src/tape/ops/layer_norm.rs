//! Rows normalised (Ba et al. 2016).
use super::{Description, Operation};
use crate::param::ParamId;
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::norm::{self, NormGradients};

#[derive(Debug)]
pub(in crate::tape) struct LayerNorm {
    x: Var,
    gamma: ParamId,
    beta: ParamId,
}

impl Tape<'_> {
    /// Rows normalised to mean 0 and variance 1, times gamma, plus beta.
    pub fn layer_norm(&mut self, x: Var, gamma: ParamId, beta: ParamId) -> Var {
        let (isa, width) = (self.isa, self.width(x));
        let (gammas, betas) = (self.weights.values(gamma), self.weights.values(beta));
        self.push(LayerNorm { x, gamma, beta }, width, |y, forward| {
            norm::layer(isa, y, forward.value(x), gammas, betas)
        })
    }
}

impl Operation for LayerNorm {
    fn backward(&self, mut back: Backward<'_>) {
        let (x, gammas) = (back.value(self.x), back.weights.values(self.gamma));
        let [dgamma, dbeta] = back.lane.slots(back.weights, [self.gamma, self.beta]);
        if let Some(dx) = back.into.add_to(self.x) {
            norm::layer_backward(back.isa, NormGradients { dx, dgamma, dbeta }, back.dy, x, gammas);
        }
    }

    fn describe(&self, tape: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("layer norm", &[self.x])
            .parameters(tape, [self.gamma, self.beta])
            .cost(2.0 * width, 4.0 * width)
            .number("epsilon", norm::EPS as f32)
    }
}
