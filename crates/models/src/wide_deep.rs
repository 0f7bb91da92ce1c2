//! Wide & Deep (Cheng et al. 2016, arXiv:1606.07792): a linear model of the features and a deep network,
//! summed.
use crate::deep_config::deep_config;
use crate::joined_input::JoinedInput;
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::mlp::{Mlp, MlpHead};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result, Tape, Var};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "wide_deep",
    title: "Wide & Deep",
    paper: "Cheng et al. 2016",
    idea: "linear model + MLP",
    order: "1 + implicit",
    unit: "bit",
};

deep_config! {
    /// Settings of Wide & Deep.
    pub struct WideDeepConfig {}
}

/// A built Wide & Deep.
pub(crate) struct WideDeep {
    wide: LinearPart,
    row: JoinedInput,
    deep: Mlp,
}

impl WideDeep {
    /// Declares the parameters. The bias is that of the deep part's last layer.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub(crate) fn build(config: &WideDeepConfig, b: &mut Builder<'_>) -> Result<Self> {
        let wide = LinearPart::build(b, LinearInputs::All, LinearBias::Elsewhere)?;
        let row = JoinedInput::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = Mlp::build(b, "deep", row.width, config.mlp(MlpHead::Logit))?;
        Ok(WideDeep { wide, row, deep })
    }
}

impl Model for WideDeep {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let wide = self.wide.forward(t); // [S, 1]
        let row = self.row.forward(t); // [S, n + F·D]
        let deep = self.deep.forward(t, row); // [S, 1]
        t.add(wide, deep)
    }
}
