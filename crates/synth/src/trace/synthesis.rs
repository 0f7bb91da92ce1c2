//! A trace drawn from a profile (Naumov et al. 2019, algorithm 1 of section 4).
use super::padding::Padding;
use super::profile::Profile;
use super::stack::Taken;
use dlrm_data::rng::Rng;

/// `length` accesses, in O(log n) each for n unique ids.
///
/// A distance that reaches beyond the ids that have come so far cannot be: until all have come, the
/// distribution is cut there. (So the beginning of a trace is more local than the original, and a trace of
/// the original's length has higher hit rates.) When all have come, a new id is the one that was used longest
/// ago; with padding there is none any more.
pub fn synthesize(profile: &Profile, length: usize, padding: Padding, rng: &mut Rng) -> Vec<u64> {
    let longest = profile.distances.last().copied().unwrap_or(0);
    let mut ids = Stack::new(&profile.unique);
    let mut new = 0;
    let mut trace = Vec::with_capacity(length);
    for _ in 0..length {
        let mut u = rng.uniform();
        let last = profile.distances.partition_point(|&distance| distance <= new);
        if new < longest {
            u *= profile.cumulative[last.max(1) - 1];
        } else if padding == Padding::NewIds && profile.distances[0] == 0 && profile.distances.len() > 1 {
            let first = profile.cumulative[0];
            u = first + (1.0 - first) * u;
        }
        let at = profile.cumulative.partition_point(|&p| p < u).min(profile.distances.len() - 1);
        // The first access is new even where the profile knows no new id.
        let distance = profile.distances[at].min(new);
        new += usize::from(distance == 0);
        trace.push(ids.take(if distance == 0 { 0 } else { profile.unique.len() - distance }));
        new = new.min(profile.unique.len());
    }
    trace
}

/// The ids by last use: the one used longest ago (or not yet) first.
struct Stack {
    places: Vec<u64>,
    taken: Taken,
    ids: usize,
}

impl Stack {
    fn new(ids: &[u64]) -> Self {
        let room = 2 * ids.len() + 64;
        let mut places = ids.to_vec();
        places.reserve_exact(room - ids.len());
        Stack { places, taken: Taken::new(room, ids.len()), ids: ids.len() }
    }

    /// The id that has `k` before it; it comes to the end.
    fn take(&mut self, k: usize) -> u64 {
        if self.places.len() == 2 * self.ids + 64 {
            self.places = (0..self.ids).map(|k| self.places[self.taken.nth(k)]).collect();
            self.taken = Taken::new(2 * self.ids + 64, self.ids);
        }
        let place = self.taken.nth(k);
        let id = self.places[place];
        self.taken.leave(place);
        self.taken.take(self.places.len());
        self.places.push(id);
        id
    }
}
