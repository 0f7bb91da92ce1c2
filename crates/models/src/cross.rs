//! Cross layers: x_{l+1} = x_0 ⊙ f(x_l) + b_l + x_l raises the order of interaction by one each.
//!
//! `Vector` is DCN's (Wang et al. 2017, equation 3), f(x) = <w, x>; the others are DCN-V2's (Wang et al.
//! 2020): `Full` f(x) = W x (equation 1), `LowRank` f(x) = U V x (equation 2), `Mixture` a gated sum of tanh
//! experts (equation 4). In DCN-V2 the bias is inside the product: x_0 ⊙ (f(x_l) + b_l) + x_l.
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Error, Linear, ParamId, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// The matrix of a DCN-V2 cross layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossKind {
    /// A whole matrix.
    #[default]
    Full,
    /// A product of two thin ones.
    LowRank,
    /// Several thin ones, gated.
    Mixture,
}

/// Built cross layers.
#[derive(Debug)]
pub struct Cross {
    layers: Vec<CrossLayer>,
}

#[derive(Debug)]
enum CrossLayer {
    Vector { weight: Linear, bias: ParamId },
    Full(Linear),
    LowRank { v: Linear, u: Linear, bias: ParamId },
    Mixture { gate: Linear, experts: Vec<[Linear; 3]>, bias: ParamId },
}

/// Size of DCN-V2 cross layers.
#[derive(Debug, Clone, Copy)]
pub struct CrossShape {
    /// Number of layers.
    pub layers: usize,
    /// Which matrix.
    pub kind: CrossKind,
    /// r of the thin matrices.
    pub rank: usize,
    /// Number of experts.
    pub experts: usize,
}

/// Each is declared one by one, before the plan can tell what they need.
fn few(what: &str, number: usize) -> Result<()> {
    const MOST: usize = 10_000;
    if number > MOST {
        return Err(Error::new(
            format!("number of cross {what}"),
            format!("at most {MOST}"),
            number.to_string(),
        ));
    }
    Ok(())
}

impl Cross {
    /// DCN's layers over `width` columns: `cross.l.weight` [1, width], `cross.l.bias`.
    ///
    /// # Errors
    /// If the width is zero, or there are very many layers.
    pub fn vector(b: &mut Builder<'_>, width: usize, layers: usize) -> Result<Self> {
        few("layers", layers)?;
        let layer = |l: usize| {
            let weight = b.linear(&format!("cross.{l}"), width, 1, Activation::Identity, Bias::Without)?;
            Ok(CrossLayer::Vector { weight, bias: b.param(&format!("cross.{l}.bias"), &[width], Init::Zero) })
        };
        Ok(Cross { layers: (0..layers).map(layer).collect::<Result<_>>()? })
    }

    /// DCN-V2's layers over `width` columns.
    ///
    /// # Errors
    /// If a width, the rank or the number of experts is zero, or there are very many layers or experts.
    pub fn matrix(b: &mut Builder<'_>, width: usize, shape: CrossShape) -> Result<Self> {
        let CrossShape { layers, kind, rank, experts } = shape;
        few("layers", layers)?;
        few("experts", experts)?;
        if kind != CrossKind::Full && rank == 0 {
            return Err(Error::new("rank of the cross layers", "at least 1", "0"));
        }
        if kind == CrossKind::Mixture && experts == 0 {
            return Err(Error::new("model.experts", "at least 1", "0"));
        }
        let mut built = Vec::with_capacity(layers);
        for l in 0..layers {
            let name = |part: &str| format!("cross.{l}{part}");
            let mut thin = |part: &str, inputs, outputs| {
                b.linear(&name(part), inputs, outputs, Activation::Identity, Bias::Without)
            };
            built.push(match kind {
                CrossKind::Full => {
                    CrossLayer::Full(b.linear(&name(""), width, width, Activation::Identity, Bias::Zero)?)
                }
                CrossKind::LowRank => {
                    let (v, u) = (thin(".v", width, rank)?, thin(".u", rank, width)?);
                    CrossLayer::LowRank { v, u, bias: b.param(&name(".bias"), &[width], Init::Zero) }
                }
                CrossKind::Mixture => {
                    let gate = thin(".gate", width, experts)?;
                    let mut expert = |e: usize| {
                        let mut part = |p: &str, inputs, outputs| thin(&format!(".{e}.{p}"), inputs, outputs);
                        Ok([part("v", width, rank)?, part("c", rank, rank)?, part("u", rank, width)?])
                    };
                    let experts = (0..experts).map(&mut expert).collect::<Result<_>>()?;
                    CrossLayer::Mixture { gate, experts, bias: b.param(&name(".bias"), &[width], Init::Zero) }
                }
            });
        }
        Ok(Cross { layers: built })
    }

    /// [S, width] → [S, width]
    pub fn forward(&self, t: &mut Tape<'_>, x0: Var) -> Var {
        self.layers.iter().fold(x0, |x, layer| {
            let crossed = match layer {
                CrossLayer::Vector { weight, bias } => {
                    let s = weight.forward(t, x); // [S, 1]
                    let crossed = t.scale_rows(x0, s); // [S, X]
                    t.add_bias(crossed, *bias)
                }
                CrossLayer::Full(matrix) => {
                    let f = matrix.forward(t, x); // [S, X]
                    t.mul(x0, f)
                }
                CrossLayer::LowRank { v, u, bias } => {
                    let low = v.forward(t, x); // [S, r]
                    let f = u.forward(t, low); // [S, X]
                    let f = t.add_bias(f, *bias);
                    t.mul(x0, f)
                }
                CrossLayer::Mixture { gate, experts, bias } => {
                    let f = mixture(t, x, gate, experts); // [S, X]
                    // The gates sum to one, so one bias serves all experts.
                    let f = t.add_bias(f, *bias);
                    t.mul(x0, f)
                }
            };
            t.add(crossed, x)
        })
    }
}

/// Σ_e gate_e(x) · U_e tanh(C_e tanh(V_e x))
fn mixture(t: &mut Tape<'_>, x: Var, gate: &Linear, experts: &[[Linear; 3]]) -> Var {
    let gates = gate.forward(t, x); // [S, E]
    let gates = t.softmax(gates);
    let outputs = experts.iter().enumerate().map(|(e, [v, c, u])| {
        let h = v.forward(t, x); // [S, r]
        let h = t.activation(h, Activation::Tanh);
        let h = c.forward(t, h); // [S, r]
        let h = t.activation(h, Activation::Tanh);
        let y = u.forward(t, h); // [S, X]
        let own = t.slice(gates, e..e + 1); // [S, 1]
        t.scale_rows(y, own)
    });
    let outputs: Vec<Var> = outputs.collect();
    outputs[1..].iter().fold(outputs[0], |sum, &y| t.add(sum, y))
}
