//! Matrix product C[M, N] = A[M, K] · B[K, N] with B packed beforehand.
//!
//! Every element of C is one chain of multiply-adds over k = 0, 1, …: its bits depend on its row of A
//! and its column of B alone, never on M, N or the tiling. So a row scored alone, in a batch or in
//! another shard gets the same bits, which a general GEMM (it switches algorithm by shape) cannot
//! promise. Packing also lets weights be packed once per step and used by every shard.
//!
//! Tiling: panels of `2 · lanes` columns of B, blocks of up to `MR` rows of A held in registers.
use crate::activation::reference::relu;
use crate::buffer::Buffer;
use crate::isa::{Isa, Level};

/// The definition.
pub mod reference {
    use crate::Real;

    /// c[i, j] += Σ_k a[i, k] · b[k, j]; all row-major.
    pub fn matmul<T: Real>(c: &mut [T], a: &[T], b: &[T], (m, n, k): (usize, usize, usize)) {
        for i in 0..m {
            for j in 0..n {
                for p in 0..k {
                    c[i * n + j] += a[i * k + p] * b[p * n + j];
                }
            }
        }
    }
}

/// A matrix seen through strides: element (i, k) is `data[i * row + k * column]`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub column: usize,
}

impl<'a> View<'a> {
    /// Row-major with `columns` columns.
    pub fn of(data: &'a [f32], columns: usize) -> Self {
        View { data, row: columns, column: 1 }
    }

    /// The transpose.
    pub fn transposed(self) -> Self {
        View { data: self.data, row: self.column, column: self.row }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        // Checked, because unsafe code relies on the answer and strides may be anything.
        let last = || (rows - 1).checked_mul(self.row)?.checked_add((columns - 1).checked_mul(self.column)?);
        rows == 0 || columns == 0 || last().is_some_and(|last| last < self.data.len())
    }
}

/// B[K, N] in panels of columns: panel p holds, for k = 0.., its columns side by side, zero-padded.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    data: Buffer,
    k: usize,
    n: usize,
    panel: usize,
}

impl Packed {
    /// Packs `b` [k, n], reusing the memory where it suffices.
    pub fn pack(&mut self, isa: Isa, b: View<'_>, k: usize, n: usize) {
        assert!(b.holds(k, n), "B is smaller than {k} x {n}");
        let panel = panel_width(isa.level());
        let len = n.checked_next_multiple_of(panel).and_then(|width| width.checked_mul(k)).expect("the size of B overflows");
        if self.data.len() < len {
            self.data = Buffer::zeroed(len);
        }
        (self.k, self.n, self.panel) = (k, n, panel);
        for (p, out) in self.data[..len].chunks_exact_mut((panel * k).max(1)).enumerate() {
            let first = p * panel;
            let width = panel.min(n - first);
            if b.column == 1 {
                for (row, out) in out.chunks_exact_mut(panel).enumerate() {
                    out[..width].copy_from_slice(&b.data[row * b.row + first..][..width]);
                    out[width..].fill(0.0);
                }
            } else {
                pack_strided(out, panel, View { data: &b.data[first * b.column..], ..b }, width);
            }
        }
    }
}

/// Fills a panel from columns that are each (nearly) contiguous: 16 rows at a time, so that every cache line
/// of a column is read once and whole.
fn pack_strided(panel: &mut [f32], panel_width: usize, b: View<'_>, width: usize) {
    const ROWS: usize = 16;
    for (block, out) in panel.chunks_mut(ROWS * panel_width).enumerate() {
        let rows = out.len() / panel_width;
        for j in 0..width {
            let from = &b.data[block * ROWS * b.row + j * b.column..];
            for (row, out) in out.iter_mut().skip(j).step_by(panel_width).enumerate().take(rows) {
                *out = from[row * b.row];
            }
        }
        for out in out.chunks_exact_mut(panel_width) {
            out[width..].fill(0.0);
        }
    }
}

/// What happens to a finished element.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a> {
    /// c = product
    Set,
    /// c += product
    Add,
    /// `c = product + bias[j]`
    Bias(&'a [f32]),
    /// `c = max(product + bias[j], 0)`
    BiasRelu(&'a [f32]),
}

/// c[m, n] ← a[m, k] · b. `c` is row-major with rows `stride` apart.
///
/// # Panics
/// If a slice is smaller than the shapes say, or `b` was packed for another instruction set.
pub fn matmul(isa: Isa, c: &mut [f32], stride: usize, m: usize, a: View<'_>, b: &Packed, epilogue: Epilogue<'_>) {
    assert!(a.holds(m, b.k), "A is smaller than {m} x {}", b.k);
    assert!(View::of(c, stride).holds(m, b.n) && (b.n <= stride || m <= 1), "C is smaller than {m} x {}", b.n);
    assert_eq!(b.panel, panel_width(isa.level()), "B was packed for another instruction set");
    if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = epilogue {
        assert_eq!(bias.len(), b.n, "one bias per column");
    }
    let call = Call { c: c.as_mut_ptr(), stride, m, a: a.data.as_ptr(), a_row: a.row, a_column: a.column, b, epilogue };
    // SAFETY: the shapes were asserted above; an Isa of a level exists only where the CPU has it.
    unsafe {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::avx512(call),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::avx2(call),
            _ => tiles::<Portable>(call),
        }
    }
}

