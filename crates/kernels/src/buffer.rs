//! 64-byte aligned memory for numbers, on huge pages where it is large and the system grants them.
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Cache line: rows of tables start on one, vector loads never straddle two.
const LINE: usize = 64;
/// Size of a huge page on x86-64; larger buffers are aligned to it.
const HUGE: usize = 2 << 20;

/// Memory that every step uses again is worth whole huge pages from this size on, even if they are not
/// filled.
const WORTH: usize = 256 << 10;

/// Numbers for which all zero bits are a value.
pub trait Number: Copy + Send + Sync + std::fmt::Debug + 'static + sealed::Sealed {}

impl Number for f32 {}
impl Number for u16 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for u16 {}
}

/// A fixed-length, zero-initialised slice. Random rows of a table of gigabytes are read two to
/// three times faster from huge pages (fewer TLB misses), hence not a `Vec`.
pub struct Buffer<T: Number = f32> {
    data: NonNull<T>,
    len: usize,
    layout: Layout,
}

impl<T: Number> Buffer<T> {
    /// `len` zeros.
    ///
    /// # Panics
    /// If so many do not fit the address space.
    pub fn zeroed(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).expect("length overflows");
        Buffer::of(len, bytes, if bytes >= 2 * HUGE { HUGE } else { LINE })
    }

    /// `len` zeros that every step reads or writes: on huge pages if they are no trifle.
    ///
    /// # Panics
    /// If so many do not fit the address space.
    pub fn hot(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).expect("length overflows");
        if bytes < WORTH {
            return Buffer::zeroed(len);
        }
        // Checked: a length that wraps to little memory would make slices of memory that is not ours.
        let whole = bytes.checked_next_multiple_of(HUGE).expect("length overflows");
        Buffer::of(len, whole, HUGE)
    }

    fn of(len: usize, bytes: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(bytes, align).expect("length overflows");
        assert!(len <= layout.size() / size_of::<T>(), "length overflows");
        if len == 0 {
            return Buffer { data: NonNull::dangling(), len, layout };
        }
        // SAFETY: the layout has a non-zero size.
        let raw = unsafe { alloc(layout) }.cast::<T>();
        let Some(data) = NonNull::new(raw) else { handle_alloc_error(layout) };
        // The advice must come before the first touch: it decides what the page fault hands out.
        advise_huge(data, layout);
        // SAFETY: `data` points at no fewer than `len` numbers, for which all zero bits are a value.
        unsafe { data.as_ptr().write_bytes(0, len) };
        Buffer { data, len, layout }
    }

    /// Makes it hold at least `len` numbers, keeping its contents; what is new is zero. For memory that every
    /// step uses.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            // By half more at least, so that growing bit by bit copies little.
            let mut larger = Buffer::hot(len.max(self.len + self.len / 2));
            larger[..self.len].copy_from_slice(self);
            *self = larger;
        }
    }
}

/// Asks for huge pages.
#[cfg(target_os = "linux")]
fn advise_huge<T>(data: NonNull<T>, layout: Layout) {
    if layout.align() >= HUGE {
        let whole = layout.size() / HUGE * HUGE;
        // SAFETY: the range lies inside our own allocation; the advice does not change its contents.
        // A refusal (no huge pages here) costs speed only, so the result is ignored.
        unsafe { libc::madvise(data.as_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge<T>(_: NonNull<T>, _: Layout) {}

impl<T: Number> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `of` with this layout.
            unsafe { dealloc(self.data.as_ptr().cast(), self.layout) };
        }
    }
}

impl<T: Number> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `data` points at `len` initialised numbers that we own (or is dangling with len 0).
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl<T: Number> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes it unique.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

// SAFETY: a Buffer owns its memory like a Box<[T]>.
unsafe impl<T: Number> Send for Buffer<T> {}
// SAFETY: as above; shared access only reads.
unsafe impl<T: Number> Sync for Buffer<T> {}

impl<T: Number> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = Buffer::zeroed(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Number> Default for Buffer<T> {
    fn default() -> Self {
        Buffer::zeroed(0)
    }
}

impl<T: Number> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_zeroed_and_cloneable() {
        for len in [0, 1, 17, 3 << 20] {
            let mut buffer = Buffer::zeroed(len);
            assert_eq!((buffer.len(), Buffer::<u16>::zeroed(len).len()), (len, len));
            assert!(len == 0 || (buffer.as_ptr() as usize).is_multiple_of(LINE));
            assert!(buffer.iter().all(|&x| x == 0.0));
            buffer.fill(2.0);
            assert_eq!(&*buffer.clone(), &*buffer);
            buffer.grow(len + 1);
            assert_eq!(Buffer::<f32>::hot(len).iter().filter(|&&x| x == 0.0).count(), len);
            assert!(
                buffer.len() > len
                    && buffer[..len].iter().all(|&x| x == 2.0)
                    && buffer[len..].iter().all(|&x| x == 0.0)
            );
        }
    }

    /// What does not fit the address space is refused before memory is asked for, however it overflows.
    #[test]
    fn lengths_that_overflow_are_refused() {
        let refused = |made: &dyn Fn() -> usize| {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(made)).expect_err("a panic");
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default().to_owned();
            assert!(said.contains("overflows"), "{said}");
        };
        for below in [0, 1, 2, 100, HUGE / 4, HUGE] {
            for part in [1, 2, 4] {
                let len = usize::MAX / part - below;
                refused(&|| Buffer::<f32>::hot(len).len());
                refused(&|| Buffer::<f32>::zeroed(len).len());
                if part < 4 {
                    refused(&|| Buffer::<u16>::hot(len).len());
                    refused(&|| Buffer::<u16>::zeroed(len).len());
                    refused(&|| {
                        let mut buffer = Buffer::<u16>::hot(7);
                        buffer.grow(len);
                        buffer.len()
                    });
                }
            }
        }
    }
}
