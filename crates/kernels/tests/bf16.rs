//! Rounding to bf16 against its definition.
mod common;

use common::per_isa;
use dlrm_kernels::Isa;
use dlrm_kernels::bf16::{self, reference as def};
use proptest::prelude::*;

/// f32 numbers of every kind: by bits, and those next to ties.
fn any_f32() -> impl Strategy<Value = f32> {
    let tie =
        (any::<u16>(), 0x7FFEu32..0x8002).prop_map(|(high, low)| f32::from_bits(u32::from(high) << 16 | low));
    let even = any::<u16>().prop_map(def::widen);
    prop_oneof![any::<u32>().prop_map(f32::from_bits), tie, even]
}

/// The bf16 numbers at and next to `x` in size, by value.
fn neighbours(x: f32) -> [u16; 2] {
    let below = (x.to_bits() >> 16) as u16;
    [below, below + 1]
}

proptest! {
    #[test]
    fn nearest_takes_the_nearest(x in any_f32()) {
        let got = def::nearest(x);
        if x.is_nan() {
            prop_assert!(
                def::widen(got).is_nan() && def::widen(got).is_sign_negative() == x.is_sign_negative()
            );
        } else if x.is_infinite() {
            prop_assert_eq!(def::widen(got), x);
        } else {
            // Behind the largest number stands 2^128, which an f32 calls infinite and a f64 does not.
            let value = |y: u16| {
                if y & 0x7FFF == 0x7F80 {
                    2f64.powi(128).copysign(f64::from(x))
                } else {
                    f64::from(def::widen(y))
                }
            };
            let distance = |y: u16| (value(y) - f64::from(x)).abs();
            let [down, up] = neighbours(x);
            let even = if down % 2 == 0 { down } else { up };
            let want = match distance(down).total_cmp(&distance(up)) {
                std::cmp::Ordering::Less => down,
                std::cmp::Ordering::Equal => even,
                std::cmp::Ordering::Greater => up,
            };
            prop_assert_eq!(got, want, "{} gave {}", x, def::widen(got));
        }
    }

    #[test]
    fn what_bf16_represents_stays(bits: u16) {
        let x = def::widen(bits);
        if x.is_nan() {
            prop_assert!(def::widen(def::nearest(x)).is_nan());
        } else {
            prop_assert_eq!(def::nearest(x), bits);
        }
    }
}

#[test]
fn edges_of_the_range() {
    let tie = f32::from_bits(0x7F7F_8000);
    assert_eq!(def::nearest(f32::MAX), 0x7F80);
    assert_eq!(def::nearest(-tie), 0xFF80);
    assert_eq!(def::nearest(f32::from_bits(0x7F7F_7FFF)), 0x7F7F);
    assert_eq!(def::nearest(f32::from_bits(0x8000)), 0, "half of the smallest subnormal number ties to zero");
    assert_eq!(def::nearest(f32::from_bits(0x8001)), 1);
    assert_eq!(def::nearest(f32::from_bits(0x7F80_0001)), 0x7FC0, "a NaN of the lower half");
    assert_eq!(def::nearest(-0.0), 0x8000);
}

fn rounding_agrees(isa: Isa) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&prop::collection::vec(any_f32(), 0..70), |x| {
            let mut rounded = x.clone();
            bf16::round(isa, &mut rounded);
            for (i, (&x, rounded)) in x.iter().zip(rounded).enumerate() {
                assert_eq!(rounded.to_bits(), u32::from(def::nearest(x)) << 16, "{x} at {i}");
            }
            Ok(())
        })
        .expect("fast and defined rounding agree");
}

per_isa! {
    rounding_agrees: scalar_rounding, avx2_rounding, avx512_rounding;
}
