//! Memory of messages, used again.
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Memory of messages that have been read, for the next ones: what is given back to the system would be
/// taken from it anew, and zeroed, in each step.
#[derive(Default)]
pub(crate) struct Spare {
    messages: Mutex<Vec<Vec<u8>>>,
    most: usize,
}

impl Spare {
    /// Of at most so many messages.
    pub(crate) fn new(most: usize) -> Self {
        Spare { messages: Mutex::default(), most }
    }

    /// An empty message with room for so many bytes.
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        let mut all = self.all();
        let fits = all.iter().enumerate().filter(|(_, message)| message.capacity() >= bytes);
        match fits.min_by_key(|(_, message)| message.capacity()).map(|(at, _)| at) {
            Some(at) => all.swap_remove(at),
            None => Vec::with_capacity(bytes),
        }
    }

    /// These messages have been read.
    pub(crate) fn put(&self, messages: impl IntoIterator<Item = Vec<u8>>) {
        let mut all = self.all();
        for mut message in messages.into_iter().filter(|message| message.capacity() > 0) {
            if all.len() < self.most {
                message.clear();
                all.push(message);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_that_is_large_enough_is_taken() {
        let spare = Spare::new(3);
        let of = Vec::with_capacity;
        spare.put([of(500), vec![1; 100], Vec::new(), of(90), of(95)]);
        let taken = spare.take(95);
        assert!(taken.is_empty() && (100..500).contains(&taken.capacity()));
        assert!(spare.take(501).capacity() >= 501);
        assert_eq!(spare.all().len(), 2);
    }
}
