//! The texts of a vocabulary, and the place of each: what every categorical value is looked up in.
//!
//! A lookup of a short text (up to eight bytes, such as a hashed token) touches one place in memory, for the
//! slot holds all of the text. Memory is what lookups wait for: the vocabulary of a large column lies in no
//! cache.
use crate::huge::Zeroed;
use crate::string_arena::StringArena;
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Distinct texts in an order of their own.
#[derive(Clone, Default)]
pub struct Vocabulary {
    texts: StringArena,
    /// Open addressing with linear probing; a power of two of them, at most two thirds in use.
    slots: Zeroed<Slot>,
    seed: Seed,
}

/// What decides the slots, drawn once in a process: values that were chosen to meet in one slot could make
/// every lookup as long as there are values. Places, and so ids, do not depend on it.
#[derive(Clone, Copy)]
struct Seed {
    /// Of hashes of long texts, and what the head of a key is masked by.
    mask: u64,
    /// What the length is masked by; large, whatever the length.
    factor: u64,
}

impl Default for Seed {
    fn default() -> Self {
        static SEED: LazyLock<Seed> = LazyLock::new(|| {
            let random = RandomState::new();
            let [mask, factor] = [1u8, 2].map(|which| random.hash_one(which));
            Seed { mask, factor: factor | 1 << 63 }
        });
        *SEED
    }
}

impl Seed {
    /// What is compared first of a text.
    fn key(self, text: &str) -> Key {
        let bytes = text.as_bytes();
        let length = bytes.len();
        let head = match length {
            0 => 0,
            // Together with the length these bytes are the text: they cover it.
            1..=3 => {
                u64::from(bytes[0]) | u64::from(bytes[length / 2]) << 8 | u64::from(bytes[length - 1]) << 16
            }
            4..=SHORT => four(&bytes[..4]) | four(&bytes[length - 4..]) << 32,
            _ => xxh3_64_with_seed(bytes, self.mask),
        };
        Key { head, length: length as u32 }
    }

    /// Where the search for a key begins, as a hash: the two halves of a product fall together, so that all
    /// of its bits depend on all of the key and the seed.
    fn hash(self, key: Key) -> usize {
        let product = u128::from(key.head ^ self.mask) * u128::from(self.factor ^ u64::from(key.length) << 1);
        (product as u64 ^ (product >> 64) as u64) as usize
    }
}

/// A text that equals one of the earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Twice(pub String);

/// 16 bytes, four to a cache line.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Slot {
    head: u64,
    length: u32,
    /// One more than the place of the text; 0 where the slot is free.
    taken: u32,
}

impl Slot {
    fn new(key: Key, place: usize) -> Self {
        Slot { head: key.head, length: key.length, taken: place as u32 + 1 }
    }

    fn key(self) -> Key {
        Key { head: self.head, length: self.length }
    }
}

impl AsRef<Slot> for Slot {
    fn as_ref(&self) -> &Slot {
        self
    }
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
    pub fn new(texts: StringArena) -> Result<Self, Twice> {
        assert!(texts.len() < u32::MAX as usize, "places are 32-bit");
        let (mut slots, seed) = (Zeroed::<Slot>::new(capacity(texts.len())), Seed::default());
        for (place, text) in texts.iter().enumerate() {
            let key = seed.key(text);
            let slot = find(&slots, &texts, (key, seed.hash(key)), text);
            if slots[slot].taken != 0 {
                return Err(Twice(text.to_owned()));
            }
            slots[slot] = Slot::new(key, place);
        }
        Ok(Vocabulary { texts, slots, seed })
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
        let key = self.seed.key(text);
        self.slots[find(&self.slots, &self.texts, (key, self.seed.hash(key)), text)].taken.checked_sub(1)
    }

    /// Calls `each` with what is found of every text, in order; no text is a missing value. The first slots
    /// of several texts are waited for together.
    pub fn places<'t>(&self, mut texts: impl Iterator<Item = Option<&'t str>>, mut each: impl FnMut(Found)) {
        let (slots, mask) = (&self.slots[..], self.slots.len().wrapping_sub(1));
        let mut waiting = [(None, Key::default(), 0); TOGETHER];
        let mut first = [Slot::default(); TOGETHER];
        loop {
            let mut count = 0;
            while count < TOGETHER
                && let Some(text) = texts.next()
            {
                let key = text.map_or(Key::default(), |text| self.seed.key(text));
                waiting[count] = (text, key, self.seed.hash(key) & mask);
                count += 1;
            }
            // So short a loop that the processor has many of these loads under way at once.
            for (slot, &(.., at)) in first.iter_mut().zip(&waiting[..count]) {
                *slot = slots.get(at).copied().unwrap_or_default();
            }
            for (&(text, key, _), &slot) in waiting[..count].iter().zip(&first) {
                each(match text {
                    None => Found::Missing,
                    Some(_) if slot.taken == 0 => Found::Unknown,
                    Some(text) if slot.key() == key && text.len() <= SHORT => Found::Place(slot.taken - 1),
                    Some(text) => self.place(text).map_or(Found::Unknown, Found::Place),
                });
            }
            if count < TOGETHER {
                return;
            }
        }
    }

    /// The texts in order.
    pub fn texts(&self) -> &StringArena {
        &self.texts
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

/// What the values of a vocabulary are ordered by, the largest first, ties by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Rank {
    /// How often a value occurs.
    #[default]
    Count,
    /// How many values were still to come, of 2^64 - 1, when it occurred first.
    FirstSeen,
}

