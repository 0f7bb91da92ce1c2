//! Neural collaborative filtering (He et al. 2017): GMF (element-wise product), MLP (of the two vectors side by side),
//! NeuMF (both). Other inputs than user and item are not used.
use crate::common::{
    Biases, Deep, FieldVectors, HiddenActivation, Norm, Tower, joined, output, user_and_item,
};
use crate::config::Model;
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Builder, Linear, Result, Tape, Var};
use serde::{Deserialize, Serialize};

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
pub struct Ncf {
    gmf: Option<FieldVectors>,
    mlp: Option<(FieldVectors, Tower)>,
    output: Linear,
}

impl Ncf {
    /// Declares `gmf.<table>`, `mlp.<table>`, `deep.i` and `output`.
    ///
    /// # Errors
    /// If there are no two features, or a width is zero.
    pub fn build(config: &NcfConfig, b: &mut Builder<'_>) -> Result<Self> {
        let pair = user_and_item(b.layout(), config.user.as_deref(), config.item.as_deref())?;
        let init = Some(Init::Normal(config.embedding_std));
        let gmf = (config.variant != Variant::Mlp)
            .then(|| FieldVectors::build(b, "gmf", &pair, (config.dim, Pooling::Sum, init)))
            .transpose()?;
        let (norm, activation, dropout) = (Norm::None, HiddenActivation::Relu, config.dropout);
        let deep = Deep { hidden: &config.hidden, norm, activation, dropout, biases: Biases::Zero };
        let mlp = (config.variant != Variant::Gmf)
            .then(|| {
                let vectors = FieldVectors::build(b, "mlp", &pair, (config.mlp_dim, Pooling::Sum, init))?;
                let tower = Tower::build(b, "deep", vectors.width(), deep)?;
                Ok((vectors, tower))
            })
            .transpose()?;
        let width = gmf.as_ref().map_or(0, |v| v.dim) + mlp.as_ref().map_or(0, |(_, tower)| tower.width);
        Ok(Ncf { gmf, mlp, output: output(b, "output", width)? })
    }
}

impl Model for Ncf {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut parts = Vec::with_capacity(2);
        if let Some(vectors) = &self.gmf {
            let both = vectors.parts(t);
            let both = joined(t, &both); // [S, 2·D]
            parts.push(t.second_order(both, 2)); // [S, D], the element-wise product of the two
        }
        if let Some((vectors, tower)) = &self.mlp {
            let both = vectors.parts(t);
            let both = joined(t, &both); // [S, 2·D']
            parts.push(tower.forward(t, both)); // [S, H]
        }
        let all = joined(t, &parts);
        self.output.forward(t, all) // [S, 1]
    }
}
