//! Biased matrix factorization (Koren et al. 2009, equation 4): μ + b_u + b_i + <p_u, q_i>. Other inputs are
//! not used.
use crate::features::user_and_item;
use crate::field_vectors::{FieldVectors, VectorOptions};
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "mf",
    title: "Matrix factorization",
    paper: "Koren et al. 2009",
    idea: "user and item vectors, dot product, biases",
    order: "2",
    unit: "vector",
};

/// Settings of a matrix factorization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MfConfig {
    /// Number of factors.
    pub dim: usize,
    /// Standard deviation of the initial factors.
    pub embedding_std: f64,
    /// User column; by default the first categorical one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Item column; by default the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

impl Default for MfConfig {
    fn default() -> Self {
        MfConfig { dim: 16, embedding_std: 0.1, user: None, item: None }
    }
}

/// A built matrix factorization.
pub(crate) struct Mf {
    linear: LinearPart,
    factors: FieldVectors,
}

impl Mf {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there are no two features, or the number of factors is zero.
    pub(crate) fn build(config: &MfConfig, b: &mut Builder<'_>) -> Result<Self> {
        let pair = user_and_item(b.layout(), config.user.as_deref(), config.item.as_deref())?;
        let linear = LinearPart::build(b, LinearInputs::Features(&pair), LinearBias::Own)?;
        let options = VectorOptions::normal(config.dim, config.embedding_std);
        Ok(Mf { linear, factors: FieldVectors::build(b, "tables", &pair, options)? })
    }
}

impl Model for Mf {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let both = self.factors.forward(t); // [S, 2·D]
        let products = t.fm_interaction(both, 2); // [S, D]
        let dot = t.sum_columns(products); // [S, 1]
        t.add(linear, dot)
    }
}
