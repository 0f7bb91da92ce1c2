//! Hints that memory will be needed. They change nothing but the time that it takes.
use crate::buffer::Number;

/// Into the first-level cache.
pub(crate) const FIRST_LEVEL: i32 = 3;
/// Into the second-level cache.
pub(crate) const SECOND_LEVEL: i32 = 2;

/// Fetches the cache line of an address, which may be any.
#[inline(always)]
pub(crate) fn prefetch_line<const LEVEL: i32>(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64; a prefetch reads nothing and cannot fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<LEVEL>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Fetches a row (of a table, say) into the first-level cache.
#[inline(always)]
pub fn prefetch<T: Number>(row: &[T]) {
    for line in row.chunks(64 / size_of::<T>()) {
        prefetch_line::<FIRST_LEVEL>(line.as_ptr().cast());
    }
}
