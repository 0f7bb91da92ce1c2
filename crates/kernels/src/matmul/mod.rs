//! Matrix product C[M, N] = A[M, K] · B[K, N] with B packed beforehand.
//!
//! Every element of C is one chain of multiply-adds over k = 0, 1, …: its bits depend on its row of A
//! and its column of B alone, never on M, N or the tiling. So a row scored alone, in a batch or in
//! another shard gets the same bits, which a general GEMM (it switches algorithm by shape) cannot
//! promise. Packing also lets weights be packed once per step and used by every shard.
//!
//! Tiling: panels of `2 · lanes` columns of B, blocks of up to `MR` rows of A held in registers.
mod bf16;
mod operands;
mod packed;
mod product;
mod strips;
mod strips_bf16;
mod tile;

pub use bf16::{PackedBf16, PanelBf16, RowsBf16, matmul_bf16, matmul_part_bf16};
pub use operands::{Epilogue, View};
pub use packed::{Packed, PackedView, Panel, Panels};
pub use product::{CommonSums, matmul, matmul_after, matmul_part};
pub use strips::{Strips, StripsView};

/// The definitions.
pub mod reference {
    use crate::Real;
    use crate::bf16::rounded;

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

    /// `c[i, j] += Σ_k bf16(a[i, k]) · bf16(b[k, j])`, the sum in `T`; all row-major.
    pub fn matmul_bf16<T: Real>(c: &mut [T], a: &[f32], b: &[f32], shape: (usize, usize, usize)) {
        let all_rounded = |x: &[f32]| x.iter().map(|&x| T::of(f64::from(rounded(x)))).collect::<Vec<_>>();
        matmul(c, &all_rounded(a), &all_rounded(b), shape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::reference::relu;
    use crate::isa::Isa;
    use crate::strided::Strided;
    use proptest::prelude::*;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        (0..len as u32)
            .map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed * 97)) >> 16) as f32 / 32768.0 - 1.0)
            .collect()
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
        for (i, epilogue) in [Epilogue::Set, Epilogue::Add, Epilogue::Bias(&bias), Epilogue::BiasRelu(&bias)]
            .into_iter()
            .enumerate()
        {
            let mut c = vec![0.5; m * n];
            matmul(isa, Strided::new(&mut c, n), m, view, &packed, epilogue);
            for (e, (&c, &product)) in c.iter().zip(&expected).enumerate() {
                let want = [product, product + 0.5, product + bias[e % n], relu(product + bias[e % n])][i];
                assert!(
                    (c - want).abs() <= 1e-5 * (k as f32).max(1.0),
                    "{isa:?} {m}x{n}x{k} epilogue {i} at {e}: {c} != {want}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn every_isa_agrees(m in 1usize..40, n in 1usize..70, k in 1usize..50, transpose: bool) {
            for isa in Isa::available() {
                agrees(isa, m, n, k, transpose);
            }
        }
    }

    proptest! {
        /// A part has the bits that it has in the whole product.
        #[test]
        fn parts(shape in (1usize..60, 1usize..150, 1usize..50), at in proptest::array::uniform4(0usize..9)) {
            let (m, n, k) = shape;
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            for isa in Isa::available() {
                let (strips, panels) = (Strips::new(isa, m, k), Panels::new(isa, k, n));
                let (mut left, mut right) = (vec![0.0; strips.floats()], vec![0.0; panels.floats()]);
                // A is the transpose of what is packed.
                let across: Vec<f32> = (0..m * k).map(|e| a[(e % m) * k + e / m]).collect();
                strips.pack(View::of(&across, m).transposed(), &mut left);
                panels.pack(isa, View::of(&b, n), &mut right);
                let run = |first: usize, second: usize, count: usize| {
                    first.min(second).min(count)..first.max(second).min(count)
                };
                let own = (run(at[0], at[1], strips.count()), run(at[2], at[3], panels.count()));
                let (rows, columns) = (strips.rows(own.0.clone()), panels.columns(own.1.clone()));
                let width = columns.len();
                for epilogue in [Epilogue::Set, Epilogue::Add] {
                    let (mut whole, mut part) = (vec![0.5; m * n], vec![0.5; rows.len() * width]);
                    let mut packed = Packed::default();
                    packed.pack(isa, View::of(&b, n), k, n);
                    matmul(isa, Strided::new(&mut whole, n), m, View::of(&a, k), &packed, epilogue);
                    let (left, right) = (strips.operand(&left), panels.operand(&right));
                    let (left, right) = ((left, own.0.clone()), (right, own.1.clone()));
                    matmul_part(isa, Strided::new(&mut part, width), left, right, epilogue);
                    for (row, part) in rows.clone().zip(part.chunks_exact(width.max(1))) {
                        prop_assert_eq!(&whole[row * n..][columns.clone()], part, "{:?} {:?}", isa, own);
                    }
                }
            }
        }
    }

    proptest! {
        /// So has a part of a product of numbers rounded to bf16.
        #[test]
        fn parts_of_bf16(m in 1usize..60, n in 1usize..150, k in 1usize..50, at in [0usize..9, 0usize..9]) {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let across: Vec<f32> = (0..m * k).map(|e| a[(e % m) * k + e / m]).collect();
            for isa in Isa::available().chain(Isa::available().map(Isa::without_bf16)) {
                let (strips, panels) = (Strips::of_bf16(isa, m, k), Panels::of_bf16(isa, k, n));
                let (mut left, mut right) = (vec![0.0; strips.floats()], vec![0.0; panels.floats()]);
                strips.pack_bf16(isa, View::of(&across, m).transposed(), k, &mut left);
                panels.pack_bf16(isa, View::of(&b, n), k, &mut right);
                let own = [strips.count(), panels.count()];
                let own = [at[0].min(own[0])..own[0], at[1].min(own[1])..own[1]];
                let (rows, columns) = (strips.rows(own[0].clone()), panels.columns(own[1].clone()));
                let width = columns.len();
                for epilogue in [Epilogue::Set, Epilogue::Add] {
                    let (mut whole, mut part) = (vec![0.5; m * n], vec![0.5; rows.len() * width]);
                    let (mut all_rows, mut packed) = (RowsBf16::default(), PackedBf16::default());
                    all_rows.pack(isa, View::of(&a, k), m, k);
                    packed.pack(isa, View::of(&b, n), k, n);
                    matmul_bf16(isa, Strided::new(&mut whole, n), &all_rows, &packed, epilogue);
                    let left = (strips.operand(&left), own[0].clone());
                    let right = (panels.operand(&right), own[1].clone());
                    matmul_part_bf16(isa, Strided::new(&mut part, width), left, right, epilogue);
                    for (row, part) in rows.clone().zip(part.chunks_exact(width.max(1))) {
                        prop_assert_eq!(&whole[row * n..][columns.clone()], part, "{:?} {:?}", isa, own);
                    }
                }
            }
        }
    }

    proptest! {
        /// Sums that rows have in common change no bit.
        #[test]
        fn common_sums(m in 1usize..40, n in 1usize..70, k in 1usize..50, share in 0.0..1.0f64) {
            let columns = (share * (k + 1) as f64) as usize;
            let (mut a, b, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let first = a[..columns].to_vec();
            a.chunks_exact_mut(k).for_each(|row| row[..columns].copy_from_slice(&first));
            for isa in Isa::available() {
                let mut packed = Packed::default();
                packed.pack(isa, View::of(&b, n), k, n);
                let (mut whole, mut after) = (vec![0.0; m * n], vec![0.0; m * n]);
                let epilogue = Epilogue::BiasRelu(&bias);
                matmul(isa, Strided::new(&mut whole, n), m, View::of(&a, k), &packed, epilogue);
                let common = CommonSums::new(isa, &first, &packed);
                let mut own = a.clone();
                own.chunks_exact_mut(k).for_each(|row| row[..columns].fill(f32::NAN));
                let to = Strided::new(&mut after, n);
                matmul_after(isa, to, m, View::of(&own, k), (&packed, &common), epilogue);
                prop_assert_eq!(&whole, &after, "{:?}", isa);
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
            matmul(isa, Strided::new(&mut all, n), m, View::of(&a, k), &packed, Epilogue::Set);
            for i in 0..m {
                let mut one = vec![0.0; n];
                matmul(
                    isa,
                    Strided::new(&mut one, n),
                    1,
                    View::of(&a[i * k..(i + 1) * k], k),
                    &packed,
                    Epilogue::Set,
                );
                assert_eq!(one, all[i * n..(i + 1) * n], "{isa:?} row {i}");
            }
        }
    }
}
