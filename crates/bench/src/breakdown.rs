//! Thread time of a step by operator, as in figure 6 of the DLRM paper.
use dlrm_engine::learner::StepTimes;
use dlrm_nn::{EMBEDDINGS, Graph, GraphNode, Phase};
use serde::Serialize;
use std::time::Duration;

/// What a share of a step's time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepShare {
    /// Rows of tables read and pooled; gradients handed on.
    Embedding,
    /// MLP of the dense inputs.
    BottomMlp,
    /// Products of vectors.
    Interaction,
    /// MLP of the products.
    TopMlp,
    /// Values put side by side.
    Concat,
    /// Loss and its gradient.
    Loss,
    /// Other operations of the model.
    Other,
    /// See [`Phase::SortIds`].
    SortIds,
    /// See [`Phase::Clip`].
    Clip,
    /// See [`Phase::DenseUpdate`].
    DenseUpdate,
    /// See [`Phase::Pack`].
    Pack,
    /// See [`Phase::TableUpdate`].
    TableUpdate,
    /// Threads that wait for others, and what lies between operations: in the passes (counted as forward) and
    /// outside of them.
    Waiting,
}

impl StepShare {
    /// All, in the order of a step.
    pub const ALL: [StepShare; 13] = [
        StepShare::Embedding,
        StepShare::BottomMlp,
        StepShare::Interaction,
        StepShare::TopMlp,
        StepShare::Concat,
        StepShare::Loss,
        StepShare::Other,
        StepShare::SortIds,
        StepShare::Clip,
        StepShare::DenseUpdate,
        StepShare::Pack,
        StepShare::TableUpdate,
        StepShare::Waiting,
    ];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            StepShare::Embedding => "embedding",
            StepShare::BottomMlp => "bottom MLP",
            StepShare::Interaction => "interaction",
            StepShare::TopMlp => "top MLP",
            StepShare::Concat => "concat",
            StepShare::Loss => "loss",
            StepShare::Other => "other layers",
            StepShare::SortIds => "sort ids",
            StepShare::Clip => "clip",
            StepShare::DenseUpdate => "dense update",
            StepShare::Pack => "pack weights",
            StepShare::TableUpdate => "table update",
            StepShare::Waiting => "waiting, rest",
        }
    }

    fn of_node(node: &GraphNode) -> Self {
        let begins = |prefix| node.parameters.first().is_some_and(|name| name.starts_with(prefix));
        match node.operation {
            EMBEDDINGS => StepShare::Embedding,
            "concat" => StepShare::Concat,
            "dot interaction" => StepShare::Interaction,
            _ if begins("bottom.") => StepShare::BottomMlp,
            _ if begins("top.") => StepShare::TopMlp,
            _ => StepShare::Other,
        }
    }

    fn of_phase(phase: Phase) -> Self {
        match phase {
            Phase::SortIds => StepShare::SortIds,
            Phase::Clip => StepShare::Clip,
            Phase::DenseUpdate => StepShare::DenseUpdate,
            Phase::TableUpdate => StepShare::TableUpdate,
            Phase::Pack => StepShare::Pack,
        }
    }
}

/// Thread seconds of one part in one step: the sum over all threads, each of which a step has for its whole
/// wall time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Operator {
    /// What.
    pub part: StepShare,
    /// Forward (of the loss: with its gradient).
    pub forward: f64,
    /// Backward.
    pub backward: f64,
    /// Optimiser. Its phases end together, so waiting threads are in it.
    pub update: f64,
    /// Share of the thread time of the step.
    pub share: f64,
    /// Multiply-adds of forward and backward, each counted twice; none for embeddings.
    pub flops: f64,
    /// Those of backward.
    pub backward_flops: f64,
}

impl Operator {
    /// Whether its share is worth a line of a table or picture.
    pub fn is_worth_a_line(&self) -> bool {
        self.share >= LEAST_SHARE
    }

    /// Thread seconds of all.
    pub fn seconds(&self) -> f64 {
        self.forward + self.backward + self.update
    }
}

/// Steps whose times were taken.
pub(super) struct Timed {
    pub times: StepTimes,
    pub wall: Duration,
    pub steps: usize,
    pub threads: usize,
    pub rows: usize,
}

/// A smaller share is not worth a line.
const LEAST_SHARE: f64 = 5e-4;

/// The parts that took time, in the order of a step.
pub(super) fn operators(timed: &Timed, graph: &Graph) -> Vec<Operator> {
    let (steps, threads) = (timed.steps as f64, timed.threads as f64);
    let mut all = StepShare::ALL.map(|part| Operator {
        part,
        forward: 0.0,
        backward: 0.0,
        update: 0.0,
        share: 0.0,
        flops: 0.0,
        backward_flops: 0.0,
    });
    let of = |times: &[Duration], node: usize| times.get(node).map_or(0.0, |time| time.as_secs_f64() / steps);
    let tape = &timed.times.tape;
    for (number, node) in graph.nodes.iter().enumerate() {
        let operator = &mut all[StepShare::of_node(node) as usize];
        operator.forward += of(&tape.forward, number);
        operator.backward += of(&tape.backward, number);
        let (all, forward) = (flops(node), if flops(node) > 0.0 { 2.0 * node.cost.forward } else { 0.0 });
        operator.flops += all * timed.rows as f64;
        operator.backward_flops += (all - forward) * timed.rows as f64;
    }
    all[StepShare::Loss as usize].forward = tape.loss.as_secs_f64() / steps;
    for phase in Phase::ALL {
        all[StepShare::of_phase(phase) as usize].update +=
            timed.times.phases.of(phase).as_secs_f64() * threads / steps;
    }
    let total = timed.wall.as_secs_f64() * threads / steps;
    let passes = timed.times.forward_backward.as_secs_f64() * threads / steps;
    let in_passes = (passes - all.iter().map(|o| o.forward + o.backward).sum::<f64>()).max(0.0);
    all[StepShare::Waiting as usize].forward = in_passes;
    all[StepShare::Waiting as usize].update =
        (total - all.iter().map(Operator::seconds).sum::<f64>()).max(0.0);
    all.iter_mut().for_each(|operator| operator.share = operator.seconds() / total);
    all.into_iter().filter(|operator| operator.share > 0.0).collect()
}

/// Floating-point operations per row in training; embeddings cost memory, not arithmetic.
pub(super) fn flops(node: &GraphNode) -> f64 {
    if StepShare::of_node(node) == StepShare::Embedding { 0.0 } else { 2.0 * node.cost.training }
}
