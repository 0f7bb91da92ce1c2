//! Logistic regression (linear regression for ratings): a weight per dense input, one per table row, a bias.
//! All start at zero, where the loss is convex and zero is the neutral guess.
use crate::config::Model;
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Error, GroupId, Linear, ParamId, Result, Slot, Tape, Var};
use serde::{Deserialize, Serialize};

/// Settings of a logistic regression: none yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LrConfig {}

/// A built logistic regression.
pub struct Lr {
    dense: Option<Linear>,
    rows: Option<GroupId>,
    bias: ParamId,
}

impl Lr {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input.
    pub fn build(_: &LrConfig, b: &mut Builder<'_>) -> Result<Self> {
        let layout = b.layout();
        let n = layout.dense.len();
        if n == 0 && layout.features.is_empty() {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        let zero = (Init::Zero, Init::Zero);
        let dense = (n > 0).then(|| b.linear_with("linear.dense", (n, 1), Activation::Identity, Bias::Without, zero)).transpose()?;
        let slots: Vec<Slot> = layout
            .features
            .iter()
            .enumerate()
            // A learned pooling weight would only duplicate the row's own weight.
            .map(|(feature, f)| Slot { feature, dim: 1, pooling: f.pooling.filter(|&p| p == Pooling::Mean).unwrap_or(Pooling::Sum) })
            .collect();
        let rows = (!slots.is_empty()).then(|| b.embed("linear", &slots, Some(Init::Zero))).transpose()?;
        Ok(Lr { dense, rows, bias: b.param("linear.bias", &[1], Init::Zero) })
    }
}

impl Model for Lr {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        let dense = self.dense.map(|layer| {
            let x = t.dense(); // [S, n]
            layer.forward(t, x) // [S, 1]
        });
        let rows = self.rows.map(|group| {
            let e = t.embed(group); // [S, F]
            t.sum_columns(e) // [S, 1]
        });
        let sum = match (dense, rows) {
            (Some(a), Some(b)) => t.add(a, b),
            (Some(x), None) | (None, Some(x)) => x,
            (None, None) => unreachable!("checked in build"),
        };
        t.add_bias(sum, self.bias)
    }
}
