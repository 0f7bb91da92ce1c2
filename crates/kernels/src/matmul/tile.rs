//! Tiles of C in registers, one algorithm for every vector type.
use super::{Epilogue, Packed};
use crate::activation::reference::relu;
use crate::prefetch::{FIRST_LEVEL, SECOND_LEVEL, prefetch_line};

/// The checked arguments of a product. What the tiles call k are steps of A and B: one number, or a pair of bf16 numbers.
pub(super) struct Call<'a> {
    pub c: *mut f32,
    pub stride: usize,
    pub m: usize,
    pub a: *const f32,
    pub a_row: usize,
    pub a_column: usize,
    pub b: &'a Packed,
    pub epilogue: Epilogue<'a>,
}

/// A vector register. All methods must run where its instruction set exists.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Rows of A per tile, so that `2 · MR` accumulators, two columns and a broadcast fit the registers.
    const MR: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// self · b + c, of pairs the sum of both products + c
    unsafe fn fma(self, b: Self, c: Self) -> Self;
    unsafe fn add(self, b: Self) -> Self;
    /// The larger, or `b` if either is NaN.
    unsafe fn max(self, b: Self) -> Self;
}

/// # Safety
/// The shapes in `call` hold and the CPU has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn tiles<V: Vector>(call: Call<'_>) {
    let width = 2 * V::LANES;
    // SAFETY: the caller's promise; `m` selects a tile of that height.
    let done = unsafe {
        match call.m {
            1 => few_rows::<V, 1, 4>(&call),
            2 => few_rows::<V, 2, 2>(&call),
            3 if V::MR > 6 => few_rows::<V, 3, 2>(&call),
            // 16 registers hold the sums of one panel beside what they are made of.
            3 => few_rows::<V, 3, 1>(&call),
            4 if V::MR == 6 => few_rows::<V, 4, 1>(&call),
            5 if V::MR == 6 => few_rows::<V, 5, 1>(&call),
            6 if V::MR == 6 => few_rows::<V, 6, 1>(&call),
            _ => 0,
        }
    };
    for p in done..call.b.n.div_ceil(width) {
        let columns = width.min(call.b.n - p * width);
        // SAFETY: the caller's promise; panel p exists and `columns` fit W vectors.
        unsafe {
            if columns > V::LANES {
                panel::<V, 2>(&call, p, columns)
            } else {
                panel::<V, 1>(&call, p, columns)
            }
        }
    }
}

/// R rows are all there are: P panels at a time, so that one alone does not wait for its few chains of multiply-adds, and nothing is
/// fetched ahead, as every panel is used but once. Returns the number of panels done, a multiple of P.
///
/// # Safety
/// As [`tiles`]; A and C have R rows.
#[inline(always)]
unsafe fn few_rows<V: Vector, const R: usize, const P: usize>(call: &Call<'_>) -> usize {
    let (width, k) = (2 * V::LANES, call.b.k);
    let whole = call.b.n / width / P * P;
    for p in (0..whole).step_by(P) {
        // SAFETY: panels p..p + P exist, are whole, and hold k · width floats each; so do R rows of A and C.
        unsafe {
            let panels: [*const f32; P] =
                std::array::from_fn(|q| call.b.data.as_ptr().add((p + q) * width * k));
            let mut acc = [[[V::splat(0.0); 2]; P]; R];
            for at in 0..k {
                for (q, panel) in panels.iter().enumerate() {
                    let columns: [V; 2] =
                        std::array::from_fn(|v| V::load(panel.add(at * width + v * V::LANES)));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let x = V::splat(*call.a.add(r * call.a_row + at * call.a_column));
                        for (acc, &column) in acc[q].iter_mut().zip(&columns) {
                            *acc = x.fma(column, *acc);
                        }
                    }
                }
            }
            for (r, acc) in acc.into_iter().enumerate() {
                for (q, acc) in acc.into_iter().enumerate() {
                    let column = (p + q) * width;
                    finish([acc], call.c.add(r * call.stride + column), call.stride, column, call.epilogue);
                }
            }
        }
    }
    whole
}

