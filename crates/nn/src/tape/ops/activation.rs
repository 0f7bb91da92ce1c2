//! An element-wise activation that is a step of its own.
use super::{Description, Operation};
use crate::tape::Tape;
use crate::tape::backward::Backward;
use crate::tape::value::Var;
use dlrm_kernels::activation::{self, Activation, ActivationGradients};

#[derive(Debug)]
pub(in crate::tape) struct Activate {
    x: Var,
    activation: Activation,
}

impl Tape<'_> {
    /// The activation of x, element by element; the identity is x itself. (`Prelu` has slopes: see
    /// [`Tape::prelu`].)
    pub fn activation(&mut self, x: Var, activation: Activation) -> Var {
        if activation == Activation::Identity {
            return x;
        }
        let (isa, width) = (self.isa, self.width(x));
        self.push(Activate { x, activation }, width, |y, forward| {
            activation::forward(isa, y, forward.value(x), activation, &[])
        })
    }
}

impl Operation for Activate {
    fn backward(&self, mut back: Backward<'_>) {
        let x = back.value(self.x);
        if let Some(dx) = back.into.add_to(self.x) {
            let into = ActivationGradients { dx, dslopes: &mut [] };
            activation::backward(back.isa, into, back.dy, x, self.activation, &[]);
        }
    }

    fn describe(&self, _: &Tape<'_>, width: usize) -> Description {
        let width = width as f64;
        Description::new("activation", &[self.x]).cost(width, width).name("activation", name(self.activation))
    }
}

fn name(activation: Activation) -> &'static str {
    match activation {
        Activation::Identity => "identity",
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::Silu => "silu",
        Activation::Sigmoid => "sigmoid",
        Activation::Tanh => "tanh",
        Activation::Prelu => "prelu",
    }
}
