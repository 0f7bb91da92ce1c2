//! xDeepFM (Lian et al. 2018, arXiv:1803.05170): linear part, compressed interaction network (CIN) and deep
//! network, summed.
//!
//! CIN, equation 6: map h of layer k is X^k_h = Σ_ij W^k_hij (X^{k-1}_i ∘ X^0_j), pooled over D. With
//! `split_half` (the authors' code) ReLU follows and half of a layer's maps go on while the other half is
//! pooled; without (FuxiCTR, BARS) all do both.
use crate::deep_config::deep_config;
use crate::input_vectors::InputVectors;
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::mlp::{Mlp, MlpHead};
use crate::model::{About, Model};
use dlrm_nn::{Activation, Bias, Builder, Error, Linear, Result, Tape, Var};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "xdeepfm",
    title: "xDeepFM",
    paper: "Lian et al. 2018",
    idea: "compressed interaction network + linear model + MLP",
    order: "layers + 1",
    unit: "vector + bit",
};

deep_config! {
    /// Settings of xDeepFM.
    pub struct XDeepFmConfig {
        /// Number of maps of each CIN layer.
        cin: Vec<usize> = vec![64, 64],
        /// Whether half of the maps go on and the other half is pooled.
        split_half: bool = false,
    }
}

/// A built xDeepFM.
pub(crate) struct XDeepFm {
    linear: LinearPart,
    vectors: InputVectors,
    cin: Vec<CinLayer>,
    cin_output: Linear,
    deep: Option<Mlp>,
}

struct CinLayer {
    compress: Linear,
    /// Maps that go on to the next layer, from the first.
    on: usize,
    /// First map that is pooled.
    pooled_from: usize,
}

impl XDeepFm {
    /// Declares the parameters. Without hidden layers there is no deep network.
    ///
    /// # Errors
    /// If there is no input, a width is zero, or a layer that is split has an odd number of maps.
    pub(crate) fn build(config: &XDeepFmConfig, b: &mut Builder<'_>) -> Result<Self> {
        let linear = LinearPart::build(b, LinearInputs::All, LinearBias::Elsewhere)?;
        let vectors = InputVectors::build(b, config.embedding_dim, config.embedding_std)?;
        let deep = (!config.hidden.is_empty())
            .then(|| Mlp::build(b, "deep", vectors.width(), config.mlp(MlpHead::Logit)))
            .transpose()?;
        let (mut cin, mut maps, mut pooled) = (Vec::new(), vectors.fields, 0);
        for (k, &size) in config.cin.iter().enumerate() {
            let split = config.split_half && k + 1 < config.cin.len();
            if split && size % 2 == 1 {
                return Err(Error::new(
                    "model.cin",
                    "even numbers where layers are split in halves",
                    size.to_string(),
                ));
            }
            let activation = if config.split_half { Activation::Relu } else { Activation::Identity };
            let compress =
                b.linear(&format!("cin.{k}"), maps * vectors.fields, size, activation, Bias::Zero)?;
            let (on, pooled_from) = if split { (size / 2, size / 2) } else { (size, 0) };
            pooled += size - pooled_from;
            maps = on;
            cin.push(CinLayer { compress, on, pooled_from });
        }
        if cin.is_empty() {
            return Err(Error::new("model.cin", "at least one layer", "none"));
        }
        Ok(XDeepFm { linear, vectors, cin, cin_output: b.output("cin.output", pooled, Bias::Zero)?, deep })
    }

    /// The CIN over [S, m·D]; inside, vectors are turned to [S, D, m], so that a layer is one product shared
    /// by all D columns.
    fn compressed(&self, t: &mut Tape<'_>, vectors: Var) -> Var {
        let dim = self.vectors.dim;
        let x0 = t.transpose(vectors, self.vectors.fields); // [S, D·m]
        let (mut x, mut pooled) = (x0, Vec::new());
        for layer in &self.cin {
            let products = t.outer(x, x0, dim); // [S, D·H·m]
            let maps = layer.compress.forward(t, products); // [S, D·H']
            let sums = t.sum_blocks(maps, dim); // [S, H']
            let width = t.width(sums);
            pooled.push(if layer.pooled_from > 0 { t.slice(sums, layer.pooled_from..width) } else { sums });
            x = if layer.on < width { first_of_blocks(t, maps, dim, layer.on) } else { maps };
        }
        let all = if pooled.len() == 1 { pooled[0] } else { t.concat(&pooled) };
        self.cin_output.forward(t, all) // [S, 1]
    }
}

/// The first `on` columns of each of `blocks` blocks.
fn first_of_blocks(t: &mut Tape<'_>, x: Var, blocks: usize, on: usize) -> Var {
    let width = t.width(x) / blocks;
    let parts: Vec<Var> = (0..blocks).map(|block| t.slice(x, block * width..block * width + on)).collect();
    t.concat(&parts)
}

impl Model for XDeepFm {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let linear = self.linear.forward(t); // [S, 1]
        let vectors = self.vectors.forward(t); // [S, m·D]
        let cin = self.compressed(t, vectors); // [S, 1]
        let sum = t.add(linear, cin);
        match &self.deep {
            Some(deep) => {
                let deep = deep.forward(t, vectors); // [S, 1]
                t.add(sum, deep)
            }
            None => sum,
        }
    }
}