/// All rows times the first `columns` columns of panel `p`, which are W vectors wide: a narrow last panel
/// (or layer) costs half.
///
/// # Safety
/// As [`tiles`]; panel p exists and has that many columns.
#[inline(always)]
unsafe fn panel<V: Vector, const W: usize>(call: &Call<'_>, p: usize, columns: usize) {
    let tiles = call.m.div_ceil(V::MR);
    for tile_index in 0..tiles {
        // Of nearly equal height: a last tile of one or two rows would wait for its few chains of multiply-adds.
        let [i, end] = [tile_index, tile_index + 1].map(|t| t * call.m / tiles);
        let (rows, ahead) = (end - i, Ahead::of(call, p, tile_index, tiles));
        // SAFETY: rows i..i + rows exist; `rows` selects a tile of that height.
        unsafe {
            match rows {
                14 => tile::<V, W, 14>(call, i, p, columns, ahead),
                13 => tile::<V, W, 13>(call, i, p, columns, ahead),
                12 => tile::<V, W, 12>(call, i, p, columns, ahead),
                11 => tile::<V, W, 11>(call, i, p, columns, ahead),
                10 => tile::<V, W, 10>(call, i, p, columns, ahead),
                9 => tile::<V, W, 9>(call, i, p, columns, ahead),
                8 => tile::<V, W, 8>(call, i, p, columns, ahead),
                7 => tile::<V, W, 7>(call, i, p, columns, ahead),
                6 => tile::<V, W, 6>(call, i, p, columns, ahead),
                5 => tile::<V, W, 5>(call, i, p, columns, ahead),
                4 => tile::<V, W, 4>(call, i, p, columns, ahead),
                3 => tile::<V, W, 3>(call, i, p, columns, ahead),
                2 => tile::<V, W, 2>(call, i, p, columns, ahead),
                _ => tile::<V, W, 1>(call, i, p, columns, ahead),
            }
        }
    }
}

/// What a tile fetches for the next panel while it computes: the weights of a model do not fit the second-level cache,
/// and a panel that came from further away would hold up its first tile.
#[derive(Clone, Copy)]
struct Ahead {
    from: *const f32,
    /// Floats per step of k.
    step: usize,
}

impl Ahead {
    /// The share of tile `tile` of `tiles` of the panel after `p`.
    fn of(call: &Call<'_>, p: usize, tile: usize, tiles: usize) -> Self {
        let (len, panel) = (call.b.panel * call.b.k, call.b.panel);
        let step = panel.div_ceil(tiles);
        // Behind the last panel nothing is read: a prefetch may point anywhere.
        Ahead { from: call.b.data.as_ptr().wrapping_add((p + 1) * len + tile * step * call.b.k), step }
    }
}

/// One tile: R rows from `i` times W vectors of panel `p`.
///
/// # Safety
/// As [`panel`]; rows i..i + R exist.
#[inline(always)]
unsafe fn tile<V: Vector, const W: usize, const R: usize>(
    call: &Call<'_>,
    i: usize,
    p: usize,
    columns: usize,
    mut ahead: Ahead,
) {
    let (width, k) = (2 * V::LANES, call.b.k);
    // Where the result goes is fetched while it is computed.
    for r in 0..R {
        for v in 0..W {
            prefetch_line::<FIRST_LEVEL>(
                call.c.wrapping_add((i + r) * call.stride + p * width + v * V::LANES).cast(),
            );
        }
    }
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
            prefetch_line::<SECOND_LEVEL>(ahead.from.cast());
            ahead.from = ahead.from.wrapping_add(ahead.step);
        }
        let c = call.c.add(i * call.stride + p * width);
        if columns < W * V::LANES {
            for (r, acc) in acc.into_iter().enumerate() {
                finish_part(acc, c.add(r * call.stride), columns, p * width, call.epilogue);
            }
            return;
        }
        // One way out for each epilogue: a decision for each vector would take the sums out of their registers.
        let (stride, column) = (call.stride, p * width);
        match call.epilogue {
            Epilogue::Set => finish(acc, c, stride, column, Epilogue::Set),
            Epilogue::Add => finish(acc, c, stride, column, Epilogue::Add),
            Epilogue::Bias(bias) => finish(acc, c, stride, column, Epilogue::Bias(bias)),
            Epilogue::BiasRelu(bias) => finish(acc, c, stride, column, Epilogue::BiasRelu(bias)),
        }
    }
}

