//! Numbers of 16 bits: what they stand for, both kinds of rounding, and tables of them.
mod common;

use common::{numbers, per_isa, same_bits};
use dlrm_kernels::bf16::reference::{
    nearest as nearest_bf16, stochastic as stochastic_bf16, widen as widen_bf16,
};
use dlrm_kernels::embedding::{BagsView, Pool, TableView, forward};
use dlrm_kernels::f16::reference::{
    nearest as nearest_f16, stochastic as stochastic_f16, widen as widen_f16,
};
use dlrm_kernels::half::{Numbers, NumbersMut, round, widen};
use dlrm_kernels::{Isa, Strided};
use proptest::prelude::*;

/// An encoding: what numbers stand for, the nearest, one of both neighbours, and the number of bits that are
/// cut off.
type Encoding = (fn(u16) -> f32, fn(f32) -> u16, fn(f32, u32) -> u16, u32);
const BF16: Encoding = (widen_bf16, nearest_bf16, stochastic_bf16, 16);
const F16: Encoding = (widen_f16, nearest_f16, stochastic_f16, 13);

#[test]
fn f16_is_that_of_the_standard() {
    // IEEE 754-2008, 3.4, with p = 11 and emax = 15.
    let value = |bits: u16| {
        let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3FF));
        let size = match exponent {
            0 => mantissa * 2f64.powi(-24),
            31 if mantissa > 0.0 => f64::NAN,
            31 => f64::INFINITY,
            _ => (1.0 + mantissa / 1024.0) * 2f64.powi(exponent - 15),
        };
        if bits & 0x8000 == 0 { size } else { -size }
    };
    for bits in 0..=u16::MAX {
        let (got, want) = (f64::from(widen_f16(bits)), value(bits));
        assert!(
            got == want && got.is_sign_negative() == want.is_sign_negative() || got.is_nan() && want.is_nan(),
            "{bits:#06x}: {got}"
        );
    }
    for (x, bits) in [
        (1.0, 0x3C00),
        (-2.0, 0xC000),
        (65504.0, 0x7BFF),
        (65519.9, 0x7BFF),
        (65520.0, 0x7C00),
        (1e9, 0x7C00),
        (6e-8, 1),
        (2e-8, 0),
    ] {
        assert_eq!(nearest_f16(x), bits, "{x}");
    }
}

#[test]
fn what_has_16_bits_stays() {
    for (widen, nearest, stochastic, _) in [BF16, F16] {
        for bits in 0..=u16::MAX {
            let x = widen(bits);
            for got in [nearest(x), stochastic(x, 0), stochastic(x, u32::MAX)] {
                assert!(got == bits || x.is_nan() && widen(got).is_nan(), "{bits:#06x} became {got:#06x}");
            }
        }
    }
}

/// The f16 or bf16 on both sides of `x`, the nearer to zero first.
fn neighbours((widen, nearest, ..): Encoding, x: f32) -> [u16; 2] {
    let near = nearest(x);
    if widen(near).abs() > x.abs() { [near - 1, near] } else { [near, near + 1] }
}

/// Numbers that both encodings have neighbours of: of any size, and of the sizes of weights.
fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![-65504f32..65504.0, -1f32..1.0, -1e-3f32..1e-3, -1e-6f32..1e-6]
}

