//! The dot-product interaction of DLRM (Naumov et al. 2019, section 2.1.3): all pairs of field vectors.
//!
//! x is [B, F, D] (a row's vectors side by side), z is [B, P] with the pairs in row-major order:
//! (1,0), (2,0), (2,1), … and with self-interaction (0,0), (1,0), (1,1), …
use crate::simd::Simd;

/// Shape of the interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dims {
    /// B
    pub rows: usize,
    /// F
    pub fields: usize,
    /// D
    pub dim: usize,
    /// Whether a vector also meets itself.
    pub pairs: Pairs,
}

/// Which pairs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// i > j
    Distinct,
    /// i >= j
    WithSelf,
}

impl Dims {
    /// P, the number of pairs.
    pub fn pairs(&self) -> usize {
        match self.pairs {
            Pairs::Distinct => self.fields * self.fields.saturating_sub(1) / 2,
            Pairs::WithSelf => self.fields * (self.fields + 1) / 2,
        }
    }

    /// Number of partners of vector i.
    fn partners(&self, i: usize) -> usize {
        i + usize::from(self.pairs == Pairs::WithSelf)
    }
}

/// The definition.
pub mod reference {
    use super::Dims;
    use crate::Real;

    /// z[b, (i, j)] = <x_i, x_j>
    pub fn forward<T: Real>(z: &mut [T], x: &[T], d: Dims) {
        for b in 0..d.rows {
            let x = &x[b * d.fields * d.dim..];
            let mut p = b * d.pairs();
            for i in 0..d.fields {
                for j in 0..d.partners(i) {
                    let mut sum = T::default();
                    for k in 0..d.dim {
                        sum += x[i * d.dim + k] * x[j * d.dim + k];
                    }
                    z[p] = sum;
                    p += 1;
                }
            }
        }
    }

    /// dx_i += dz · x_j and dx_j += dz · x_i
    pub fn backward<T: Real>(dx: &mut [T], dz: &[T], x: &[T], d: Dims) {
        for b in 0..d.rows {
            let row = b * d.fields * d.dim;
            let mut p = b * d.pairs();
            for i in 0..d.fields {
                for j in 0..d.partners(i) {
                    for k in 0..d.dim {
                        dx[row + i * d.dim + k] += dz[p] * x[row + j * d.dim + k];
                        dx[row + j * d.dim + k] += dz[p] * x[row + i * d.dim + k];
                    }
                    p += 1;
                }
            }
        }
    }
}

/// Floats per block of accumulators.
const BLOCK: usize = 16;

/// Fields whose blocks are computed together where registers are wide. Four independent chains hide the
/// latency of a multiply-add; in narrow registers they would not fit.
const GROUP: usize = 4;

/// Floats of scratch that [`forward`] and [`backward`] need.
///
/// # Panics
/// If so many do not fit the address space.
pub fn scratch_len(d: Dims) -> usize {
    let width = d.fields.checked_next_multiple_of(BLOCK).expect("the scratch overflows");
    width.checked_mul(d.dim.max(d.fields)).expect("the scratch overflows")
}

/// Row by row: xᵀ is laid out so that one vector holds 16 fields, then a few fields meet 16 partners at once.
/// The first `common` fields are those of the first row everywhere, and their pairs are not computed.
#[inline(always)]
fn forward_body<S: Simd>(simd: S, z: &mut [f32], x: &[f32], (d, common): (Dims, usize), scratch: &mut [f32]) {
    let width = d.fields.next_multiple_of(BLOCK);
    let transposed = &mut scratch[..width * d.dim];
    transposed.fill(0.0);
    for (b, x) in x.chunks_exact(d.fields * d.dim).enumerate() {
        let from = if b == 0 { 0 } else { common };
        for (i, x) in x.chunks_exact(d.dim).enumerate().skip(from) {
            for (k, &x) in x.iter().enumerate() {
                transposed[k * width + i] = x;
            }
        }
        let z = &mut z[b * d.pairs()..];
        if S::WIDE {
            pairs_of_row::<GROUP>(simd, z, transposed, (d, common))
        } else {
            pairs_of_row::<1>(simd, z, transposed, (d, common))
        }
    }
}

