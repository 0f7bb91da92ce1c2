//! A model whose training is over.
use crate::error::Result;
use crate::learner::Learner;
use crate::regression::Refit;
use crate::run::EncodedParts;
use crate::train_state::TrainState;
use dlrm_data::split::Part;

/// A model that has been trained; the learner holds its best weights.
pub(crate) struct Trained {
    pub(crate) learner: Learner,
    pub(crate) state: TrainState,
    /// Where these are a regression's: that on the validation rows too.
    pub(crate) refit: Option<Refit>,
}

impl Trained {
    /// Logits of the validation and the test rows. Of a regression the weights that validation rows have
    /// chosen score these, and those that were trained on them too score the test rows, and stay.
    ///
    /// # Errors
    /// If the model does not fit the rows.
    pub(crate) fn logits(&mut self, rows: &EncodedParts<'_>) -> Result<[Vec<f32>; 2]> {
        let validation = self.learner.logits(&rows.parts[Part::Validation])?;
        if let Some(refit) = self.refit.take() {
            refit.put_into(&rows.layout, self.learner.network_mut().weights_mut())?;
        }
        Ok([validation, self.learner.logits(&rows.parts[Part::Test])?])
    }

    /// Number of parameters.
    pub(crate) fn parameters(&self) -> u64 {
        let (dense, tables) = self.learner.network().weights().count();
        (dense + tables) as u64
    }
}
