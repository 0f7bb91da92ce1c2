//! Thread time of a step by operator, as in figure 6 of the DLRM paper.
use dlrm_engine::learner::StepTimes;
use dlrm_nn::Phase;
use dlrm_nn::cost::Layer;
use serde::Serialize;
use std::time::Duration;

/// What the time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
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
    /// Threads that wait for others, and what lies between operations: in the passes (counted as forward) and outside of them.
    Waiting,
}

impl Part {
    /// All parts, in the order of a step.
    pub const ALL: [Part; 13] = [
        Part::Embedding,
        Part::BottomMlp,
        Part::Interaction,
        Part::TopMlp,
        Part::Concat,
        Part::Loss,
        Part::Other,
        Part::SortIds,
        Part::Clip,
        Part::DenseUpdate,
        Part::Pack,
        Part::TableUpdate,
        Part::Waiting,
    ];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Part::Embedding => "embedding",
            Part::BottomMlp => "bottom MLP",
            Part::Interaction => "interaction",
            Part::TopMlp => "top MLP",
            Part::Concat => "concat",
            Part::Loss => "loss",
            Part::Other => "other layers",
            Part::SortIds => "sort ids",
            Part::Clip => "clip",
            Part::DenseUpdate => "dense update",
            Part::Pack => "pack weights",
            Part::TableUpdate => "table update",
            Part::Waiting => "waiting, rest",
        }
    }

    fn of_layer(layer: &Layer) -> Self {
        let begins = |prefix| layer.parameter.as_deref().is_some_and(|name| name.starts_with(prefix));
        match layer.op {
            "embeddings" => Part::Embedding,
            "concat" => Part::Concat,
            "dot interaction" => Part::Interaction,
            _ if begins("bottom.") => Part::BottomMlp,
            _ if begins("top.") => Part::TopMlp,
            _ => Part::Other,
        }
    }

    fn of_phase(phase: Phase) -> Self {
        match phase {
            Phase::SortIds => Part::SortIds,
            Phase::Clip => Part::Clip,
            Phase::DenseUpdate => Part::DenseUpdate,
            Phase::TableUpdate => Part::TableUpdate,
            Phase::Pack => Part::Pack,
        }
    }
}

/// Thread seconds of one part in one step: the sum over all threads, each of which a step has for its whole wall time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Operator {
    /// What.
    pub part: Part,
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
pub(super) fn operators(timed: &Timed, layers: &[Layer]) -> Vec<Operator> {
    let (steps, threads) = (timed.steps as f64, timed.threads as f64);
    let mut all = Part::ALL.map(|part| Operator {
        part,
        forward: 0.0,
        backward: 0.0,
        update: 0.0,
        share: 0.0,
        flops: 0.0,
    });
    let of = |times: &[Duration], node: usize| times.get(node).map_or(0.0, |time| time.as_secs_f64() / steps);
    let tape = &timed.times.tape;
    for (node, layer) in layers.iter().enumerate() {
        let operator = &mut all[Part::of_layer(layer) as usize];
        operator.forward += of(&tape.forward, node);
        operator.backward += of(&tape.backward, node);
        operator.flops += flops(layer) * timed.rows as f64;
    }
    all[Part::Loss as usize].forward = tape.loss.as_secs_f64() / steps;
    for phase in Phase::ALL {
        all[Part::of_phase(phase) as usize].update +=
            timed.times.phases.of(phase).as_secs_f64() * threads / steps;
    }
    let total = timed.wall.as_secs_f64() * threads / steps;
    let passes = timed.times.forward_backward.as_secs_f64() * threads / steps;
    let in_passes = (passes - all.iter().map(|o| o.forward + o.backward).sum::<f64>()).max(0.0);
    all[Part::Waiting as usize].forward = in_passes;
    all[Part::Waiting as usize].update = (total - all.iter().map(Operator::seconds).sum::<f64>()).max(0.0);
    all.iter_mut().for_each(|operator| operator.share = operator.seconds() / total);
    all.into_iter().filter(|operator| operator.share > 0.0).collect()
}

/// Floating-point operations per row in training; embeddings cost memory, not arithmetic.
pub(super) fn flops(layer: &Layer) -> f64 {
    if Part::of_layer(layer) == Part::Embedding { 0.0 } else { 2.0 * layer.cost.training }
}
