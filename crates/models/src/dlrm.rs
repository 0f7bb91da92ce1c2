//! DLRM (Naumov et al. 2019, arXiv:1906.00091, section 2).
//!
//! Dense inputs [S, n] go through the bottom MLP to v_0 [S, D]; every categorical feature is an embedding
//! bag v_1 … v_F; vectors interact pairwise by dot product; v_0 and the products go through the top MLP to
//! the logit. Deviations from the reference: without dense inputs there is no v_0; a feature may have its own
//! width d and is then projected to D (as the reference's mixed dimensions do).
use crate::config::Model;
use dlrm_data::schema::Pooling;
use dlrm_nn::{Activation, Bias, Builder, Error, GroupId, Linear, Mlp, Pairs, Result, Slot, Tape, Var};
use serde::{Deserialize, Serialize};

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
    /// Pooling of bags of features whose schema does not say.
    pub pooling: Pooling,
}

/// How vectors meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interaction {
    /// Dot products of all distinct pairs.
    Dot,
    /// The same and each vector with itself.
    DotSelf,
    /// No products: the vectors side by side.
    Cat,
}

impl Default for DlrmConfig {
    fn default() -> Self {
        DlrmConfig { embedding_dim: 16, bottom: vec![64], top: vec![64, 32], interaction: Interaction::Dot, pooling: Pooling::Sum }
    }
}

/// A built DLRM.
pub struct Dlrm {
    bottom: Option<Mlp>,
    embeddings: Vec<(GroupId, Option<Linear>)>,
    top: Mlp,
    interaction: Interaction,
    vectors: usize,
}

impl Dlrm {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If a width is zero or nothing can interact.
    pub fn build(config: &DlrmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let (layout, dim) = (b.layout(), config.embedding_dim);
        if dim == 0 {
            return Err(Error::new("model.embedding_dim", "at least 1", "0"));
        }
        let n = layout.dense.len();
        let bottom_widths = [&config.bottom[..], &[dim]].concat();
        let bottom = (n > 0).then(|| b.mlp("bottom", n, &bottom_widths, Activation::Relu)).transpose()?;
        let embeddings = embeddings(config, b)?;
        let vectors = layout.features.len() + usize::from(n > 0);
        let pairs = match config.interaction {
            Interaction::Dot => vectors * vectors.saturating_sub(1) / 2,
            Interaction::DotSelf => vectors * (vectors + 1) / 2,
            Interaction::Cat => layout.features.len() * dim,
        };
        let width = if n > 0 { dim } else { 0 } + pairs;
        if width == 0 {
            let found = format!("{vectors} (inputs: {n} dense, {} categorical)", layout.features.len());
            return Err(Error::new(
                "model.interaction",
                "at least two vectors to interact (\"cat\" needs one: --set model.interaction=cat)",
                found,
            ));
        }
        let top = b.mlp("top", width, &[&config.top[..], &[1]].concat(), Activation::Identity)?;
        Ok(Dlrm { bottom, embeddings, top, interaction: config.interaction, vectors })
    }
}

/// Groups of neighbouring features of width D, and features of another width each with its projection.
fn embeddings(config: &DlrmConfig, b: &mut Builder<'_>) -> Result<Vec<(GroupId, Option<Linear>)>> {
    let (layout, dim) = (b.layout(), config.embedding_dim);
    let slot = |(feature, f): (usize, &dlrm_data::batch::Feature)| Slot {
        feature,
        dim: f.embedding_dim.unwrap_or(dim),
        // Weights of the data say how the values count; another default must not drop them.
        pooling: f.pooling.unwrap_or(if f.weighted { Pooling::Sum } else { config.pooling }),
    };
    let slots: Vec<Slot> = layout.features.iter().enumerate().map(slot).collect();
    let mut groups = Vec::new();
    for run in slots.chunk_by(|a, b| a.dim == dim && b.dim == dim) {
        let group = b.embed("tables", run, None)?;
        let projection = (run[0].dim != dim).then(|| {
            let name = format!("project.{}", layout.features[run[0].feature].name);
            b.linear(&name, run[0].dim, dim, Activation::Identity, Bias::Without)
        });
        groups.push((group, projection.transpose()?));
    }
    Ok(groups)
}

impl Model for Dlrm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let mut vectors = Vec::with_capacity(self.embeddings.len() + 1);
        let bottom = self.bottom.as_ref().map(|mlp| {
            let x = t.dense(); // [S, n]
            mlp.forward(t, x) // [S, D]
        });
        vectors.extend(bottom);
        for (group, projection) in &self.embeddings {
            let e = t.embed(*group); // [S, F'·D] or [S, d]
            vectors.push(projection.map_or(e, |p| p.forward(t, e)));
        }
        let all = t.concat(&vectors); // [S, (F+1)·D]
        let met = match self.interaction {
            Interaction::Cat => all,
            dot => {
                let pairs = if dot == Interaction::DotSelf { Pairs::WithSelf } else { Pairs::Distinct };
                let z = t.dot_interaction(all, self.vectors, pairs); // [S, P]
                bottom.map_or(z, |v0| t.concat(&[v0, z])) // [S, D + P]
            }
        };
        self.top.forward(t, met) // [S, 1]
    }
}