/// Writes R rows of W vectors, `stride` apart, from column `column` on.
///
/// # Safety
/// C holds these rows, the bias these columns.
#[inline(always)]
unsafe fn finish<V: Vector, const W: usize, const R: usize>(
    acc: [[V; W]; R],
    c: *mut f32,
    stride: usize,
    column: usize,
    epilogue: Epilogue<'_>,
) {
    for (r, row) in acc.into_iter().enumerate() {
        for (v, product) in row.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let c = c.add(r * stride + v * V::LANES);
                match epilogue {
                    Epilogue::Set => product,
                    Epilogue::Add => V::load(c).add(product),
                    Epilogue::Bias(b) => product.add(V::load(b.as_ptr().add(column + v * V::LANES))),
                    Epilogue::BiasRelu(b) => {
                        V::splat(0.0).max(product.add(V::load(b.as_ptr().add(column + v * V::LANES))))
                    }
                }
                .store(c);
            }
        }
    }
}

/// The last, narrower panel, element by element.
///
/// # Safety
/// `c` and the bias hold `columns` floats there.
#[inline(always)]
unsafe fn finish_part<V: Vector, const W: usize>(
    acc: [V; W],
    c: *mut f32,
    columns: usize,
    column: usize,
    epilogue: Epilogue<'_>,
) {
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
pub(super) mod x86 {
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
    vector!(
        __m256,
        8,
        6,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_max_ps
    );
    vector!(
        __m512,
        16,
        14,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_max_ps
    );

    /// Lanes of A and B are pairs of bf16 numbers, lanes of C are f32.
    #[derive(Clone, Copy)]
    struct Pairs(__m512);

    impl Vector for Pairs {
        const LANES: usize = __m512::LANES;
        const MR: usize = __m512::MR;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller runs where AVX-512 exists (so below).
            Pairs(unsafe { _mm512_castsi512_ps(_mm512_set1_epi32(x.to_bits() as i32)) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: and hands enough floats.
            Pairs(unsafe { _mm512_loadu_ps(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: and hands enough room.
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn fma(self, b: Self, c: Self) -> Self {
            // SAFETY: the caller runs where AVX-512 BF16 exists; a register of pairs is one of 32 bf16 numbers.
            unsafe {
                let (a, b) = (
                    std::mem::transmute::<__m512, __m512bh>(self.0),
                    std::mem::transmute::<__m512, __m512bh>(b.0),
                );
                Pairs(_mm512_dpbf16_ps(c.0, a, b))
            }
        }
        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            // SAFETY: as above.
            Pairs(unsafe { _mm512_add_ps(self.0, b.0) })
        }
        #[inline(always)]
        unsafe fn max(self, b: Self) -> Self {
            // SAFETY: as above.
            Pairs(unsafe { _mm512_max_ps(self.0, b.0) })
        }
    }

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

    /// # Safety
    /// As [`tiles`]; A and B are packed in pairs.
    #[target_feature(enable = "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    pub unsafe fn avx512bf16(call: Call<'_>) {
        // SAFETY: the caller's promise.
        unsafe { tiles::<Pairs>(call) }
    }
}
