//! Tiles of C in registers, one algorithm for every vector type.
use super::operands::Epilogue;
use super::packed::{PackedView, Panels};
use crate::activation::reference::relu;
use crate::prefetch::{FIRST_LEVEL, SECOND_LEVEL, prefetch_line};
use crate::vector::Vector;
use std::ops::Range;

/// The checked arguments of a product. What the tiles call k are steps of A and B: one number, or a pair of
/// bf16 numbers.
pub(super) struct Call<'a> {
    pub(super) c: *mut f32,
    pub(super) stride: usize,
    /// M
    pub(super) m: usize,
    pub(super) a: Rows,
    /// The tiles of rows that are taken; C begins with the first of them.
    pub(super) tiles: Range<usize>,
    pub(super) b: PackedView<'a>,
    /// The steps of k that are taken. A is there from the first of them on.
    pub(super) steps: Range<usize>,
    /// What the sums begin with, the same in all rows: panels of floats for each column, or null for 0.
    pub(super) sums: *const f32,
    /// The panels of B that are taken; C begins with the columns of the first of them.
    pub(super) panels: Range<usize>,
    pub(super) epilogue: Epilogue<'a>,
}

/// How A lies in memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows {
    /// Element (i, k) is at i · row + k · column.
    Strided { first: *const f32, row: usize, column: usize },
    /// In strips of the height of a tile, one behind the other: for k = 0.., the elements of its rows side by
    /// side.
    Strips { first: *const f32, steps: usize },
}

impl Rows {
    /// Where the tile of `rows` rows from `i` on begins, and the distances of its rows and of steps of k.
    #[inline(always)]
    fn tile(self, i: usize, rows: usize) -> (*const f32, usize, usize) {
        match self {
            Rows::Strided { first, row, column } => (first.wrapping_add(i * row), row, column),
            Rows::Strips { first, steps } => (first.wrapping_add(i * steps), 1, rows),
        }
    }
}

/// The first row of tile `tile` of `tiles` of `m` rows: of nearly equal height, for a last tile of one or two
/// rows would wait for its few chains of multiply-adds.
#[inline(always)]
pub(super) fn first_row(tile: usize, tiles: usize, m: usize) -> usize {
    tile * m / tiles.max(1)
}

/// Tiles of `m` rows of at most `most` each.
pub(super) fn tiles_of(m: usize, most: usize) -> usize {
    m.div_ceil(most)
}

impl Call<'_> {
    /// The number of rows, if all of them can be taken as one tile.
    #[inline(always)]
    fn few(&self, most: usize) -> usize {
        match self.a {
            Rows::Strips { .. } if self.m > most || self.tiles.len() != 1 => 0,
            _ => self.m,
        }
    }

    /// What the sums of W vectors of columns begin with, from `column` on.
    ///
    /// # Safety
    /// `sums` is null or holds these columns.
    #[inline(always)]
    unsafe fn beginning<V: Vector, const W: usize>(&self, simd: V, column: usize) -> [V::Register; W] {
        if self.sums.is_null() {
            return [simd.splat(0.0); W];
        }
        // SAFETY: the caller's promise.
        unsafe { std::array::from_fn(|v| simd.load(self.sums.add(column + v * V::LANES))) }
    }
}

/// # Safety
/// The shapes in `call` hold.
#[inline(always)]
pub(super) unsafe fn tiles<V: Vector>(simd: V, call: Call<'_>) {
    let width = 2 * V::LANES;
    // SAFETY: the caller's promise; `m` selects a tile of that height.
    let done = unsafe {
        match call.few(V::MR) {
            1 => few_rows::<V, 1, 4>(simd, &call),
            2 => few_rows::<V, 2, 2>(simd, &call),
            3 if V::MR > 6 => few_rows::<V, 3, 2>(simd, &call),
            // 16 registers hold the sums of one panel beside what they are made of.
            3 => few_rows::<V, 3, 1>(simd, &call),
            4 if V::MR == 6 => few_rows::<V, 4, 1>(simd, &call),
            5 if V::MR == 6 => few_rows::<V, 5, 1>(simd, &call),
            6 if V::MR == 6 => few_rows::<V, 6, 1>(simd, &call),
            _ => 0,
        }
    };
    for p in call.panels.start + done..call.panels.end {
        let columns = width.min(call.b.shape.n - p * width);
        // SAFETY: the caller's promise; panel p exists and `columns` fit W vectors.
        unsafe {
            if columns > V::LANES {
                panel::<V, 2>(simd, &call, p, columns)
            } else {
                panel::<V, 1>(simd, &call, p, columns)
            }
        }
    }
}

