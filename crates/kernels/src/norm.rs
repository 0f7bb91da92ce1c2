//! Normalisation: over the columns of a row (Ba et al. 2016) and over the rows of a shard (Ioffe and Szegedy
//! 2015), and dropout (Srivastava et al. 2014). S rows, N columns.
use crate::hash;
use crate::simd::Simd;

/// Added to a variance before its root, as PyTorch does.
pub const EPS: f64 = 1e-5;

/// The definitions.
pub mod reference {
    use super::EPS;
    use crate::Real;

    /// Mean and variance (over n, not n - 1) of `x`.
    pub fn moments<T: Real>(x: impl Iterator<Item = T> + Clone) -> (T, T) {
        let n = T::of(x.clone().count() as f64);
        let mean = x.clone().fold(T::default(), |sum, x| sum + x) / n;
        let variance = x.fold(T::default(), |sum, x| sum + (x - mean) * (x - mean)) / n;
        (mean, variance)
    }

    /// y = (x - mean) / √(variance + eps) · gamma + beta, moments over each row.
    pub fn layer<T: Real>(y: &mut [T], x: &[T], gamma: &[T], beta: &[T]) {
        let n = gamma.len();
        for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            let (mean, variance) = moments(x.iter().copied());
            for j in 0..n {
                y[j] = (x[j] - mean) / (variance + T::of(EPS)).sqrt() * gamma[j] + beta[j];
            }
        }
    }

    /// y = (x - mean) / √(variance + eps) · gamma + beta, moments over each column.
    pub fn batch<T: Real>(y: &mut [T], x: &[T], gamma: &[T], beta: &[T]) {
        let n = gamma.len();
        for j in 0..n {
            let (mean, variance) = moments(x.iter().skip(j).step_by(n).copied());
            for (y, &x) in y.iter_mut().skip(j).step_by(n).zip(x.iter().skip(j).step_by(n)) {
                *y = (x - mean) / (variance + T::of(EPS)).sqrt() * gamma[j] + beta[j];
            }
        }
    }
}

fn inverse_root(variance: f32) -> f32 {
    1.0 / (variance + EPS as f32).sqrt()
}

/// Mean and 1/√(variance + eps) of a row; eight partial sums, so that the order is fixed and vectors can be
/// used.
#[inline(always)]
fn row_moments(x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = partial_sums(x, |x| x) / n;
    let variance = partial_sums(x, |x| (x - mean) * (x - mean)) / n;
    (mean, inverse_root(variance))
}

#[inline(always)]
fn partial_sums(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut partial = [0.0f32; 8];
    for x in x.chunks(8) {
        for (partial, &x) in partial.iter_mut().zip(x) {
            *partial += f(x);
        }
    }
    partial.iter().sum()
}

#[inline(always)]
fn layer_body(simd: impl Simd, y: &mut [f32], x: &[f32], gamma: &[f32], beta: &[f32]) {
    let n = gamma.len();
    assert_eq!((y.len(), beta.len()), (x.len(), n), "shapes of a layer normalisation");
    for (y, x) in y.chunks_exact_mut(n.max(1)).zip(x.chunks_exact(n.max(1))) {
        let (mean, scale) = row_moments(x);
        for (((y, &x), &gamma), &beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
            *y = simd.fma((x - mean) * scale, gamma, beta);
        }
    }
}

bind! {
    /// y ← the rows of x normalised, times gamma, plus beta: x and y are [S, N], gamma and beta `[N]`.
    ///
    /// # Panics
    /// If x and y, or gamma and beta, differ in length.
    pub fn layer(y: &mut [f32], x: &[f32], gamma: &[f32], beta: &[f32]) = layer_body
}

/// Gradients that a normalisation adds to.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// Of the input, [S, N].
    pub dx: &'a mut [f32],
    /// Of gamma, `[N]`.
    pub dgamma: &'a mut [f32],
    /// Of beta, `[N]`.
    pub dbeta: &'a mut [f32],
}