/// The pairs of one row of the batch, from field `from` on. Blocks are stored whole, which is faster than
/// their exact lengths: what hangs over the end of a field's pairs lies where a later field's block of the
/// same or a smaller number goes, and that is stored later. `z` extends to the end of the batch; what hangs
/// over that is cut off.
#[inline(always)]
fn pairs_of_row<const R: usize>(
    simd: impl Simd,
    z: &mut [f32],
    transposed: &[f32],
    (d, from): (Dims, usize),
) {
    // Whole groups, whose loads stay within the padding.
    for first in (from / R * R..d.fields).step_by(R) {
        let fields = first..(first + R).min(d.fields);
        let blocks = d.partners(fields.end - 1).div_ceil(BLOCK);
        for block in (0..blocks).rev() {
            let acc = products::<R>(simd, transposed, d, first, block);
            for (i, acc) in fields.clone().zip(&acc) {
                if block * BLOCK < d.partners(i) {
                    let out = &mut z[Dims { fields: i, ..d }.pairs() + block * BLOCK..];
                    match out.first_chunk_mut() {
                        Some(out) => *out = *acc,
                        None => out.copy_from_slice(&acc[..out.len()]),
                    }
                }
            }
        }
    }
}

/// The products of fields `first..first + R` with the 16 fields of `block`.
#[inline(always)]
fn products<const R: usize>(
    simd: impl Simd,
    transposed: &[f32],
    d: Dims,
    first: usize,
    block: usize,
) -> [[f32; BLOCK]; R] {
    let mut acc = [[0.0f32; BLOCK]; R];
    for values in transposed.chunks_exact(d.fields.next_multiple_of(BLOCK)) {
        let own: &[f32; R] = values[first..].first_chunk().expect("fields are padded to whole blocks");
        let others: &[f32; BLOCK] = values[block * BLOCK..].first_chunk().expect("a block");
        for (acc, &own) in acc.iter_mut().zip(own) {
            for (acc, &other) in acc.iter_mut().zip(others) {
                *acc = simd.fma(own, other, *acc);
            }
        }
    }
    acc
}

bind! {
    /// z ← pairwise dot products: x is [B, F, D], z [B, P]. `scratch` holds at least [`scratch_len`] floats.
    ///
    /// # Panics
    /// If x or z is not of its shape or `scratch` too short.
    pub fn forward(z: &mut [f32], x: &[f32], d: Dims, scratch: &mut [f32]) = checked_forward
}

bind! {
    /// [`forward`] of rows whose first `common` fields are the same. Their pairs among themselves, which come
    /// first, are known: what z holds there afterwards is anything.
    ///
    /// # Panics
    /// As [`forward`], or if there are fewer fields.
    pub fn forward_after(z: &mut [f32], x: &[f32], d: Dims, common: usize, scratch: &mut [f32])
        = checked_forward_after
}

#[inline(always)]
fn checked_forward(simd: impl Simd, z: &mut [f32], x: &[f32], d: Dims, scratch: &mut [f32]) {
    checked_forward_after(simd, z, x, d, 0, scratch);
}

#[inline(always)]
fn checked_forward_after(
    simd: impl Simd,
    z: &mut [f32],
    x: &[f32],
    d: Dims,
    common: usize,
    scratch: &mut [f32],
) {
    assert!(common <= d.fields, "{common} of {} fields", d.fields);
    assert_eq!(
        (x.len(), z.len()),
        (d.rows * d.fields * d.dim, d.rows * d.pairs()),
        "shapes of the interaction"
    );
    if !z.is_empty() && d.dim > 0 {
        forward_body(simd, z, x, (d, common), scratch);
    }
}

/// Row by row: dz as a symmetric matrix S [F, F], then dx += S x.
#[inline(always)]
fn backward_body<S: Simd>(simd: S, dx: &mut [f32], dz: &[f32], x: &[f32], d: Dims, scratch: &mut [f32]) {
    let width = d.fields.next_multiple_of(BLOCK);
    let symmetric = &mut scratch[..d.fields * width];
    symmetric.fill(0.0);
    let size = d.fields * d.dim;
    for ((dx, x), dz) in dx.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(dz.chunks_exact(d.pairs())) {
        fill_symmetric(symmetric, dz, d);
        let by = Weighted { s: symmetric, width, x, dim: d.dim };
        if S::WIDE {
            add_weighted_rows::<GROUP>(simd, dx, by);
        } else {
            add_weighted_rows::<1>(simd, dx, by);
        }
    }
}

