//! Conversions to and from bf16 against their definitions.
mod common;

use common::per_isa;
use dlrm_kernels::Isa;
use dlrm_kernels::bf16::{self, Noise, reference as def};
use proptest::prelude::*;

/// f32 numbers of every kind: by bits, and those next to ties.
fn any_f32() -> impl Strategy<Value = f32> {
    let tie = (any::<u16>(), 0x7FFEu32..0x8002).prop_map(|(high, low)| f32::from_bits(u32::from(high) << 16 | low));
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
    fn narrow_takes_the_nearest(x in any_f32()) {
        let got = def::narrow(x);
        if x.is_nan() {
            prop_assert!(def::widen(got).is_nan() && def::widen(got).is_sign_negative() == x.is_sign_negative());
        } else if x.is_infinite() {
            prop_assert_eq!(def::widen(got), x);
        } else {
            // Behind the largest number stands 2^128, which an f32 calls infinite and a f64 does not.
            let value = |y: u16| if y & 0x7FFF == 0x7F80 { 2f64.powi(128).copysign(f64::from(x)) } else { f64::from(def::widen(y)) };
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
    fn what_bf16_represents_stays(bits: u16, random: u16) {
        let x = def::widen(bits);
        if x.is_nan() {
            prop_assert!(def::widen(def::narrow(x)).is_nan() && def::widen(def::narrow_stochastic(x, random)).is_nan());
        } else {
            prop_assert_eq!((def::narrow(x), def::narrow_stochastic(x, random)), (bits, bits));
        }
    }

    #[test]
    fn stochastic_rounding_is_unbiased(x in any_f32()) {
        let [down, up] = neighbours(x);
        prop_assume!(x.is_finite() && def::widen(up).is_finite());
        // All 2^16 random numbers: the mean is x itself, not about x.
        let ups = (0..=u16::MAX).filter(|&random| {
            let got = def::narrow_stochastic(x, random);
            assert!(got == down || got == up);
            got != down
        });
        let share = ups.count() as f64 / 65536.0;
        let (down, up) = (f64::from(def::widen(down)), f64::from(def::widen(up)));
        prop_assert_eq!(down + share * (up - down), f64::from(x));
    }
}

#[test]
fn edges_of_the_range() {
    let largest = 0x7F7F;
    let tie = f32::from_bits(0x7F7F_8000);
    assert_eq!(def::narrow(f32::MAX), 0x7F80);
    assert_eq!(def::narrow(-tie), 0xFF80);
    assert_eq!(def::narrow(f32::from_bits(0x7F7F_7FFF)), largest);
    assert_eq!((def::narrow_stochastic(tie, 0x7FFF), def::narrow_stochastic(tie, 0x8000)), (largest, 0x7F80));
    assert_eq!(def::narrow(f32::from_bits(0x8000)), 0, "half of the smallest subnormal number ties to zero");
    assert_eq!(def::narrow(f32::from_bits(0x8001)), 1);
    assert_eq!(def::narrow(f32::from_bits(0x7F80_0001)), 0x7FC0, "a NaN of the lower half");
    assert_eq!(def::narrow(-0.0), 0x8000);
}

#[test]
fn noise_has_no_favourites() {
    let x = vec![1.0 + 0.25 / 128.0; 512];
    let (mut y, mut ups) = (vec![0; x.len()], [0u32; 512]);
    let steps = 4096;
    for step in 0..steps {
        bf16::narrow_stochastic(Isa::detect(), &mut y, &x, Noise { key: step, row: 7 });
        for (ups, &y) in ups.iter_mut().zip(&y) {
            *ups += u32::from(def::widen(y) > 1.0);
        }
    }
    // A quarter goes up. Standard deviations: √(n/4 · 3/4) = 28 in a column and 627 in all columns.
    assert!(ups.iter().all(|&ups| (f64::from(ups) - 1024.0).abs() < 5.0 * 28.0), "a column is biased: {ups:?}");
    let all: u32 = ups.iter().sum();
    assert!((f64::from(all) - 524_288.0).abs() < 5.0 * 627.0, "all columns are biased: {all}");
}

fn conversions_agree(isa: Isa) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    runner
        .run(&(prop::collection::vec(any_f32(), 0..70), any::<u64>(), any::<u64>()), |(x, key, row)| {
            let (mut nearest, mut random, mut wide) = (vec![0; x.len()], vec![0; x.len()], vec![0.0; x.len()]);
            bf16::narrow(isa, &mut nearest, &x);
            bf16::narrow_stochastic(isa, &mut random, &x, Noise { key, row });
            bf16::widen(isa, &mut wide, &nearest);
            let mut rounded = x.clone();
            bf16::round(isa, &mut rounded);
            for (i, &x) in x.iter().enumerate() {
                assert_eq!((nearest[i], wide[i].to_bits()), (def::narrow(x), u32::from(nearest[i]) << 16), "{x} at {i}");
                assert_eq!((random[i], rounded[i].to_bits()), (def::narrow_stochastic(x, Noise { key, row }.of(i)), wide[i].to_bits()));
            }
            Ok(())
        })
        .expect("fast and defined conversions agree");
}

per_isa! {
    conversions_agree: scalar_conversions, avx2_conversions, avx512_conversions;
}
