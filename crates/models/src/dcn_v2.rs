//! DCN-V2 (Wang et al. 2020, arXiv:2008.13535): matrix cross layers, full, of low rank or mixtures of
//! experts, beside the deep network or under it.
use crate::cross::{Cross, CrossKind, CrossShape};
use crate::deep_config::deep_config;
use crate::joined_input::JoinedInput;
use crate::mlp::{Mlp, MlpHead};
use crate::model::{About, Model};
use dlrm_nn::{Bias, Builder, Linear, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "dcn_v2",
    title: "DCN-V2",
    paper: "Wang et al. 2020",
    idea: "matrix cross layers beside or under an MLP",
    order: "layers + 1",
    unit: "bit",
};

/// How cross layers and deep network are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    /// Side by side over the same input.
    #[default]
    Parallel,
    /// The deep network over the crossed input.
    Stacked,
}

deep_config! {
    /// Settings of DCN-V2.
    pub struct DcnV2Config {
        /// Number of cross layers.
        layers: usize = 3,
        /// full, low_rank or mixture.
        cross: CrossKind = CrossKind::Full,
        /// Rank of low_rank and mixture.
        rank: usize = 32,
        /// Experts of mixture.
        experts: usize = 4,
        /// parallel or stacked.
        structure: Structure = Structure::Parallel,
    }
}

/// A built DCN-V2.
pub(crate) struct DcnV2 {
    row: JoinedInput,
    cross: Cross,
    deep: Option<Mlp>,
    structure: Structure,
    output: Linear,
}

impl DcnV2 {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input or a width is zero.
    pub(crate) fn build(config: &DcnV2Config, b: &mut Builder<'_>) -> Result<Self> {
        let row = JoinedInput::build(b, config.embedding_dim, config.embedding_std)?;
        let shape = CrossShape {
            layers: config.layers,
            kind: config.cross,
            rank: config.rank,
            experts: config.experts,
        };
        let cross = Cross::matrix(b, row.width, shape)?;
        let deep = (!config.hidden.is_empty())
            .then(|| Mlp::build(b, "deep", row.width, config.mlp(MlpHead::None)))
            .transpose()?;
        let width = match (&deep, config.structure) {
            (Some(deep), Structure::Parallel) => row.width + deep.width,
            (Some(deep), Structure::Stacked) => deep.width,
            (None, _) => row.width,
        };
        Ok(DcnV2 {
            row,
            cross,
            deep,
            structure: config.structure,
            output: b.output("output", width, Bias::Zero)?,
        })
    }
}

impl Model for DcnV2 {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let x0 = self.row.forward(t); // [S, X]
        let crossed = self.cross.forward(t, x0); // [S, X]
        let all = match (&self.deep, self.structure) {
            (Some(deep), Structure::Parallel) => {
                let h = deep.forward(t, x0); // [S, H]
                t.concat(&[crossed, h])
            }
            (Some(deep), Structure::Stacked) => deep.forward(t, crossed), // [S, H]
            (None, _) => crossed,
        };
        self.output.forward(t, all) // [S, 1]
    }
}
