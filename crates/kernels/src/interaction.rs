//! Interactions of field vectors beside the dot products of DLRM: pairwise second order (FM), field-aware
//! (FFM), outer products (CIN) and the element-wise products of cross networks.
//!
//! S rows, F fields of D columns each; a field's vectors lie side by side.
use crate::simd::Simd;

/// The definitions.
pub mod reference {
    use crate::Real;

    /// y[s, d] = Σ_{i<j} x[s, i, d] · x[s, j, d] (Rendle 2010, equation 1, before the sum over d).
    pub fn fm_interaction<T: Real>(y: &mut [T], x: &[T], fields: usize, dim: usize) {
        for (y, x) in y.chunks_exact_mut(dim).zip(x.chunks_exact(fields * dim)) {
            for (d, y) in y.iter_mut().enumerate() {
                *y = T::default();
                for i in 0..fields {
                    for j in 0..i {
                        *y += x[i * dim + d] * x[j * dim + d];
                    }
                }
            }
        }
    }

    /// dx[s, i, d] += dy[s, d] · Σ_{j≠i} x[s, j, d]
    pub fn fm_interaction_backward<T: Real>(dx: &mut [T], dy: &[T], x: &[T], fields: usize, dim: usize) {
        for ((dx, dy), x) in
            dx.chunks_exact_mut(fields * dim).zip(dy.chunks_exact(dim)).zip(x.chunks_exact(fields * dim))
        {
            for i in 0..fields {
                for j in (0..fields).filter(|&j| j != i) {
                    for d in 0..dim {
                        dx[i * dim + d] += dy[d] * x[j * dim + d];
                    }
                }
            }
        }
    }

    /// `y[s] = Σ_{i<j} <x[s, i, j], x[s, j, i]>`, x is [S, F, F, D]: field i's vector for field j (Juan et
    /// al. 2016, equation 4).
    pub fn ffm_interaction<T: Real>(y: &mut [T], x: &[T], fields: usize, dim: usize) {
        for (y, x) in y.iter_mut().zip(x.chunks_exact(fields * fields * dim)) {
            *y = T::default();
            for i in 0..fields {
                for j in 0..i {
                    for d in 0..dim {
                        *y += x[(i * fields + j) * dim + d] * x[(j * fields + i) * dim + d];
                    }
                }
            }
        }
    }

    /// dx += the gradient of [`ffm_interaction`]: dx and x are [S, F·F·D], dy is `[S]`.
    ///
    /// # Panics
    /// If dx and x differ in length, or are not F·F·D times as long as dy.
    pub fn ffm_interaction_backward<T: Real>(dx: &mut [T], dy: &[T], x: &[T], fields: usize, dim: usize) {
        let size = fields * fields * dim;
        for ((dx, &dy), x) in dx.chunks_exact_mut(size).zip(dy).zip(x.chunks_exact(size)) {
            for i in 0..fields {
                for j in (0..fields).filter(|&j| j != i) {
                    for d in 0..dim {
                        dx[(i * fields + j) * dim + d] += dy * x[(j * fields + i) * dim + d];
                    }
                }
            }
        }
    }

    /// y[s, h, m] = a[s, h] · b[s, m]
    pub fn outer<T: Real>(y: &mut [T], a: &[T], b: &[T], (h, m): (usize, usize)) {
        for ((y, a), b) in y.chunks_exact_mut(h * m).zip(a.chunks_exact(h)).zip(b.chunks_exact(m)) {
            for i in 0..h {
                for j in 0..m {
                    y[i * m + j] = a[i] * b[j];
                }
            }
        }
    }

    /// da[s, h] += Σ_m dy[s, h, m] · b[s, m]
    pub fn outer_backward_left<T: Real>(da: &mut [T], dy: &[T], b: &[T], (h, m): (usize, usize)) {
        for ((da, dy), b) in da.chunks_exact_mut(h).zip(dy.chunks_exact(h * m)).zip(b.chunks_exact(m)) {
            for i in 0..h {
                for j in 0..m {
                    da[i] += dy[i * m + j] * b[j];
                }
            }
        }
    }

    /// db[s, m] += Σ_h dy[s, h, m] · a[s, h]
    pub fn outer_backward_right<T: Real>(db: &mut [T], dy: &[T], a: &[T], (h, m): (usize, usize)) {
        for ((db, dy), a) in db.chunks_exact_mut(m).zip(dy.chunks_exact(h * m)).zip(a.chunks_exact(h)) {
            for i in 0..h {
                for j in 0..m {
                    db[j] += dy[i * m + j] * a[i];
                }
            }
        }
    }
}

