//! The tape: a model's forward pass over one shard, recorded, and its way back.
//!
//! Operations are layer-sized ([`ops`], one file each); there is no general tensor arithmetic. Values and
//! gradients live in an [`Arena`] that is reused, so a step allocates nothing once the arena has grown. What
//! was recorded is also the model's graph ([`Tape::graph`]).
mod backward;
mod columns;
mod context;
mod forward;
mod ops;
mod value;

pub use context::{Context, SharedInputs};
pub use ops::Linear;
pub use value::Var;

use crate::embedding_gradients::ShardGradients;
use crate::graph::{Cost, Graph, GraphNode};
use crate::lane::Lane;
use crate::mode::Mode;
use crate::packed_matrix::Operands;
use crate::profile::{TapeTimes, Timing};
use crate::table_store::TableStore;
use crate::weight_gradient::WeightGradient;
use crate::weights::Weights;
use backward::{At, Backward, InputGradients};
use dlrm_data::Batch;
use dlrm_kernels::{Buffer, Isa};
use forward::Forward;
use ops::{Description, Op};
use std::ops::Range;
use std::time::Duration;
use value::{Home, Place, Recorded};

/// Reusable memory of a tape: one per worker thread.
#[derive(Debug, Default)]
pub struct Arena {
    /// What was recorded, and where its values lie.
    ops: Vec<Op>,
    places: Vec<Place>,
    /// Lists of inputs, which operations that read many point into.
    lists: Vec<Var>,
    values: Buffer,
    gradients: Buffer,
    /// Whether the gradient of a node holds anything yet.
    touched: Vec<bool>,
    scratch: Vec<f32>,
    /// What operations keep for the way back.
    saved: Vec<f32>,
    operands: Operands,
    /// Parts of the gradient of a weight.
    blocks: Buffer,
    times: TapeTimes,
}

impl Arena {
    /// Takes the times of operations from now on, or no longer; those so far are handed out.
    pub fn time(&mut self, timing: Timing) -> TapeTimes {
        std::mem::replace(&mut self.times, TapeTimes::new(timing))
    }

    /// Computes what shards have left of the gradient of a weight.
    pub fn compute(&mut self, gradient: WeightGradient<'_>) {
        let (start, node) = (self.times.timing.start(), gradient.node());
        gradient.compute(&mut self.blocks);
        node.into_iter().for_each(|node| self.times.end_backward(node, start));
    }

    /// Forgets what was recorded.
    fn clear(&mut self) {
        self.ops.clear();
        self.places.clear();
        self.lists.clear();
        self.saved.clear();
    }
}

/// Records one forward pass over some rows of a batch.
pub struct Tape<'a> {
    weights: &'a Weights,
    store: &'a dyn TableStore,
    batch: &'a Batch,
    first: usize,
    rows: usize,
    isa: Isa,
    mode: Mode,
    context: Option<&'a Context>,
    arena: &'a mut Arena,
}

/// Values start on cache lines.
const ALIGN: usize = 16;

impl<'a> Tape<'a> {
    /// An empty tape over the rows `range` of `batch`, for inference.
    pub fn new(weights: &'a Weights, batch: &'a Batch, range: Range<usize>, arena: &'a mut Arena) -> Self {
        arena.clear();
        Tape {
            weights,
            store: weights.store(),
            batch,
            first: range.start,
            rows: range.len(),
            isa: weights.isa(),
            mode: Mode::Inference,
            context: None,
            arena,
        }
    }

