//! act(x Wᵀ + b), a fully connected layer; several blocks of columns may share it.
use super::{CommonOf, Description, Operation};
use crate::packed_matrix::Target;
use crate::param::ParamId;
use crate::tape::Tape;
use crate::tape::backward::{Backward, Write};
use crate::tape::value::{Home, Var};
use dlrm_kernels::activation::{self, Activation};
use dlrm_kernels::elementwise;
use dlrm_kernels::matmul::{CommonSums, Epilogue, View};

/// Handle of a fully connected layer.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    /// [N, K]
    pub weight: ParamId,
    /// `[N]`
    pub bias: Option<ParamId>,
    /// K
    pub inputs: usize,
    /// N
    pub outputs: usize,
    /// Applied to the result.
    pub activation: Activation,
}

impl Linear {
    /// [S, K] → [S, N]
    pub fn forward(&self, t: &mut Tape<'_>, x: Var) -> Var {
        t.linear(x, *self)
    }
}

/// ReLU is part of it; any other activation is an operation of its own.
#[derive(Debug)]
pub(in crate::tape) struct Product {
    x: Var,
    weight: ParamId,
    bias: Option<ParamId>,
    relu: Relu,
    blocks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relu {
    Fused,
    None,
}

impl Tape<'_> {
    /// act(x Wᵀ + b): [S, K] → [S, N]; a wider x is several blocks of K columns that share the layer.
    pub fn linear(&mut self, x: Var, layer: Linear) -> Var {
        let relu = if layer.activation == Activation::Relu { Relu::Fused } else { Relu::None };
        let y = self.product(x, layer, relu);
        if relu == Relu::Fused { y } else { self.activation(y, layer.activation) }
    }

    fn product(&mut self, x: Var, layer: Linear, relu: Relu) -> Var {
        let (weights, isa, mode) = (self.weights, self.isa, self.mode);
        let Linear { weight, bias, inputs: k, outputs: n, .. } = layer;
        let blocks = self.width(x) / k;
        assert_eq!(self.width(x), blocks * k, "a layer of {k} inputs");
        let common = self.context.and_then(|context| context.sums(self.arena.ops.len()));
        self.push(Product { x, weight, bias, relu, blocks }, blocks * n, |y, forward| {
            let rows = forward.rows() * blocks;
            let x = View::of(forward.value(x), k);
            let epilogue = match (bias.map(|b| weights.values(b)), relu) {
                (Some(bias), Relu::Fused) => Epilogue::BiasRelu(bias),
                (Some(bias), Relu::None) => Epilogue::Bias(bias),
                (None, _) => Epilogue::Set,
            };
            let to = Target { c: y, columns: n, rows, epilogue };
            let matrix = weights.matrix(weight);
            match common {
                Some(common) => matrix.forward_after(isa, to, x, common),
                None => matrix.forward(isa, to, (x, k), mode, forward.operands),
            }
            if bias.is_none() && relu == Relu::Fused {
                y.iter_mut().for_each(|y| *y = activation::reference::relu(*y));
            }
        })
    }
}

impl Operation for Product {
    /// dW += dyᵀ x (or what it is a product of is kept), db += column sums of dy (in the lane), dx += dy W.
    fn backward(&self, mut back: Backward<'_>) {
        let Product { x, weight, bias, relu, blocks } = *self;
        let (isa, weights, rows) = (back.isa, back.weights, back.rows() * blocks);
        if relu == Relu::Fused {
            activation::relu_backward(isa, back.dy, back.y);
        }
        let dy = &*back.dy;
        let (n, k) = (back.width / blocks.max(1), back.width_of(x) / blocks.max(1));
        let x_value = View::of(back.value(x), k);
        if back.lane.postpones(weight) {
            let (of, shape) = ((weight, back.at.node), (rows, n, k));
            let operands = (View::of(dy, n), x_value);
            back.shard.operands.keep(isa, weights.precision(), of, operands, shape);
        } else {
            let epilogue = if back.lane.take_fresh(weight) { Epilogue::Set } else { Epilogue::Add };
            let dw = &mut back.lane.dense[weights.param(weight).range.clone()];
            let to = Target { c: dw, columns: k, rows: n, epilogue };
            back.operands.outer(isa, weights.precision(), to, View::of(dy, n), (x_value, rows));
        }
        if let Some(bias) = bias {
            elementwise::column_sums(isa, back.lane.slot(weights, bias), dy);
        }
        if let Some((dx, write)) = back.into.write_to(x) {
            let epilogue = if write == Write::First { Epilogue::Set } else { Epilogue::Add };
            let to = Target { c: dx, columns: k, rows, epilogue };
            weights.matrix(weight).backward(isa, to, (View::of(dy, n), n), back.operands);
        }
    }

    fn common_sums(&self, tape: &Tape<'_>, of: &CommonOf<'_>) -> Option<CommonSums> {
        let columns = of(self.x).leading();
        let known = columns > 0 && self.blocks == 1;
        let matrix = tape.weights.matrix(self.weight);
        known.then(|| matrix.common_sums(tape.isa, &tape.value(self.x)[..columns]))
    }

    fn describe(&self, tape: &Tape<'_>, _: usize) -> Description {
        let forward = (tape.width(self.x) * tape.weights.param(self.weight).shape[0]) as f64;
        let learns = if tape.home(self.x) == Home::Batch { 0.0 } else { 1.0 };
        Description::new("linear", &[self.x])
            .parameters(tape, [self.weight].into_iter().chain(self.bias))
            .cost(forward, forward * (1.0 + learns))
            .count("blocks", self.blocks)
            .name("activation", if self.relu == Relu::Fused { "relu" } else { "identity" })
    }
}
