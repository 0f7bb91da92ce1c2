//! Fully connected layer y = act(x Wᵀ + b), W is [N, K] (out, in).

/// The definition.
pub mod reference {
    use crate::Real;

    /// `y[b, n] = Σ_k x[b, k] · w[n, k] + bias[n]`; shape (B, N, K).
    pub fn forward<T: Real>(y: &mut [T], x: &[T], w: &[T], bias: &[T], (rows, n, k): (usize, usize, usize)) {
        for b in 0..rows {
            for j in 0..n {
                let mut sum = T::default();
                for p in 0..k {
                    sum += x[b * k + p] * w[j * k + p];
                }
                y[b * n + j] = sum + bias[j];
            }
        }
    }

    /// dx += dy W, dw += dyᵀ x, dbias += column sums of dy; shape (B, N, K).
    pub fn backward<T: Real>(
        (dx, dw, dbias): (&mut [T], &mut [T], &mut [T]),
        dy: &[T],
        x: &[T],
        w: &[T],
        (rows, n, k): (usize, usize, usize),
    ) {
        for b in 0..rows {
            for j in 0..n {
                let d = dy[b * n + j];
                dbias[j] += d;
                for p in 0..k {
                    dx[b * k + p] += d * w[j * k + p];
                    dw[j * k + p] += d * x[b * k + p];
                }
            }
        }
    }
}
