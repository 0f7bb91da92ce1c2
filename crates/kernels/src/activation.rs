//! Element-wise activations. ReLU lets NaN through: a broken row must stay visible in the loss.

/// The definitions.
pub mod reference {
    use crate::Real;

    /// y = max(x, 0)
    pub fn relu<T: Real>(x: T) -> T {
        if T::default() > x { T::default() } else { x }
    }

    /// dx = dy where y > 0, else 0
    pub fn relu_backward<T: Real>(dy: T, y: T) -> T {
        if y > T::default() { dy } else { T::default() }
    }
}

#[inline(always)]
fn relu_backward_body<const FMA: bool>(dy: &mut [f32], y: &[f32]) {
    assert_eq!(dy.len(), y.len(), "one output per gradient");
    for (dy, &y) in dy.iter_mut().zip(y) {
        *dy = if y > 0.0 { *dy } else { 0.0 };
    }
}

bind! {
    /// Turns the gradient of a ReLU's output into that of its input, in place: dy ← dy where y > 0, else 0.
    pub fn relu_backward(dy: &mut [f32], y: &[f32]) = relu_backward_body
}

/// 1 / (1 + e^-x), without overflow, in f64 (a probability near 0 keeps its relative precision).
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}
