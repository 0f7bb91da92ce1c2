//! Losses of one row and their derivative with respect to the model's output.

/// Log loss of a logit: softplus(z) - y·z, with positives weighted by `positive_weight`
/// (as PyTorch's `BCEWithLogitsLoss(pos_weight)`). Never overflows: softplus is split by the sign of z.
pub fn bce_with_logits(z: f64, y: f64, positive_weight: f64) -> (f64, f64) {
    let log1p_e = libm::log1p(libm::exp(-z.abs()));
    let (softplus, softplus_of_minus) = (z.max(0.0) + log1p_e, (-z).max(0.0) + log1p_e);
    let p = crate::activation::sigmoid(z);
    let loss = positive_weight * y * softplus_of_minus + (1.0 - y) * softplus;
    let gradient = (1.0 - y) * p - positive_weight * y * (1.0 - p);
    (loss, gradient)
}

/// Squared error of the output itself.
pub fn squared_error(z: f64, y: f64) -> (f64, f64) {
    ((z - y) * (z - y), 2.0 * (z - y))
}

/// Squared error of the probability sigmoid(z) (the reference's default loss; the Brier score).
pub fn squared_error_of_probability(z: f64, y: f64) -> (f64, f64) {
    let p = crate::activation::sigmoid(z);
    ((p - y) * (p - y), 2.0 * (p - y) * p * (1.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_match_central_differences() {
        let h = 1e-6;
        for z in [-30.0, -2.5, -1e-3, 0.0, 0.7, 12.0] {
            for y in [0.0, 0.3, 1.0] {
                let losses: [&dyn Fn(f64) -> (f64, f64); 4] = [
                    &|z| bce_with_logits(z, y, 1.0),
                    &|z| bce_with_logits(z, y, 3.5),
                    &|z| squared_error(z, y),
                    &|z| squared_error_of_probability(z, y),
                ];
                for loss in losses {
                    let numeric = (loss(z + h).0 - loss(z - h).0) / (2.0 * h);
                    assert!(
                        (numeric - loss(z).1).abs() <= 1e-7 * (1.0 + numeric.abs()),
                        "z {z} y {y}: {numeric} {}",
                        loss(z).1
                    );
                }
            }
        }
    }

    #[test]
    fn extreme_logits_stay_finite() {
        for z in [-1e4, 1e4] {
            for y in [0.0, 1.0] {
                let (loss, gradient) = bce_with_logits(z, y, 1.0);
                assert!(loss.is_finite() && gradient.is_finite());
            }
        }
        assert_eq!(bce_with_logits(1e4, 1.0, 1.0).0, 0.0);
    }
}
