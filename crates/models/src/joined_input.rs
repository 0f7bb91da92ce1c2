//! All inputs in one row.
use crate::features::uncrossed;
use crate::field_vectors::{FieldVectors, VectorOptions, joined};
use dlrm_nn::{Builder, Error, Result, Tape, Var};

/// Dense inputs and embeddings as one row: [S, n + F·D]. The input of DNN, Wide & Deep and the cross
/// networks.
#[derive(Debug)]
pub struct JoinedInput {
    dense: bool,
    vectors: Option<FieldVectors>,
    /// n + F·D
    pub width: usize,
}

impl JoinedInput {
    /// Declares the embeddings `tables.<table>`.
    ///
    /// # Errors
    /// If there is no input, or as [`FieldVectors::build`].
    pub fn build(b: &mut Builder<'_>, dim: usize, embedding_std: f64) -> Result<Self> {
        let (n, features) = (b.layout().dense.len(), uncrossed(b.layout()));
        let build = || FieldVectors::build(b, "tables", &features, VectorOptions::normal(dim, embedding_std));
        let vectors = (!features.is_empty()).then(build).transpose()?;
        let width = n + vectors.as_ref().map_or(0, FieldVectors::width);
        if width == 0 {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        Ok(JoinedInput { dense: n > 0, vectors, width })
    }

    /// → [S, width]
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut parts = Vec::new();
        if self.dense {
            parts.push(t.dense());
        }
        if let Some(vectors) = &self.vectors {
            parts.extend(vectors.parts(t));
        }
        joined(t, &parts)
    }
}
