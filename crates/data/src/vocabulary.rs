//! The texts of a vocabulary, and the place of each: what every categorical value is looked up in.
//!
//! A lookup of a short text (up to eight bytes, such as a hashed token) touches one place in memory, for the slot holds all of
//! the text. Memory is what lookups wait for: the vocabulary of a large column lies in no cache.
use crate::rng::mix;
use crate::texts::Texts;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// Distinct texts in an order of their own.
#[derive(Clone, Default)]
pub struct Vocabulary {
    texts: Texts,
    /// Open addressing with linear probing; a power of two of them, at most two thirds in use.
    slots: Vec<Slot>,
}

/// A text that equals one of the earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Twice(pub String);

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
    pub fn new(texts: Texts) -> Result<Self, Twice> {
        assert!(texts.len() < u32::MAX as usize, "places are 32-bit");
        let mut slots = vec![Slot::default(); capacity(texts.len())];
        for (place, text) in texts.iter().enumerate() {
            let key = Key::of(text);
            let slot = find(&slots, &texts, key, text);
            if slots[slot].taken != 0 {
                return Err(Twice(text.to_owned()));
            }
            slots[slot] = Slot { key, taken: place as u32 + 1 };
        }
        Ok(Vocabulary { texts, slots })
    }

    /// Bytes of memory that a vocabulary of so many texts and bytes of text takes.
    pub fn heap_bytes(texts: u64, bytes: u64) -> u64 {
        bytes + texts * size_of::<usize>() as u64 + (capacity(texts as usize) * size_of::<Slot>()) as u64
    }

    /// Place of `text`.
    pub fn place(&self, text: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.slots[find(&self.slots, &self.texts, Key::of(text), text)].taken.checked_sub(1)
    }

    /// Calls `each` with what is found of every text, in order; no text is a missing value. The first slots of several texts
    /// are waited for together.
    pub fn places<'t>(&self, mut texts: impl Iterator<Item = Option<&'t str>>, mut each: impl FnMut(Found)) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut waiting = [(None, Key::default(), Slot::default()); TOGETHER];
        loop {
            let mut count = 0;
            while count < TOGETHER
                && let Some(text) = texts.next()
            {
                let key = text.map_or(Key::default(), Key::of);
                waiting[count] = (text, key, self.slots.get(key.hash() & mask).copied().unwrap_or_default());
                count += 1;
            }
            for &(text, key, slot) in &waiting[..count] {
                each(match text {
                    None => Found::Missing,
                    Some(_) if slot.taken == 0 => Found::Unknown,
                    Some(text) if slot.key == key && text.len() <= SHORT => Found::Place(slot.taken - 1),
                    Some(text) => self.place(text).map_or(Found::Unknown, Found::Place),
                });
            }
            if count < TOGETHER {
                return;
            }
        }
    }

    /// The texts in order.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The same, to keep.
    pub fn into_texts(self) -> Texts {
        self.texts
    }
}

/// What a lookup finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There was no text.
    Missing,
    /// The text is none of the vocabulary.
    Unknown,
    /// Its place.
    Place(u32),
}

/// Lookups that wait together.
const TOGETHER: usize = 32;

/// Slots for so many texts.
fn capacity(texts: usize) -> usize {
    (texts + texts / 2 + 1).next_power_of_two()
}

/// How often texts occur: a vocabulary in the making.
#[derive(Default)]
pub(crate) struct Tally {
    texts: Texts,
    counts: Vec<u64>,
    slots: Vec<Slot>,
}

impl Tally {
    /// Counts a text.
    pub fn add(&mut self, text: &str) {
        if self.slots.len() < capacity(self.texts.len() + 1) {
            self.grow();
        }
        let key = Key::of(text);
        let slot = find(&self.slots, &self.texts, key, text);
        match self.slots[slot].taken.checked_sub(1) {
            Some(place) => self.counts[place as usize] += 1,
            None => {
                assert!(self.texts.len() < u32::MAX as usize - 1, "places are 32-bit");
                self.texts.push(text);
                self.counts.push(1);
                self.slots[slot] = Slot { key, taken: self.texts.len() as u32 };
            }
        }
    }

