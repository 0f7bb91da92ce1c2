//! DeepFM (Guo et al. 2017, arXiv:1703.04247): a factorization machine and a deep network over the same
//! embeddings, summed.
use crate::deep_config::deep_config;
use crate::input_vectors::InputVectors;
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::mlp::{Mlp, MlpHead};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result, Tape, Var};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "deepfm",
    title: "DeepFM",
    paper: "Guo et al. 2017",
    idea: "factorization machine + MLP on shared embeddings",
    order: "2 + implicit",
    unit: "vector + bit",
};

deep_config! {
    /// Settings of DeepFM.
    pub struct DeepFmConfig {}
}

/// A built DeepFM.
pub(crate) struct DeepFm {
    linear: LinearPart,
    vectors: InputVectors,
    deep: Mlp,
}

impl DeepFm {
    /// Declares the parameters. The bias is that of the deep part's last layer.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub(crate) fn build(config: &DeepFmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let linear = LinearPart::build(b, LinearInputs::All, LinearBias::Elsewhere)?;
        let vectors = InputVectors::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = Mlp::build(b, "deep", vectors.width(), config.mlp(MlpHead::Logit))?;
        Ok(DeepFm { linear, vectors, deep })
    }
}

impl Model for DeepFm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let vectors = self.vectors.forward(t); // [S, m·D]
        let pairs = t.fm_interaction(vectors, self.vectors.fields); // [S, D]
        let pairs = t.sum_columns(pairs); // [S, 1]
        let fm = t.add(linear, pairs);
        let deep = self.deep.forward(t, vectors); // [S, 1]
        t.add(fm, deep)
    }
}