    /// This tape in another mode.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        Tape { mode, ..self }
    }

    /// This tape, whose rows take over what they have in common. Such a tape has no way back.
    #[must_use]
    pub fn with_context(self, context: &'a Context) -> Self {
        Tape { context: Some(context), ..self }
    }

    /// This tape with pooled embeddings from `store` instead of the weights' own tables.
    #[must_use]
    pub fn with_store(self, store: &'a dyn TableStore) -> Self {
        Tape { store, ..self }
    }

    /// Number of rows S.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of a value.
    pub fn width(&self, x: Var) -> usize {
        self.recorded().width(x)
    }

    /// A value, [S, width] row-major.
    pub fn value(&self, x: Var) -> &[f32] {
        self.recorded().value(x)
    }

    /// What was recorded, with its cost.
    pub fn graph(&self) -> Graph {
        let nodes = self.arena.ops.iter().zip(&self.arena.places);
        Graph { nodes: nodes.map(|(op, place)| self.graph_node(op, place.width)).collect() }
    }

    fn graph_node(&self, op: &Op, width: usize) -> GraphNode {
        let Description { operation, inputs, parameters, slots, attributes, forward, backward } =
            op.as_operation().describe(self, width);
        GraphNode {
            operation,
            attributes: attributes.into_iter().collect(),
            inputs: inputs.into_iter().map(Var::node).collect(),
            width,
            parameters,
            slots,
            cost: Cost { forward, training: forward + backward },
        }
    }

    fn recorded(&self) -> Recorded<'_> {
        let Arena { places, values, .. } = &*self.arena;
        Recorded { places, values, dense: self.dense_rows(), rows: self.rows }
    }

    /// The dense inputs of its rows.
    fn dense_rows(&self) -> &'a [f32] {
        let n = self.batch.dense.len().checked_div(self.batch.len()).unwrap_or(0);
        &self.batch.dense[self.first * n..(self.first + self.rows) * n]
    }

    /// Its rows of the batch.
    fn range(&self) -> Range<usize> {
        self.first..self.first + self.rows
    }

    /// Mean number of ids per row of a feature of the batch.
    fn mean_ids(&self, feature: usize) -> f64 {
        let bags = &self.batch.bags[feature];
        bags.ids.len() as f64 / bags.len().max(1) as f64
    }

    /// Whose memory holds a value.
    fn home(&self, x: Var) -> Home {
        self.arena.places[x.node()].home
    }

    /// Columns at the beginning of the value of the next operation that its rows take over from a context.
    fn leading(&self) -> usize {
        self.context.map_or(0, |context| context.leading(self.arena.ops.len()))
    }

    /// Where the next operation stands.
    fn next_at(&self) -> At {
        At { mode: self.mode, first_row: self.first, node: self.arena.ops.len() }
    }

    /// Keeps a list of inputs; returns its place among the lists.
    fn list(&mut self, inputs: &[Var]) -> Range<usize> {
        let start = self.arena.lists.len();
        self.arena.lists.extend_from_slice(inputs);
        start..self.arena.lists.len()
    }

    /// Records an operation and lets `compute` fill its value from the values before it.
    fn push(
        &mut self,
        op: impl Into<Op>,
        width: usize,
        compute: impl FnOnce(&mut [f32], Forward<'_>),
    ) -> Var {
        self.push_at(Home::Tape, op, width, compute)
    }

    /// Records an operation whose value lies in `home`.
    fn push_at(
        &mut self,
        home: Home,
        op: impl Into<Op>,
        width: usize,
        compute: impl FnOnce(&mut [f32], Forward<'_>),
    ) -> Var {
        let (dense, rows, context) = (self.dense_rows(), self.rows, self.context);
        let Arena { ops, places, values, scratch, lists, saved, operands, times, .. } = &mut *self.arena;
        let offset = end(places, rows).next_multiple_of(ALIGN);
        let len = if home == Home::Batch { 0 } else { rows * width };
        values.grow(offset + len);
        let (values, rest) = values.split_at_mut(offset);
        let start = times.timing.start();
        let recorded = Recorded { places, values, dense, rows };
        let y = &mut rest[..len];
        let node = ops.len();
        if context.is_none_or(|context| !context.has(node)) {
            compute(y, Forward { recorded, lists, scratch, saved, operands });
        }
        if let Some(context) = context {
            context.fill(node, y, width);
        }
        times.end_forward(ops.len(), start);
        ops.push(op.into());
        places.push(Place { offset, width, home });
        Var::of_node(ops.len() - 1)
    }

    /// Walks the tape back from `output` with `gradient` [S, width]: adds the gradients of dense parameters
    /// to `lane` and writes those of the embedding outputs to `shard`.
    pub fn backward(&mut self, output: Var, gradient: &[f32], lane: &mut Lane, shard: &mut ShardGradients) {
        let Arena { places, gradients, touched, .. } = &mut *self.arena;
        gradients.grow(end(places, self.rows));
        touched.clear();
        touched.resize(places.len(), false);
        touched[output.node()] = true;
        let Place { offset, width, .. } = places[output.node()];
        gradients[offset..][..self.rows * width].copy_from_slice(gradient);
        shard.start(self.weights.slots(), self.rows);
        for node in (0..=output.node()).rev() {
            let start = self.arena.times.timing.start();
            self.backward_node(node, lane, shard);
            self.arena.times.end_backward(node, start);
        }
        shard.settle(self.weights.slots());
    }

    fn backward_node(&mut self, node: usize, lane: &mut Lane, shard: &mut ShardGradients) {
        let (isa, rows, dense, weights) = (self.isa, self.rows, self.dense_rows(), self.weights);
        let at = At { mode: self.mode, first_row: self.first, node };
        let Arena { ops, places, lists, values, gradients, touched, scratch, saved, operands, .. } =
            &mut *self.arena;
        if !touched[node] {
            return; // The output does not depend on it.
        }
        let Place { offset, width, home } = places[node];
        let (gradients, rest) = gradients.split_at_mut(offset);
        // The dense inputs have no gradient and no room for one.
        let len = if home == Home::Batch { 0 } else { rows * width };
        ops[node].as_operation().backward(Backward {
            isa,
            weights,
            recorded: Recorded { places, values, dense, rows },
            y: &values[offset..][..len],
            dy: &mut rest[..len],
            width,
            into: InputGradients { places, gradients, touched, rows },
            lane,
            shard,
            lists,
            scratch,
            saved,
            operands,
            at,
        });
    }

    /// Counts the time of computing the loss of this tape, if times are taken.
    pub fn time_loss<R>(&mut self, compute: impl FnOnce(&Self) -> R) -> R {
        let start = self.arena.times.timing.start();
        let done = compute(self);
        self.arena.times.loss += start.map_or(Duration::ZERO, |start| start.elapsed());
        done
    }
}

/// Floats up to the end of the last value.
fn end(places: &[Place], rows: usize) -> usize {
    places.last().map_or(0, |last| last.offset + rows * last.width)
}
