//! Losses over the logits of a shard.
use dlrm_kernels::loss::{bce_with_logits, squared_error, squared_error_of_probability};
use serde::{Deserialize, Serialize};

/// What training minimises: the mean over the batch of one of these, weighted by the sample weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Binary cross-entropy of the logit (log loss).
    Bce {
        /// Factor on the loss of positive rows.
        #[serde(default = "one")]
        positive_weight: f64,
    },
    /// Squared error of the raw output (ratings).
    Mse,
    /// Squared error of the probability (the reference's default; the Brier score).
    MseOfProbability,
}

fn one() -> f64 {
    1.0
}

impl Default for Loss {
    fn default() -> Self {
        Loss::Bce { positive_weight: 1.0 }
    }
}

impl Loss {
    /// Loss of one row and its derivative with respect to the output.
    pub fn of(self, output: f64, label: f64) -> (f64, f64) {
        match self {
            Loss::Bce { positive_weight } => bce_with_logits(output, label, positive_weight),
            Loss::Mse => squared_error(output, label),
            Loss::MseOfProbability => squared_error_of_probability(output, label),
        }
    }

    /// Sum over a shard of `w_i · loss_i / batch_rows`, and its gradient with respect to each output.
    pub fn forward_backward(
        self,
        gradient: &mut [f32],
        outputs: &[f32],
        labels: &[f32],
        weights: Option<&[f32]>,
        batch_rows: usize,
    ) -> f64 {
        let mut total = 0.0;
        for (i, (gradient, (&output, &label))) in
            gradient.iter_mut().zip(outputs.iter().zip(labels)).enumerate()
        {
            let weight = weights.map_or(1.0, |w| f64::from(w[i])) / batch_rows as f64;
            let (loss, derivative) = self.of(f64::from(output), f64::from(label));
            total += weight * loss;
            *gradient = (weight * derivative) as f32;
        }
        total
    }
}
