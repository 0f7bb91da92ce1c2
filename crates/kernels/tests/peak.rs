//! The loops that measure the machine do what their definitions say.
mod common;
use common::{numbers, per_isa};
use dlrm_kernels::Isa;
use dlrm_kernels::peak::{self, reference};

fn f64s(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

fn near(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(found) - expected).abs() <= tolerance, "at {i}: {found} != {expected}");
    }
}

fn multiply_adds(isa: Isa) {
    let mut acc = numbers(peak::fma_len(isa), 1);
    let mut expected = f64s(&acc);
    peak::fma(isa, &mut acc, 37, 0.75, 0.5);
    reference::fma(&mut expected, 37, 0.75, 0.5);
    near(&acc, &expected, 1e-6);
}

fn pairs_of_bf16(isa: Isa) {
    if !isa.has_bf16() {
        return println!("skipped: bf16 with {} (not in this CPU or level)", isa.level().name());
    }
    let mut acc = numbers(peak::BF16_DOT_LEN, 2);
    let mut expected = f64s(&acc);
    // All four numbers have few enough bits.
    peak::bf16_dot(isa, &mut acc, 21, [0.5, -1.25], [3.0, 0.375]);
    reference::bf16_dot(&mut expected, 21, [0.5, -1.25], [3.0, 0.375]);
    near(&acc, &expected, 1e-5);
}

fn sums(isa: Isa) {
    for len in [0, 1, 127, 128, 5000] {
        let x = numbers(len, 3);
        near(&[peak::sum(isa, &x)], &[reference::sum(&f64s(&x))], 1e-3);
    }
}

fn random_rows(isa: Isa) {
    for dim in [16, 64] {
        let mut table = numbers(50 * dim, 4);
        let mut wide = f64s(&table);
        let ids = [3, 49, 0, 3, 17];
        for ahead in [1, 4, 100] {
            let (mut sum, mut expected) = (vec![1.0; dim], vec![1.0; dim]);
            peak::gather(isa, &mut sum, &table, &ids, ahead);
            reference::gather(&mut expected, &wide, &ids);
            near(&sum, &expected, 1e-5);
            peak::update(isa, &mut table, dim, &ids, ahead, 0.25);
            reference::update(&mut wide, dim, &ids, 0.25);
            near(&table, &wide, 1e-5);
        }
    }
}

per_isa! {
    multiply_adds: multiply_adds_scalar, multiply_adds_avx2, multiply_adds_avx512;
    pairs_of_bf16: pairs_of_bf16_scalar, pairs_of_bf16_avx2, pairs_of_bf16_avx512;
    sums: sums_scalar, sums_avx2, sums_avx512;
    random_rows: random_rows_scalar, random_rows_avx2, random_rows_avx512;
}
