//! Logistic regression (linear regression for ratings): a weight per dense input, one per table row, a bias.
use crate::common::{LinearPart, with_crosses};
use crate::config::Model;
use dlrm_nn::{Bias, Builder, Result, Tape, Var};
use serde::{Deserialize, Serialize};

/// Settings of a logistic regression: none yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LrConfig {}

/// A built logistic regression.
pub struct Lr {
    linear: LinearPart,
}

impl Lr {
    /// Declares the parameters.
    ///
    /// # Errors
    /// If there is no input.
    pub fn build(_: &LrConfig, b: &mut Builder<'_>) -> Result<Self> {
        Ok(Lr { linear: LinearPart::build(b, &with_crosses(b.layout()), true, Bias::With)? })
    }
}

impl Model for Lr {
    fn forward(&self, t: &mut Tape<'_>) -> Var {
        self.linear.forward(t)
    }
}
