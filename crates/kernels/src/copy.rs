//! Copies of a few hundred bytes.
use crate::number_format::NumberFormat;
use crate::simd::{RUN, Simd};

/// y ← the numbers of x, in runs of a length that the compiler knows: a call of `memcpy` costs more than it
/// moves here.
#[inline(always)]
pub(crate) fn copy<E: NumberFormat>(simd: impl Simd, y: &mut [f32], x: &[E::Bits]) {
    assert_eq!(y.len(), x.len(), "as much room as there is to copy");
    let (y, y_rest) = y.as_chunks_mut::<RUN>();
    let (x, x_rest) = x.as_chunks::<RUN>();
    for (y, x) in y.iter_mut().zip(x) {
        *y = E::widen_run(simd, x);
    }
    for (y, &x) in y_rest.iter_mut().zip(x_rest) {
        *y = E::widen(x);
    }
}
