//! e^x of f32 numbers, with bits that are ours: libraries of platforms differ in the last one.

/// ln(2)^n / n!, the series of 2^r, from n = 8 down to 0: within ±½ the rest is below 2·10⁻¹⁰.
const SERIES: [f64; 9] = [
    1.321_548_679_014_430_5e-6,
    1.525_273_380_405_984_1e-5,
    1.540_353_039_338_161e-4,
    1.333_355_814_642_844_3e-3,
    9.618_129_107_628_477e-3,
    5.550_410_866_482_158e-2,
    0.240_226_506_959_100_7,
    std::f64::consts::LN_2,
    1.0,
];

/// 1.5 · 2^52: in a sum with it, the last bit is worth 1.
const WHOLE: f64 = 6_755_399_441_055_744.0;

/// e^x, rounded right but for one number in a hundred or so, which is the other neighbour: 2^k · 2^r in f64,
/// with k whole. Without a branch, so that a loop of it is compiled to vectors.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these an f32 is 0 or infinite anyway.
    let y = (f64::from(x) * std::f64::consts::LOG2_E).clamp(-200.0, 200.0);
    let whole = y + WHOLE;
    let r = y - (whole - WHOLE);
    let power = SERIES.iter().fold(0.0, |sum, c| sum * r + c);
    // The last bits of the sum are k.
    let k = whole.to_bits().wrapping_sub(WHOLE.to_bits());
    (power * f64::from_bits(k.wrapping_add(1023) << 52)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exponent_and_its_ends() {
        let (mut wrong, mut seen) = (0u32, 0u32);
        let mut bits = 0u32;
        while bits < f32::INFINITY.to_bits() {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (found, exact) = (exp(x), libm::exp(f64::from(x)));
                let right = exact as f32;
                let apart = found.to_bits().abs_diff(right.to_bits());
                assert!(apart <= 1, "e^{x}: {found} instead of {right}");
                (seen, wrong) = (seen + 1, wrong + apart);
            }
            bits += 7919;
        }
        assert!(wrong * 100 < seen, "{wrong} of {seen}");
        assert_eq!([0.0, -0.0, f32::NEG_INFINITY, f32::INFINITY].map(exp), [1.0, 1.0, 0.0, f32::INFINITY]);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!((exp(-200.0), exp(200.0)), (0.0, f32::INFINITY));
    }
}
