//! Sums over many arrays, and the ordered reductions of a training step.
use crate::simd::Simd;

#[inline(always)]
fn add_body(_: impl Simd, y: &mut [f32], x: &[f32]) {
    assert_eq!(y.len(), x.len(), "lengths of a sum");
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

bind! {
    /// y += x
    ///
    /// # Panics
    /// If their lengths differ.
    pub fn add(y: &mut [f32], x: &[f32]) = add_body
}

#[inline(always)]
fn axpy_body(simd: impl Simd, y: &mut [f32], a: f32, x: &[f32]) {
    assert_eq!(y.len(), x.len(), "lengths of a sum");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = simd.fma(a, x, *y);
    }
}

bind! {
    /// y += a · x
    ///
    /// # Panics
    /// If the lengths of x and y differ.
    pub fn axpy(y: &mut [f32], a: f32, x: &[f32]) = axpy_body
}

#[inline(always)]
fn add_product_body(simd: impl Simd, y: &mut [f32], a: &[f32], b: &[f32]) {
    assert_eq!((y.len(), y.len()), (a.len(), b.len()), "lengths of a product");
    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
        *y = simd.fma(a, b, *y);
    }
}

bind! {
    /// y += a ⊙ b, element by element.
    ///
    /// # Panics
    /// If their lengths differ.
    pub fn add_product(y: &mut [f32], a: &[f32], b: &[f32]) = add_product_body
}

#[inline(always)]
fn row_dots_body(simd: impl Simd, y: &mut [f32], a: &[f32], b: &[f32]) {
    let n = a.len().checked_div(y.len()).unwrap_or(0);
    assert_eq!((a.len(), b.len()), (y.len() * n, y.len() * n), "rows of a product");
    for ((y, a), b) in y.iter_mut().zip(a.chunks_exact(n.max(1))).zip(b.chunks_exact(n.max(1))) {
        *y = a.iter().zip(b).fold(*y, |sum, (&a, &b)| simd.fma(a, b, sum));
    }
}

bind! {
    /// `y[s] += Σ_j a[s, j] · b[s, j]`: a and b are [S, N], y is `[S]`.
    ///
    /// # Panics
    /// If a and b are not as long, or not S whole rows.
    pub fn row_dots(y: &mut [f32], a: &[f32], b: &[f32]) = row_dots_body
}

#[inline(always)]
fn add_scaled_rows_body(simd: impl Simd, y: &mut [f32], x: &[f32], scales: &[f32]) {
    let n = x.len().checked_div(scales.len()).unwrap_or(0);
    assert_eq!((y.len(), x.len()), (x.len(), scales.len() * n), "one scale per row");
    for ((y, x), &scale) in y.chunks_exact_mut(n.max(1)).zip(x.chunks_exact(n.max(1))).zip(scales) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = simd.fma(scale, x, *y);
        }
    }
}

bind! {
    /// `y[s, j] += scales[s] · x[s, j]`: x and y are [S, N], scales `[S]`.
    ///
    /// # Panics
    /// If x and y differ in length, or are not S whole rows.
    pub fn add_scaled_rows(y: &mut [f32], x: &[f32], scales: &[f32]) = add_scaled_rows_body
}

#[inline(always)]
fn column_sums_body(_: impl Simd, sums: &mut [f32], x: &[f32]) {
    let n = sums.len().max(1);
    assert!(x.len().is_multiple_of(n), "x has whole rows");
    for row in x.chunks_exact(n) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

bind! {
    /// `sums[j] += Σ_s x[s, j]`: x is [S, N], sums `[N]`.
    ///
    /// # Panics
    /// If x is not a number of whole rows.
    pub fn column_sums(sums: &mut [f32], x: &[f32]) = column_sums_body
}

/// Σ x², in f64 with a fixed order.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = x.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    #[test]
    fn sums_at_odd_sizes() {
        for isa in Isa::available() {
            for n in [1, 7, 33] {
                let x: Vec<f32> = (0..n * 3).map(|i| i as f32).collect();
                let mut sums = vec![1.0; n];
                column_sums(isa, &mut sums, &x);
                for (j, &sum) in sums.iter().enumerate() {
                    assert_eq!(sum, (1 + j + (n + j) + (2 * n + j)) as f32);
                }
                let mut y = vec![2.0; n];
                axpy(isa, &mut y, 3.0, &x[..n]);
                add(isa, &mut y, &x[..n]);
                assert!(y.iter().enumerate().all(|(i, &y)| y == 2.0 + 4.0 * i as f32));
            }
        }
        assert_eq!(sum_of_squares(&[3.0; 11]), 99.0);
    }
}
