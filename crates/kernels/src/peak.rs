//! What a core can do at most: loops that do nothing but multiply and add, read memory, or visit random rows of a table.
//! Benchmarks measure them on the machine that they run on, to say how near a real step comes.
use crate::isa::{Isa, Level};
use crate::matmul::{Portable, Vector};
use crate::prefetch::prefetch;

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

/// Length of the accumulators of [`fma`].
pub fn fma_len(isa: Isa) -> usize {
    CHAINS
        * match isa.level() {
            Level::Scalar => Portable::LANES,
            Level::Avx2 => 8,
            Level::Avx512 => 16,
        }
}

/// `acc[i]` ← `acc[i]` · x + y, `rounds` times, in registers.
///
/// # Panics
/// If `acc` is not [`fma_len`] long.
pub fn fma(isa: Isa, acc: &mut [f32], rounds: usize, x: f32, y: f32) {
    assert_eq!(acc.len(), fma_len(isa), "one register for each chain");
    // SAFETY: the length was asserted; an Isa of a level exists only where the CPU has it.
    unsafe {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::fma_avx512(acc, rounds, x, y),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::fma_avx2(acc, rounds, x, y),
            _ => chains::<Portable>(acc, rounds, x, y),
        }
    }
}

/// # Safety
/// The CPU has the instructions of `V` and `acc` holds [`CHAINS`] vectors.
#[inline(always)]
unsafe fn chains<V: Vector>(acc: &mut [f32], rounds: usize, x: f32, y: f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let (x, y) = (V::splat(x), V::splat(y));
        let mut chains: [V; CHAINS] = std::array::from_fn(|i| V::load(acc.as_ptr().add(i * V::LANES)));
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = chain.fma(x, y);
            }
        }
        for (i, chain) in chains.into_iter().enumerate() {
            chain.store(acc.as_mut_ptr().add(i * V::LANES));
        }
    }
}

/// Proof that this CPU multiplies pairs of bf16 numbers (AVX-512 BF16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bf16(());

impl Bf16 {
    /// Length of the accumulators of [`bf16_dot`].
    pub const LEN: usize = CHAINS * 16;

    /// If the CPU has the instructions and `isa` allows them.
    pub fn of(isa: Isa) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if isa.level() == Level::Avx512 && std::arch::is_x86_feature_detected!("avx512bf16") {
            return Some(Bf16(()));
        }
        let _ = isa;
        None
    }
}

/// `acc[i]` += <x, y>, `rounds` times, in registers; x and y are cut to bf16.
///
/// # Panics
/// If `acc` is not [`Bf16::LEN`] long.
pub fn bf16_dot(proof: Bf16, acc: &mut [f32], rounds: usize, x: [f32; 2], y: [f32; 2]) {
    assert_eq!(acc.len(), Bf16::LEN, "one register for each chain");
    let pair = |[low, high]: [f32; 2]| (low.to_bits() >> 16) | (high.to_bits() & 0xffff_0000);
    let _ = proof;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the length was asserted; the proof exists only where the CPU has the instructions.
    unsafe {
        x86::bf16_dot(acc, rounds, pair(x), pair(y));
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("no proof without the instructions: {:?}", (rounds, pair(x), pair(y)));
}

/// Partial sums of [`sum`]: enough vectors that adding never waits.
const PARTS: usize = 128;

#[inline(always)]
fn sum_body<const FMA: bool>(x: &[f32]) -> f32 {
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
fn gather_body<const FMA: bool>(sum: &mut [f32], table: &[f32], ids: &[u32], ahead: usize) {
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
    /// sum += Σ of the rows `ids` of a table of rows as wide as `sum`; rows are fetched `ahead` ids before they are used.
    ///
    /// # Panics
    /// If rows are not 16 or 64 floats wide or an id is beyond the table.
    pub fn gather(sum: &mut [f32], table: &[f32], ids: &[u32], ahead: usize) = gather_body
}

#[inline(always)]
fn update_body<const FMA: bool>(table: &mut [f32], dim: usize, ids: &[u32], ahead: usize, delta: f32) {
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
    /// Adds `delta` to every element of the rows `ids`, as often as an id occurs; rows are fetched `ahead` ids before.
    ///
    /// # Panics
    /// If rows are not 16 or 64 floats wide or an id is beyond the table.
    pub fn update(table: &mut [f32], dim: usize, ids: &[u32], ahead: usize, delta: f32) = update_body
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CHAINS, chains};
    use std::arch::x86_64::*;

    /// # Safety
    /// As [`chains`].
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn fma_avx2(acc: &mut [f32], rounds: usize, x: f32, y: f32) {
        // SAFETY: the caller's promise.
        unsafe { chains::<__m256>(acc, rounds, x, y) }
    }

    /// # Safety
    /// As [`chains`].
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    pub unsafe fn fma_avx512(acc: &mut [f32], rounds: usize, x: f32, y: f32) {
        // SAFETY: the caller's promise.
        unsafe { chains::<__m512>(acc, rounds, x, y) }
    }

    /// # Safety
    /// The CPU has AVX-512 BF16 and `acc` holds [`CHAINS`] vectors.
    #[target_feature(enable = "avx512bf16,avx512f")]
    pub unsafe fn bf16_dot(acc: &mut [f32], rounds: usize, x: u32, y: u32) {
        // SAFETY: both types are 512 bits, all of which have a meaning.
        let pairs =
            |x: u32| unsafe { std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(x.cast_signed())) };
        let (x, y) = (pairs(x), pairs(y));
        // SAFETY: the caller's promise of the length.
        let mut chains: [__m512; CHAINS] =
            std::array::from_fn(|i| unsafe { _mm512_loadu_ps(acc.as_ptr().add(i * 16)) });
        for _ in 0..rounds {
            for chain in &mut chains {
                *chain = _mm512_dpbf16_ps(*chain, x, y);
            }
        }
        for (i, chain) in chains.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(acc.as_mut_ptr().add(i * 16), chain) };
        }
    }
}
