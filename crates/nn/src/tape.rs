//! The tape: a model's forward pass over one shard, recorded, and its way back.
//!
//! Operations are layer-sized; there is no general tensor arithmetic. Values and gradients live in an
//! [`Arena`] that is reused, so a step allocates nothing once the arena has grown. The recorded nodes are
//! also the model's graph.
use crate::builder::{Activation, Linear};
use crate::gradients::{Lane, ShardGradients};
use crate::weights::{GroupId, ParamId, Weights};
use dlrm_data::Batch;
use dlrm_data::schema::Pooling;
use dlrm_kernels::dot_interaction::{self, Dims, Pairs};
use dlrm_kernels::embedding::{self, BagsView, Pool};
use dlrm_kernels::matmul::{Epilogue, Packed, View, matmul};
use dlrm_kernels::{Isa, activation, elementwise};
use std::ops::Range;

/// A value on the tape: [S, width].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Var(u32);

/// A recorded operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The dense inputs of the batch.
    Dense,
    /// Pooled embeddings of a group of features, side by side.
    Embed(GroupId),
    /// act(x Wᵀ + b)
    Linear {
        /// Input.
        x: Var,
        /// Weight [N, K].
        weight: ParamId,
        /// Bias `[N]`.
        bias: Option<ParamId>,
        /// Activation.
        activation: Activation,
    },
    /// Inputs side by side; the range indexes the list of inputs beside the nodes.
    Concat(Range<usize>),
    /// Pairwise dot products of `fields` vectors.
    DotInteraction {
        /// Input [S, F·D].
        x: Var,
        /// F
        fields: usize,
        /// Which pairs.
        pairs: Pairs,
    },
    /// a + b
    Add(Var, Var),
    /// x + bias `[N]` in every row
    AddBias {
        /// Input.
        x: Var,
        /// `[N]`
        bias: ParamId,
    },
    /// Sum over the columns: [S, N] → [S, 1]
    SumColumns(Var),
}

/// One node of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What computes it.
    pub op: Op,
    /// Columns.
    pub width: usize,
    offset: usize,
}

/// Reusable memory of a tape: one per worker thread.
#[derive(Debug, Default)]
pub struct Arena {
    nodes: Vec<Node>,
    inputs: Vec<Var>,
    values: Vec<f32>,
    gradients: Vec<f32>,
    scratch: Vec<f32>,
    packed: Packed,
}

/// Records one forward pass over rows `first .. first + rows` of a batch.
pub struct Tape<'a> {
    weights: &'a Weights,
    batch: &'a Batch,
    first: usize,
    rows: usize,
    isa: Isa,
    arena: &'a mut Arena,
}

/// Values start on cache lines.
const ALIGN: usize = 16;

impl<'a> Tape<'a> {
    /// An empty tape over `range` of `batch`.
    pub fn new(weights: &'a Weights, batch: &'a Batch, range: Range<usize>, arena: &'a mut Arena) -> Self {
        arena.nodes.clear();
        arena.inputs.clear();
        Tape { weights, batch, first: range.start, rows: range.len(), isa: weights.isa(), arena }
    }

    /// Number of rows S.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of a value.
    pub fn width(&self, x: Var) -> usize {
        self.arena.nodes[x.0 as usize].width
    }

