//! A part from each rank to each, by messages of their own.
//!
//! Not by MPI's collectives: they do not say whom they wait for, want all sizes exchanged first, and copy
//! what a rank sends to itself. Nor do their waits suit: where ranks share cores, one that has nothing to do
//! is to leave these to others.
use dlrm_cluster::Watch;
use mpi::datatype::Equivalence;
use mpi::point_to_point::{Destination, Source};
use mpi::request;
use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;
use std::thread;
use std::time::{Duration, Instant};

/// Most bytes of a message to a rank on the same machine: MPI counts in 32 bits, and several overlap. The
/// last message of a part is shorter, if need be empty: so whoever receives knows its end.
pub(crate) const NEAR: usize = 1 << 22;
/// And to a rank on another machine. Longer messages wait for an answer of the other side, and that waits
/// behind all that this side has written to the network: on links of 0.5 to 2.5 Gbit/s a step took up to a
/// third longer.
pub(crate) const FAR: usize = (1 << 16) - 512;

/// The tag of all messages: those from one rank to another come in the order in which they were sent.
const TAG: i32 = 1;

/// Sends a part to each rank; what each has sent to this one. On the first rank `watch` tells who is late.
/// `most` bytes go to and come from each in a message. `spare` is what was sent before: the next parts are
/// received there.
pub(crate) fn exchange(
    world: &SimpleCommunicator,
    mut parts: Vec<Vec<u8>>,
    most: &[usize],
    spare: &mut Vec<Vec<u8>>,
    watch: &mut Watch,
) -> Vec<Vec<u8>> {
    let (rank, size) = (world.rank() as usize, parts.len());
    // Parts to a rank and from it are about as long. A step has exchanges of several lengths.
    let mut memory = |from: usize| if from == rank { Vec::new() } else { spare.pop().unwrap_or_default() };
    let mut received: Vec<Received> = (0..size).map(|from| Received { part: memory(from), len: 0 }).collect();
    // Not all to the same rank first.
    let others = || (1..size).map(|distance| (rank + distance) % size);
    request::scope(|scope| {
        let send = |to: usize, piece| {
            (to, world.process_at_rank(to as i32).immediate_send_with_tag(scope, piece, TAG))
        };
        let mut sends: Vec<_> = others()
            .flat_map(|to| pieces(&parts[to], most[to]).map(move |piece| (to, piece)))
            .map(|(to, p)| send(to, p))
            .collect();
        let mut coming: Vec<usize> = others().collect();
        let (mut wait, mut idle) = (watch.begin(), Idle::new());
        while !(coming.is_empty() && sends.is_empty()) {
            let open = coming.len() + sends.len();
            coming.retain(|&from| !take(world, from, most[from], &mut received[from]));
            let all = std::mem::take(&mut sends);
            sends = all.into_iter().filter_map(|(to, send)| Some((to, send.test().err()?))).collect();
            if coming.len() + sends.len() < open {
                idle = Idle::new();
                continue;
            }
            if rank == 0 && wait.left().is_zero() {
                let mut late: Vec<usize> =
                    coming.iter().copied().chain(sends.iter().map(|(to, _)| *to)).collect();
                late.sort_unstable();
                late.dedup();
                wait.look(&late);
            }
            idle.wait();
        }
    });
    let mut received: Vec<Vec<u8>> = received.into_iter().map(Received::whole).collect();
    received[rank] = std::mem::take(&mut parts[rank]);
    spare.extend(parts.into_iter().filter(|part| part.capacity() > 0));
    received
}

/// A part that comes message by message, in memory that was used before: what it held is only written over.
struct Received {
    part: Vec<u8>,
    len: usize,
}

impl Received {
    /// Room for a message of so many bytes.
    fn next(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.len;
        self.len += bytes;
        if self.part.len() < self.len {
            self.part.reserve_exact(self.len - self.part.len());
            self.part.resize(self.len, 0);
        }
        &mut self.part[start..self.len]
    }

    fn whole(mut self) -> Vec<u8> {
        self.part.truncate(self.len);
        self.part
    }
}

/// The messages of a part.
fn pieces(part: &[u8], most: usize) -> impl Iterator<Item = &[u8]> {
    (0..=part.len() / most).map(move |piece| &part[piece * most..part.len().min((piece + 1) * most)])
}

/// Takes the messages that have come from a rank; whether its part is whole.
fn take(world: &SimpleCommunicator, from: usize, most: usize, part: &mut Received) -> bool {
    let from = world.process_at_rank(from as i32);
    while let Some(status) = from.immediate_probe_with_tag(TAG) {
        let count = status.count(u8::equivalent_datatype()) as usize;
        from.receive_into_with_tag(part.next(count), TAG);
        if count < most {
            return true;
        }
    }
    false
}

/// Looking for messages in vain: often at first, for a step waits for them; then less, for another rank may
/// need the core.
struct Idle {
    since: Instant,
}

/// For so long messages are looked for without a pause.
const EAGER: Duration = Duration::from_micros(100);
/// And then after pauses.
const PAUSE: Duration = Duration::from_micros(40);

impl Idle {
    fn new() -> Self {
        Idle { since: Instant::now() }
    }

    fn wait(&self) {
        if self.since.elapsed() < EAGER { thread::yield_now() } else { thread::sleep(PAUSE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_used_leaves_nothing() {
        let mut received = Received { part: vec![7; 5], len: 0 };
        received.next(2).copy_from_slice(&[1, 2]);
        received.next(1).copy_from_slice(&[3]);
        assert_eq!(received.whole(), [1, 2, 3]);
        let mut received = Received { part: vec![7; 2], len: 0 };
        received.next(4).copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(received.whole(), [1, 2, 3, 4]);
        assert_eq!(Received { part: vec![7; 2], len: 0 }.whole(), []);
    }

    #[test]
    fn the_last_message_tells_the_end() {
        let lengths = |part: &[u8]| pieces(part, 2).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [0]);
        assert_eq!(lengths(&[1]), [1]);
        assert_eq!(lengths(&[1, 2]), [2, 0]);
        assert_eq!(lengths(&[1, 2, 3]), [2, 1]);
    }
}
