//! The settings of a trial: decided by the seed and its number alone.
use crate::config::RunConfig;
use crate::step_plan::StepPlan;
use crate::train_config::TrainConfig;
use dlrm_data::rng::Rng;
use dlrm_models::{LrConfig, ModelConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The trial of the settings that the search starts from.
pub const DEFAULT: u64 = 0;
/// The trial of the regression.
pub const REGRESSION: u64 = 1;

/// What is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The model.
    pub model: ModelConfig,
    /// How it is trained.
    pub train: TrainConfig,
    /// What differs from the default, for people.
    pub settings: String,
}

/// The kinds that are tried, the default's own besides.
const KINDS: [&str; 4] = ["dlrm", "deepfm", "dcn_v2", "fm"];
const WIDTHS: [usize; 4] = [4, 8, 16, 32];
const LAYERS: [&[usize]; 5] = [&[32], &[64, 32], &[128, 64], &[256, 128], &[128, 64, 32]];
const DROPOUT: [f64; 4] = [0.0, 0.1, 0.2, 0.4];
const INTERACTIONS: [&str; 2] = ["dot", "cat"];
const CROSS_LAYERS: [usize; 3] = [1, 2, 3];
/// Ends of ranges that are drawn from uniformly in the logarithm.
const RATES: [f64; 2] = [3e-4, 1e-2];
const TABLE_RATES: [f64; 2] = [3e-3, 1e-1];
const TABLE_L2: [f64; 2] = [1e-7, 1e-3];
/// Batches are this many times as large as by default.
const BATCH_FACTORS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
const LEAST_BATCH: usize = 16;

/// Where trials are drawn from.
pub(super) struct Space<'a> {
    /// The settings that the search starts from.
    pub(super) base: &'a RunConfig,
    /// Rows of an epoch.
    pub(super) rows: u64,
}

impl Space<'_> {
    /// Trial number `number`.
    pub(super) fn trial(&self, number: u64) -> Trial {
        let base = self.base;
        match number {
            DEFAULT => Trial {
                model: base.model.clone(),
                train: base.train.clone(),
                settings: "as it is without a search".into(),
            },
            REGRESSION => Trial {
                model: ModelConfig::Lr(LrConfig {}),
                train: base.train.clone(),
                settings: "the baseline".into(),
            },
            _ => self.drawn(&mut Rng::new(base.train.seed, number)),
        }
    }

    /// Draws settings. Each is drawn whether it is used or not, so that none depends on another.
    fn drawn(&self, rng: &mut Rng) -> Trial {
        let own = self.base.model.kind();
        let mut kinds = KINDS.to_vec();
        if !kinds.contains(&own) && own != "lr" {
            kinds.push(own);
        }
        let kind = one(rng, &kinds);
        let (width, layers, dropout) = (one(rng, &WIDTHS), one(rng, &LAYERS), one(rng, &DROPOUT));
        let (interaction, cross) = (one(rng, &INTERACTIONS), one(rng, &CROSS_LAYERS));
        let (rate, table_rate) = (logarithmic(rng, RATES), logarithmic(rng, TABLE_RATES));
        let l2 = if rng.below(3) == 0 { 0.0 } else { logarithmic(rng, TABLE_L2) };
        let usual = StepPlan::new(&self.base.train, self.rows).batch_size;
        let batch = (usual as f64 * one(rng, &BATCH_FACTORS)) as usize;
        let batch = batch.clamp(LEAST_BATCH, (self.rows as usize).max(LEAST_BATCH));

        let start = if kind == own { Some(self.base.model.clone()) } else { ModelConfig::of_kind(kind) };
        let start = start.expect("a kind of the list");
        let changes = [
            ("embedding_dim", json!(width)),
            ("hidden", json!(layers)),
            ("top", json!(layers)),
            ("bottom", json!(layers[..1])),
            ("dropout", json!(dropout)),
            ("interaction", json!(interaction)),
            ("layers", json!(cross)),
        ];
        let model = changed(&start, &changes);
        let mut train = self.base.train.clone();
        train.optimizer = changed(&train.optimizer, &[("lr", json!(rate))]);
        train.table_optimizer =
            changed(&train.table_optimizer, &[("lr", json!(table_rate)), ("l2", json!(l2))]);
        train.batch_size = Some(batch);
        let settings = described(&model, &format!("lr {rate}, tables {table_rate}, l2 {l2}, batch {batch}"));
        Trial { model, train, settings }
    }
}

/// Settings with other values for those keys that they have.
fn changed<T: Serialize + DeserializeOwned>(settings: &T, changes: &[(&str, Value)]) -> T {
    let mut value = serde_json::to_value(settings).expect("settings are plain data");
    for (key, new) in changes {
        if let Some(old) = value.get_mut(key) {
            *old = new.clone();
        }
    }
    serde_json::from_value(value).expect("values of the right type")
}

/// The settings of a model that are tried, and those of its training.
fn described(model: &ModelConfig, training: &str) -> String {
    let value = serde_json::to_value(model).expect("settings are plain data");
    let text = |key: &str| value.get(key).map(Value::to_string);
    let mut all = Vec::new();
    let named = [("embedding_dim", "dim"), ("interaction", ""), ("layers", "cross")];
    for (key, name) in named {
        all.extend(text(key).map(|v| format!("{name} {}", v.trim_matches('"')).trim().to_owned()));
    }
    let layers = text("top").or_else(|| text("hidden"));
    all.extend(layers.map(|v| format!("layers {}", v.trim_matches(['[', ']']).replace(',', "-"))));
    all.extend(text("dropout").filter(|v| v != "0.0").map(|v| format!("dropout {v}")));
    format!("{}, {training}", all.join(", "))
}

fn one<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len())]
}

/// Uniform in the logarithm, with two digits.
fn logarithmic(rng: &mut Rng, [low, high]: [f64; 2]) -> f64 {
    let drawn = libm::exp(libm::log(low) + rng.uniform() * libm::log(high / low));
    format!("{drawn:.1e}").parse().expect("a number as it was written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_trial_is_its_number_and_differs_from_others() {
        let base = RunConfig::default();
        let space = Space { base: &base, rows: 4_000 };
        let (mut kinds, mut all) = (HashSet::new(), HashSet::new());
        for number in 2..60 {
            let trial = space.trial(number);
            assert_eq!(trial, space.trial(number));
            trial.train.check(dlrm_data::schema::Task::Binary).expect("settings that can be trained with");
            assert!((RATES[0] * 0.9..=RATES[1] * 1.1).contains(&trial.train.optimizer.lr()), "{trial:?}");
            kinds.insert(trial.model.kind());
            all.insert(format!("{} {}", trial.model.kind(), trial.settings));
        }
        assert_eq!((kinds.len(), all.len()), (KINDS.len(), 58));
        assert_eq!(space.trial(DEFAULT).model, base.model);
        assert_eq!(space.trial(REGRESSION).model.kind(), "lr");
    }
}