    /// The recorded nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.arena.nodes
    }

    /// A value, [S, width] row-major.
    pub fn value(&self, x: Var) -> &[f32] {
        value(&self.arena.nodes, &self.arena.values, self.dense_rows(), self.rows, x)
    }

    fn dense_rows(&self) -> &'a [f32] {
        let n = self.batch.dense.len().checked_div(self.batch.len()).unwrap_or(0);
        &self.batch.dense[self.first * n..(self.first + self.rows) * n]
    }

    /// Appends a node and lets `compute` fill its value from the values before it.
    fn push(&mut self, op: Op, width: usize, compute: impl FnOnce(&mut [f32], Inputs<'_>)) -> Var {
        let dense = self.dense_rows();
        let Arena { nodes, values, scratch, inputs, .. } = &mut *self.arena;
        let offset = nodes.last().map_or(0, |n| (n.offset + self.rows * n.width).next_multiple_of(ALIGN));
        // The dense inputs stay in the batch.
        let len = if op == Op::Dense { 0 } else { self.rows * width };
        if values.len() < offset + len {
            values.resize(offset + len, 0.0);
        }
        let (before, rest) = values.split_at_mut(offset);
        compute(&mut rest[..len], Inputs { nodes, values: before, dense, rows: self.rows, scratch, inputs });
        nodes.push(Node { op, width, offset });
        Var(nodes.len() as u32 - 1)
    }

    /// The dense inputs [S, n].
    pub fn dense(&mut self) -> Var {
        let n = self.dense_rows().len().checked_div(self.rows).unwrap_or(0);
        self.push(Op::Dense, n, |_, _| {})
    }

    /// Pooled embeddings of a group, side by side: [S, Σ D_f].
    pub fn embed(&mut self, group: GroupId) -> Var {
        let (weights, batch, isa) = (self.weights, self.batch, self.isa);
        let slots = &weights.slots[weights.groups[group.0 as usize].clone()];
        let width = slots.iter().map(|s| s.dim).sum();
        let (first, rows) = (self.first, self.rows);
        self.push(Op::Embed(group), width, |y, _| {
            let mut column = 0;
            for slot in slots {
                let bags = &batch.bags[slot.feature];
                let table = &weights.tables[slot.table];
                let pool = match (slot.pooling, &bags.weights, &table.row_weights) {
                    (Pooling::Learned, _, Some(rows)) => Pool::Learned(rows),
                    (Pooling::Mean, ..) => Pool::Mean,
                    (_, Some(weights), _) => Pool::Weighted(weights),
                    _ => Pool::Sum,
                };
                let view = BagsView { ids: &bags.ids, offsets: &bags.offsets[first..=first + rows] };
                embedding::forward(isa, &mut y[column..], width, &table.values, slot.dim, view, pool);
                column += slot.dim;
            }
        })
    }

    /// act(x Wᵀ + b): [S, K] → [S, N].
    pub fn linear(&mut self, x: Var, layer: Linear) -> Var {
        assert_eq!(self.width(x), layer.inputs, "a layer of {} inputs", layer.inputs);
        let (weights, isa) = (self.weights, self.isa);
        let Linear { weight, bias, activation, .. } = layer;
        let op = Op::Linear { x, weight, bias, activation };
        self.push(op, layer.outputs, |y, inputs| {
            let a = View::of(inputs.value(x), layer.inputs);
            let epilogue = match (bias.map(|b| weights.values(b)), activation) {
                (Some(bias), Activation::Relu) => Epilogue::BiasRelu(bias),
                (Some(bias), Activation::Identity) => Epilogue::Bias(bias),
                (None, _) => Epilogue::Set,
            };
            matmul(isa, y, layer.outputs, inputs.rows, a, weights.packed_forward(weight), epilogue);
            if bias.is_none() && activation == Activation::Relu {
                y.iter_mut().for_each(|y| *y = activation::reference::relu(*y));
            }
        })
    }

    /// Values side by side: [S, Σ widths].
    pub fn concat(&mut self, parts: &[Var]) -> Var {
        let start = self.arena.inputs.len();
        self.arena.inputs.extend_from_slice(parts);
        let range = start..self.arena.inputs.len();
        let width = parts.iter().map(|&p| self.width(p)).sum();
        self.push(Op::Concat(range.clone()), width, |y, inputs| {
            let mut column = 0;
            for &part in &inputs.inputs[range] {
                let own = inputs.nodes[part.0 as usize].width;
                if own > 0 {
                    for (y, x) in y.chunks_exact_mut(width).zip(inputs.value(part).chunks_exact(own)) {
                        y[column..column + own].copy_from_slice(x);
                    }
                }
                column += own;
            }
        })
    }

    /// Dot products of all pairs of the `fields` vectors of each row: [S, F·D] → [S, P].
    pub fn dot_interaction(&mut self, x: Var, fields: usize, pairs: Pairs) -> Var {
        let isa = self.isa;
        let d = Dims { rows: self.rows, fields, dim: self.width(x) / fields.max(1), pairs };
        self.push(Op::DotInteraction { x, fields, pairs }, d.pairs(), |z, inputs| {
            let scratch = grown(inputs.scratch, dot_interaction::scratch_len(d));
            let x = value(inputs.nodes, inputs.values, inputs.dense, inputs.rows, x);
            dot_interaction::forward_with(isa, z, x, d, scratch);
        })
    }

    /// a + b, of the same shape.
    pub fn add(&mut self, a: Var, b: Var) -> Var {
        let (isa, width) = (self.isa, self.width(a));
        assert_eq!(width, self.width(b), "summands of one width");
        self.push(Op::Add(a, b), width, |y, inputs| {
            y.copy_from_slice(inputs.value(a));
            elementwise::add(isa, y, inputs.value(b));
        })
    }

    /// x + bias in every row.
    pub fn add_bias(&mut self, x: Var, bias: ParamId) -> Var {
        let (isa, width, bias_values) = (self.isa, self.width(x), self.weights.values(bias));
        assert_eq!(width, bias_values.len(), "one bias per column");
        self.push(Op::AddBias { x, bias }, width, |y, inputs| {
            y.copy_from_slice(inputs.value(x));
            y.chunks_exact_mut(width.max(1)).for_each(|y| elementwise::add(isa, y, bias_values));
        })
    }

    /// Sum over the columns: [S, N] → [S, 1].
    pub fn sum_columns(&mut self, x: Var) -> Var {
        let n = self.width(x);
        self.push(Op::SumColumns(x), 1, |y, inputs| {
            for (y, x) in y.iter_mut().zip(inputs.value(x).chunks_exact(n.max(1))) {
                *y = x.iter().sum();
            }
        })
    }

    /// Walks the tape back from `output` with `gradient` [S, width]: adds the gradients of dense parameters
    /// to `lane` and writes those of the embedding outputs to `shard`.
    pub fn backward(&mut self, output: Var, gradient: &[f32], lane: &mut Lane, shard: &mut ShardGradients) {
        let end = self.arena.nodes.last().map_or(0, |n| n.offset + self.rows * n.width);
        let gradients = &mut self.arena.gradients;
        if gradients.len() < end {
            gradients.resize(end, 0.0);
        }
        gradients[..end].fill(0.0);
        let node = &self.arena.nodes[output.0 as usize];
        gradients[node.offset..][..self.rows * node.width].copy_from_slice(gradient);
        let width = self.weights.embedding_width();
        shard.dy.clear();
        shard.dy.resize(self.rows * width, 0.0);
        for index in (0..=output.0).rev() {
            self.backward_node(index, lane, shard);
        }
    }

    fn backward_node(&mut self, index: u32, lane: &mut Lane, shard: &mut ShardGradients) {
        let (isa, rows, dense) = (self.isa, self.rows, self.dense_rows());
        let Arena { nodes, inputs, values, gradients, scratch, packed } = &mut *self.arena;
        let Node { op, width, offset } = &nodes[index as usize];
        let (before, rest) = gradients.split_at_mut(*offset);
        // The dense inputs have no gradient and no room for one.
        let dy = if *op == Op::Dense { &mut [][..] } else { &mut rest[..rows * width] };
        match *op {
            Op::Dense => {}
            Op::Embed(group) => self.weights.scatter(group, dy, *width, &mut shard.dy),
            Op::Linear { x, weight, bias, activation } => {
                let input = value(nodes, values, dense, rows, x);
                if activation == Activation::Relu {
                    activation::relu_backward(isa, dy, &values[*offset..][..rows * width]);
                }
                backward_linear(isa, self.weights, (weight, bias), (rows, *width), dy, input, lane, packed);
                if let Some(dx) = gradient_of(nodes, before, rows, x) {
                    let k = nodes[x.0 as usize].width;
                    matmul(isa, dx, k, rows, View::of(dy, *width), self.weights.packed_backward(weight), Epilogue::Add);
                }
            }
            Op::Concat(ref range) => {
                let mut column = 0;
                for &part in &inputs[range.clone()] {
                    let own = nodes[part.0 as usize].width;
                    if let Some(dx) = gradient_of(nodes, before, rows, part).filter(|_| own > 0) {
                        for (dx, dy) in dx.chunks_exact_mut(own).zip(dy.chunks_exact(*width)) {
                            dx.iter_mut().zip(&dy[column..column + own]).for_each(|(dx, &dy)| *dx += dy);
                        }
                    }
                    column += own;
                }
            }
            Op::DotInteraction { x, fields, pairs } => {
                let d = Dims { rows, fields, dim: nodes[x.0 as usize].width / fields.max(1), pairs };
                let scratch = grown(scratch, dot_interaction::scratch_len(d));
                if let Some(dx) = gradient_of(nodes, before, rows, x) {
                    dot_interaction::backward_with(isa, dx, dy, value(nodes, values, dense, rows, x), d, scratch);
                }
            }
            Op::Add(a, b) => {
                for x in [a, b] {
                    if let Some(dx) = gradient_of(nodes, before, rows, x) {
                        elementwise::add(isa, dx, dy);
                    }
                }
            }
            Op::AddBias { x, bias } => {
                backward_bias(isa, self.weights, bias, dy, lane);
                if let Some(dx) = gradient_of(nodes, before, rows, x) {
                    elementwise::add(isa, dx, dy);
                }
            }
            Op::SumColumns(x) => {
                let n = nodes[x.0 as usize].width;
                if let Some(dx) = gradient_of(nodes, before, rows, x) {
                    for (dx, &dy) in dx.chunks_exact_mut(n.max(1)).zip(dy.iter()) {
                        dx.iter_mut().for_each(|dx| *dx += dy);
                    }
                }
            }
        }
    }
}

