//! f16, IEEE 754 binary16: five bits of exponent, ten of mantissa. Numbers are held as `u16`.

/// The definitions.
pub mod reference {
    /// Distance of the exponents of f32 and f16, as a number's bits show it.
    const REBIAS: u32 = 112 << 23;
    /// The smallest normal f16, 2^-14, as bits.
    const NORMAL: u32 = 113 << 23;
    /// f16's infinity.
    const INFINITE: u32 = 0x7C00;

    /// The number that `x` stands for.
    #[inline(always)]
    pub fn widen(x: u16) -> f32 {
        let (sign, rest) = (u32::from(x & 0x8000) << 16, u32::from(x & 0x7FFF));
        // Selected, not branched to, so that rows are widened by vectors; subnormal numbers by way of
        // integers, for those of f32 would be slow.
        let tiny = (rest as i32 as f32 * (1.0 / 16_777_216.0)).to_bits();
        let normal = (rest << 13) + REBIAS;
        let special = (rest << 13) | 0x7F80_0000;
        let size = if rest < 0x0400 { tiny } else { normal };
        f32::from_bits(sign | if rest >= INFINITE { special } else { size })
    }

    /// The nearest f16, of two as near the even one; from 65520 on infinite. NaN stays NaN.
    #[inline(always)]
    pub fn nearest(x: f32) -> u16 {
        let size = x.to_bits() & 0x7FFF_FFFF;
        // Of numbers from 1/2 to 1 the last bit is worth 2^-24, as of subnormal f16: the addition rounds.
        let tiny = (f32::from_bits(size) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
        cut(x, tiny, 0x0FFF + (size >> 13 & 1))
    }

    /// One of the two f16 around `x`, the nearer the likelier, as the low 13 of random bits decide. Infinite
    /// and NaN stay so.
    #[inline(always)]
    pub fn stochastic(x: f32, random: u32) -> u16 {
        let random = random & 0x1FFF;
        // Moved by less than half a step of subnormal f16, 2^-24, at random; that is the last bit of numbers
        // from 1/2 to 1, so the addition of 3/4 rounds. (To cut an integer would take a checked conversion,
        // which is slow.)
        let shift = (random as i32 as f32 + 0.5) * 2f32.powi(-37) - 2f32.powi(-25);
        let tiny = (f32::from_bits(x.to_bits() & 0x7FFF_FFFF) + shift + 0.75)
            .to_bits()
            .wrapping_sub(0.75f32.to_bits());
        cut(x, tiny, random)
    }

    /// `tiny` if `x` is smaller than normal f16 are; else `x` enlarged by `add`, in units of the last bit of
    /// an f32, and cut.
    #[inline(always)]
    fn cut(x: f32, tiny: u32, add: u32) -> u16 {
        let (bits, size) = (x.to_bits(), x.to_bits() & 0x7FFF_FFFF);
        let normal = (size.wrapping_sub(REBIAS).wrapping_add(add) >> 13).min(INFINITE);
        let finite = if size < NORMAL { tiny } else { normal };
        let special = if x.is_nan() { INFINITE | 0x0200 } else { INFINITE };
        // From 2^16 on everything is infinite; the difference of exponents would not fit.
        let narrow = if size >= 143 << 23 { special } else { finite };
        ((bits >> 16 & 0x8000) | narrow) as u16
    }
}
