//! Maps of hashes in bounded memory: all keys while there are few, then a uniform sample of them.
use crate::profile::counts::HashOf;

/// Entries by 64-bit hash. Beyond a limit only keys below 2^(64 - level) are kept, and the level rises as
/// often as needed. Which keys are kept depends on their hashes alone, so entries that are kept have seen
/// every row of their key.
#[derive(Debug, Clone)]
pub(super) struct Thinned<V> {
    entries: HashOf<V>,
    /// Keys that are kept whatever the level.
    pinned: Vec<u64>,
    level: u32,
    /// Entries at most.
    most: usize,
}

impl<V: Default> Thinned<V> {
    /// Room for `most` keys, besides `pinned` ones.
    pub(super) fn new(most: usize, mut pinned: Vec<u64>) -> Self {
        pinned.sort_unstable();
        let entries = pinned.iter().map(|&key| (key, V::default())).collect();
        Thinned { entries, level: 0, most: most.saturating_add(pinned.len()), pinned }
    }

    /// The entry of `key`, made if it is one to keep.
    pub(super) fn entry(&mut self, key: u64) -> Option<&mut V> {
        if !is_kept(key, self.level) {
            return if self.pinned.is_empty() { None } else { self.entries.get_mut(&key) };
        }
        while self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.level += 1;
            let Thinned { entries, pinned, level, .. } = self;
            entries.retain(|key, _| is_kept(*key, *level) || pinned.binary_search(key).is_ok());
            if !is_kept(key, self.level) {
                return None;
            }
        }
        Some(self.entries.entry(key).or_default())
    }

    /// Number of entries.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether every key is there.
    #[cfg(test)]
    pub(super) fn is_complete(&self) -> bool {
        self.level == 0
    }

    /// Share of the space of keys that is looked at.
    pub(super) fn share(&self) -> f64 {
        (-f64::from(self.level)).exp2()
    }

    /// Every entry with the number of keys that it stands for: a pinned one for itself.
    pub(super) fn weighted(&self) -> impl Iterator<Item = (&V, f64)> {
        let others = f64::from(self.level).exp2();
        let weight = move |key: &u64| if self.pinned.binary_search(key).is_ok() { 1.0 } else { others };
        self.entries.iter().map(move |(key, value)| (value, weight(key)))
    }

    /// The values of all entries.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    /// The value of a key that is there.
    pub(super) fn get(&self, key: u64) -> Option<&V> {
        self.entries.get(&key)
    }
}

fn is_kept(key: u64, level: u32) -> bool {
    key.leading_zeros() >= level
}

#[cfg(test)]
mod tests {
    use super::*;
    use dlrm_data::rng::mix;

    #[test]
    fn memory_is_bounded_and_sums_stay_right() {
        let mut sketch: Thinned<u32> = Thinned::new(1000, vec![mix(7), mix(8)]);
        for i in 0..300_000u64 {
            if let Some(count) = sketch.entry(mix(i % 50_000)) {
                *count += 1;
            }
            assert!(sketch.len() <= 1002);
        }
        assert!(!sketch.is_complete() && sketch.share() < 1.0 / 32.0);
        assert_eq!(sketch.get(mix(7)), Some(&6), "a pinned key has seen all");
        assert!(sketch.values().all(|&count| count == 6), "and so has every other");
        let distinct: f64 = sketch.weighted().map(|(_, weight)| weight).sum();
        assert!((distinct / 50_000.0 - 1.0).abs() < 0.2, "{distinct}");
    }
}
