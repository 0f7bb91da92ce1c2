//! Zeroed memory for tables that are looked up all over, on huge pages where the system grants them:
//! otherwise a lookup also waits for the address of its page.
use bytemuck::Pod;
use memmap2::{Advice, MmapMut};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// So many elements, all zero at first.
pub(crate) struct Zeroed<T> {
    memory: Memory,
    len: usize,
    element: PhantomData<T>,
}

enum Memory {
    /// Small, or all that there is.
    Heap(Vec<u64>),
    Mapped(MmapMut),
}

/// A huge page.
const HUGE: usize = 2 << 20;

impl<T: Pod> Zeroed<T> {
    pub(crate) fn new(len: usize) -> Self {
        let bytes = len * size_of::<T>();
        let mapped = (bytes >= HUGE).then(|| MmapMut::map_anon(bytes).ok()).flatten();
        let memory = match mapped {
            Some(mapped) => {
                // Without huge pages it is only slower.
                #[cfg(target_os = "linux")]
                let _ = mapped.advise(Advice::HugePage);
                Memory::Mapped(mapped)
            }
            None => Memory::Heap(vec![0; bytes.div_ceil(8)]),
        };
        Zeroed { memory, len, element: PhantomData }
    }
}

impl<T> Default for Zeroed<T> {
    fn default() -> Self {
        Zeroed { memory: Memory::Heap(Vec::new()), len: 0, element: PhantomData }
    }
}

impl<T: Pod> Deref for Zeroed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let bytes: &[u8] = match &self.memory {
            Memory::Heap(words) => bytemuck::cast_slice(words),
            Memory::Mapped(mapped) => mapped,
        };
        bytemuck::cast_slice(&bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> DerefMut for Zeroed<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes: &mut [u8] = match &mut self.memory {
            Memory::Heap(words) => bytemuck::cast_slice_mut(words),
            Memory::Mapped(mapped) => mapped,
        };
        bytemuck::cast_slice_mut(&mut bytes[..self.len * size_of::<T>()])
    }
}

impl<T: Pod> Clone for Zeroed<T> {
    fn clone(&self) -> Self {
        let mut copy = Zeroed::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_memory_is_zeroed_and_kept() {
        for len in [0, 3, HUGE / 8 + 5] {
            let mut memory = Zeroed::<u64>::new(len);
            assert!(memory.len() == len && memory.iter().all(|&word| word == 0));
            memory.iter_mut().zip(1..).for_each(|(word, n)| *word = n);
            assert!(memory.clone().iter().copied().eq(1..=len as u64));
        }
    }
}
