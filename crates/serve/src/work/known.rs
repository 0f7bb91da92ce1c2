//! How well the values of requests are known to a model, by feature.
use crate::metrics::{Metrics, OfFeature};
use crate::models::Loaded;
use dlrm_data::counts::EncodedCounts;
use prometheus_client::metrics::counter::Counter;

/// Counts what an encoder has looked up since it was last asked.
pub(super) struct Known {
    features: Vec<Counters>,
    before: Vec<EncodedCounts>,
}

struct Counters {
    values: Counter,
    missing: Counter,
    /// None of an encoding that does not know what it has seen.
    unseen: Option<Counter>,
}

impl Known {
    pub(super) fn new(model: &Loaded, metrics: &Metrics) -> Self {
        let encoder = model.predictor.encoder();
        let before = encoder.counts();
        let of = |(feature, counts): (String, &EncodedCounts)| {
            let of = OfFeature { model: model.name.clone(), feature };
            let known = counts.unseen.is_some();
            Counters {
                values: metrics.values.get_or_create_owned(&of),
                missing: metrics.missing.get_or_create_owned(&of),
                unseen: known.then(|| metrics.unseen.get_or_create_owned(&of)),
            }
        };
        let names = encoder.layout().features.into_iter().map(|feature| feature.name);
        Known { features: names.zip(&before).map(of).collect(), before }
    }

    /// Adds what is new in `counts`, of the features that `is_counted` tells. What it leaves out is not made
    /// up for later.
    pub(super) fn add(&mut self, counts: &[EncodedCounts], is_counted: impl Fn(usize) -> bool) {
        for (feature, ((own, before), now)) in
            self.features.iter().zip(&mut self.before).zip(counts).enumerate()
        {
            if is_counted(feature) {
                own.values.inc_by(now.values - before.values);
                own.missing.inc_by(now.missing - before.missing);
                let unseen = now.unseen.unwrap_or(0) - before.unseen.unwrap_or(0);
                if let Some(own) = &own.unseen {
                    own.inc_by(unseen);
                }
            }
            *before = *now;
        }
    }
}
