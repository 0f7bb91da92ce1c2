//! The tape: a model's forward pass over one shard, recorded, and its way back.
//!
//! Operations are layer-sized; there is no general tensor arithmetic. Values and gradients live in an
//! [`Arena`] that is reused, so a step allocates nothing once the arena has grown. The recorded nodes are
//! also the model's graph.
mod layers;
mod op;
mod products;

pub use op::{Node, Op};

use crate::builder::{Activation, Linear};
use crate::gradients::{Lane, ShardGradients};
use crate::layer::{Operands, Target};
use crate::profile::{TapeTimes, Timing};
use crate::slot::{RowSource, SlotSpec};
use crate::weights::{GroupId, Weights};
use dlrm_data::Batch;
use dlrm_data::schema::Pooling;
use dlrm_kernels::embedding::{self, BagsView, Pool, TableView};
use dlrm_kernels::matmul::{Epilogue, View};
use dlrm_kernels::quotient_remainder::{self, TablePair};
use dlrm_kernels::{Buffer, Isa, Strided, activation};
use std::ops::Range;
use std::time::Duration;

/// A value on the tape: [S, width].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Var(pub(crate) u32);

/// Reusable memory of a tape: one per worker thread.
#[derive(Debug, Default)]
pub struct Arena {
    nodes: Vec<Node>,
    inputs: Vec<Var>,
    values: Buffer,
    gradients: Buffer,
    /// Whether the gradient of a node holds anything yet.
    touched: Vec<bool>,
    scratch: Vec<f32>,
    saved: Vec<f32>,
    operands: Operands,
    times: TapeTimes,
}

impl Arena {
    /// Takes the times of operations from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> TapeTimes {
        std::mem::replace(&mut self.times, TapeTimes::new(timing))
    }
}

/// Whether dropout drops and batch normalisation measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// No randomness; running statistics.
    #[default]
    Inference,
    /// Dropout by a key that is new in each step; statistics of the shard.
    Training {
        /// Seeds the step's dropout.
        key: u64,
    },
}

/// Records one forward pass over rows `first .. first + rows` of a batch.
pub struct Tape<'a> {
    weights: &'a Weights,
    batch: &'a Batch,
    first: usize,
    rows: usize,
    isa: Isa,
    mode: Mode,
    arena: &'a mut Arena,
}

/// Values start on cache lines.
const ALIGN: usize = 16;

impl<'a> Tape<'a> {
    /// An empty tape over `range` of `batch`, for inference.
    pub fn new(weights: &'a Weights, batch: &'a Batch, range: Range<usize>, arena: &'a mut Arena) -> Self {
        arena.nodes.clear();
        arena.inputs.clear();
        arena.saved.clear();
        Tape {
            weights,
            batch,
            first: range.start,
            rows: range.len(),
            isa: weights.isa(),
            mode: Mode::Inference,
            arena,
        }
    }

    /// The same in another mode.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Tape { mode, ..self }
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

