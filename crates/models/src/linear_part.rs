//! The linear part: logistic regression by itself, and a summand of other models.
use dlrm_data::batch::Feature;
use dlrm_data::schema::Pooling;
use dlrm_nn::init::Init;
use dlrm_nn::{Activation, Bias, Builder, Error, GroupId, Linear, ParamId, Result, Slot, Tape, Var};

/// What a linear part sums over.
#[derive(Debug, Clone, Copy)]
pub enum LinearInputs<'a> {
    /// All dense inputs and all features, crosses too.
    All,
    /// These features, by index in the layout, and no dense inputs.
    Features(&'a [usize]),
}

/// Whether a linear part has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinearBias {
    /// Its own.
    Own,
    /// None: another part of the model has one.
    Elsewhere,
}

/// A weight per dense input and per table row, and perhaps a bias. All start at zero, where the loss is
/// convex and zero is the neutral guess.
#[derive(Debug)]
pub struct LinearPart {
    dense: Option<Linear>,
    rows: Option<GroupId>,
    bias: Option<ParamId>,
}

impl LinearPart {
    /// Declares `linear.dense.weight` if there are dense inputs, `linear.<table>` for the features, and
    /// `linear.bias`.
    ///
    /// # Errors
    /// If there is no input.
    pub fn build(b: &mut Builder<'_>, inputs: LinearInputs<'_>, bias: LinearBias) -> Result<Self> {
        b.linear_part(|b| LinearPart::declare(b, inputs, bias))
    }

    fn declare(b: &mut Builder<'_>, inputs: LinearInputs<'_>, bias: LinearBias) -> Result<Self> {
        let layout = b.layout();
        let (n, features) = match inputs {
            LinearInputs::All => (layout.dense.len(), (0..layout.features.len()).collect()),
            LinearInputs::Features(features) => (0, features.to_vec()),
        };
        if n == 0 && features.is_empty() {
            return Err(Error::new("inputs", "at least one dense or categorical column", "none"));
        }
        let dense = (n > 0)
            .then(|| b.linear_from("linear.dense", (n, 1), Activation::Identity, Bias::Without, Init::Zero))
            .transpose()?;
        // A learned pooling weight would only duplicate the row's own weight.
        let pooling = |f: &Feature| f.pooling.filter(|&p| p == Pooling::Mean).unwrap_or(Pooling::Sum);
        let slots: Vec<Slot> = features
            .iter()
            .map(|&feature| Slot {
                feature,
                dim: 1,
                pooling: pooling(&layout.features[feature]),
                compression: None,
            })
            .collect();
        let rows = (!slots.is_empty()).then(|| b.embed("linear", &slots, Some(Init::Zero))).transpose()?;
        let bias = (bias == LinearBias::Own).then(|| b.param("linear.bias", &[1], Init::Zero));
        b.output_bias(bias);
        Ok(LinearPart { dense, rows, bias })
    }

    /// → [S, 1]
    pub fn forward(&self, t: &mut Tape<'_>) -> Var {
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
        self.bias.map_or(sum, |bias| t.add_bias(sum, bias))
    }
}