/// What a node may read while it is computed.
struct Inputs<'t> {
    nodes: &'t [Node],
    values: &'t [f32],
    dense: &'t [f32],
    rows: usize,
    scratch: &'t mut Vec<f32>,
    inputs: &'t [Var],
}

impl Inputs<'_> {
    fn value(&self, x: Var) -> &[f32] {
        value(self.nodes, self.values, self.dense, self.rows, x)
    }
}

fn value<'t>(nodes: &[Node], values: &'t [f32], dense: &'t [f32], rows: usize, x: Var) -> &'t [f32] {
    let node = &nodes[x.0 as usize];
    if node.op == Op::Dense { dense } else { &values[node.offset..][..rows * node.width] }
}

/// Room for the gradient of `x`; none for the dense inputs, which nothing learns from.
fn gradient_of<'t>(nodes: &[Node], before: &'t mut [f32], rows: usize, x: Var) -> Option<&'t mut [f32]> {
    let node = &nodes[x.0 as usize];
    (node.op != Op::Dense).then(|| &mut before[node.offset..][..rows * node.width])
}

/// At least `len` floats of scratch.
fn grown(scratch: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    &mut scratch[..len]
}

/// dW += dyᵀ x and db += column sums of dy, in the lane.
#[allow(clippy::too_many_arguments)]
fn backward_linear(
    isa: Isa,
    weights: &Weights,
    (weight, bias): (ParamId, Option<ParamId>),
    (rows, n): (usize, usize),
    dy: &[f32],
    x: &[f32],
    lane: &mut Lane,
    packed: &mut Packed,
) {
    let param = &weights.params[weight.0 as usize];
    let k = param.shape[1];
    packed.pack(isa, View::of(x, k), rows, k);
    let epilogue = if lane.take_fresh(weight.0 as usize) { Epilogue::Set } else { Epilogue::Add };
    matmul(isa, &mut lane.dense[param.range.clone()], k, n, View::of(dy, n).transposed(), packed, epilogue);
    if let Some(bias) = bias {
        backward_bias(isa, weights, bias, dy, lane);
    }
}

/// db += column sums of dy, in the lane.
fn backward_bias(isa: Isa, weights: &Weights, bias: ParamId, dy: &[f32], lane: &mut Lane) {
    let fresh = lane.take_fresh(bias.0 as usize);
    let sums = &mut lane.dense[weights.params[bias.0 as usize].range.clone()];
    if fresh {
        sums.fill(0.0);
    }
    elementwise::column_sums(isa, sums, dy);
}

impl Weights {
    /// Writes dy [S, width] of a group into the shard's embedding gradients.
    fn scatter(&self, group: GroupId, dy: &[f32], width: usize, into: &mut [f32]) {
        let slots = &self.slots[self.groups[group.0 as usize].clone()];
        let Some(first) = slots.first().filter(|_| width > 0) else { return };
        // Slots of a group are neighbours, so a row is one run.
        for (into, dy) in into.chunks_exact_mut(self.embedding_width()).zip(dy.chunks_exact(width)) {
            into[first.column..first.column + width].iter_mut().zip(dy).for_each(|(into, &dy)| *into += dy);
        }
    }
}
