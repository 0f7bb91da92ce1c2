//! Random bits that are a function of (key, row, column) alone, so that nothing depends on the order of work.

/// What all elements of a row share.
#[inline(always)]
pub(crate) fn of_row(key: u64, row: u64) -> u64 {
    mix(key ^ row.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// 32 random bits of one element.
#[inline(always)]
pub(crate) fn of_element(row_key: u64, column: u64) -> u32 {
    // A finalizer of 32-bit multiplications (as MurmurHash3's), which vectorises.
    let mut h = (row_key as u32) ^ (column as u32).wrapping_mul(0x9E37_79B1);
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13) ^ (row_key >> 32) as u32).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

/// SplitMix64's output function.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
