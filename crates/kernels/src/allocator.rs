//! A global allocator for programs that should end with words, and not with an abort, where the system has
//! no memory left: stable Rust has no other place to be told of it.
//!
//! ```text
//! #[global_allocator]
//! static ALLOCATOR: Told = Told { failed: |bytes| … };
//! ```
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which tells `failed` of what it refuses, a number of bytes, before its caller
/// gets to know. `failed` should end the program; it may be called on any thread and must not allocate much.
/// If it returns, the refusal goes on to the caller as with any allocator.
pub struct Told {
    /// Is told how many bytes were asked for.
    pub failed: fn(usize),
}

impl Told {
    /// What the system gave, if it gave anything.
    #[inline]
    fn checked(&self, memory: *mut u8, bytes: usize) -> *mut u8 {
        if memory.is_null() {
            self.refused(bytes);
        }
        memory
    }

    #[cold]
    fn refused(&self, bytes: usize) {
        (self.failed)(bytes);
    }
}

// SAFETY: all memory is the system's, handed on as it is.
unsafe impl GlobalAlloc for Told {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is that of this call.
        self.checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is that of this call.
        self.checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise is that of this call.
        self.checked(unsafe { System.realloc(memory, layout, bytes) }, bytes)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is that of this call.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static REFUSED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn what_the_system_refuses_is_told() {
        let told = Told { failed: |bytes| REFUSED.store(bytes, Ordering::SeqCst) };
        let all = 1 << 62;
        let layout = Layout::from_size_align(all, 64).expect("a layout");
        // SAFETY: the layout has a size, and nothing is done with the memory.
        let memory = unsafe { told.alloc(layout) };
        assert!(memory.is_null());
        assert_eq!(REFUSED.swap(0, Ordering::SeqCst), all);
        let layout = Layout::new::<[u64; 4]>();
        // SAFETY: the layout has a size; what is freed was allocated with it, or with the size it grew to.
        unsafe {
            let memory = told.alloc_zeroed(layout);
            assert_eq!(memory.cast::<u64>().read(), 0);
            let memory = told.realloc(memory, layout, 64);
            told.dealloc(memory, Layout::from_size_align(64, layout.align()).expect("a layout"));
        }
        assert_eq!(REFUSED.load(Ordering::SeqCst), 0);
    }
}
