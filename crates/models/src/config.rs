//! What a model is, and the choice between them.
use crate::{dlrm, lr};
use dlrm_nn::{Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// A built model: handles of its parameters and the order of its layers.
pub trait Model: Send + Sync {
    /// Records the layers for the tape's rows; returns the logits [S, 1].
    fn forward(&self, t: &mut Tape<'_>) -> Var;
}

/// The model of a run, with all its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelConfig {
    /// Deep learning recommendation model.
    Dlrm(dlrm::DlrmConfig),
    /// Logistic (or linear) regression.
    Lr(lr::LrConfig),
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig::Dlrm(dlrm::DlrmConfig::default())
    }
}

impl ModelConfig {
    /// The `kind` in configurations.
    pub fn kind(&self) -> &'static str {
        match self {
            ModelConfig::Dlrm(_) => "dlrm",
            ModelConfig::Lr(_) => "lr",
        }
    }

    /// Declares the model's parameters for the layout of the builder.
    ///
    /// # Errors
    /// Shapes that do not fit, naming the parameter, what was expected and what was found.
    pub fn build(&self, b: &mut Builder<'_>) -> Result<Box<dyn Model>> {
        match self {
            ModelConfig::Dlrm(config) => Ok(Box::new(dlrm::Dlrm::build(config, b)?)),
            ModelConfig::Lr(config) => Ok(Box::new(lr::Lr::build(config, b)?)),
        }
    }
}
