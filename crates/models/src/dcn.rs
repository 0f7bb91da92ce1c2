//! Deep & Cross (Wang et al. 2017, arXiv:1708.05123): vector cross layers and a deep network side by side,
//! joined by the output layer. Without hidden layers it is the cross network alone.
use crate::cross::Cross;
use crate::deep_config::deep_config;
use crate::joined_input::JoinedInput;
use crate::mlp::{Mlp, MlpHead};
use crate::model::{About, Model};
use dlrm_nn::{Bias, Builder, Linear, Result, Tape, Var};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "dcn",
    title: "Deep & Cross",
    paper: "Wang et al. 2017",
    idea: "vector cross layers beside an MLP",
    order: "layers + 1",
    unit: "bit",
};

deep_config! {
    /// Settings of Deep & Cross.
    pub struct DcnConfig {
        /// Number of cross layers.
        layers: usize = 3,
    }
}

/// A built Deep & Cross.
pub(crate) struct Dcn {
    row: JoinedInput,
    cross: Cross,
    deep: Option<Mlp>,
    output: Linear,
}

impl Dcn {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub(crate) fn build(config: &DcnConfig, b: &mut Builder<'_>) -> Result<Self> {
        let row = JoinedInput::build(b, config.embedding_dim, config.embedding_std)?;
        let cross = Cross::vector(b, row.width, config.layers)?;
        let deep = (!config.hidden.is_empty())
            .then(|| Mlp::build(b, "deep", row.width, config.mlp(MlpHead::None)))
            .transpose()?;
        let width = row.width + deep.as_ref().map_or(0, |deep| deep.width);
        Ok(Dcn { row, cross, deep, output: b.output("output", width, Bias::Zero)? })
    }
}

impl Model for Dcn {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let x0 = self.row.forward(t); // [S, X]
        let crossed = self.cross.forward(t, x0); // [S, X]
        let all = match &self.deep {
            Some(deep) => {
                let h = deep.forward(t, x0); // [S, H]
                t.concat(&[crossed, h])
            }
            None => crossed,
        };
        self.output.forward(t, all) // [S, 1]
    }
}
