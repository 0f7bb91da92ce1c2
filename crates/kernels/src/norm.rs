//! Normalisation: over the columns of a row (Ba et al. 2016) and over the rows of a shard (Ioffe and Szegedy 2015), and
//! dropout (Srivastava et al. 2014). S rows, N columns.
use crate::bind::fma;
use crate::hash;

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

    /// y = (x - mean) / √(variance + eps) · gain + bias, moments over each row.
    pub fn layer<T: Real>(y: &mut [T], x: &[T], gain: &[T], bias: &[T]) {
        let n = gain.len();
        for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            let (mean, variance) = moments(x.iter().copied());
            for j in 0..n {
                y[j] = (x[j] - mean) / (variance + T::of(EPS)).sqrt() * gain[j] + bias[j];
            }
        }
    }

    /// The same with moments over each column.
    pub fn batch<T: Real>(y: &mut [T], x: &[T], gain: &[T], bias: &[T]) {
        let n = gain.len();
        for j in 0..n {
            let (mean, variance) = moments(x.iter().skip(j).step_by(n).copied());
            for (y, &x) in y.iter_mut().skip(j).step_by(n).zip(x.iter().skip(j).step_by(n)) {
                *y = (x - mean) / (variance + T::of(EPS)).sqrt() * gain[j] + bias[j];
            }
        }
    }
}

fn inverse_root(variance: f32) -> f32 {
    1.0 / (variance + EPS as f32).sqrt()
}

/// Mean and 1/√(variance + eps) of a row; eight partial sums, so that the order is fixed and vectors can be used.
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
fn layer_body<const FMA: bool>(y: &mut [f32], x: &[f32], gain: &[f32], bias: &[f32]) {
    let n = gain.len();
    assert_eq!((y.len(), bias.len()), (x.len(), n), "shapes of a layer normalisation");
    for (y, x) in y.chunks_exact_mut(n.max(1)).zip(x.chunks_exact(n.max(1))) {
        let (mean, scale) = row_moments(x);
        for (((y, &x), &gain), &bias) in y.iter_mut().zip(x).zip(gain).zip(bias) {
            *y = fma::<FMA>((x - mean) * scale, gain, bias);
        }
    }
}

bind! {
    /// y ← the rows of x normalised, times gain, plus bias.
    pub fn layer(y: &mut [f32], x: &[f32], gain: &[f32], bias: &[f32]) = layer_body
}

/// Gradients that a normalisation adds to.
#[derive(Debug)]
pub struct Into<'a> {
    /// Of the input, [S, N].
    pub dx: &'a mut [f32],
    /// Of the gain, `[N]`.
    pub dgain: &'a mut [f32],
    /// Of the bias, `[N]`.
    pub dbias: &'a mut [f32],
}

#[inline(always)]
fn layer_backward_body<const FMA: bool>(into: Into<'_>, dy: &[f32], x: &[f32], gain: &[f32]) {
    let n = gain.len();
    let Into { dx, dgain, dbias } = into;
    assert_eq!(
        (dx.len(), dx.len(), dgain.len(), dbias.len()),
        (dy.len(), x.len(), n, n),
        "shapes of a layer normalisation"
    );
    for ((dx, dy), x) in
        dx.chunks_exact_mut(n.max(1)).zip(dy.chunks_exact(n.max(1))).zip(x.chunks_exact(n.max(1)))
    {
        let (mean, scale) = row_moments(x);
        let (mut sum, mut with_x) = (0.0, 0.0);
        for ((&dy, &x), &gain) in dy.iter().zip(x).zip(gain) {
            sum += dy * gain;
            with_x = fma::<FMA>(dy * gain, (x - mean) * scale, with_x);
        }
        let (sum, with_x) = (sum / n as f32, with_x / n as f32);
        for (j, dx) in dx.iter_mut().enumerate() {
            let normal = (x[j] - mean) * scale;
            *dx = fma::<FMA>(scale, dy[j] * gain[j] - sum - normal * with_x, *dx);
            dgain[j] = fma::<FMA>(dy[j], normal, dgain[j]);
            dbias[j] += dy[j];
        }
    }
}

