//! What a model is.
use dlrm_nn::{Tape, Var};
use serde::Serialize;

/// A built model: handles of its parameters and the order of its layers.
pub trait Model: Send + Sync {
    /// Records the layers for the tape's rows; returns the logits [S, 1].
    fn forward(&self, t: &mut Tape<'_>) -> Var;
}

/// What a kind of model is, in a line or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct About {
    /// The `kind` in configurations.
    pub kind: &'static str,
    /// Its usual name.
    pub title: &'static str,
    /// Where it comes from.
    pub paper: &'static str,
    /// What it computes.
    pub idea: &'static str,
    /// Highest order of the interactions that it computes explicitly.
    pub order: &'static str,
    /// What interacts: single elements (bit-wise) or whole vectors.
    pub unit: &'static str,
}
