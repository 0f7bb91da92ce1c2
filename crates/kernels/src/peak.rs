//! What a core can do at most: loops that do nothing but multiply and add, read memory, or visit random rows
//! of a table. Benchmarks measure them on the machine that they run on, to say how near a real step comes.
use crate::isa::{Isa, Level};
use crate::prefetch::prefetch;
use crate::simd::{Scalar, Simd};
use crate::vector::Vector;

/// The definition.
pub mod reference {
    use crate::Real;

    /// `acc[i]` ← `acc[i]` · x + y, `rounds` times.
    pub fn fma<T: Real>(acc: &mut [T], rounds: usize, x: T, y: T) {
        for acc in acc {
            for _ in 0..rounds {
                *acc = *acc * x + y;
            }
        }
    }

    /// `acc[i]` += <x, y>, `rounds` times.
    pub fn bf16_dot<T: Real>(acc: &mut [T], rounds: usize, x: [T; 2], y: [T; 2]) {
        for acc in acc {
            for _ in 0..rounds {
                *acc += x[0] * y[0] + x[1] * y[1];
            }
        }
    }

    /// Σ x
    pub fn sum<T: Real>(x: &[T]) -> T {
        x.iter().fold(T::default(), |sum, &x| sum + x)
    }

    /// sum += Σ of the rows `ids` of a table as wide as `sum`.
    pub fn gather<T: Real>(sum: &mut [T], table: &[T], ids: &[u32]) {
        let dim = sum.len();
        for &id in ids {
            for (sum, &x) in sum.iter_mut().zip(&table[id as usize * dim..]) {
                *sum += x;
            }
        }
    }

    /// Adds `delta` to every element of the rows `ids`, as often as an id occurs.
    pub fn update<T: Real>(table: &mut [T], dim: usize, ids: &[u32], delta: T) {
        for &id in ids {
            table[id as usize * dim..][..dim].iter_mut().for_each(|x| *x += delta);
        }
    }
}

/// Independent chains: more than a core can have multiply-adds under way, few enough for sixteen registers.
const CHAINS: usize = 12;

/// Number of accumulators of [`fma`] on a CPU of this level.
pub fn fma_len(isa: Isa) -> usize {
    CHAINS
        * match isa.level() {
            Level::Scalar => Scalar::LANES,
            Level::Avx2 => 8,
            Level::Avx512 => 16,
        }
}

/// `acc[i]` ← `acc[i]` · x + y, `rounds` times, in registers.
///
/// # Panics
/// If `acc` is not [`fma_len`] long.
pub fn fma(isa: Isa, acc: &mut [f32], rounds: usize, x: f32, y: f32) {
    match isa.level() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an Isa of this level exists only where the CPU has it.
        Level::Avx512 => unsafe { x86::fma_avx512(acc, rounds, x, y) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { x86::fma_avx2(acc, rounds, x, y) },
        _ => fma_chains(Scalar, acc, rounds, x, y),
    }
}

#[inline(always)]
fn fma_chains<V: Vector>(simd: V, acc: &mut [f32], rounds: usize, x: f32, y: f32) {
    let (x, y) = (simd.splat(x), simd.splat(y));
    let mut chains = load(simd, acc);
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = simd.fma(*chain, x, y);
        }
    }
    store(simd, acc, chains);
}

/// # Panics
/// If `acc` does not hold [`CHAINS`] registers.
#[inline(always)]
fn load<V: Vector>(simd: V, acc: &[f32]) -> [V::Register; CHAINS] {
    assert_eq!(acc.len(), CHAINS * V::LANES, "one register for each chain");
    // SAFETY: the length was asserted.
    std::array::from_fn(|i| unsafe { simd.load(acc.as_ptr().add(i * V::LANES)) })
}

/// # Panics
/// If `acc` does not hold [`CHAINS`] registers.
#[inline(always)]
fn store<V: Vector>(simd: V, acc: &mut [f32], chains: [V::Register; CHAINS]) {
    assert_eq!(acc.len(), CHAINS * V::LANES, "one register for each chain");
    for (i, chain) in chains.into_iter().enumerate() {
        // SAFETY: the length was asserted.
        unsafe { simd.store(acc.as_mut_ptr().add(i * V::LANES), chain) };
    }
}

/// Number of accumulators of [`bf16_dot`].
pub const BF16_DOT_LEN: usize = CHAINS * 16;