#[inline(always)]
fn layer_backward_body(simd: impl Simd, into: NormGradients<'_>, dy: &[f32], x: &[f32], gamma: &[f32]) {
    let n = gamma.len();
    let NormGradients { dx, dgamma, dbeta } = into;
    assert_eq!(
        (dx.len(), dx.len(), dgamma.len(), dbeta.len()),
        (dy.len(), x.len(), n, n),
        "shapes of a layer normalisation"
    );
    for ((dx, dy), x) in
        dx.chunks_exact_mut(n.max(1)).zip(dy.chunks_exact(n.max(1))).zip(x.chunks_exact(n.max(1)))
    {
        let (mean, scale) = row_moments(x);
        let (mut sum, mut with_x) = (0.0, 0.0);
        for ((&dy, &x), &gamma) in dy.iter().zip(x).zip(gamma) {
            sum += dy * gamma;
            with_x = simd.fma(dy * gamma, (x - mean) * scale, with_x);
        }
        let (sum, with_x) = (sum / n as f32, with_x / n as f32);
        for (j, dx) in dx.iter_mut().enumerate() {
            let normal = (x[j] - mean) * scale;
            *dx = simd.fma(scale, dy[j] * gamma[j] - sum - normal * with_x, *dx);
            dgamma[j] = simd.fma(dy[j], normal, dgamma[j]);
            dbeta[j] += dy[j];
        }
    }
}

bind! {
    /// Adds the gradients of [`layer`]: dy and x are [S, N], gamma is `[N]`.
    ///
    /// # Panics
    /// If a gradient is not as long as what it is of.
    pub fn layer_backward(into: NormGradients<'_>, dy: &[f32], x: &[f32], gamma: &[f32]) = layer_backward_body
}

#[inline(always)]
fn column_moments_body(simd: impl Simd, mean: &mut [f32], variance: &mut [f32], x: &[f32]) {
    let n = mean.len();
    assert_eq!(variance.len(), n, "one variance per mean");
    mean.fill(0.0);
    variance.fill(0.0);
    let rows = (x.len() / n.max(1)) as f32;
    for x in x.chunks_exact(n.max(1)) {
        mean.iter_mut().zip(x).for_each(|(mean, &x)| *mean += x);
    }
    mean.iter_mut().for_each(|mean| *mean /= rows);
    for x in x.chunks_exact(n.max(1)) {
        for ((variance, &x), &mean) in variance.iter_mut().zip(x).zip(&*mean) {
            *variance = simd.fma(x - mean, x - mean, *variance);
        }
    }
    variance.iter_mut().for_each(|variance| *variance /= rows);
}

bind! {
    /// Mean and variance (over S) of every column of x [S, N]; both are `[N]`.
    ///
    /// # Panics
    /// If they differ in length.
    pub fn column_moments(mean: &mut [f32], variance: &mut [f32], x: &[f32]) = column_moments_body
}

/// Turns variances into 1 / √(variance + eps), in place.
pub fn scales(variances: &mut [f32]) {
    variances.iter_mut().for_each(|v| *v = inverse_root(*v));
}

/// What normalises columns: moments, and the learned gamma and beta.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// Mean of each column, `[N]`.
    pub mean: &'a [f32],
    /// 1 / √(variance + eps), see [`scales`], `[N]`.
    pub scale: &'a [f32],
    /// What normalised columns are multiplied by, `[N]`.
    pub gamma: &'a [f32],
    /// What is added then, `[N]`.
    pub beta: &'a [f32],
}

#[inline(always)]
fn batch_body(simd: impl Simd, y: &mut [f32], x: &[f32], by: Columns<'_>) {
    let n = by.gamma.len();
    assert_eq!(
        (y.len(), by.mean.len(), by.scale.len(), by.beta.len()),
        (x.len(), n, n, n),
        "shapes of a batch normalisation"
    );
    for (y, x) in y.chunks_exact_mut(n.max(1)).zip(x.chunks_exact(n.max(1))) {
        for j in 0..n {
            y[j] = simd.fma((x[j] - by.mean[j]) * by.scale[j], by.gamma[j], by.beta[j]);
        }
    }
}

