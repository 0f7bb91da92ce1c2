//! Embeddings and a multi-layer perceptron (the ranking network of Covington et al. 2016).
use crate::deep_config::deep_config;
use crate::joined_input::JoinedInput;
use crate::mlp::{Mlp, MlpHead};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result, Tape, Var};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "dnn",
    title: "Deep network",
    paper: "Covington et al. 2016",
    idea: "embeddings side by side, MLP",
    order: "implicit",
    unit: "bit",
};

deep_config! {
    /// Settings of a deep network.
    pub struct DnnConfig {}
}

/// A built deep network.
pub(crate) struct Dnn {
    row: JoinedInput,
    deep: Mlp,
}

impl Dnn {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub(crate) fn build(config: &DnnConfig, b: &mut Builder<'_>) -> Result<Self> {
        let row = JoinedInput::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = Mlp::build(b, "deep", row.width, config.mlp(MlpHead::Logit))?;
        Ok(Dnn { row, deep })
    }
}

impl Model for Dnn {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let row = self.row.forward(t); // [S, n + F·D]
        self.deep.forward(t, row) // [S, 1]
    }
}