#[inline(always)]
fn fill_symmetric(symmetric: &mut [f32], dz: &[f32], d: Dims) {
    let width = d.fields.next_multiple_of(BLOCK);
    let mut rest = dz;
    for i in 0..d.fields {
        let (dz, next) = rest.split_at(d.partners(i));
        rest = next;
        for (j, &dz) in dz.iter().enumerate() {
            symmetric[i * width + j] = dz;
            symmetric[j * width + i] = dz;
        }
        if d.pairs == Pairs::WithSelf {
            // <x_i, x_i> has the derivative 2 x_i.
            symmetric[i * width + i] *= 2.0;
        }
    }
}

/// What the gradients of one row of the batch are made of: dx_i += Σ_j S[i, j] · x_j.
#[derive(Clone, Copy)]
struct Weighted<'a> {
    /// S, F rows `width` floats apart.
    s: &'a [f32],
    width: usize,
    /// [F, D]
    x: &'a [f32],
    dim: usize,
}

/// R fields of dx at a time and, within them, 16, 4 or single columns held in registers.
#[inline(always)]
fn add_weighted_rows<const R: usize>(simd: impl Simd, dx: &mut [f32], by: Weighted<'_>) {
    let fields = dx.len() / by.dim;
    let whole = fields / R * R;
    for first in (0..whole).step_by(R) {
        add_columns::<R>(simd, dx, by, first);
    }
    for i in whole..fields {
        add_columns::<1>(simd, dx, by, i);
    }
}

#[inline(always)]
fn add_columns<const R: usize>(simd: impl Simd, dx: &mut [f32], by: Weighted<'_>, first: usize) {
    let mut column = 0;
    while column + BLOCK <= by.dim {
        add_block::<R, BLOCK>(simd, dx, by, first, column);
        column += BLOCK;
    }
    while column + 4 <= by.dim {
        add_block::<R, 4>(simd, dx, by, first, column);
        column += 4;
    }
    while column < by.dim {
        add_block::<R, 1>(simd, dx, by, first, column);
        column += 1;
    }
}

/// dx of fields `first..first + R`, columns `column..column + C`. S is symmetric: its row j holds the weights
/// of x_j in those fields side by side.
#[inline(always)]
fn add_block<const R: usize, const C: usize>(
    simd: impl Simd,
    dx: &mut [f32],
    by: Weighted<'_>,
    first: usize,
    column: usize,
) {
    let Weighted { s, width, x, dim } = by;
    let mut acc = [[0.0f32; C]; R];
    for (r, acc) in acc.iter_mut().enumerate() {
        acc.copy_from_slice(&dx[(first + r) * dim + column..][..C]);
    }
    for (s, x) in s.chunks_exact(width).zip(x.chunks_exact(dim)) {
        let s: &[f32; R] = s[first..].first_chunk().expect("fields are padded to whole blocks");
        let x: &[f32; C] = x[column..].first_chunk().expect("columns of a block");
        for (acc, &s) in acc.iter_mut().zip(s) {
            for (acc, &x) in acc.iter_mut().zip(x) {
                *acc = simd.fma(s, x, *acc);
            }
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        dx[(first + r) * dim + column..][..C].copy_from_slice(acc);
    }
}

bind! {
    /// dx += the gradient of [`forward`]: dx and x are [B, F, D], dz [B, P]. `scratch` holds at least
    /// [`scratch_len`] floats.
    ///
    /// # Panics
    /// If dx, x or dz is not of its shape or `scratch` too short.
    pub fn backward(dx: &mut [f32], dz: &[f32], x: &[f32], d: Dims, scratch: &mut [f32]) = checked_backward
}

#[inline(always)]
fn checked_backward(simd: impl Simd, dx: &mut [f32], dz: &[f32], x: &[f32], d: Dims, scratch: &mut [f32]) {
    let shapes = (dx.len(), x.len(), dz.len());
    let size = d.rows * d.fields * d.dim;
    assert_eq!(shapes, (size, size, d.rows * d.pairs()), "shapes of the interaction");
    if !dz.is_empty() && d.dim > 0 {
        backward_body(simd, dx, dz, x, d, scratch);
    }
}
