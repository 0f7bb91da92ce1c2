//! Element-wise activations. ReLU lets NaN through: a broken row must stay visible in the loss.
use crate::simd::Simd;

/// What happens to each element behind a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x
    Identity,
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
    /// x where x > 0, else a·x with a learned slope a per column (He et al. 2015).
    Prelu,
}

/// The definitions.
pub mod reference {
    use super::Activation;
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
        T::of(1.0) / (T::of(1.0) + T::exp(-x))
    }

    /// f(x) of the activation f. Only [`Activation::Prelu`] has a `slope`.
    pub fn value<T: Real>(f: Activation, x: T, slope: T) -> T {
        match f {
            Activation::Identity => x,
            Activation::Relu => relu(x),
            Activation::Gelu => x * normal_cdf(x),
            Activation::Silu => x * sigmoid(x),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => T::tanh(x),
            Activation::Prelu => prelu(x, slope),
        }
    }

    /// f'(x), the derivative of the activation f at x. Only [`Activation::Prelu`] has a `slope`.
    pub fn derivative<T: Real>(f: Activation, x: T, slope: T) -> T {
        let one = T::of(1.0);
        match f {
            Activation::Identity => one,
            Activation::Relu => relu_backward(one, x),
            Activation::Gelu => {
                normal_cdf(x) + x * T::of(0.398_942_280_401_432_7) * T::exp(-(x * x) * T::of(0.5))
            }
            Activation::Silu => sigmoid(x) * (one + x * (one - sigmoid(x))),
            Activation::Sigmoid => sigmoid(x) * (one - sigmoid(x)),
            Activation::Tanh => one - T::tanh(x) * T::tanh(x),
            Activation::Prelu => prelu_backward(one, x, slope).0,
        }
    }

    /// Φ, the distribution function of the standard normal.
    fn normal_cdf<T: Real>(x: T) -> T {
        T::of(0.5) * (T::of(1.0) + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
    }

    /// y = x where x > 0, else a·x
    fn prelu<T: Real>(x: T, a: T) -> T {
        if x > T::default() { x } else { a * x }
    }

    /// (dx, da) of y = x where x > 0, else a·x.
    pub fn prelu_backward<T: Real>(dy: T, x: T, a: T) -> (T, T) {
        if x > T::default() { (dy, T::default()) } else { (a * dy, x * dy) }
    }
}

#[inline(always)]
fn relu_backward_body(_: impl Simd, dy: &mut [f32], y: &[f32]) {
    assert_eq!(dy.len(), y.len(), "one output per gradient");
    for (dy, &y) in dy.iter_mut().zip(y) {
        *dy = if y > 0.0 { *dy } else { 0.0 };
    }
}

bind! {
    /// Turns the gradient of a ReLU's output into that of its input, in place: dy ← dy where y > 0, else 0.
    ///
    /// # Panics
    /// If dy and y differ in length.
    pub fn relu_backward(dy: &mut [f32], y: &[f32]) = relu_backward_body
}

#[inline(always)]
fn forward_body(_: impl Simd, y: &mut [f32], x: &[f32], f: Activation, slopes: &[f32]) {
    assert_eq!(y.len(), x.len(), "one output per input");
    // A loop for each: a decision for each element would cost more than most of them.
    match f {
        Activation::Identity => y.copy_from_slice(x),
        Activation::Relu => set(y, x, |x| reference::value(Activation::Relu, x, 0.0)),
        Activation::Gelu => set(y, x, |x| reference::value(Activation::Gelu, x, 0.0)),
        Activation::Silu => set(y, x, |x| reference::value(Activation::Silu, x, 0.0)),
        Activation::Sigmoid => set(y, x, |x| reference::value(Activation::Sigmoid, x, 0.0)),
        Activation::Tanh => set(y, x, |x| reference::value(Activation::Tanh, x, 0.0)),
        Activation::Prelu => prelu(y, x, slopes),
    }
}

#[inline(always)]
fn set(y: &mut [f32], x: &[f32], value: impl Fn(f32) -> f32) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = value(x);
    }
}

#[inline(always)]
fn prelu(y: &mut [f32], x: &[f32], slopes: &[f32]) {
    let n = slopes.len().max(1);
    for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
        for ((y, &x), &slope) in y.iter_mut().zip(x).zip(slopes) {
            *y = reference::value(Activation::Prelu, x, slope);
        }
    }
}

bind! {
    /// y ← f(x) of the activation f, x and y [S, N]. `slopes` are those of [`Activation::Prelu`], `[N]`;
    /// other activations have none.
    ///
    /// # Panics
    /// If x and y differ in length.
    pub fn forward(y: &mut [f32], x: &[f32], f: Activation, slopes: &[f32]) = forward_body
}

/// Gradients that an activation adds to.
#[derive(Debug)]
pub struct ActivationGradients<'a> {
    /// Of the input, [S, N].
    pub dx: &'a mut [f32],
    /// Of the slopes of [`Activation::Prelu`], `[N]`; other activations have none.
    pub dslopes: &'a mut [f32],
}

#[inline(always)]
fn backward_body(
    simd: impl Simd,
    into: ActivationGradients<'_>,
    dy: &[f32],
    x: &[f32],
    f: Activation,
    slopes: &[f32],
) {
    let ActivationGradients { dx, dslopes } = into;
    assert_eq!((dx.len(), dx.len()), (dy.len(), x.len()), "one gradient per input");
    match f {
        Activation::Identity => add(simd, dx, dy, x, |_| 1.0),
        Activation::Relu => add(simd, dx, dy, x, |x| reference::derivative(Activation::Relu, x, 0.0)),
        Activation::Gelu => add(simd, dx, dy, x, |x| reference::derivative(Activation::Gelu, x, 0.0)),
        Activation::Silu => add(simd, dx, dy, x, |x| reference::derivative(Activation::Silu, x, 0.0)),
        Activation::Sigmoid => add(simd, dx, dy, x, |x| reference::derivative(Activation::Sigmoid, x, 0.0)),
        Activation::Tanh => add(simd, dx, dy, x, |x| reference::derivative(Activation::Tanh, x, 0.0)),
        Activation::Prelu => prelu_backward(dx, dslopes, dy, x, slopes),
    }
}

#[inline(always)]
fn add(simd: impl Simd, dx: &mut [f32], dy: &[f32], x: &[f32], derivative: impl Fn(f32) -> f32) {
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        *dx = simd.fma(dy, derivative(x), *dx);
    }
}

#[inline(always)]
fn prelu_backward(dx: &mut [f32], dslopes: &mut [f32], dy: &[f32], x: &[f32], slopes: &[f32]) {
    assert_eq!(dslopes.len(), slopes.len(), "one gradient per slope");
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
    /// dx += dy · f'(x), and where f is [`Activation::Prelu`], dslopes += its gradient; x and dy are [S, N],
    /// `slopes` as in [`forward`].
    ///
    /// # Panics
    /// If dx, dy and x differ in length, or dslopes and slopes do.
    pub fn backward(into: ActivationGradients<'_>, dy: &[f32], x: &[f32], f: Activation, slopes: &[f32])
        = backward_body
}

/// 1 / (1 + e^-x), without overflow, in f64 (a probability near 0 keeps its relative precision).
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::exp(-x))
    } else {
        let e = libm::exp(x);
        e / (1.0 + e)
    }
}
