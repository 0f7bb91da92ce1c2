//! Field-aware factorization machine (Juan et al. 2016): every value has a vector for each field it may meet;
//! linear part + Σ_{i<j} <v_ij, v_ji>. Dense inputs enter the linear part only.
use crate::common::{FieldVectors, LinearPart, all_features, joined, with_crosses};
use crate::config::Model;
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Bias, Builder, Error, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// Settings of a field-aware factorization machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FfmConfig {
    /// D, the width of one of the F vectors of a value.
    pub embedding_dim: usize,
    /// Standard deviation of the initial vectors.
    pub embedding_std: f64,
}

impl Default for FfmConfig {
    fn default() -> Self {
        FfmConfig { embedding_dim: 4, embedding_std: 0.01 }
    }
}

/// A built field-aware factorization machine.
pub struct Ffm {
    linear: LinearPart,
    vectors: FieldVectors,
}

impl Ffm {
    /// Declares the parameters: `tables.<table>` [rows, F·D].
    ///
    /// # Errors
    /// If there is no feature, D is zero, or a feature has its own width.
    pub fn build(config: &FfmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let features = all_features(b.layout());
        if features.is_empty() {
            return Err(Error::new("inputs", "at least one categorical column", "none"));
        }
        if let Some(own) = b.layout().features.iter().find(|f| f.embedding_dim.is_some()) {
            return Err(Error::new(
                format!("embedding_dim of feature \"{}\"", own.name),
                "none: ffm has one width for all",
                "its own",
            ));
        }
        let linear = LinearPart::build(b, &with_crosses(b.layout()), true, Bias::With)?;
        let init = Some(Init::Normal(config.embedding_std));
        let width = config.embedding_dim * features.len();
        Ok(Ffm { linear, vectors: FieldVectors::build(b, "tables", &features, (width, Pooling::Sum, init))? })
    }
}

impl Model for Ffm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let parts = self.vectors.parts(t);
        let vectors = joined(t, &parts); // [S, F·F·D]
        let pairs = t.field_aware(vectors, self.vectors.fields); // [S, 1]
        t.add(linear, pairs)
    }
}