bind! {
    /// y ← (x - mean) / √(variance + eps) · gamma + beta, column by column; x and y are [S, N].
    ///
    /// # Panics
    /// If x and y differ in length, or a slice of `by` is not N long.
    pub fn batch(y: &mut [f32], x: &[f32], by: Columns<'_>) = batch_body
}

#[inline(always)]
fn batch_backward_body(
    simd: impl Simd,
    into: NormGradients<'_>,
    dy: &[f32],
    x: &[f32],
    by: Columns<'_>,
    sums: &mut [f32],
) {
    let n = by.gamma.len();
    let NormGradients { dx, dgamma, dbeta } = into;
    assert_eq!(
        (dx.len(), dx.len(), dgamma.len(), dbeta.len()),
        (dy.len(), x.len(), n, n),
        "shapes of a batch normalisation"
    );
    assert_eq!(sums.len(), 2 * n, "two sums per column");
    let (sum, with_x) = sums.split_at_mut(n);
    sum.fill(0.0);
    with_x.fill(0.0);
    for (dy, x) in dy.chunks_exact(n.max(1)).zip(x.chunks_exact(n.max(1))) {
        for j in 0..n {
            sum[j] += dy[j];
            with_x[j] = simd.fma(dy[j], (x[j] - by.mean[j]) * by.scale[j], with_x[j]);
        }
    }
    let share = n as f32 / dy.len().max(1) as f32;
    for ((dx, dy), x) in
        dx.chunks_exact_mut(n.max(1)).zip(dy.chunks_exact(n.max(1))).zip(x.chunks_exact(n.max(1)))
    {
        for j in 0..n {
            let scale = by.scale[j];
            let normal = (x[j] - by.mean[j]) * scale;
            dx[j] = simd.fma(by.gamma[j] * scale, dy[j] - share * (sum[j] + normal * with_x[j]), dx[j]);
        }
    }
    for j in 0..n {
        dgamma[j] += with_x[j];
        dbeta[j] += sum[j];
    }
}

bind! {
    /// Adds the gradients of [`batch`] whose moments are those of x itself: dy and x are [S, N]. `sums` is
    /// scratch.
    ///
    /// # Panics
    /// If a gradient is not as long as what it is of, or `sums` not 2 N.
    pub fn batch_backward(into: NormGradients<'_>, dy: &[f32], x: &[f32], by: Columns<'_>, sums: &mut [f32])
        = batch_backward_body
}

/// Which elements dropout zeroes: a function of (key, row of the batch, column) alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Step and layer.
    pub key: u64,
    /// Row of the batch that the first row of the shard is.
    pub first_row: usize,
    /// Share of elements that are zeroed; the others are scaled by 1 / (1 - rate).
    pub rate: f32,
}

/// The factor of one element: 0 or 1 / (1 - rate).
#[inline(always)]
fn factor(row_key: u64, column: u64, least: u32, scale: f32) -> f32 {
    if hash::of_element(row_key, column) >= least { scale } else { 0.0 }
}

#[inline(always)]
fn dropout_body(_: impl Simd, y: &mut [f32], x: &[f32], columns: usize, by: Dropout) {
    assert_eq!(y.len(), x.len(), "one output per input");
    let least = (f64::from(by.rate) * 4_294_967_296.0) as u32;
    let scale = 1.0 / (1.0 - by.rate);
    for (row, (y, x)) in y.chunks_exact_mut(columns.max(1)).zip(x.chunks_exact(columns.max(1))).enumerate() {
        let row_key = hash::of_row(by.key, (by.first_row + row) as u64);
        for (column, (y, &x)) in y.iter_mut().zip(x).enumerate() {
            *y += factor(row_key, column as u64, least, scale) * x;
        }
    }
}

bind! {
    /// y += x · (0 or 1 / (1 - rate)), x and y [S, N] with N `columns`. Called on gradients, it is its own
    /// backward pass.
    ///
    /// # Panics
    /// If x and y differ in length.
    pub fn dropout(y: &mut [f32], x: &[f32], columns: usize, by: Dropout) = dropout_body
}
