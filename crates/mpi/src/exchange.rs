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

/// Most bytes of a message: MPI counts in 32 bits, and several overlap. The last message of a part is
/// shorter, if need be empty: so whoever receives knows its end.
const PIECE: usize = 1 << 22;

/// The tag of all messages: those from one rank to another come in the order in which they were sent.
const TAG: i32 = 1;

/// Sends a part to each rank; what each has sent to this one. On the first rank `watch` tells who is late.
/// `spare` is what was sent before: the next parts are received there.
pub(crate) fn exchange(
    world: &SimpleCommunicator,
    mut parts: Vec<Vec<u8>>,
    spare: &mut Vec<Vec<u8>>,
    watch: &mut Watch,
) -> Vec<Vec<u8>> {
    let (rank, size) = (world.rank() as usize, parts.len());
    // Parts to a rank and from it are about as long. A step has exchanges of several lengths.
    let mut received = vec![Vec::new(); size];
    received.iter_mut().for_each(|part| *part = spare.pop().unwrap_or_default());
    received[rank] = std::mem::take(&mut parts[rank]);
    // Not all to the same rank first.
    let others = || (1..size).map(|distance| (rank + distance) % size);
    request::scope(|scope| {
        let send = |to: usize, piece| {
            (to, world.process_at_rank(to as i32).immediate_send_with_tag(scope, piece, TAG))
        };
        let mut sends: Vec<_> = others()
            .flat_map(|to| pieces(&parts[to]).map(move |piece| (to, piece)))
            .map(|(to, p)| send(to, p))
            .collect();
        let mut coming: Vec<usize> = others().collect();
        let (mut wait, mut idle) = (watch.begin(), Idle::new());
        while !(coming.is_empty() && sends.is_empty()) {
            let open = coming.len() + sends.len();
            coming.retain(|&from| !take(world, from, &mut received[from]));
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
    parts.iter_mut().for_each(Vec::clear);
    spare.extend(parts.into_iter().filter(|part| part.capacity() > 0));
    received
}

/// The messages of a part.
fn pieces(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..=part.len() / PIECE).map(move |piece| &part[piece * PIECE..part.len().min((piece + 1) * PIECE)])
}

/// Takes the messages that have come from a rank; whether its part is whole.
fn take(world: &SimpleCommunicator, from: usize, part: &mut Vec<u8>) -> bool {
    let from = world.process_at_rank(from as i32);
    while let Some(status) = from.immediate_probe_with_tag(TAG) {
        let count = status.count(u8::equivalent_datatype()) as usize;
        let start = part.len();
        part.reserve_exact(count);
        part.resize(start + count, 0);
        from.receive_into_with_tag(&mut part[start..], TAG);
        if count < PIECE {
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
    fn the_last_message_tells_the_end() {
        assert_eq!(pieces(&[]).map(<[u8]>::len).collect::<Vec<_>>(), [0]);
        assert_eq!(pieces(&[1, 2]).map(<[u8]>::len).collect::<Vec<_>>(), [2]);
        assert!(pieces(&[0; 3]).all(|piece| piece.len() < PIECE));
    }
}