fn panel_width(level: Level) -> usize {
    match level {
        Level::Scalar => 2 * Portable::LANES,
        Level::Avx2 => 16,
        Level::Avx512 => 32,
    }
}

/// The checked arguments of [`matmul`].
struct Call<'a> {
    c: *mut f32,
    stride: usize,
    m: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: &'a Packed,
    epilogue: Epilogue<'a>,
}

/// A vector register. All methods must run where its instruction set exists.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Rows of A per tile, so that `2 · MR` accumulators, two columns and a broadcast fit the registers.
    const MR: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// self · b + c
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    /// The larger, or `b` if either is NaN.
    unsafe fn max(self, b: Self) -> Self;
}

/// # Safety
/// The shapes in `call` hold and the CPU has the instructions of `V`.
#[inline(always)]
unsafe fn tiles<V: Vector>(call: Call<'_>) {
    let width = 2 * V::LANES;
    for p in 0..call.b.n.div_ceil(width) {
        let columns = width.min(call.b.n - p * width);
        // SAFETY: the caller's promise; panel p exists and `columns` fit W vectors.
        unsafe { if columns > V::LANES { panel::<V, 2>(&call, p, columns) } else { panel::<V, 1>(&call, p, columns) } }
    }
}

/// All rows times the first `columns` columns of panel `p`, which are W vectors wide: a narrow last panel
/// (or layer) costs half.
///
/// # Safety
/// As [`tiles`]; panel p exists and has that many columns.
#[inline(always)]
unsafe fn panel<V: Vector, const W: usize>(call: &Call<'_>, p: usize, columns: usize) {
    let mut i = 0;
    while i < call.m {
        let rows = V::MR.min(call.m - i);
        // SAFETY: rows i..i + rows exist; `rows` selects a tile of that height.
        unsafe {
            match rows {
                14 => tile::<V, W, 14>(call, i, p, columns),
                13 => tile::<V, W, 13>(call, i, p, columns),
                12 => tile::<V, W, 12>(call, i, p, columns),
                11 => tile::<V, W, 11>(call, i, p, columns),
                10 => tile::<V, W, 10>(call, i, p, columns),
                9 => tile::<V, W, 9>(call, i, p, columns),
                8 => tile::<V, W, 8>(call, i, p, columns),
                7 => tile::<V, W, 7>(call, i, p, columns),
                6 => tile::<V, W, 6>(call, i, p, columns),
                5 => tile::<V, W, 5>(call, i, p, columns),
                4 => tile::<V, W, 4>(call, i, p, columns),
                3 => tile::<V, W, 3>(call, i, p, columns),
                2 => tile::<V, W, 2>(call, i, p, columns),
                _ => tile::<V, W, 1>(call, i, p, columns),
            }
        }
        i += rows;
    }
}

/// One tile: R rows from `i` times W vectors of panel `p`.
///
/// # Safety
/// As [`panel`]; rows i..i + R exist.
#[inline(always)]
unsafe fn tile<V: Vector, const W: usize, const R: usize>(call: &Call<'_>, i: usize, p: usize, columns: usize) {
    let (width, k) = (2 * V::LANES, call.b.k);
    // SAFETY: the panel holds k · width floats, rows i..i + R of A and C exist (asserted at the door).
    unsafe {
        let mut b = call.b.data.as_ptr().add(p * width * k);
        let mut a = call.a.add(i * call.a_row);
        let mut acc = [[V::splat(0.0); W]; R];
        for _ in 0..k {
            let columns: [V; W] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = V::splat(*a.add(r * call.a_row));
                for (acc, &column) in acc.iter_mut().zip(&columns) {
                    *acc = x.fma(column, *acc);
                }
            }
            a = a.wrapping_add(call.a_column);
            b = b.add(width);
        }
        for (r, acc) in acc.into_iter().enumerate() {
            let c = call.c.add((i + r) * call.stride + p * width);
            if columns == W * V::LANES {
                for (v, acc) in acc.into_iter().enumerate() {
                    finish(acc, c.add(v * V::LANES), p * width + v * V::LANES, call.epilogue);
                }
            } else {
                finish_part(acc, c, columns, p * width, call.epilogue);
            }
        }
    }
}

/// # Safety
/// `c` and the bias hold a whole vector there.
#[inline(always)]
unsafe fn finish<V: Vector>(product: V, c: *mut f32, column: usize, epilogue: Epilogue<'_>) {
    // SAFETY: the caller's promise.
    unsafe {
        match epilogue {
            Epilogue::Set => product.store(c),
            Epilogue::Add => V::load(c).add(product).store(c),
            Epilogue::Bias(bias) => product.add(V::load(bias.as_ptr().add(column))).store(c),
            Epilogue::BiasRelu(bias) => V::splat(0.0).max(product.add(V::load(bias.as_ptr().add(column)))).store(c),
        }
    }
}

