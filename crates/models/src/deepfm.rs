//! DeepFM (Guo et al. 2017, arXiv:1703.04247): a factorization machine and a deep network over the same embeddings, summed.
use crate::common::{InputVectors, LinearPart, Scorer, deep_config, with_crosses};
use crate::config::Model;
use dlrm_nn::{Bias, Builder, Result, Tape, Var};

deep_config! {
    /// Settings of DeepFM.
    pub struct DeepFmConfig {}
}

/// A built DeepFM.
pub struct DeepFm {
    linear: LinearPart,
    vectors: InputVectors,
    deep: Scorer,
}

impl DeepFm {
    /// Declares the parameters. The bias is that of the deep part's last layer.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub fn build(config: &DeepFmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let linear = LinearPart::build(b, &with_crosses(b.layout()), true, Bias::Without)?;
        let vectors = InputVectors::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = Scorer::build(b, "deep", vectors.width(), config.deep())?;
        Ok(DeepFm { linear, vectors, deep })
    }
}

impl Model for DeepFm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let vectors = self.vectors.forward(t); // [S, m·D]
        let pairs = t.second_order(vectors, self.vectors.fields); // [S, D]
        let pairs = t.sum_columns(pairs); // [S, 1]
        let fm = t.add(linear, pairs);
        let deep = self.deep.forward(t, vectors); // [S, 1]
        t.add(fm, deep)
    }
}