/// Columns that are summed together, in registers.
const BLOCK: usize = 16;

/// In linear time: ½ ((Σ v)² − Σ v²) (Rendle 2010, lemma 3.1).
#[inline(always)]
fn fm_interaction_body(simd: impl Simd, y: &mut [f32], x: &[f32], fields: usize, dim: usize) {
    assert_eq!(x.len(), y.len() * fields, "F vectors per output");
    if y.is_empty() || fields == 0 {
        return y.fill(0.0);
    }
    for (y, x) in y.chunks_exact_mut(dim).zip(x.chunks_exact(fields * dim)) {
        for (block, y) in y.chunks_mut(BLOCK).enumerate() {
            // Σ_i v_i · (v_0 + … + v_{i-1}) needs no difference of large squares.
            let (mut pairs, mut sum) = ([0.0f32; BLOCK], [0.0f32; BLOCK]);
            for v in x.chunks_exact(dim) {
                for ((pairs, sum), &v) in pairs.iter_mut().zip(&mut sum).zip(&v[block * BLOCK..][..y.len()]) {
                    *pairs = simd.fma(v, *sum, *pairs);
                    *sum += v;
                }
            }
            y.copy_from_slice(&pairs[..y.len()]);
        }
    }
}

bind! {
    /// y ← the sum of all pairwise element-wise products of the `fields` vectors of each row: [S, F·D] → [S,
    /// D].
    ///
    /// # Panics
    /// If x is not F times as long as y.
    pub fn fm_interaction(y: &mut [f32], x: &[f32], fields: usize, dim: usize) = fm_interaction_body
}

#[inline(always)]
fn fm_interaction_backward_body(
    simd: impl Simd,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    fields: usize,
    dim: usize,
) {
    assert_eq!((dx.len(), dx.len()), (x.len(), dy.len() * fields), "F vectors per output");
    if dx.is_empty() {
        return;
    }
    for ((dx, dy), x) in
        dx.chunks_exact_mut(fields * dim).zip(dy.chunks_exact(dim)).zip(x.chunks_exact(fields * dim))
    {
        for (block, dy) in dy.chunks(BLOCK).enumerate() {
            let columns = block * BLOCK..block * BLOCK + dy.len();
            let mut sum = [0.0f32; BLOCK];
            for v in x.chunks_exact(dim) {
                sum.iter_mut().zip(&v[columns.clone()]).for_each(|(sum, &v)| *sum += v);
            }
            for (dx, v) in dx.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                for (((dx, &v), &dy), &sum) in
                    dx[columns.clone()].iter_mut().zip(&v[columns.clone()]).zip(dy).zip(&sum)
                {
                    *dx = simd.fma(dy, sum - v, *dx);
                }
            }
        }
    }
}

bind! {
    /// dx += the gradient of [`fm_interaction`]: dx and x are [S, F·D], dy is [S, D].
    ///
    /// # Panics
    /// If dx and x differ in length, or are not F times as long as dy.
    pub fn fm_interaction_backward(dx: &mut [f32], dy: &[f32], x: &[f32], fields: usize, dim: usize)
        = fm_interaction_backward_body
}

#[inline(always)]
fn ffm_interaction_body(simd: impl Simd, y: &mut [f32], x: &[f32], fields: usize, dim: usize) {
    let size = fields * fields * dim;
    assert_eq!(x.len(), y.len() * size, "F · F vectors per row");
    for (y, x) in y.iter_mut().zip(x.chunks_exact(size.max(1))) {
        *y = 0.0;
        for i in 0..fields {
            for j in 0..i {
                let (a, b) = (&x[(i * fields + j) * dim..][..dim], &x[(j * fields + i) * dim..][..dim]);
                *y += a.iter().zip(b).fold(0.0, |sum, (&a, &b)| simd.fma(a, b, sum));
            }
        }
    }
}

bind! {
    /// y ← Σ_{i<j} <v_ij, v_ji>: `[S, F·F·D]` → `[S]`.
    ///
    /// # Panics
    /// If x is not F·F·D times as long as y.
    pub fn ffm_interaction(y: &mut [f32], x: &[f32], fields: usize, dim: usize) = ffm_interaction_body
}