/// The last, narrower panel, element by element.
///
/// # Safety
/// `c` and the bias hold `columns` floats there.
#[inline(always)]
unsafe fn finish_part<V: Vector, const W: usize>(acc: [V; W], c: *mut f32, columns: usize, column: usize, epilogue: Epilogue<'_>) {
    let mut spill = [0.0f32; 32];
    // SAFETY: two vectors are at most 32 floats; the caller's promise for `c`.
    unsafe {
        for (v, acc) in acc.into_iter().enumerate() {
            acc.store(spill.as_mut_ptr().add(v * V::LANES));
        }
        for (j, &product) in spill[..columns].iter().enumerate() {
            let c = c.add(j);
            *c = match epilogue {
                Epilogue::Set => product,
                Epilogue::Add => *c + product,
                Epilogue::Bias(bias) => product + bias[column + j],
                Epilogue::BiasRelu(bias) => relu(product + bias[column + j]),
            };
        }
    }
}

/// Four floats that any compiler turns into its baseline vectors.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Vector for Portable {
    const LANES: usize = 4;
    const MR: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Portable([x; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller hands four floats.
        Portable(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller hands room for four floats.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn fma(self, b: Self, c: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| self.0[i] + b.0[i]))
    }
    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        Portable(std::array::from_fn(|i| if self.0[i] > b.0[i] { self.0[i] } else { b.0[i] }))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Call, Vector, tiles};
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($type:ty, $lanes:literal, $rows:literal, $splat:ident, $load:ident, $store:ident, $fma:ident, $add:ident, $max:ident) => {
            impl Vector for $type {
                const LANES: usize = $lanes;
                const MR: usize = $rows;
                #[inline(always)]
                unsafe fn splat(x: f32) -> Self {
                    // SAFETY: the caller runs where the instructions exist (so below).
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: and hands enough floats.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: and hands enough room.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn fma(self, b: Self, c: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $fma(self, b, c) }
                }
                #[inline(always)]
                unsafe fn add(self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $add(self, b) }
                }
                #[inline(always)]
                unsafe fn max(self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $max(self, b) }
                }
            }
        };
    }
    vector!(__m256, 8, 6, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_max_ps);
    vector!(__m512, 16, 14, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_max_ps);

    /// # Safety
    /// As [`tiles`].
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2(call: Call<'_>) {
        // SAFETY: the caller's promise.
        unsafe { tiles::<__m256>(call) }
    }

    /// # Safety
    /// As [`tiles`].
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    pub unsafe fn avx512(call: Call<'_>) {
        // SAFETY: the caller's promise.
        unsafe { tiles::<__m512>(call) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32).map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed * 97)) >> 16) as f32 / 32768.0 - 1.0).collect()
    }

    fn agrees(isa: Isa, m: usize, n: usize, k: usize, transpose: bool) {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let mut packed = Packed::default();
        packed.pack(isa, View::of(&b, n), k, n);
        let bias = numbers(n, 3);
        let a_transposed: Vec<f32> = (0..m * k).map(|e| a[(e % m) * k + e / m]).collect();
        let view = if transpose { View::of(&a_transposed, m).transposed() } else { View::of(&a, k) };
        let mut expected = vec![0.0; m * n];
        reference::matmul(&mut expected, &a, &b, (m, n, k));
        for (i, epilogue) in [Epilogue::Set, Epilogue::Add, Epilogue::Bias(&bias), Epilogue::BiasRelu(&bias)].into_iter().enumerate() {
            let mut c = vec![0.5; m * n];
            matmul(isa, &mut c, n, m, view, &packed, epilogue);
            for (e, (&c, &product)) in c.iter().zip(&expected).enumerate() {
                let want = [product, product + 0.5, product + bias[e % n], relu(product + bias[e % n])][i];
                assert!((c - want).abs() <= 1e-5 * (k as f32).max(1.0), "{isa:?} {m}x{n}x{k} epilogue {i} at {e}: {c} != {want}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_isa_equals_the_reference(m in 1usize..40, n in 1usize..70, k in 1usize..50, transpose: bool) {
            for isa in Isa::available() {
                agrees(isa, m, n, k, transpose);
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_and_in_company() {
        let (m, n, k) = (61, 37, 700);
        let (a, b) = (numbers(m * k, 5), numbers(k * n, 6));
        for isa in Isa::available() {
            let mut packed = Packed::default();
            packed.pack(isa, View::of(&b, n), k, n);
            let mut all = vec![0.0; m * n];
            matmul(isa, &mut all, n, m, View::of(&a, k), &packed, Epilogue::Set);
            for i in 0..m {
                let mut one = vec![0.0; n];
                matmul(isa, &mut one, n, 1, View::of(&a[i * k..(i + 1) * k], k), &packed, Epilogue::Set);
                assert_eq!(one, all[i * n..(i + 1) * n], "{isa:?} row {i}");
            }
        }
    }
}