/// `acc[i]` += <x, y>, `rounds` times, in registers; x and y are cut to bf16.
///
/// # Panics
/// If `acc` is not [`BF16_DOT_LEN`] long or there are no instructions for it ([`Isa::has_bf16`]).
pub fn bf16_dot(isa: Isa, acc: &mut [f32], rounds: usize, x: [f32; 2], y: [f32; 2]) {
    assert!(isa.has_bf16(), "instructions that multiply pairs of bf16 numbers");
    let pair = |[low, high]: [f32; 2]| f32::from_bits((low.to_bits() >> 16) | (high.to_bits() & 0xffff_0000));
    #[cfg(target_arch = "x86_64")]
    // SAFETY: an Isa says so only where the CPU has the instructions.
    unsafe {
        x86::bf16_dot(acc, rounds, pair(x), pair(y));
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("no Isa says so here: {:?}", (acc, rounds, pair(x), pair(y)));
}

/// Partial sums of [`sum`]: enough vectors that adding never waits.
const PARTS: usize = 128;

#[inline(always)]
fn sum_body(_: impl Simd, x: &[f32]) -> f32 {
    let mut parts = [0.0; PARTS];
    let (blocks, rest) = x.as_chunks::<PARTS>();
    for block in blocks {
        for (part, x) in parts.iter_mut().zip(block) {
            *part += x;
        }
    }
    parts.iter().chain(rest).sum()
}

bind! {
    /// Σ x: reads memory from end to end.
    pub fn sum(x: &[f32]) -> f32 = sum_body
}

#[inline(always)]
fn gather_body(_: impl Simd, sum: &mut [f32], table: &[f32], ids: &[u32], ahead: usize) {
    match sum.len() {
        16 => gather_rows::<16>(sum, table, ids, ahead),
        64 => gather_rows::<64>(sum, table, ids, ahead),
        other => panic!("rows of 16 or 64 floats, not {other}"),
    }
}

#[inline(always)]
fn gather_rows<const D: usize>(sum: &mut [f32], table: &[f32], ids: &[u32], ahead: usize) {
    let mut total = [0.0; D];
    for (e, &id) in ids.iter().enumerate() {
        if let Some(&next) = ids.get(e + ahead) {
            prefetch(&table[next as usize * D..][..D]);
        }
        for (total, x) in total.iter_mut().zip(&table[id as usize * D..][..D]) {
            *total += x;
        }
    }
    sum.iter_mut().zip(total).for_each(|(sum, total)| *sum += total);
}

bind! {
    /// sum += Σ of the rows `ids` of a table of rows as wide as `sum`; rows are fetched `ahead` ids before
    /// they are used.
    ///
    /// # Panics
    /// If rows are not 16 or 64 floats wide or an id is beyond the table.
    pub fn gather(sum: &mut [f32], table: &[f32], ids: &[u32], ahead: usize) = gather_body
}

#[inline(always)]
fn update_body(_: impl Simd, table: &mut [f32], dim: usize, ids: &[u32], ahead: usize, delta: f32) {
    match dim {
        16 => update_rows::<16>(table, ids, ahead, delta),
        64 => update_rows::<64>(table, ids, ahead, delta),
        other => panic!("rows of 16 or 64 floats, not {other}"),
    }
}

#[inline(always)]
fn update_rows<const D: usize>(table: &mut [f32], ids: &[u32], ahead: usize, delta: f32) {
    for (e, &id) in ids.iter().enumerate() {
        if let Some(&next) = ids.get(e + ahead) {
            prefetch(&table[next as usize * D..][..D]);
        }
        table[id as usize * D..][..D].iter_mut().for_each(|x| *x += delta);
    }
}

bind! {
    /// Adds `delta` to every element of the rows `ids`, as often as an id occurs; rows are fetched `ahead`
    /// ids before.
    ///
    /// # Panics
    /// If rows are not 16 or 64 floats wide or an id is beyond the table.
    pub fn update(table: &mut [f32], dim: usize, ids: &[u32], ahead: usize, delta: f32) = update_body
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{fma_chains, load, store};
    use crate::simd::{Avx2, Avx512, Avx512Bf16};
    use crate::vector::Vector;

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn fma_avx2(acc: &mut [f32], rounds: usize, x: f32, y: f32) {
        fma_chains(Avx2::new(), acc, rounds, x, y);
    }

    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c")]
    pub(super) fn fma_avx512(acc: &mut [f32], rounds: usize, x: f32, y: f32) {
        fma_chains(Avx512::new(), acc, rounds, x, y);
    }

    #[target_feature(enable = "avx512bf16,avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c")]
    pub(super) fn bf16_dot(acc: &mut [f32], rounds: usize, x: f32, y: f32) {
        let simd = Avx512Bf16::new();
        let (x, y) = (simd.splat(x), simd.splat(y));
        let mut chains = load(simd, acc);
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = simd.fma(x, y, *chain);
            }
        }
        store(simd, acc, chains);
    }
}
