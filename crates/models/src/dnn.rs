//! Embeddings and a multi-layer perceptron (the ranking network of Covington et al. 2016).
use crate::common::{Row, Scorer, deep_config};
use crate::config::Model;
use dlrm_nn::{Builder, Result, Tape, Var};

deep_config! {
    /// Settings of a deep network.
    pub struct DnnConfig {}
}

/// A built deep network.
pub struct Dnn {
    row: Row,
    deep: Scorer,
}

impl Dnn {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub fn build(config: &DnnConfig, b: &mut Builder<'_>) -> Result<Self> {
        let row = Row::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = Scorer::build(b, "deep", row.width, config.deep())?;
        Ok(Dnn { row, deep })
    }
}

impl Model for Dnn {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let row = self.row.forward(t); // [S, n + F·D]
        self.deep.forward(t, row) // [S, 1]
    }
}
