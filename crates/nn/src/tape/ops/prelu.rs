//! x where x > 0, else a learned multiple of it (He et al. 2015).
use super::{Description, Operation};
use crate::param::ParamId;
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::activation::{self, Activation, ActivationGradients};

#[derive(Debug)]
pub(in crate::tape) struct Prelu {
    x: Var,
    slopes: ParamId,
}

impl Tape<'_> {
    /// x where x > 0, else slope · x, with one learned slope per column.
    pub fn prelu(&mut self, x: Var, slopes: ParamId) -> Var {
        let (isa, width, slope_values) = (self.isa, self.width(x), self.weights.values(slopes));
        self.push(Prelu { x, slopes }, width, |y, forward| {
            activation::forward(isa, y, forward.value(x), Activation::Prelu, slope_values)
        })
    }
}

impl Operation for Prelu {
    fn backward(&self, mut back: Backward<'_>) {
        let (x, slopes) = (back.value(self.x), back.weights.values(self.slopes));
        let ds = back.lane.slot(back.weights, self.slopes);
        if let Some(dx) = back.into.add_to(self.x) {
            let into = ActivationGradients { dx, dslopes: ds };
            activation::backward(back.isa, into, back.dy, x, Activation::Prelu, slopes);
        }
    }

    fn describe(&self, tape: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("prelu", &[self.x]).parameters(tape, [self.slopes]).cost(width, 2.0 * width)
    }
}