/// R rows are all there are: P panels at a time, so that one alone does not wait for its few chains of
/// multiply-adds, and nothing is fetched ahead, as every panel is used but once. Returns the number of panels
/// done, a multiple of P.
///
/// # Safety
/// As [`tiles`]; A and C have R rows.
#[inline(always)]
unsafe fn few_rows<V: Vector, const R: usize, const P: usize>(simd: V, call: &Call<'_>) -> usize {
    let (width, k) = (2 * V::LANES, call.b.shape.k);
    let (first, (a, a_row, a_column)) = (call.panels.start, call.a.tile(0, R));
    // Of the panels that are taken, those without padding, in whole groups.
    let whole = (call.b.shape.n / width).min(call.panels.end).saturating_sub(first) / P * P;
    for p in (first..first + whole).step_by(P) {
        // SAFETY: panels p..p + P exist, are whole, and hold k · width floats each; so do R rows of A and C.
        unsafe {
            let panels: [*const f32; P] = std::array::from_fn(|q| {
                call.b.data.as_ptr().add((p + q) * width * k + call.steps.start * width)
            });
            let begun: [[V::Register; 2]; P] = std::array::from_fn(|q| call.beginning(simd, (p + q) * width));
            let mut acc = [begun; R];
            for at in 0..call.steps.len() {
                for (q, panel) in panels.iter().enumerate() {
                    let columns: [V::Register; 2] =
                        std::array::from_fn(|v| simd.load(panel.add(at * width + v * V::LANES)));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let x = simd.splat(*a.add(r * a_row + at * a_column));
                        for (acc, &column) in acc[q].iter_mut().zip(&columns) {
                            *acc = simd.fma(x, column, *acc);
                        }
                    }
                }
            }
            for (r, acc) in acc.into_iter().enumerate() {
                for (q, acc) in acc.into_iter().enumerate() {
                    let column = (p + q) * width;
                    finish(
                        simd,
                        [acc],
                        call.c.add(r * call.stride + column - first * width),
                        call.stride,
                        column,
                        call.epilogue,
                    );
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
unsafe fn panel<V: Vector, const W: usize>(simd: V, call: &Call<'_>, p: usize, columns: usize) {
    let tiles = tiles_of(call.m, V::MR);
    let top = first_row(call.tiles.start, tiles, call.m);
    for tile_index in call.tiles.clone() {
        let [i, end] = [tile_index, tile_index + 1].map(|t| first_row(t, tiles, call.m));
        let (rows, ahead) = (end - i, Ahead::of(call, p, tile_index - call.tiles.start, call.tiles.len()));
        let (a, i) = (call.a.tile(i, rows), i - top);
        // SAFETY: rows i..i + rows exist; `rows` selects a tile of that height.
        unsafe {
            match rows {
                14 => tile::<V, W, 14>(simd, call, (a, i), p, columns, ahead),
                13 => tile::<V, W, 13>(simd, call, (a, i), p, columns, ahead),
                12 => tile::<V, W, 12>(simd, call, (a, i), p, columns, ahead),
                11 => tile::<V, W, 11>(simd, call, (a, i), p, columns, ahead),
                10 => tile::<V, W, 10>(simd, call, (a, i), p, columns, ahead),
                9 => tile::<V, W, 9>(simd, call, (a, i), p, columns, ahead),
                8 => tile::<V, W, 8>(simd, call, (a, i), p, columns, ahead),
                7 => tile::<V, W, 7>(simd, call, (a, i), p, columns, ahead),
                6 => tile::<V, W, 6>(simd, call, (a, i), p, columns, ahead),
                5 => tile::<V, W, 5>(simd, call, (a, i), p, columns, ahead),
                4 => tile::<V, W, 4>(simd, call, (a, i), p, columns, ahead),
                3 => tile::<V, W, 3>(simd, call, (a, i), p, columns, ahead),
                2 => tile::<V, W, 2>(simd, call, (a, i), p, columns, ahead),
                _ => tile::<V, W, 1>(simd, call, (a, i), p, columns, ahead),
            }
        }
    }
}

/// What a tile fetches for the next panel while it computes: the weights of a model do not fit the
/// second-level cache, and a panel that came from further away would hold up its first tile.
#[derive(Clone, Copy)]
struct Ahead {
    from: *const f32,
    /// Floats per step of k.
    step: usize,
}

impl Ahead {
    /// The share of tile `tile` of `tiles` of the panel after `p`.
    fn of(call: &Call<'_>, p: usize, tile: usize, tiles: usize) -> Self {
        let Panels { k, panel, .. } = call.b.shape;
        let len = panel * k;
        let step = panel.div_ceil(tiles);
        // Behind the last panel nothing is read: a prefetch may point anywhere.
        Ahead { from: call.b.data.as_ptr().wrapping_add((p + 1) * len + tile * step * k), step }
    }
}

/// One tile: R rows times W vectors of panel `p`. `a` is where its rows lie, `i` the first of them in C.
///
/// # Safety
/// As [`panel`]; A and C have these rows.
#[inline(always)]
unsafe fn tile<V: Vector, const W: usize, const R: usize>(
    simd: V,
    call: &Call<'_>,
    ((mut a, a_row, a_column), i): ((*const f32, usize, usize), usize),
    p: usize,
    columns: usize,
    mut ahead: Ahead,
) {
    let (width, k) = (2 * V::LANES, call.b.shape.k);
    let Range { start, end } = call.steps;
    let at = i * call.stride + (p - call.panels.start) * width;
    // Where the result goes is fetched while it is computed.
    for r in 0..R {
        for v in 0..W {
            prefetch_line::<FIRST_LEVEL>(call.c.wrapping_add(at + r * call.stride + v * V::LANES).cast());
        }
    }
    // SAFETY: the panel holds k · width floats, rows i..i + R of A and C exist (asserted at the door).
    unsafe {
        let mut b = call.b.data.as_ptr().add((p * k + start) * width);
        let mut acc: [[V::Register; W]; R] = [call.beginning(simd, p * width); R];
        for _ in start..end {
            let columns: [V::Register; W] = std::array::from_fn(|v| simd.load(b.add(v * V::LANES)));
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = simd.splat(*a.add(r * a_row));
                for (acc, &column) in acc.iter_mut().zip(&columns) {
                    *acc = simd.fma(x, column, *acc);
                }
            }
            a = a.wrapping_add(a_column);
            b = b.add(width);
            prefetch_line::<SECOND_LEVEL>(ahead.from.cast());
            ahead.from = ahead.from.wrapping_add(ahead.step);
        }
        let c = call.c.add(at);
        if columns < W * V::LANES {
            for (r, acc) in acc.into_iter().enumerate() {
                finish_part(simd, acc, c.add(r * call.stride), columns, p * width, call.epilogue);
            }
            return;
        }
        // One way out for each epilogue: a decision for each vector would take the sums out of their
        // registers.
        let (stride, column) = (call.stride, p * width);
        match call.epilogue {
            Epilogue::Set => finish(simd, acc, c, stride, column, Epilogue::Set),
            Epilogue::Add => finish(simd, acc, c, stride, column, Epilogue::Add),
            Epilogue::Bias(bias) => finish(simd, acc, c, stride, column, Epilogue::Bias(bias)),
            Epilogue::BiasRelu(bias) => finish(simd, acc, c, stride, column, Epilogue::BiasRelu(bias)),
        }
    }
}

/// Writes R rows of W vectors, `stride` apart, from column `column` on.
///
/// # Safety
/// C holds these rows, the bias these columns.
#[inline(always)]
unsafe fn finish<V: Vector, const W: usize, const R: usize>(
    simd: V,
    acc: [[V::Register; W]; R],
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
                let finished = match epilogue {
                    Epilogue::Set => product,
                    Epilogue::Add => simd.add(simd.load(c), product),
                    Epilogue::Bias(b) => simd.add(product, simd.load(b.as_ptr().add(column + v * V::LANES))),
                    Epilogue::BiasRelu(b) => {
                        let biased = simd.add(product, simd.load(b.as_ptr().add(column + v * V::LANES)));
                        simd.max(simd.splat(0.0), biased)
                    }
                };
                simd.store(c, finished);
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
    simd: V,
    acc: [V::Register; W],
    c: *mut f32,
    columns: usize,
    column: usize,
    epilogue: Epilogue<'_>,
) {
    let mut spill = [0.0f32; 32];
    // SAFETY: two vectors are at most 32 floats; the caller's promise for `c`.
    unsafe {
        for (v, acc) in acc.into_iter().enumerate() {
            simd.store(spill.as_mut_ptr().add(v * V::LANES), acc);
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

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{Call, tiles};
    use crate::isa::Level;
    use crate::matmul::operands::{panel_width, tile_rows};
    use crate::simd::{Avx2, Avx512, Avx512Bf16};
    use crate::vector::Vector;

    /// Packed operands have the tiles of the vectors that read them.
    const fn fits<V: Vector>(level: Level) -> bool {
        tile_rows(level) == V::MR && panel_width(level) == 2 * V::LANES
    }
    const _: () = assert!(fits::<Avx2>(Level::Avx2));
    const _: () = assert!(fits::<Avx512>(Level::Avx512) && fits::<Avx512Bf16>(Level::Avx512));

    /// # Safety
    /// As [`tiles`].
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(in crate::matmul) unsafe fn avx2(call: Call<'_>) {
        // SAFETY: the caller's promise.
        unsafe { tiles(Avx2::new(), call) }
    }

    /// # Safety
    /// As [`tiles`].
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    pub(in crate::matmul) unsafe fn avx512(call: Call<'_>) {
        // SAFETY: the caller's promise.
        unsafe { tiles(Avx512::new(), call) }
    }

    /// # Safety
    /// As [`tiles`]; A and B are packed in pairs.
    #[target_feature(enable = "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    pub(in crate::matmul) unsafe fn avx512bf16(call: Call<'_>) {
        // SAFETY: the caller's promise.
        unsafe { tiles(Avx512Bf16::new(), call) }
    }
}