proptest! {
    #[test]
    fn nearest_f16_is_the_nearest_or_the_even_one(x in finite()) {
        let distance = |bits: u16| (f64::from(widen_f16(bits)) - f64::from(x)).abs();
        let near = nearest_f16(x);
        for other in [near.wrapping_sub(1), near + 1]
            .into_iter()
            .filter(|bits| (bits ^ near) < 0x8000 && bits & 0x7FFF <= 0x7BFF)
        {
            prop_assert!(
                distance(near) < distance(other)
                    || distance(near) == distance(other) && near.is_multiple_of(2),
                "{} {}",
                near,
                other
            );
        }
    }

    #[test]
    fn stochastic_rounding_is_right_in_expectation(x in finite()) {
        for encoding in [BF16, F16] {
            let (widen, _, stochastic, cut) = encoding;
            let mut of_random = std::collections::BTreeMap::new();
            for random in 0..1u32 << cut {
                *of_random.entry(stochastic(x, random)).or_insert(0u32) += 1;
            }
            let around = neighbours(encoding, x);
            prop_assert!(of_random.keys().all(|bits| around.contains(bits)), "{} {:?}", x, of_random);
            let mean = of_random.iter().map(|(&bits, &n)| f64::from(widen(bits)) * f64::from(n)).sum::<f64>()
                / f64::from(1u32 << cut);
            // Exact but for the bits that fall below the random ones.
            let step = f64::from(widen(around[1])) - f64::from(widen(around[0]));
            prop_assert!(
                (mean - f64::from(x)).abs() <= step.abs() / f64::from(1u32 << cut),
                "{} became {} on average",
                x,
                mean
            );
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for (widen, nearest, stochastic, _) in [BF16, F16] {
        for random in [0, 1, 0x1FFF, u32::MAX] {
            for x in [f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!([widen(nearest(x)), widen(stochastic(x, random))], [x; 2]);
            }
            for x in [f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001)] {
                assert!(widen(nearest(x)).is_nan() && widen(stochastic(x, random)).is_nan());
            }
        }
    }
    assert_eq!(widen_f16(stochastic_f16(-70_000.0, 5)), f32::NEG_INFINITY);
}

fn rows_are_rounded_as_their_numbers(isa: Isa) {
    for len in [0, 1, 7, 16, 33, 70] {
        let x: Vec<f32> = numbers(len, 3).into_iter().map(|x| x * 1e-4).collect();
        let (mut a, mut b, mut c) = (vec![0; len], vec![0; len], vec![0.0; len]);
        round(isa, NumbersMut::Bf16(&mut a), &x, 5, 9);
        round(isa, NumbersMut::F16(&mut b), &x, 5, 9);
        round(isa, NumbersMut::F32(&mut c), &x, 5, 9);
        assert_eq!(c, x);
        let Some(scalar) = Isa::of(dlrm_kernels::isa::Level::Scalar) else { return };
        let (mut a2, mut b2) = (vec![0; len], vec![0; len]);
        round(scalar, NumbersMut::Bf16(&mut a2), &x, 5, 9);
        round(scalar, NumbersMut::F16(&mut b2), &x, 5, 9);
        assert_eq!((&a, &b), (&a2, &b2), "every instruction set rounds alike");
        let mut back = vec![0.0; len];
        for (numbers, one) in
            [(Numbers::Bf16(&a), widen_bf16 as fn(u16) -> f32), (Numbers::F16(&b), widen_f16)]
        {
            widen(isa, &mut back, numbers);
            let bits =
                if let Numbers::Bf16(bits) | Numbers::F16(bits) = numbers { bits } else { unreachable!() };
            same_bits("a row", &back, &bits.iter().map(|&bits| one(bits)).collect::<Vec<_>>());
            same_bits("its numbers", &back, &numbers.iter().collect::<Vec<_>>());
        }
        if len == 70 {
            round(isa, NumbersMut::F16(&mut b2), &x, 5, 10);
            assert_ne!(b, b2, "another row, other random bits");
        }
    }
}

fn bags_of_half_tables_are_those_of_their_numbers(isa: Isa) {
    for dim in [1, 4, 16, 20, 64] {
        let (mut bf16, mut f16) = (vec![0; 9 * dim], vec![0; 9 * dim]);
        NumbersMut::Bf16(&mut bf16).set(&numbers(9 * dim, 1));
        NumbersMut::F16(&mut f16).set(&numbers(9 * dim, 2));
        let bags = BagsView { ids: &[3, 8, 0, 0, 5, 7], offsets: &[0, 1, 1, 4, 6] };
        let (weights, row_weights) = (numbers(6, 4), numbers(9, 5));
        for table in [Numbers::Bf16(&bf16), Numbers::F16(&f16)] {
            let wide: Vec<f32> = table.iter().collect();
            for pool in [Pool::Sum, Pool::Mean, Pool::Weighted(&weights), Pool::Learned(&row_weights)] {
                let (mut got, mut want) = (vec![9.0; 4 * dim], vec![9.0; 4 * dim]);
                forward(isa, Strided::new(&mut got, dim), TableView { values: table, dim }, bags, pool);
                forward(
                    isa,
                    Strided::new(&mut want, dim),
                    TableView { values: Numbers::F32(&wide), dim },
                    bags,
                    pool,
                );
                same_bits("pooled rows", &got, &want);
            }
        }
    }
}

per_isa! {
    rows_are_rounded_as_their_numbers: round_scalar, round_avx2, round_avx512;
    bags_of_half_tables_are_those_of_their_numbers: bags_scalar, bags_avx2, bags_avx512;
}
