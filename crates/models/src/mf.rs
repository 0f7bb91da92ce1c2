//! Biased matrix factorization (Koren et al. 2009, equation 4): μ + b_u + b_i + <p_u, q_i>. Other inputs are not used.
use crate::common::{FieldVectors, LinearPart, joined, user_and_item};
use crate::config::Model;
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Bias, Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

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
pub struct Mf {
    linear: LinearPart,
    factors: FieldVectors,
}

impl Mf {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there are no two features, or the number of factors is zero.
    pub fn build(config: &MfConfig, b: &mut Builder<'_>) -> Result<Self> {
        let pair = user_and_item(b.layout(), config.user.as_deref(), config.item.as_deref())?;
        let linear = LinearPart::build(b, &pair, false, Bias::With)?;
        let init = Some(Init::Normal(config.embedding_std));
        Ok(Mf { linear, factors: FieldVectors::build(b, "tables", &pair, (config.dim, Pooling::Sum, init))? })
    }
}

impl Model for Mf {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let parts = self.factors.parts(t);
        let both = joined(t, &parts); // [S, 2·D]
        let products = t.second_order(both, 2); // [S, D]
        let dot = t.sum_columns(products); // [S, 1]
        t.add(linear, dot)
    }
}
