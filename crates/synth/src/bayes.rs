//! The optimum: what a model that knew every row's true probability would score on average.
use serde::{Deserialize, Serialize};

/// Expected scores of the true probabilities, over all labels these could have drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bayes {
    /// Mean of -p ln p - (1 - p) ln(1 - p): no model has a lower expected log loss.
    pub log_loss: f64,
    /// Expected concordance `Σ p_i (1 - p_j) [p_i > p_j] / Σ p_i (1 - p_j)` over pairs i ≠ j, ties counting
    /// one half.
    pub auc: f64,
    /// Log loss of always predicting the click rate.
    pub label_entropy: f64,
    /// Mean probability.
    pub click_rate: f64,
}

impl Bayes {
    /// Of the true probabilities of some rows; in O(n log n). Of no rows, all are NaN; without two rows
    /// that can differ in label, the AUC is NaN.
    pub fn of(probabilities: &[f64]) -> Self {
        let n = probabilities.len() as f64;
        let click_rate = probabilities.iter().sum::<f64>() / n;
        let log_loss = probabilities.iter().map(|&p| entropy(p)).sum::<f64>() / n;
        Bayes { log_loss, auc: expected_auc(probabilities), label_entropy: entropy(click_rate), click_rate }
    }
}

/// Entropy of a click in nats.
fn entropy(p: f64) -> f64 {
    let term = |x: f64| if x == 0.0 { 0.0 } else { -x * x.ln() };
    term(p) + term(1.0 - p)
}

fn expected_auc(probabilities: &[f64]) -> f64 {
    let mut sorted = probabilities.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (mut concordant, mut pairs) = (0.0, 0.0);
    // Σ (1 - p_j) and Σ p_j over the rows with a smaller p.
    let (mut negatives_below, mut positives_below) = (0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a == b) {
        let (k, p) = (tied.len() as f64, tied[0]);
        let (positives, negatives) = (k * p, k * (1.0 - p));
        let within = k * (k - 1.0) * p * (1.0 - p);
        concordant += positives * negatives_below + 0.5 * within;
        pairs += positives * negatives_below + negatives * positives_below + within;
        negatives_below += negatives;
        positives_below += positives;
    }
    concordant / pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sure_and_constant_probabilities() {
        let sure = Bayes::of(&[0.0, 1.0, 1.0, 0.0]);
        assert_eq!((sure.log_loss, sure.auc, sure.click_rate), (0.0, 1.0, 0.5));
        let constant = Bayes::of(&[0.2; 10]);
        assert!((constant.log_loss - constant.label_entropy).abs() < 1e-15);
        assert!((constant.auc - 0.5).abs() < 1e-15);
        assert!(Bayes::of(&[]).log_loss.is_nan() && Bayes::of(&[0.3]).auc.is_nan());
    }

    proptest! {
        #[test]
        fn auc_equals_its_quadratic_definition(tenths in prop::collection::vec(0u8..=10, 2..40)) {
            let p: Vec<f64> = tenths.iter().map(|&t| f64::from(t) / 10.0).collect();
            let (mut concordant, mut pairs) = (0.0, 0.0);
            for (i, &pi) in p.iter().enumerate() {
                for (_, &pj) in p.iter().enumerate().filter(|&(j, _)| j != i) {
                    let order = if pi > pj { 1.0 } else if pi == pj { 0.5 } else { 0.0 };
                    concordant += pi * (1.0 - pj) * order;
                    pairs += pi * (1.0 - pj);
                }
            }
            let auc = Bayes::of(&p).auc;
            let expected = concordant / pairs;
            let equal = if pairs == 0.0 { auc.is_nan() } else { (auc - expected).abs() < 1e-12 };
            prop_assert!(equal, "{auc}");
        }
    }
}
