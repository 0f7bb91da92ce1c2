//! DLRM (Naumov et al. 2019, arXiv:1906.00091, section 2).
//!
//! Dense inputs [S, n] go through the bottom MLP to v_0 [S, D]; every categorical feature is an embedding bag
//! v_1 … v_F; vectors interact pairwise by dot product; v_0 and the products go through the top MLP to the
//! logit. Large tables may be compressed (see `compression`). Deviations from the reference: without dense
//! inputs there is no v_0; a feature may have its own width d and is then projected to D (as the reference's
//! mixed dimensions do).
use crate::compression::{self, MixedDimsConfig, QuotientRemainderConfig};
use crate::cross::{Cross, CrossKind, CrossShape};
use crate::features::uncrossed;
use crate::field_vectors::{FieldVectors, VectorOptions};
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::mlp::{Mlp, MlpHead, MlpOptions, Norm};
use crate::model::{About, Model};
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Error, Pairs, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "dlrm",
    title: "DLRM",
    paper: "Naumov et al. 2019",
    idea: "dot products of all pairs of vectors, then an MLP",
    order: "2 + implicit",
    unit: "vector",
};

/// Settings of a DLRM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DlrmConfig {
    /// D, the width in which vectors interact.
    pub embedding_dim: usize,
    /// Hidden widths of the bottom MLP; its last layer, of width D, is added.
    pub bottom: Vec<usize>,
    /// Hidden widths of the top MLP; its last layer, of width 1, is added.
    pub top: Vec<usize>,
    /// How vectors meet.
    pub interaction: Interaction,
    /// Whether a weight for each input is added to the output, besides what the paper has: with products of
    /// pairs alone, no input without dense ones has an effect of its own.
    pub first_order: bool,
    /// Standard deviation of the initial embeddings; by default they are uniform in ±√(1/rows), as in the
    /// reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_std: Option<f64>,
    /// Pooling of bags of features whose schema does not say.
    pub pooling: Pooling,
    /// Layers of interaction `dcn`.
    pub cross_layers: usize,
    /// Rank of the layers of interaction `dcn`.
    pub cross_rank: usize,
    /// Normalisation of the top MLP's hidden layers: none, batch, layer.
    pub norm: Norm,
    /// Share of the top MLP's hidden units zeroed in training.
    pub dropout: f64,
    /// Large tables as two small ones each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotient_remainder: Option<QuotientRemainderConfig>,
    /// Large tables narrower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed_dims: Option<MixedDimsConfig>,
}

/// How vectors meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interaction {
    /// Dot products of all distinct pairs.
    Dot,
    /// Dot products of all distinct pairs and of each vector with itself.
    DotSelf,
    /// No products: the vectors side by side.
    Cat,
    /// Cross layers of low rank over the vectors side by side (DCN-V2; the model of MLPerf's second DLRM
    /// benchmark).
    Dcn,
}

impl Default for DlrmConfig {
    fn default() -> Self {
        DlrmConfig {
            embedding_dim: 16,
            bottom: vec![64],
            top: vec![64, 32],
            interaction: Interaction::Dot,
            first_order: true,
            embedding_std: None,
            pooling: Pooling::Sum,
            cross_layers: 3,
            cross_rank: 32,
            norm: Norm::None,
            dropout: 0.0,
            quotient_remainder: None,
            mixed_dims: None,
        }
    }
}

/// A built DLRM.
pub(crate) struct Dlrm {
    bottom: Option<Mlp>,
    embeddings: FieldVectors,
    cross: Option<Cross>,
    top: Mlp,
    linear: Option<LinearPart>,
    interaction: Interaction,
    vectors: usize,
}

impl Dlrm {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If a width is zero, nothing can interact or tables cannot be compressed as asked.
    pub(crate) fn build(config: &DlrmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let (layout, features, dim) = (b.layout(), uncrossed(b.layout()), config.embedding_dim);
        if dim == 0 {
            return Err(Error::new("model.embedding_dim", "at least 1", "0"));
        }
        let n = layout.dense.len();
        let bottom_widths = [&config.bottom[..], &[dim]].concat();
        let bottom = (n > 0).then(|| Mlp::build(b, "bottom", n, plain(&bottom_widths))).transpose()?;
        let init = config.embedding_std.map(Init::Normal);
        let forms = compression::forms(layout, dim, (config.quotient_remainder, config.mixed_dims))?;
        let vectors = VectorOptions { dim, pooling: config.pooling, init };
        let embeddings = FieldVectors::build_as(b, "tables", &features, vectors, &forms)?;
        let vectors = features.len() + usize::from(n > 0);
        let pairs = match config.interaction {
            Interaction::Dot => vectors * vectors.saturating_sub(1) / 2,
            Interaction::DotSelf => vectors * (vectors + 1) / 2,
            Interaction::Cat | Interaction::Dcn => embeddings.width(),
        };
        let width = if n > 0 { dim } else { 0 } + pairs;
        if width == 0 {
            let found = format!("{vectors} (inputs: {n} dense, {} categorical)", features.len());
            return Err(Error::new(
                "model.interaction",
                "at least two vectors to interact (\"cat\" needs one)",
                found,
            ));
        }
        let shape = CrossShape {
            layers: config.cross_layers,
            kind: CrossKind::LowRank,
            rank: config.cross_rank,
            experts: 0,
        };
        let cross =
            (config.interaction == Interaction::Dcn).then(|| Cross::matrix(b, width, shape)).transpose()?;
        let options = MlpOptions {
            norm: config.norm,
            dropout: config.dropout,
            head: MlpHead::Logit,
            ..plain(&config.top)
        };
        let top = Mlp::build(b, "top", width, options)?;
        let part = |b: &mut Builder<'_>| LinearPart::build(b, LinearInputs::All, LinearBias::Elsewhere);
        let linear = config.first_order.then(|| part(b)).transpose()?;
        Ok(Dlrm { bottom, embeddings, cross, top, linear, interaction: config.interaction, vectors })
    }
}

/// Hidden layers as in the reference.
fn plain(hidden: &[usize]) -> MlpOptions<'_> {
    MlpOptions {
        hidden,
        norm: Norm::None,
        activation: Activation::Relu,
        dropout: 0.0,
        biases: Bias::Reference,
        head: MlpHead::None,
    }
}

impl Model for Dlrm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let bottom = self.bottom.as_ref().map(|mlp| {
            let x = t.dense(); // [S, n]
            mlp.forward(t, x) // [S, D]
        });
        let mut vectors: Vec<Var> = bottom.into_iter().collect();
        vectors.extend(self.embeddings.parts(t)); // each [S, F'·D]
        let all = t.concat(&vectors); // [S, (F+1)·D]
        let met = match self.interaction {
            Interaction::Cat => all,
            Interaction::Dcn => self.cross.as_ref().expect("built for it").forward(t, all), // [S, (F+1)·D]
            dot => {
                let pairs = if dot == Interaction::DotSelf { Pairs::WithSelf } else { Pairs::Distinct };
                let z = t.dot_interaction(all, self.vectors, pairs); // [S, P]
                bottom.map_or(z, |v0| t.concat(&[v0, z])) // [S, D + P]
            }
        };
        let deep = self.top.forward(t, met); // [S, 1]
        match &self.linear {
            None => deep,
            Some(linear) => {
                let first_order = linear.forward(t); // [S, 1]
                t.add(deep, first_order)
            }
        }
    }
}