#[inline(always)]
fn ffm_interaction_backward_body(
    simd: impl Simd,
    dx: &mut [f32],
    dy: &[f32],
    x: &[f32],
    fields: usize,
    dim: usize,
) {
    let size = fields * fields * dim;
    assert_eq!((dx.len(), dx.len()), (x.len(), dy.len() * size), "F · F vectors per row");
    for ((dx, &dy), x) in dx.chunks_exact_mut(size.max(1)).zip(dy).zip(x.chunks_exact(size.max(1))) {
        for i in 0..fields {
            for j in (0..fields).filter(|&j| j != i) {
                let (own, other) =
                    (&mut dx[(i * fields + j) * dim..][..dim], &x[(j * fields + i) * dim..][..dim]);
                for (dx, &x) in own.iter_mut().zip(other) {
                    *dx = simd.fma(dy, x, *dx);
                }
            }
        }
    }
}

bind! {
    /// dx += the gradient of [`ffm_interaction`]: dx and x are [S, F·F·D], dy is `[S]`.
    ///
    /// # Panics
    /// If dx and x differ in length, or are not F·F·D times as long as dy.
    pub fn ffm_interaction_backward(dx: &mut [f32], dy: &[f32], x: &[f32], fields: usize, dim: usize)
        = ffm_interaction_backward_body
}

#[inline(always)]
fn outer_body(_: impl Simd, y: &mut [f32], a: &[f32], b: &[f32], shape: (usize, usize)) {
    let (h, m) = shape;
    assert_eq!((y.len() * h, y.len() * m), (a.len() * h * m, b.len() * h * m), "shapes of an outer product");
    for ((y, a), b) in
        y.chunks_exact_mut((h * m).max(1)).zip(a.chunks_exact(h.max(1))).zip(b.chunks_exact(m.max(1)))
    {
        for (y, &a) in y.chunks_exact_mut(m).zip(a) {
            for (y, &b) in y.iter_mut().zip(b) {
                *y = a * b;
            }
        }
    }
}

bind! {
    /// y ← a ⊗ b row by row; `shape` is (H, M): `[S, H]`, `[S, M]` → `[S, H·M]`.
    ///
    /// # Panics
    /// If the lengths are not those of one S.
    pub fn outer(y: &mut [f32], a: &[f32], b: &[f32], shape: (usize, usize)) = outer_body
}

#[inline(always)]
fn outer_left_body(simd: impl Simd, da: &mut [f32], dy: &[f32], b: &[f32], shape: (usize, usize)) {
    let (h, m) = shape;
    assert_eq!((da.len() * m, b.len() * h), (dy.len(), dy.len()), "shapes of an outer product");
    for ((da, dy), b) in
        da.chunks_exact_mut(h.max(1)).zip(dy.chunks_exact((h * m).max(1))).zip(b.chunks_exact(m.max(1)))
    {
        for (da, dy) in da.iter_mut().zip(dy.chunks_exact(m)) {
            *da = dy.iter().zip(b).fold(*da, |sum, (&dy, &b)| simd.fma(dy, b, sum));
        }
    }
}

bind! {
    /// da += the gradient of [`outer`] with respect to its left factor; shapes as there.
    ///
    /// # Panics
    /// If the lengths are not those of one S.
    pub fn outer_backward_left(da: &mut [f32], dy: &[f32], b: &[f32], shape: (usize, usize)) = outer_left_body
}

#[inline(always)]
fn outer_right_body(simd: impl Simd, db: &mut [f32], dy: &[f32], a: &[f32], shape: (usize, usize)) {
    let (h, m) = shape;
    assert_eq!((a.len() * m, db.len() * h), (dy.len(), dy.len()), "shapes of an outer product");
    for ((db, dy), a) in
        db.chunks_exact_mut(m.max(1)).zip(dy.chunks_exact((h * m).max(1))).zip(a.chunks_exact(h.max(1)))
    {
        for (&a, dy) in a.iter().zip(dy.chunks_exact(m)) {
            for (db, &dy) in db.iter_mut().zip(dy) {
                *db = simd.fma(dy, a, *db);
            }
        }
    }
}

bind! {
    /// db += the gradient of [`outer`] with respect to its right factor; shapes as there.
    ///
    /// # Panics
    /// If the lengths are not those of one S.
    pub fn outer_backward_right(db: &mut [f32], dy: &[f32], a: &[f32], shape: (usize, usize))
        = outer_right_body
}
