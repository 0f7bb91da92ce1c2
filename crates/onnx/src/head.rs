//! From the logits of a model to its predictions: the correction for downsampled negatives, calibration, the
//! probability.
use crate::graph::{GraphBuilder, Value};
use crate::port::{Dim, ElementType, Port};
use dlrm_data::schema::Task;
use dlrm_engine::calibration::{CalibrationMap, Knot};

/// The name of the logits, which are right for all rows and calibrated.
pub(crate) const LOGIT: &str = "logit";

/// The name of what is predicted, as `dlrm predict` has it.
pub(crate) fn prediction(task: Task) -> &'static str {
    match task {
        Task::Binary => "probability",
        Task::Rating => "rating",
    }
}

/// What becomes of logits.
pub(crate) struct Head<'m> {
    pub(crate) shift: f32,
    pub(crate) calibration: Option<&'m CalibrationMap>,
    pub(crate) task: Task,
}

impl Head<'_> {
    /// Adds both outputs, `[B]`, of the logits of the model, [B, 1].
    pub(crate) fn record(&self, graph: &mut GraphBuilder<'_>, logits: &str) {
        let mut logits = graph.reshape(logits, &[-1]);
        if self.shift != 0.0 {
            let shift = graph.float(self.shift);
            logits = graph.node("Add", &[&logits, &shift]);
        }
        if let Some(map) = self.calibration {
            logits = calibrated(graph, map, &logits);
        }
        let port = |name: &str, about: &str| Port {
            name: name.to_owned(),
            element_type: ElementType::Float32,
            shape: vec![Dim::batch()],
            about: about.to_owned(),
        };
        graph.output(port(LOGIT, "what the prediction is made of"), &logits);
        let (value, about) = match self.task {
            Task::Binary => (graph.node("Sigmoid", &[&logits]), "probability of the positive class"),
            Task::Rating => (logits, "predicted label"),
        };
        graph.output(port(prediction(self.task), about), &value);
    }
}

fn calibrated(graph: &mut GraphBuilder<'_>, map: &CalibrationMap, logits: &str) -> String {
    let (slope, offset) = match map {
        CalibrationMap::Isotonic { knots } => return between(graph, knots, logits),
        CalibrationMap::Temperature { slope } => (*slope, None),
        CalibrationMap::Platt { slope, offset } => (*slope, Some(*offset)),
    };
    let slope = graph.float(slope);
    let scaled = graph.node("Mul", &[logits, &slope]);
    match offset {
        None => scaled,
        Some(offset) => {
            let offset = graph.float(offset);
            graph.node("Add", &[&scaled, &offset])
        }
    }
}

/// Straight from knot to knot: the number of knots up to a logit says which line is its own. Line k, from
/// (from, to), rises by `rise` in `run`, up to `most`.
fn between(graph: &mut GraphBuilder<'_>, knots: &[Knot], logits: &str) -> String {
    let n = knots.len();
    let (from, to): (Vec<f32>, Vec<f32>) = knots.iter().map(|knot| (knot.from, knot.to)).unzip();
    // Before the first knot and behind the last one parallel to the identity.
    let line = |k: usize, inner: &dyn Fn(usize) -> f32, outer: f32| {
        if k == 0 || k == n { outer } else { inner(k) }
    };
    let lines = |inner: &dyn Fn(usize) -> f32, outer: f32| -> Vec<f32> {
        (0..=n).map(|k| line(k, inner, outer)).collect()
    };
    let starts = |values: &[f32]| -> Vec<f32> { (0..=n).map(|k| values[k.saturating_sub(1)]).collect() };
    let tables = [
        starts(&from),
        starts(&to),
        lines(&|k| from[k] - from[k - 1], 1.0),
        lines(&|k| to[k] - to[k - 1], 1.0),
        lines(&|k| to[k], f32::MAX),
    ];
    let knots = graph.floats(&[n as i64], &from);
    let columns = graph.unsqueeze(logits, 1); // [B, 1]
    let passed = graph.node("LessOrEqual", &[&knots, &columns]); // [B, K]
    let passed = graph.cast(&passed, ElementType::Int64);
    let own = graph.sum(&passed, &[1]); // [B]
    let [from, to, run, rise, most] = tables.map(|table| {
        let table = graph.floats(&[n as i64 + 1], &table);
        graph.node_with("Gather", &[&table, &own], &[("axis", Value::Int(0))])
    });
    let beyond = graph.node("Sub", &[logits, &from]);
    let share = graph.node("Div", &[&beyond, &run]);
    let risen = graph.node("Mul", &[&share, &rise]);
    let value = graph.node("Add", &[&to, &risen]);
    graph.node("Min", &[&value, &most])
}
