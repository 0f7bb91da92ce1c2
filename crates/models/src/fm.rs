//! Factorization machine of second order (Rendle 2010): linear part + Σ_{i<j} <v_i, v_j> x_i x_j, in linear
//! time.
use crate::input_vectors::InputVectors;
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "fm",
    title: "Factorization machine",
    paper: "Rendle 2010",
    idea: "dot products of all pairs of inputs, summed",
    order: "2",
    unit: "vector",
};

/// Settings of a factorization machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FmConfig {
    /// D, the width of a vector.
    pub embedding_dim: usize,
    /// Standard deviation of the initial vectors.
    pub embedding_std: f64,
}

impl Default for FmConfig {
    fn default() -> Self {
        FmConfig { embedding_dim: 16, embedding_std: 0.01 }
    }
}

/// A built factorization machine.
pub(crate) struct Fm {
    linear: LinearPart,
    vectors: InputVectors,
}

impl Fm {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input or D is zero.
    pub(crate) fn build(config: &FmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let linear = LinearPart::build(b, LinearInputs::All, LinearBias::Own)?;
        Ok(Fm { linear, vectors: InputVectors::build(b, config.embedding_dim, config.embedding_std)? })
    }
}

impl Model for Fm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let vectors = self.vectors.forward(t); // [S, m·D]
        let pairs = t.fm_interaction(vectors, self.vectors.fields); // [S, D]
        let pairs = t.sum_columns(pairs); // [S, 1]
        t.add(linear, pairs)
    }
}