    /// The weights that it reads.
    pub fn weights(&self) -> &'a Weights {
        self.weights
    }

    pub(crate) fn slots_of(&self, group: GroupId) -> impl Iterator<Item = &'a SlotSpec> + use<'a> {
        self.weights.slots[self.weights.groups[group.0 as usize].clone()].iter()
    }

    /// Mean number of ids per row of a feature of the batch.
    pub(crate) fn mean_ids(&self, feature: usize) -> f64 {
        let bags = &self.batch.bags[feature];
        bags.ids.len() as f64 / bags.len().max(1) as f64
    }

    /// Inputs of the recorded concatenations, see [`Op::inputs`].
    pub fn concat_inputs(&self) -> &[Var] {
        &self.arena.inputs
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
        let Arena { nodes, values, scratch, inputs, saved, operands, times, .. } = &mut *self.arena;
        let offset = nodes.last().map_or(0, |n| (n.offset + self.rows * n.width).next_multiple_of(ALIGN));
        // The dense inputs stay in the batch.
        let len = if op == Op::Dense { 0 } else { self.rows * width };
        values.grow(offset + len);
        let (before, rest) = values.split_at_mut(offset);
        let start = times.timing.start();
        compute(
            &mut rest[..len],
            Inputs { nodes, values: before, dense, rows: self.rows, scratch, saved, inputs, operands },
        );
        times.end_forward(nodes.len(), start);
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
                let pool = match (slot.pooling, &bags.weights, weights.row_weights(slot.rows)) {
                    (Pooling::Learned, _, Some(rows)) => Pool::Learned(rows),
                    (Pooling::Mean, ..) => Pool::Mean,
                    (_, Some(weights), _) => Pool::Weighted(weights),
                    _ => Pool::Sum,
                };
                let view = BagsView { ids: &bags.ids, offsets: &bags.offsets[first..=first + rows] };
                let y = &mut y[column..];
                match slot.rows {
                    RowSource::Whole { table } => {
                        let table = TableView { values: weights.tables[table].values.view(), dim: slot.dim };
                        embedding::forward(isa, Strided::new(y, width), table, view, pool);
                    }
                    RowSource::Pair { quotient, remainder, collisions, combine } => {
                        let [quotient, remainder] =
                            [quotient, remainder].map(|table| weights.tables[table].values.view().f32());
                        let pair = TablePair { quotient, remainder, collisions, combine };
                        quotient_remainder::forward(isa, Strided::new(y, width), pair, slot.dim, view, pool);
                    }
                }
                column += slot.dim;
            }
        })
    }

    /// act(x Wᵀ + b): [S, K] → [S, N]; a wider x is several blocks of K columns that share the layer.
    pub fn linear(&mut self, x: Var, layer: Linear) -> Var {
        let (weights, isa, mode) = (self.weights, self.isa, self.mode);
        let Linear { weight, bias, activation, inputs: k, outputs: n } = layer;
        let blocks = self.width(x) / k;
        assert_eq!(self.width(x), blocks * k, "a layer of {k} inputs");
        let op = Op::Linear { x, weight, bias, activation, blocks };
        self.push(op, blocks * n, |y, inputs| {
            let rows = inputs.rows * blocks;
            let Inputs { nodes, values, dense, rows: own, operands, .. } = inputs;
            let x = View::of(value(nodes, values, dense, own, x), k);
            let epilogue = match (bias.map(|b| weights.values(b)), activation) {
                (Some(bias), Activation::Relu) => Epilogue::BiasRelu(bias),
                (Some(bias), Activation::Identity) => Epilogue::Bias(bias),
                (None, _) => Epilogue::Set,
            };
            weights.layer(weight).forward(
                isa,
                Target { c: y, columns: n, rows, epilogue },
                (x, k),
                mode,
                operands,
            );
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

    /// Walks the tape back from `output` with `gradient` [S, width]: adds the gradients of dense parameters
    /// to `lane` and writes those of the embedding outputs to `shard`.
    pub fn backward(&mut self, output: Var, gradient: &[f32], lane: &mut Lane, shard: &mut ShardGradients) {
        let end = self.arena.nodes.last().map_or(0, |n| n.offset + self.rows * n.width);
        let gradients = &mut self.arena.gradients;
        gradients.grow(end);
        let touched = &mut self.arena.touched;
        touched.clear();
        touched.resize(self.arena.nodes.len(), false);
        touched[output.0 as usize] = true;
        let node = &self.arena.nodes[output.0 as usize];
        gradients[node.offset..][..self.rows * node.width].copy_from_slice(gradient);
        shard.start(self.weights, self.rows);
        for index in (0..=output.0).rev() {
            let start = self.arena.times.timing.start();
            self.backward_node(index, lane, shard);
            self.arena.times.end_backward(index as usize, start);
        }
        shard.settle(self.weights);
    }

    /// Counts the time of computing the loss of this tape, if times are taken.
    pub fn time_loss<R>(&mut self, compute: impl FnOnce(&Self) -> R) -> R {
        let start = self.arena.times.timing.start();
        let done = compute(self);
        self.arena.times.loss += start.map_or(Duration::ZERO, |start| start.elapsed());
        done
    }

    fn backward_node(&mut self, index: u32, lane: &mut Lane, shard: &mut ShardGradients) {
        let (isa, rows, dense, weights) = (self.isa, self.rows, self.dense_rows(), self.weights);
        let Arena { nodes, inputs, values, gradients, touched, scratch, saved, operands, .. } =
            &mut *self.arena;
        if !touched[index as usize] {
            return; // The output does not depend on it.
        }
        let Node { op, width, offset } = &nodes[index as usize];
        let (before, rest) = gradients.split_at_mut(*offset);
        // The dense inputs have no gradient and no room for one.
        let dy = if *op == Op::Dense { &mut [][..] } else { &mut rest[..rows * width] };
        let mut back =
            Back { isa, rows, weights, nodes, values, dense, before, touched, width: *width, lane, scratch };
        match *op {
            Op::Dense => {}
            Op::Embed(group) => shard.add(weights, group, dy),
            Op::Linear { x, weight, bias, activation, blocks } => {
                if activation == Activation::Relu {
                    activation::relu_backward(isa, dy, &values[*offset..][..rows * width]);
                }
                back.linear(dy, x, (weight, bias), blocks, operands);
            }
            Op::Concat(ref range) => {
                let mut column = 0;
                for &part in &inputs[range.clone()] {
                    let own = nodes[part.0 as usize].width;
                    back.columns(dy, part, column);
                    column += own;
                }
            }
            Op::Slice { x, ref columns } => back.slice(dy, x, columns.start),
            Op::AddBias { x, bias } => {
                back.add_bias(dy, bias);
                back.add(dy, x);
            }
            Op::Add(a, b) => {
                back.add(dy, a);
                back.add(dy, b);
            }
            Op::SumColumns(x) => back.sum_columns(dy, x),
            Op::SumBlocks { x, blocks } => back.sum_blocks(dy, x, blocks),
            Op::DotInteraction { x, fields, pairs } => back.dot_interaction(dy, x, fields, pairs),
            Op::SecondOrder { x, fields } => back.second_order(dy, x, fields),
            Op::FieldAware { x, fields } => back.field_aware(dy, x, fields),
            Op::Outer { a, b, blocks } => back.outer(dy, a, b, blocks),
            Op::Transpose { x, fields } => back.transpose(dy, x, fields),
            Op::DenseVectors { x, vectors } => back.dense_vectors(dy, x, vectors),
            Op::Mul(a, b) => back.mul(dy, a, b),
            Op::ScaleRows { x, scales } => back.scale_rows(dy, x, scales),
            Op::Softmax(x) => back.softmax(dy, &values[*offset..][..rows * width], x),
            Op::Curve { x, curve } => back.curve(dy, x, curve),
            Op::Prelu { x, slopes } => back.prelu(dy, x, slopes),
            Op::LayerNorm { x, gain, bias } => back.layer_norm(dy, x, gain, bias),
            Op::BatchNorm { x, norm, saved: place } => {
                back.batch_norm(dy, x, norm, place.map(|at| &saved[at..]))
            }
            Op::Dropout { x, rate } => back.dropout(dy, x, self.mode, (index, self.first, rate)),
        }
    }
}

/// What the way back through one node may read and write.
struct Back<'t> {
    isa: Isa,
    rows: usize,
    weights: &'t Weights,
    nodes: &'t [Node],
    values: &'t [f32],
    dense: &'t [f32],
    before: &'t mut [f32],
    touched: &'t mut [bool],
    width: usize,
    lane: &'t mut Lane,
    scratch: &'t mut Vec<f32>,
}

impl<'t> Back<'t> {
    fn value(&self, x: Var) -> &'t [f32] {
        value(self.nodes, self.values, self.dense, self.rows, x)
    }

    fn width_of(&self, x: Var) -> usize {
        self.nodes[x.0 as usize].width
    }
}

