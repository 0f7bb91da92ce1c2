//! Neural collaborative filtering (He et al. 2017): GMF (element-wise product), MLP (of the two vectors side
//! by side), NeuMF (both). Other inputs than user and item are not used.
use crate::features::user_and_item;
use crate::field_vectors::{FieldVectors, VectorOptions, joined};
use crate::mlp::{Mlp, MlpHead, MlpOptions, Norm};
use crate::model::{About, Model};
use dlrm_nn::{Activation, Bias, Builder, Linear, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "ncf",
    title: "Neural collaborative filtering",
    paper: "He et al. 2017",
    idea: "user and item: element-wise product and MLP",
    order: "2 + implicit",
    unit: "bit",
};

/// Which of the three models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Generalised matrix factorization.
    Gmf,
    /// Multi-layer perceptron.
    Mlp,
    /// Both, joined before the output.
    #[default]
    Neumf,
}

/// Settings of neural collaborative filtering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NcfConfig {
    /// gmf, mlp or neumf.
    pub variant: Variant,
    /// Number of factors of GMF.
    pub dim: usize,
    /// Width of the vectors that enter the MLP.
    pub mlp_dim: usize,
    /// Widths of the hidden layers of the MLP.
    pub hidden: Vec<usize>,
    /// Share of hidden units zeroed in training.
    pub dropout: f64,
    /// Standard deviation of the initial vectors.
    pub embedding_std: f64,
    /// User column; by default the first categorical one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Item column; by default the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

impl Default for NcfConfig {
    fn default() -> Self {
        let hidden = vec![32, 16, 8];
        NcfConfig {
            variant: Variant::Neumf,
            dim: 8,
            mlp_dim: 32,
            hidden,
            dropout: 0.0,
            embedding_std: 0.01,
            user: None,
            item: None,
        }
    }
}

/// A built model.
pub(crate) struct Ncf {
    gmf: Option<FieldVectors>,
    mlp: Option<(FieldVectors, Mlp)>,
    output: Linear,
}

impl Ncf {
    /// Declares `gmf.<table>`, `mlp.<table>`, `deep.i` and `output`.
    ///
    /// # Errors
    /// If there are no two features, or a width is zero.
    pub(crate) fn build(config: &NcfConfig, b: &mut Builder<'_>) -> Result<Self> {
        let pair = user_and_item(b.layout(), config.user.as_deref(), config.item.as_deref())?;
        let vectors = |b: &mut Builder<'_>, prefix: &str, dim: usize| {
            FieldVectors::build(b, prefix, &pair, VectorOptions::normal(dim, config.embedding_std))
        };
        let gmf = (config.variant != Variant::Mlp).then(|| vectors(b, "gmf", config.dim)).transpose()?;
        let options = MlpOptions {
            hidden: &config.hidden,
            norm: Norm::None,
            activation: Activation::Relu,
            dropout: config.dropout,
            biases: Bias::Zero,
            head: MlpHead::None,
        };
        let mlp = (config.variant != Variant::Gmf)
            .then(|| {
                let vectors = vectors(b, "mlp", config.mlp_dim)?;
                let mlp = Mlp::build(b, "deep", vectors.width(), options)?;
                Ok((vectors, mlp))
            })
            .transpose()?;
        let width = gmf.as_ref().map_or(0, |v| v.dim) + mlp.as_ref().map_or(0, |(_, mlp)| mlp.width);
        Ok(Ncf { gmf, mlp, output: b.output("output", width, Bias::Zero)? })
    }
}

impl Model for Ncf {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut parts = Vec::with_capacity(2);
        if let Some(vectors) = &self.gmf {
            let both = vectors.forward(t); // [S, 2·D]
            parts.push(t.fm_interaction(both, 2)); // [S, D], the element-wise product of the two
        }
        if let Some((vectors, mlp)) = &self.mlp {
            let both = vectors.forward(t); // [S, 2·D']
            parts.push(mlp.forward(t, both)); // [S, H]
        }
        let all = joined(t, &parts);
        self.output.forward(t, all) // [S, 1]
    }
}
