//! One model of a comparison.
use crate::train_config::TrainConfig;
use dlrm_models::ModelConfig;

/// A model to be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// How tables call it.
    pub name: String,
    /// The model.
    pub model: ModelConfig,
    /// How it is trained.
    pub train: TrainConfig,
}