    fn grow(&mut self) {
        let mut slots = vec![Slot::default(); capacity(2 * self.texts.len() + 1)];
        let mask = slots.len() - 1;
        // No two are the same, so the first free slot is the right one.
        for &slot in self.slots.iter().filter(|slot| slot.taken > 0) {
            let mut at = slot.key.hash() & mask;
            while slots[at].taken > 0 {
                at = (at + 1) & mask;
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }

    /// Number of distinct texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Bytes of memory taken, and what growing takes besides for a moment.
    pub fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.counts.capacity() * size_of::<u64>() + 3 * self.slots.len() * size_of::<Slot>()
    }

    /// Text and count number `place`.
    pub fn entry(&self, place: u32) -> (&str, u64) {
        (self.texts.text(place as usize), self.counts[place as usize])
    }

    /// Places of all entries, in order of text.
    pub fn by_text(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by_key(|&place| self.texts.text(place as usize));
        order
    }

    /// Places of the entries that were counted `least` times at least: by falling count, ties by text.
    pub fn by_count(&self, least: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).filter(|&place| self.counts[place as usize] >= least).collect();
        order.sort_unstable_by_key(|&place| (std::cmp::Reverse(self.counts[place as usize]), self.texts.text(place as usize)));
        order
    }
}

/// The slot of `text`, or the free one where it would go.
fn find(slots: &[Slot], texts: &Texts, key: Key, text: &str) -> usize {
    let mask = slots.len() - 1;
    let mut at = key.hash() & mask;
    loop {
        let slot = slots[at & mask];
        let same = slot.key == key && (text.len() <= SHORT || slot.taken > 0 && texts.text(slot.taken as usize - 1) == text);
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
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn finds_what_a_map_finds(texts in prop::collection::hash_set("[ab\0ß]{0,12}", 0..200), asked in prop::collection::vec("[ab\0ß]{0,12}", 50)) {
            let texts: Texts = texts.into_iter().collect();
            let map: HashMap<&str, u32> = texts.iter().enumerate().map(|(i, text)| (text, i as u32)).collect();
            let vocabulary = Vocabulary::new(texts.clone()).expect("distinct texts");
            let all = || texts.iter().chain(asked.iter().map(String::as_str));
            for text in all() {
                prop_assert_eq!(vocabulary.place(text), map.get(text).copied(), "{:?}", text);
            }
            let mut places = Vec::new();
            let listed: Vec<&str> = all().collect();
            let there: Vec<Option<&str>> = listed.iter().map(|&text| (text.len() != 3).then_some(text)).collect();
            vocabulary.places(there.iter().copied(), |found| places.push(found));
            let found = |text: &str| map.get(text).map_or(Found::Unknown, |&place| Found::Place(place));
            prop_assert_eq!(places, there.iter().map(|text| text.map_or(Found::Missing, found)).collect::<Vec<_>>());
        }

        #[test]
        fn counts_as_a_map_counts(texts in prop::collection::vec("[ab\0ß]{0,10}", 0..300)) {
            let (mut tally, mut map) = (Tally::default(), HashMap::<&str, u64>::new());
            for text in &texts {
                tally.add(text);
                *map.entry(text).or_default() += 1;
            }
            let mut expected: Vec<(&str, u64)> = map.into_iter().collect();
            expected.sort_unstable();
            prop_assert_eq!(tally.by_text().iter().map(|&place| tally.entry(place)).collect::<Vec<_>>(), expected.clone());
            expected.retain(|&(_, count)| count >= 2);
            expected.sort_unstable_by_key(|&(text, count)| (std::cmp::Reverse(count), text));
            prop_assert_eq!(tally.by_count(2).iter().map(|&place| tally.entry(place)).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_text_that_is_there_twice_is_named() {
        for twice in ["", "abc", "a longer one"] {
            let texts = ["x", twice, "y", twice].into_iter().collect();
            assert_eq!(Vocabulary::new(texts).map(|_| ()), Err(Twice(twice.into())));
        }
        assert_eq!(Vocabulary::default().place(""), None);
    }
}