impl Rank {
    /// The rank of a value that has these in two parts of the rows.
    pub(crate) fn join(self, a: u64, b: u64) -> u64 {
        match self {
            Rank::Count => a + b,
            Rank::FirstSeen => a.max(b),
        }
    }
}

/// The values of rows and their ranks: a vocabulary in the making.
#[derive(Default)]
pub(crate) struct Tally {
    rank: Rank,
    /// Values taken in so far.
    seen: u64,
    texts: StringArena,
    slots: Zeroed<Counted>,
    hashing: Seed,
}

/// A slot and the rank of its text: both are in one cache line.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Counted {
    slot: Slot,
    rank: u64,
}

impl AsRef<Slot> for Counted {
    fn as_ref(&self) -> &Slot {
        &self.slot
    }
}

impl Tally {
    /// Nothing seen yet.
    pub(crate) fn new(rank: Rank) -> Self {
        Tally::behind(rank, 0)
    }

    /// Empty behind so many values, which are kept elsewhere.
    pub(crate) fn behind(rank: Rank, seen: u64) -> Self {
        Tally { rank, seen, ..Tally::default() }
    }

    /// Values taken in so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// What values are ordered by.
    pub(crate) fn rank(&self) -> Rank {
        self.rank
    }

    /// Forgets all values, but not how many there were.
    pub(crate) fn clear(&mut self) {
        *self = Tally::behind(self.rank, self.seen);
    }

    /// Takes in texts. The first slots of several are waited for together.
    pub(crate) fn add<'t>(&mut self, mut texts: impl Iterator<Item = &'t str>) {
        let mut waiting = [("", Key::default(), 0); TOGETHER];
        let mut first = [Slot::default(); TOGETHER];
        loop {
            if self.slots.len() < capacity(self.texts.len() + TOGETHER) {
                self.grow();
            }
            let (slots, seed) = (&mut self.slots[..], self.hashing);
            let (mask, mut count) = (slots.len() - 1, 0);
            while count < TOGETHER
                && let Some(text) = texts.next()
            {
                let key = seed.key(text);
                waiting[count] = (text, key, seed.hash(key) & mask);
                count += 1;
            }
            for (slot, &(.., at)) in first.iter_mut().zip(&waiting[..count]) {
                *slot = slots[at].slot;
            }
            for (&(text, key, at), &slot) in waiting[..count].iter().zip(&first) {
                let known = slot.taken > 0 && slot.key() == key && text.len() <= SHORT;
                let at = if known { at } else { find(slots, &self.texts, (key, at), text) };
                if slots[at].slot.taken == 0 {
                    assert!(self.texts.len() < u32::MAX as usize - 1, "places are 32-bit");
                    slots[at].slot = Slot::new(key, self.texts.len());
                    self.texts.push(text);
                    if self.rank == Rank::FirstSeen {
                        slots[at].rank = u64::MAX - self.seen;
                    }
                }
                slots[at].rank += u64::from(self.rank == Rank::Count);
                self.seen += 1;
            }
            if count < TOGETHER {
                return;
            }
        }
    }

    fn grow(&mut self) {
        let mut slots = Zeroed::<Counted>::new(capacity(2 * self.texts.len() + TOGETHER));
        let mask = slots.len() - 1;
        // No two are the same, so the first free slot is the right one.
        for &counted in self.slots.iter().filter(|counted| counted.slot.taken > 0) {
            let mut at = self.hashing.hash(counted.slot.key()) & mask;
            while slots[at].slot.taken > 0 {
                at = (at + 1) & mask;
            }
            slots[at] = counted;
        }
        self.slots = slots;
    }

    /// Number of distinct texts.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Bytes of memory taken, and what growing takes besides for a moment.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + 3 * self.slots.len() * size_of::<Counted>()
    }

    /// Bytes of memory in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.texts.used_bytes() + self.slots.len() * size_of::<Counted>()
    }

    /// All texts and their ranks, in order of text.
    pub(crate) fn by_text(&self) -> Vec<(&str, u64)> {
        let mut entries = self.entries(1);
        entries.sort_unstable();
        entries
    }

    /// Those whose rank is `least` at least: by falling rank, ties by text.
    pub(crate) fn by_rank(&self, least: u64) -> Vec<(&str, u64)> {
        let mut entries = self.entries(least);
        entries.sort_unstable_by_key(|&(text, rank)| (Reverse(rank), text));
        entries
    }

    fn entries(&self, least: u64) -> Vec<(&str, u64)> {
        let taken = self.slots.iter().filter(|counted| counted.slot.taken > 0 && counted.rank >= least);
        taken.map(|counted| (self.texts.text(counted.slot.taken as usize - 1), counted.rank)).collect()
    }
}