/// What a node may read while it is computed.
struct Inputs<'t> {
    nodes: &'t [Node],
    values: &'t [f32],
    dense: &'t [f32],
    rows: usize,
    scratch: &'t mut Vec<f32>,
    saved: &'t mut Vec<f32>,
    inputs: &'t [Var],
    operands: &'t mut Operands,
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

/// The gradient of `x` so far, to be added to; none for the dense inputs, which nothing learns from.
fn gradient_of<'t>(
    nodes: &[Node],
    into: (&'t mut [f32], &mut [bool]),
    rows: usize,
    x: Var,
) -> Option<&'t mut [f32]> {
    let (dx, first) = gradient_to_write(nodes, into, rows, x)?;
    if first {
        dx.fill(0.0);
    }
    Some(dx)
}

/// The same, and whether nothing has been added yet: then it is to be overwritten.
fn gradient_to_write<'t>(
    nodes: &[Node],
    (before, touched): (&'t mut [f32], &mut [bool]),
    rows: usize,
    x: Var,
) -> Option<(&'t mut [f32], bool)> {
    let node = &nodes[x.0 as usize];
    let first = !std::mem::replace(&mut touched[x.0 as usize], true);
    (node.op != Op::Dense).then(|| (&mut before[node.offset..][..rows * node.width], first))
}

/// At least `len` floats of scratch.
fn grown(scratch: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        scratch.resize(len, 0.0);
    }
    &mut scratch[..len]
}

impl Weights {
    /// Learned pooling weights of the rows that a slot reads.
    fn row_weights(&self, rows: RowSource) -> Option<&[f32]> {
        match rows {
            RowSource::Whole { table } => self.tables[table].row_weights.as_deref(),
            RowSource::Pair { .. } => None,
        }
    }
}
