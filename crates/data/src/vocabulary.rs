//! The texts of a vocabulary, and the place of each: what every categorical value is looked up in.
//!
//! A lookup of a short text (up to eight bytes, such as a hashed token) touches one place in memory, for the slot holds all of
//! the text. Memory is what lookups wait for: the vocabulary of a large column lies in no cache.
use crate::rng::mix;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_64;

/// Hash of one text: a hasher that takes in piece after piece costs more than the piece.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OneText(u64);

impl Hasher for OneText {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    /// What ends a text tells nothing where it is the only one.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How often texts occur: a vocabulary in the making.
pub(crate) type Counts = HashMap<Box<str>, u64, BuildHasherDefault<OneText>>;

/// Distinct texts in an order of their own.
#[derive(Clone, Default)]
pub struct Vocabulary {
    texts: Vec<Box<str>>,
    /// Open addressing with linear probing; a power of two of them, at most two thirds in use.
    slots: Vec<Slot>,
}

/// A text that equals one of the earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Twice(pub Box<str>);

#[derive(Clone, Copy, Default)]
struct Slot {
    key: Key,
    /// One more than the place of the text; 0 where the slot is free.
    taken: u32,
}

/// What is compared first.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Key {
    /// The text itself up to [`SHORT`] bytes, else its hash.
    head: u64,
    length: u32,
}

/// Longest text that a key holds whole.
const SHORT: usize = 8;

impl Key {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let length = bytes.len();
        let head = match length {
            0 => 0,
            // Together with the length these bytes are the text: they cover it.
            1..=3 => u64::from(bytes[0]) | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]) << 16,
            4..=SHORT => four(&bytes[..4]) | four(&bytes[length - 4..]) << 32,
            _ => xxh3_64(bytes),
        };
        Key { head, length: length as u32 }
    }

    fn hash(self) -> usize {
        mix(self.head.wrapping_add(u64::from(self.length))) as usize
    }
}

fn four(bytes: &[u8]) -> u64 {
    u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

impl Vocabulary {
    /// Of these texts.
    ///
    /// # Errors
    /// The first text that is there twice.
    ///
    /// # Panics
    /// If there are 2^32 - 1 texts or more.
    pub fn new(texts: Vec<Box<str>>) -> Result<Self, Twice> {
        assert!(texts.len() < u32::MAX as usize, "places are 32-bit");
        let capacity = (texts.len() + texts.len() / 2 + 1).next_power_of_two();
        let mut vocabulary = Vocabulary { texts: Vec::new(), slots: vec![Slot::default(); capacity] };
        for (place, text) in texts.iter().enumerate() {
            let key = Key::of(text);
            let slot = find(&vocabulary.slots, &texts, key, text);
            if vocabulary.slots[slot].taken != 0 {
                return Err(Twice(text.clone()));
            }
            vocabulary.slots[slot] = Slot { key, taken: place as u32 + 1 };
        }
        vocabulary.texts = texts;
        Ok(vocabulary)
    }

    /// Place of `text`.
    pub fn place(&self, text: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.slots[find(&self.slots, &self.texts, Key::of(text), text)].taken.checked_sub(1)
    }

    /// The texts in order.
    pub fn texts(&self) -> &[Box<str>] {
        &self.texts
    }

    /// The same, to keep.
    pub fn into_texts(self) -> Vec<Box<str>> {
        self.texts
    }
}

/// The slot of `text`, or the free one where it would go.
fn find(slots: &[Slot], texts: &[Box<str>], key: Key, text: &str) -> usize {
    let mask = slots.len() - 1;
    let mut at = key.hash() & mask;
    loop {
        let slot = slots[at & mask];
        let same = slot.key == key && (text.len() <= SHORT || slot.taken > 0 && *texts[slot.taken as usize - 1] == *text);
        if slot.taken == 0 || same {
            return at;
        }
        at = (at + 1) & mask;
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_map_finds(texts in prop::collection::hash_set("[ab\0ß]{0,12}", 0..200), asked in prop::collection::vec("[ab\0ß]{0,12}", 50)) {
            let texts: Vec<Box<str>> = texts.into_iter().map(Into::into).collect();
            let map: HashMap<&str, u32> = texts.iter().enumerate().map(|(i, text)| (&**text, i as u32)).collect();
            let vocabulary = Vocabulary::new(texts.clone()).expect("distinct texts");
            for text in texts.iter().map(|text| &**text).chain(asked.iter().map(String::as_str)) {
                prop_assert_eq!(vocabulary.place(text), map.get(text).copied(), "{:?}", text);
            }
        }
    }

    #[test]
    fn a_text_that_is_there_twice_is_named() {
        for twice in ["", "abc", "a longer one"] {
            let texts = ["x", twice, "y", twice].map(Box::from).to_vec();
            assert_eq!(Vocabulary::new(texts).map(|_| ()), Err(Twice(twice.into())));
        }
        assert_eq!(Vocabulary::default().place(""), None);
    }
}