/// The slot of `text`, or the free one where it would go, for its key and the hash of that.
fn find(slots: &[impl AsRef<Slot>], texts: &StringArena, (key, hash): (Key, usize), text: &str) -> usize {
    let mask = slots.len() - 1;
    let mut at = hash & mask;
    loop {
        let slot = *slots[at & mask].as_ref();
        let same = slot.key() == key
            && (text.len() <= SHORT || slot.taken > 0 && texts.text(slot.taken as usize - 1) == text);
        if slot.taken == 0 || same {
            return at & mask;
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
        fn finds_what_a_map_finds(
            texts in prop::collection::hash_set("[ab\0ß]{0,12}", 0..200),
            asked in prop::collection::vec("[ab\0ß]{0,12}", 50),
        ) {
            let texts: StringArena = texts.into_iter().collect();
            let numbered = texts.iter().enumerate().map(|(i, text)| (text, i as u32));
            let map: HashMap<&str, u32> = numbered.collect();
            let vocabulary = Vocabulary::new(texts.clone()).expect("distinct texts");
            let all = || texts.iter().chain(asked.iter().map(String::as_str));
            for text in all() {
                prop_assert_eq!(vocabulary.place(text), map.get(text).copied(), "{:?}", text);
            }
            let mut places = Vec::new();
            let listed: Vec<&str> = all().collect();
            let there = listed.iter().map(|&text| (text.len() != 3).then_some(text));
            let there: Vec<Option<&str>> = there.collect();
            vocabulary.places(there.iter().copied(), |found| places.push(found));
            let found = |text: &str| map.get(text).map_or(Found::Unknown, |&place| Found::Place(place));
            let expected = there.iter().map(|text| text.map_or(Found::Missing, found));
            prop_assert_eq!(places, expected.collect::<Vec<_>>());
        }

        #[test]
        fn counts_as_a_map_counts(texts in prop::collection::vec("[ab\0ß]{0,10}", 0..300)) {
            let (mut tally, mut map) = (Tally::default(), HashMap::<&str, u64>::new());
            for some in texts.chunks(50) {
                tally.add(some.iter().map(String::as_str));
            }
            texts.iter().for_each(|text| *map.entry(text).or_default() += 1);
            let mut expected: Vec<(&str, u64)> = map.into_iter().collect();
            expected.sort_unstable();
            prop_assert_eq!(tally.by_text(), expected.clone());
            expected.retain(|&(_, count)| count >= 2);
            expected.sort_unstable_by_key(|&(text, count)| (std::cmp::Reverse(count), text));
            prop_assert_eq!(tally.by_rank(2), expected);
            let mut tally = Tally::new(Rank::FirstSeen);
            for some in texts.chunks(50) {
                tally.add(some.iter().map(String::as_str));
            }
            let mut firsts: Vec<&str> = Vec::new();
            texts.iter().for_each(|text| if !firsts.contains(&text.as_str()) { firsts.push(text) });
            prop_assert_eq!(tally.by_rank(1).into_iter().map(|(text, _)| text).collect::<Vec<_>>(), firsts);
        }
    }

    /// Texts of eight bytes that fell into one run of slots before there was a seed: found by undoing the
    /// mixing of a fixed hash.
    fn chosen(count: u64) -> Vec<String> {
        fn unmix(mut z: u64) -> u64 {
            let unshift = |z: u64, by: u32| (0..64 / by).fold(z, |x, _| z ^ (x >> by));
            z = unshift(z, 31).wrapping_mul(0x319642b2d24d8ec3);
            z = unshift(z, 27).wrapping_mul(0x96de1b173f119089);
            unshift(z, 30)
        }
        let texts = (0u64..).map(|high| unmix(high << 20).wrapping_sub(8));
        let plain = texts.filter_map(|head| String::from_utf8(head.to_le_bytes().to_vec()).ok());
        plain.filter(|text| text.is_ascii()).take(count as usize).collect()
    }

    #[test]
    fn chosen_texts_do_not_meet_in_one_slot() {
        let texts = chosen(2000);
        assert_eq!(
            crate::rng::mix(u64::from_le_bytes(texts[9].as_bytes().try_into().unwrap()) + 8) % 4096,
            0
        );
        let vocabulary = Vocabulary::new(texts.iter().cloned().collect()).expect("distinct texts");
        let mask = vocabulary.slots.len() - 1;
        let begins = texts.iter().map(|text| vocabulary.seed.hash(vocabulary.seed.key(text)) & mask);
        let different = begins.collect::<std::collections::HashSet<_>>().len();
        assert!(different > 1000, "{different} places where 2000 searches begin");
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
