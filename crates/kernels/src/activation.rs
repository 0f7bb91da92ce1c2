//! Element-wise activations. ReLU lets NaN through: a broken row must stay visible in the loss.
use crate::bind::fma;

/// An activation that is a step of its own. (Straight behind a product, ReLU is fused into it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// max(x, 0)
    Relu,
    /// x · Φ(x), exact, as PyTorch's default (Hendrycks and Gimpel 2016).
    Gelu,
    /// x · σ(x), also called swish.
    Silu,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// tanh x
    Tanh,
}

/// The definitions.
pub mod reference {
    use super::Curve;
    use crate::Real;

    /// y = max(x, 0)
    pub fn relu<T: Real>(x: T) -> T {
        if T::default() > x { T::default() } else { x }
    }

    /// dx = dy where y > 0, else 0
    pub fn relu_backward<T: Real>(dy: T, y: T) -> T {
        if y > T::default() { dy } else { T::default() }
    }

    /// 1 / (1 + e^-x); e^-x may overflow to infinity, whose inverse is the right limit.
    pub fn sigmoid<T: Real>(x: T) -> T {
        T::of(1.0) / (T::of(1.0) + (-x).exp())
    }

    /// y = curve(x)
    pub fn curve<T: Real>(curve: Curve, x: T) -> T {
        match curve {
            Curve::Relu => relu(x),
            Curve::Gelu => x * normal_cdf(x),
            Curve::Silu => x * sigmoid(x),
            Curve::Sigmoid => sigmoid(x),
            Curve::Tanh => x.tanh(),
        }
    }

    /// The derivative of the curve at x.
    pub fn slope<T: Real>(curve: Curve, x: T) -> T {
        let one = T::of(1.0);
        match curve {
            Curve::Relu => relu_backward(one, x),
            Curve::Gelu => normal_cdf(x) + x * T::of(0.398_942_280_401_432_7) * (-(x * x) * T::of(0.5)).exp(),
            Curve::Silu => sigmoid(x) * (one + x * (one - sigmoid(x))),
            Curve::Sigmoid => sigmoid(x) * (one - sigmoid(x)),
            Curve::Tanh => one - x.tanh() * x.tanh(),
        }
    }

    /// Φ, the distribution function of the standard normal.
    fn normal_cdf<T: Real>(x: T) -> T {
        T::of(0.5) * (T::of(1.0) + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
    }

    /// y = x where x > 0, else a·x (He et al. 2015).
    pub fn prelu<T: Real>(x: T, a: T) -> T {
        if x > T::default() { x } else { a * x }
    }

    /// (dx, da) of [`prelu`].
    pub fn prelu_backward<T: Real>(dy: T, x: T, a: T) -> (T, T) {
        if x > T::default() { (dy, T::default()) } else { (a * dy, x * dy) }
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

#[inline(always)]
fn curve_body<const FMA: bool>(y: &mut [f32], x: &[f32], curve: Curve) {
    assert_eq!(y.len(), x.len(), "one output per input");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = reference::curve(curve, x);
    }
}

bind! {
    /// y ← curve(x)
    pub fn curve(y: &mut [f32], x: &[f32], curve: Curve) = curve_body
}

#[inline(always)]
fn curve_backward_body<const FMA: bool>(dx: &mut [f32], dy: &[f32], x: &[f32], curve: Curve) {
    assert_eq!((dx.len(), dx.len()), (dy.len(), x.len()), "one gradient per input");
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        *dx = fma::<FMA>(dy, reference::slope(curve, x), *dx);
    }
}

bind! {
    /// dx += dy · curve'(x)
    pub fn curve_backward(dx: &mut [f32], dy: &[f32], x: &[f32], curve: Curve) = curve_backward_body
}

#[inline(always)]
fn prelu_body<const FMA: bool>(y: &mut [f32], x: &[f32], slopes: &[f32]) {
    assert_eq!(y.len(), x.len(), "one output per input");
    let n = slopes.len().max(1);
    for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
        for ((y, &x), &a) in y.iter_mut().zip(x).zip(slopes) {
            *y = reference::prelu(x, a);
        }
    }
}

bind! {
    /// y ← x where x > 0, else a·x, with one learned slope per column.
    pub fn prelu(y: &mut [f32], x: &[f32], slopes: &[f32]) = prelu_body
}

#[inline(always)]
fn prelu_backward_body<const FMA: bool>(
    dx: &mut [f32],
    dslopes: &mut [f32],
    dy: &[f32],
    x: &[f32],
    slopes: &[f32],
) {
    assert_eq!(
        (dx.len(), dx.len(), dslopes.len()),
        (dy.len(), x.len(), slopes.len()),
        "one gradient per input"
    );
    let n = slopes.len().max(1);
    for ((dx, dy), x) in dx.chunks_exact_mut(n).zip(dy.chunks_exact(n)).zip(x.chunks_exact(n)) {
        for ((((dx, ds), &dy), &x), &a) in dx.iter_mut().zip(&mut *dslopes).zip(dy).zip(x).zip(slopes) {
            let (own, slope) = reference::prelu_backward(dy, x, a);
            *dx += own;
            *ds += slope;
        }
    }
}

bind! {
    /// dx += and dslopes += the gradients of [`prelu`].
    pub fn prelu_backward(dx: &mut [f32], dslopes: &mut [f32], dy: &[f32], x: &[f32], slopes: &[f32]) = prelu_backward_body
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
