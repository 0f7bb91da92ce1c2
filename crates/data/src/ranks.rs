//! Numbers at given places of the order of very many, exactly and in bounded memory: the first pass counts
//! them by value, or by ranges of values where there are too many; a further pass looks only at the ranges
//! that hold a wanted place, and so on (Munro and Paterson 1980, *Selection and sorting with limited
//! storage*).
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// Values, or ranges of them, that are counted at once.
const MOST: usize = 1 << 20;

/// Numbers counted by value; by ranges of 2^shift values where there are more than can be kept.
#[derive(Debug, Clone)]
struct Counts {
    counts: HashMap<u64, u64>,
    shift: u32,
    most: usize,
}

impl Counts {
    fn new(most: usize) -> Self {
        Counts { counts: HashMap::new(), shift: 0, most }
    }

    fn add(&mut self, key: u64) {
        *self.counts.entry(key >> self.shift).or_insert(0) += 1;
        while self.counts.len() > self.most {
            self.shift += 1;
            let finer = std::mem::take(&mut self.counts);
            for (key, count) in finer {
                *self.counts.entry(key >> 1).or_insert(0) += count;
            }
        }
    }

    /// The range of keys that holds number `rank` in order, and how many come before it.
    fn range_of(&self, rank: u64) -> Option<(RangeInclusive<u64>, u64)> {
        let mut sorted: Vec<(u64, u64)> = self.counts.iter().map(|(&key, &count)| (key, count)).collect();
        sorted.sort_unstable();
        let mut before = 0;
        for (key, count) in sorted {
            if rank < before + count {
                let first = key << self.shift;
                return Some((first..=first + ((1 << self.shift) - 1), before));
            }
            before += count;
        }
        None
    }
}

/// A place that is looked for among the numbers of a range.
#[derive(Debug, Clone)]
struct Place {
    range: RangeInclusive<u64>,
    /// The place among those of the range.
    rank: u64,
    counts: Counts,
}

/// Numbers, of which those at certain places of their order are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Ranks {
    /// The smallest, and the smallest that is greater.
    first: Option<f64>,
    second: Option<f64>,
    len: u64,
    counts: Counts,
    most: usize,
}

/// The search for the wanted ones.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    places: Vec<Place>,
    most: usize,
}

impl Default for Ranks {
    fn default() -> Self {
        Ranks::within(MOST)
    }
}

impl Ranks {
    /// Counting at most so many values, or ranges of them.
    fn within(most: usize) -> Self {
        Ranks { first: None, second: None, len: 0, counts: Counts::new(most), most }
    }

    /// Takes in a number.
    pub(crate) fn add(&mut self, number: f64) {
        self.len += 1;
        self.counts.add(key(number));
        if self.first.is_none_or(|first| number < first) {
            self.second = self.first.replace(number);
        } else if self.first.is_some_and(|first| number > first)
            && self.second.is_none_or(|second| number < second)
        {
            self.second = Some(number);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The smallest that is greater than the smallest; `None` where all are the same.
    pub(crate) fn second(&self) -> Option<f64> {
        self.second
    }

    /// The search for the numbers at these places, counted from 0, each below the number of numbers.
    pub(crate) fn search(&self, ranks: &[u64]) -> Search {
        let most = (self.most / 2 / ranks.len().max(1)).max(2);
        let place = |&rank: &u64| Place::at(&self.counts, 0, rank, most);
        Search { places: ranks.iter().filter_map(place).collect(), most }
    }
}

impl Place {
    /// Number `rank` of those that are counted, as keys from `base` on.
    fn at(counts: &Counts, base: u64, rank: u64, most: usize) -> Option<Self> {
        let (range, before) = counts.range_of(rank)?;
        let range = base + range.start()..=base + range.end();
        Some(Place { range, rank: rank - before, counts: Counts::new(most) })
    }
}

impl Search {
    /// The numbers, if all are found; else another pass over all numbers is needed.
    pub(crate) fn found(&self) -> Option<Vec<f64>> {
        let exact = |place: &Place| (place.range.start() == place.range.end()).then(|| *place.range.start());
        self.places.iter().map(|place| exact(place).map(number)).collect()
    }

    /// Takes in a number of another pass.
    pub(crate) fn add(&mut self, number: f64) {
        let key = key(number);
        for place in self.places.iter_mut().filter(|place| place.range.contains(&key)) {
            if place.range.start() != place.range.end() {
                place.counts.add(key - place.range.start());
            }
        }
    }

    /// What the pass has found; `None` if its numbers were not those of the one before.
    pub(crate) fn narrowed(self) -> Option<Self> {
        let most = self.most;
        let narrowed = |place: Place| {
            if place.range.start() == place.range.end() {
                return Some(place);
            }
            Place::at(&place.counts, *place.range.start(), place.rank, most)
        };
        let places = self.places.into_iter().map(narrowed).collect::<Option<Vec<Place>>>()?;
        Some(Search { places, most })
    }
}

/// A number as an integer, in the same order.
fn key(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number of a key.
fn number(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    /// The numbers at these places, counting at most `most` values at once; and the passes that it took.
    fn found(numbers: &[f64], ranks: &[u64], most: usize) -> (Vec<f64>, usize) {
        let mut all = Ranks::within(most);
        numbers.iter().for_each(|&x| all.add(x));
        let (mut search, mut passes) = (all.search(ranks), 1);
        loop {
            if let Some(found) = search.found() {
                return (found, passes);
            }
            numbers.iter().for_each(|&x| search.add(x));
            search = search.narrowed().expect("the same numbers");
            passes += 1;
        }
    }

    #[test]
    fn the_numbers_are_those_of_a_sort() {
        let mut rng = Rng::new(3, 0);
        for (distinct, most) in [(10, 64), (5_000, 64), (5_000, 10_000), (5_000, 2)] {
            let numbers: Vec<f64> = (0..5_000)
                .map(|_| {
                    (rng.below(distinct) as f64 - distinct as f64 / 3.0)
                        * 86_400.5
                        * if distinct == 10 { 0.0 } else { 1.0 }
                })
                .collect();
            let mut sorted = numbers.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let ranks = [0, 1, 2_500, 4_000, 4_500, 4_999];
            let (found, passes) = found(&numbers, &ranks, most);
            for (rank, found) in ranks.into_iter().zip(found) {
                assert_eq!(found.to_bits(), sorted[rank as usize].to_bits(), "{rank} of {distinct}");
            }
            assert!(passes == 1 || most < 5_000, "{passes}");
        }
        let mut ranks = Ranks::default();
        [2.0, 2.0, -1.0, 3.0, -1.0, 0.5].into_iter().for_each(|x| ranks.add(x));
        assert_eq!((ranks.len(), ranks.second()), (6, Some(0.5)));
    }

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        let ordered = [f64::NEG_INFINITY, -1e300, -1.5, -1e-300, -0.0, 0.0, 1e-300, 1.5, 1e300];
        assert!(ordered.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(ordered.iter().all(|&x| number(key(x)).to_bits() == x.to_bits()));
    }
}
