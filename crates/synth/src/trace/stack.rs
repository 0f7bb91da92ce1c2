//! The stack of ids by last use, as a tree that counts (Fenwick 1994): depth and removal in O(log n).
use std::collections::HashMap;

/// Which of n places are taken.
pub(super) struct Taken {
    /// One-based: node i counts the last i & -i places up to i.
    nodes: Vec<u32>,
}

impl Taken {
    /// Of `n` places, the first `taken`.
    pub(super) fn new(n: usize, taken: usize) -> Self {
        let mut nodes: Vec<u32> = (0..=n).map(|i| u32::from((1..=taken).contains(&i))).collect();
        for i in 1..=n {
            let above = i + (i & i.wrapping_neg());
            if above <= n {
                nodes[above] += nodes[i];
            }
        }
        Taken { nodes }
    }

    fn change(&mut self, place: usize, by: i32) {
        let mut i = place + 1;
        while i < self.nodes.len() {
            self.nodes[i] = self.nodes[i].wrapping_add_signed(by);
            i += i & i.wrapping_neg();
        }
    }

    pub(super) fn take(&mut self, place: usize) {
        self.change(place, 1);
    }

    pub(super) fn leave(&mut self, place: usize) {
        self.change(place, -1);
    }

    /// How many of the first `n` places are taken.
    pub(super) fn before(&self, n: usize) -> usize {
        let (mut i, mut sum) = (n, 0);
        while i > 0 {
            sum += self.nodes[i] as usize;
            i &= i - 1;
        }
        sum
    }

    /// The taken place that has `k` taken ones before it.
    pub(super) fn nth(&self, k: usize) -> usize {
        let (mut at, mut left) = (0, k as u32 + 1);
        let mut step = (self.nodes.len() - 1).next_power_of_two();
        while step > 0 {
            if at + step < self.nodes.len() && self.nodes[at + step] < left {
                at += step;
                left -= self.nodes[at];
            }
            step /= 2;
        }
        at
    }
}

/// Stack distance of each access of `trace`, in O(N log N): 0 for the first access of an id, else the number
/// of different ids since its last one, itself included.
pub fn distances(trace: &[u64]) -> Vec<usize> {
    let mut last = HashMap::new();
    // The time of each id's last access.
    let mut taken = Taken::new(trace.len(), 0);
    let distance = |(now, &id): (usize, &u64)| {
        let distance = match last.insert(id, now) {
            None => 0,
            Some(then) => {
                let distance = taken.before(now) - taken.before(then);
                taken.leave(then);
                distance
            }
        };
        taken.take(now);
        distance
    };
    trace.iter().enumerate().map(distance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn distances_are_what_they_are_defined_as(trace in prop::collection::vec(0u64..15, 0..120)) {
            let naive: Vec<usize> = (0..trace.len())
                .map(|now| match trace[..now].iter().rposition(|&id| id == trace[now]) {
                    None => 0,
                    Some(then) => trace[then..now].iter().collect::<HashSet<_>>().len(),
                })
                .collect();
            prop_assert_eq!(distances(&trace), naive);
        }
    }

    #[test]
    fn by_hand() {
        assert_eq!(distances(&[7, 7, 8, 9, 7, 9]), [0, 1, 0, 0, 3, 2]);
        let mut taken = Taken::new(5, 3);
        taken.leave(1);
        taken.take(4);
        assert_eq!(((0..3).map(|k| taken.nth(k)).collect::<Vec<_>>(), taken.before(4)), (vec![0, 2, 4], 2));
    }
}
