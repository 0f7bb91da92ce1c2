//! Logistic regression (linear regression for ratings): a weight per dense input, one per table row, a bias.
use crate::linear_part::{LinearBias, LinearInputs, LinearPart};
use crate::model::{About, Model};
use dlrm_nn::{Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// What it is.
pub(crate) const ABOUT: About = About {
    kind: "lr",
    title: "Logistic regression",
    paper: "-",
    idea: "a weight per value",
    order: "1",
    unit: "-",
};

/// Settings of a logistic regression: none yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LrConfig {}

/// A built logistic regression.
pub(crate) struct Lr {
    linear: LinearPart,
}

impl Lr {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input.
    pub(crate) fn build(_: &LrConfig, b: &mut Builder<'_>) -> Result<Self> {
        Ok(Lr { linear: LinearPart::build(b, LinearInputs::All, LinearBias::Own)? })
    }
}

impl Model for Lr {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        self.linear.forward(t)
    }
}
