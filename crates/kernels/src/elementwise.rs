//! Sums over many arrays, and the ordered reductions of a training step.
use crate::bind::fma;

#[inline(always)]
fn add_body<const FMA: bool>(y: &mut [f32], x: &[f32]) {
    assert_eq!(y.len(), x.len(), "lengths of a sum");
    for (y, &x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

bind! {
    /// y += x
    pub fn add(y: &mut [f32], x: &[f32]) = add_body
}

#[inline(always)]
fn axpy_body<const FMA: bool>(y: &mut [f32], a: f32, x: &[f32]) {
    assert_eq!(y.len(), x.len(), "lengths of a sum");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = fma::<FMA>(a, x, *y);
    }
}

bind! {
    /// y += a · x
    pub fn axpy(y: &mut [f32], a: f32, x: &[f32]) = axpy_body
}

#[inline(always)]
fn column_sums_body<const FMA: bool>(sums: &mut [f32], x: &[f32]) {
    let n = sums.len().max(1);
    assert!(x.len().is_multiple_of(n), "x has whole rows");
    for row in x.chunks_exact(n) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

bind! {
    /// `sums[j] += Σ_i x[i, j]`
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
