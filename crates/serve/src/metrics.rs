//! Figures about the server, in the format of Prometheus.
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) kind: &'static str,
    pub(crate) code: String,
}

/// A part of an answer's time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Stage {
    pub(crate) stage: &'static str,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfModel {
    pub(crate) model: String,
}

/// A feature of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfFeature {
    pub(crate) model: String,
    pub(crate) feature: String,
}

/// What became of looking something up by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Found,
    Missing,
    Failed,
}

/// Answers over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Answered {
    pub(crate) status: u16,
}

/// Look-ups that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LookedUp {
    pub(crate) result: &'static str,
}

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<Asked, Counter>,
    pub(crate) rows: Family<OfModel, Counter>,
    pub(crate) stages: Family<Stage, Histogram>,
    pub(crate) predictions: Family<OfModel, Histogram>,
    pub(crate) differences: Family<OfModel, Histogram>,
    answers: Family<Answered, Counter>,
    pub(crate) lookups: Family<LookedUp, Counter>,
    pub(crate) values: Family<OfFeature, Counter>,
    pub(crate) unseen: Family<OfFeature, Counter>,
    pub(crate) missing: Family<OfFeature, Counter>,
    pub(crate) log_lost: Counter,
    pub(crate) request_log_lost: Counter,
    pub(crate) panics: Counter,
    pub(crate) reloads: Family<Asked, Counter>,
    pub(crate) waiting: Gauge,
    pub(crate) connections: Gauge,
}

/// Seconds from 25 µs on, each twice the one before.
fn seconds() -> Histogram {
    Histogram::new((0..20).map(|k| 25e-6 * f64::from(1u32 << k)))
}

/// Twenty equal parts of the probabilities.
fn shares() -> Histogram {
    Histogram::new((1..=20).map(|k| f64::from(k) / 20.0))
}

/// From a millionth on, each twice the one before.
fn distances() -> Histogram {
    Histogram::new((0..20).map(|k| 1e-6 * f64::from(1u32 << k)))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("dlrm");
        let metrics = Metrics {
            requests: Family::default(),
            rows: Family::default(),
            stages: Family::new_with_constructor(seconds as fn() -> Histogram),
            predictions: Family::new_with_constructor(shares as fn() -> Histogram),
            differences: Family::new_with_constructor(distances as fn() -> Histogram),
            answers: Family::default(),
            lookups: Family::default(),
            values: Family::default(),
            unseen: Family::default(),
            missing: Family::default(),
            log_lost: Counter::default(),
            request_log_lost: Counter::default(),
            panics: Counter::default(),
            reloads: Family::default(),
            waiting: Gauge::default(),
            connections: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered, by model, kind and code", metrics.requests.clone());
        registry.register("rows", "Rows scored", metrics.rows.clone());
        let help = "Time of a request by stage";
        registry.register_with_unit("stage", help, Unit::Seconds, metrics.stages.clone());
        registry.register("prediction", "Predictions given", metrics.predictions.clone());
        let help = "Distance of the shadow's predictions from those that were given";
        registry.register("shadow_difference", help, metrics.differences.clone());
        registry.register("http_answers", "Answers over HTTP, by status", metrics.answers.clone());
        let help = "Keys looked up in the store of features";
        registry.register("feature_lookups", help, metrics.lookups.clone());
        metrics.register_features(&mut registry);
        registry.register("log_lost", "Answers that the log had no time for", metrics.log_lost.clone());
        let help = "Requests that the log of requests has no line of";
        registry.register("request_log_lost", help, metrics.request_log_lost.clone());
        registry.register("panics", "Requests that met a fault of the server", metrics.panics.clone());
        registry.register("reloads", "Attempts to load a model", metrics.reloads.clone());
        registry.register("waiting", "Requests that wait for a compute thread", metrics.waiting.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        Metrics { registry, ..metrics }
    }

    fn register_features(&self, registry: &mut Registry) {
        let help = "Values that were looked up in the vocabulary of a feature, a missing one counting as one";
        registry.register("feature_values", help, self.values.clone());
        let help = "Values that the model has not seen in training";
        registry.register("feature_unseen", help, self.unseen.clone());
        registry.register("feature_missing", "Values that were missing", self.missing.clone());
    }

    /// Counts an answer over HTTP.
    pub(crate) fn answered(&self, status: u16) {
        self.answers.get_or_create(&Answered { status }).inc();
    }

    /// Counts keys that were looked up.
    pub(crate) fn looked_up(&self, outcome: Outcome, keys: usize) {
        let result = match outcome {
            Outcome::Found => "found",
            Outcome::Missing => "missing",
            Outcome::Failed => "failed",
        };
        self.lookups.get_or_create(&LookedUp { result }).inc_by(keys as u64);
    }

    /// Notes how long a part of an answer took.
    pub(crate) fn took(&self, stage: &'static str, time: Duration) {
        self.stages.get_or_create(&Stage { stage }).observe(time.as_secs_f64());
    }

    /// As text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