bind! {
    /// Adds the gradients of [`layer`].
    pub fn layer_backward(into: Into<'_>, dy: &[f32], x: &[f32], gain: &[f32]) = layer_backward_body
}

#[inline(always)]
fn column_moments_body<const FMA: bool>(mean: &mut [f32], variance: &mut [f32], x: &[f32]) {
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
            *variance = fma::<FMA>(x - mean, x - mean, *variance);
        }
    }
    variance.iter_mut().for_each(|variance| *variance /= rows);
}

bind! {
    /// Mean and variance (over S) of every column of x [S, N].
    pub fn column_moments(mean: &mut [f32], variance: &mut [f32], x: &[f32]) = column_moments_body
}

/// Turns variances into 1 / √(variance + eps), in place.
pub fn scales(variances: &mut [f32]) {
    variances.iter_mut().for_each(|v| *v = inverse_root(*v));
}

/// What normalises columns: moments and the learned scale.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// `[N]`
    pub mean: &'a [f32],
    /// 1 / √(variance + eps), see [`scales`]: `[N]`
    pub scale: &'a [f32],
    /// `[N]`
    pub gain: &'a [f32],
    /// `[N]`
    pub bias: &'a [f32],
}

#[inline(always)]
fn batch_body<const FMA: bool>(y: &mut [f32], x: &[f32], by: Columns<'_>) {
    let n = by.gain.len();
    assert_eq!(
        (y.len(), by.mean.len(), by.scale.len(), by.bias.len()),
        (x.len(), n, n, n),
        "shapes of a batch normalisation"
    );
    for (y, x) in y.chunks_exact_mut(n.max(1)).zip(x.chunks_exact(n.max(1))) {
        for j in 0..n {
            y[j] = fma::<FMA>((x[j] - by.mean[j]) * by.scale[j], by.gain[j], by.bias[j]);
        }
    }
}

bind! {
    /// y ← (x - mean) / √(variance + eps) · gain + bias, column by column.
    pub fn batch(y: &mut [f32], x: &[f32], by: Columns<'_>) = batch_body
}

#[inline(always)]
fn batch_backward_body<const FMA: bool>(
    into: Into<'_>,
    dy: &[f32],
    x: &[f32],
    by: Columns<'_>,
    sums: &mut [f32],
) {
    let n = by.gain.len();
    let Into { dx, dgain, dbias } = into;
    assert_eq!(
        (dx.len(), dx.len(), dgain.len(), dbias.len()),
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
            with_x[j] = fma::<FMA>(dy[j], (x[j] - by.mean[j]) * by.scale[j], with_x[j]);
        }
    }
    let share = n as f32 / dy.len().max(1) as f32;
    for ((dx, dy), x) in
        dx.chunks_exact_mut(n.max(1)).zip(dy.chunks_exact(n.max(1))).zip(x.chunks_exact(n.max(1)))
    {
        for j in 0..n {
            let scale = by.scale[j];
            let normal = (x[j] - by.mean[j]) * scale;
            dx[j] = fma::<FMA>(by.gain[j] * scale, dy[j] - share * (sum[j] + normal * with_x[j]), dx[j]);
        }
    }
    for j in 0..n {
        dgain[j] += with_x[j];
        dbias[j] += sum[j];
    }
}

bind! {
    /// Adds the gradients of [`batch`] whose moments are those of x itself. `sums` is scratch for 2 N floats.
    pub fn batch_backward(into: Into<'_>, dy: &[f32], x: &[f32], by: Columns<'_>, sums: &mut [f32]) = batch_backward_body
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
fn dropout_body<const FMA: bool>(y: &mut [f32], x: &[f32], columns: usize, by: Dropout) {
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
    /// y += x · (0 or 1 / (1 - rate)). The same call on gradients is its backward pass.
    pub fn dropout(y: &mut [f32], x: &[f32], columns: usize, by: Dropout) = dropout_body
}
