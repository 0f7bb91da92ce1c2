//! A vector for every input.
use crate::features::uncrossed;
use crate::field_vectors::{FieldVectors, VectorOptions, joined};
use dlrm_nn::init::Init;
use dlrm_nn::{Builder, Error, ParamId, Result, Tape, Var};

/// A vector for every input: dense input i contributes x_i v_i, a feature its pooled embedding. The input of
/// factorization machines.
#[derive(Debug)]
pub struct InputVectors {
    dense: Option<ParamId>,
    vectors: Option<FieldVectors>,
    /// m = n + F
    pub fields: usize,
    /// D
    pub dim: usize,
}

impl InputVectors {
    /// Declares `dense_vectors` [n, D] and `tables.<table>`.
    ///
    /// # Errors
    /// If there is no input, or as [`FieldVectors::build`].
    pub fn build(b: &mut Builder<'_>, dim: usize, embedding_std: f64) -> Result<Self> {
        let (n, features, init) =
            (b.layout().dense.len(), uncrossed(b.layout()), Init::Normal(embedding_std));
        if n + features.len() == 0 {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        let dense = (n > 0).then(|| b.param("dense_vectors", &[n, dim], init));
        let build = || FieldVectors::build(b, "tables", &features, VectorOptions::normal(dim, embedding_std));
        let vectors = (!features.is_empty()).then(build).transpose()?;
        Ok(InputVectors { dense, vectors, fields: n + features.len(), dim })
    }

    /// m·D
    pub fn width(&self) -> usize {
        self.fields * self.dim
    }

    /// → [S, m·D]
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut parts = Vec::new();
        if let Some(vectors) = self.dense {
            let x = t.dense(); // [S, n]
            parts.push(t.dense_vectors(x, vectors)); // [S, n·D]
        }
        if let Some(vectors) = &self.vectors {
            parts.extend(vectors.parts(t));
        }
        joined(t, &parts)
    }
}
