//! What a tape records.
use super::Var;
use crate::builder::Activation;
use crate::weights::{GroupId, ParamId};
use dlrm_kernels::activation;
use dlrm_kernels::dot_interaction::Pairs;
use std::ops::Range;

/// A recorded operation. S rows of a shard, K inputs, N outputs of a layer, F fields of D columns.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // fields are named like the arguments of the tape's methods
pub enum Op {
    /// The dense inputs of the batch.
    Dense,
    /// Pooled embeddings of a group of features, side by side.
    Embed(GroupId),
    /// act(x Wᵀ + b) on each of the `blocks` blocks of K columns.
    Linear { x: Var, weight: ParamId, bias: Option<ParamId>, activation: Activation, blocks: usize },
    /// Inputs side by side; the range indexes the list of inputs beside the nodes.
    Concat(Range<usize>),
    /// Some columns of a value.
    Slice { x: Var, columns: Range<usize> },
    /// Pairwise dot products of `fields` vectors.
    DotInteraction { x: Var, fields: usize, pairs: Pairs },
    /// Pairwise element-wise products of `fields` vectors, summed.
    SecondOrder { x: Var, fields: usize },
    /// Field-aware dot products of `fields` × `fields` vectors, summed.
    FieldAware { x: Var, fields: usize },
    /// Outer products of the blocks of two values.
    Outer { a: Var, b: Var, blocks: usize },
    /// [S, F·D] seen as [S, F, D], turned to [S, D, F].
    Transpose { x: Var, fields: usize },
    /// Each dense input times a learned vector.
    DenseVectors { x: Var, vectors: ParamId },
    /// a + b
    Add(Var, Var),
    /// a ⊙ b
    Mul(Var, Var),
    /// x with every row times its scale.
    ScaleRows { x: Var, scales: Var },
    /// x + bias in every row
    AddBias { x: Var, bias: ParamId },
    /// Sum over the columns: [S, N] → [S, 1]
    SumColumns(Var),
    /// Sum over blocks of columns.
    SumBlocks { x: Var, blocks: usize },
    /// Softmax over the columns.
    Softmax(Var),
    /// An element-wise curve.
    Curve { x: Var, curve: activation::Activation },
    /// x where x > 0, else slope · x.
    Prelu { x: Var, slopes: ParamId },
    /// Rows normalised.
    LayerNorm { x: Var, gain: ParamId, bias: ParamId },
    /// Columns normalised; index of its statistics, and in training the place of the shard's moments.
    BatchNorm { x: Var, norm: usize, saved: Option<usize> },
    /// Elements zeroed at random, in training.
    Dropout { x: Var, rate: f32 },
}

impl Op {
    /// The values it reads. `concat` is the tape's list of inputs of concatenations.
    pub fn inputs(&self, concat: &[Var]) -> Vec<Var> {
        match self {
            Op::Dense | Op::Embed(_) => Vec::new(),
            Op::Concat(range) => concat[range.clone()].to_vec(),
            Op::Outer { a, b, .. } | Op::Add(a, b) | Op::Mul(a, b) => vec![*a, *b],
            Op::ScaleRows { x, scales } => vec![*x, *scales],
            Op::Linear { x, .. }
            | Op::Slice { x, .. }
            | Op::DotInteraction { x, .. }
            | Op::SecondOrder { x, .. }
            | Op::FieldAware { x, .. }
            | Op::Transpose { x, .. }
            | Op::DenseVectors { x, .. }
            | Op::AddBias { x, .. }
            | Op::SumColumns(x)
            | Op::SumBlocks { x, .. }
            | Op::Softmax(x)
            | Op::Curve { x, .. }
            | Op::Prelu { x, .. }
            | Op::LayerNorm { x, .. }
            | Op::BatchNorm { x, .. }
            | Op::Dropout { x, .. } => vec![*x],
        }
    }
}

/// One node of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What computes it.
    pub op: Op,
    /// Columns.
    pub width: usize,
    pub(super) offset: usize,
}
