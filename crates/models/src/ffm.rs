//! Field-aware factorization machine (Juan et al. 2016): every value has a vector for each field it may meet;
//! linear part + Σ_{i<j} <v_ij, v_ji>. Dense inputs enter the linear part only.
use crate::features::uncrossed;
use crate::field_vectors::{FieldVectors, VectorOptions};
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Error, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "ffm",
    title: "Field-aware FM",
    paper: "Juan et al. 2016",
    idea: "a vector per value and field it meets",
    order: "2",
    unit: "vector",
};

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
pub(crate) struct Ffm {
    linear: LinearPart,
    vectors: FieldVectors,
}

impl Ffm {
    /// Declares the parameters: `tables.<table>` [rows, F·D].
    ///
    /// # Errors
    /// If there is no feature, D is zero, or a feature has its own width.
    pub(crate) fn build(config: &FfmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let features = uncrossed(b.layout());
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
        let linear = LinearPart::build(b, LinearInputs::All, LinearBias::Own)?;
        let width = config.embedding_dim.saturating_mul(features.len());
        let options = VectorOptions::normal(width, config.embedding_std);
        Ok(Ffm { linear, vectors: FieldVectors::build(b, "tables", &features, options)? })
    }
}

impl Model for Ffm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let vectors = self.vectors.forward(t); // [S, F·F·D]
        let pairs = t.ffm_interaction(vectors, self.vectors.fields); // [S, 1]
        t.add(linear, pairs)
    }
}
