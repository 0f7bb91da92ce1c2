//! A rank of an MPI job.
//!
//! One thread owns MPI: exchanges that are started go there and are done in their order, while whoever
//! started them works on. So MPI has to be safe for no more than that one thread.
use dlrm_cluster::{Communicator, Ticket, Watch};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::initialize_with_threading;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives, Destination, Source};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// Bytes from one rank to another that go at once. MPI counts in 32 bits, and what a rank sends to all others
/// has to be counted too.
const PIECE: u64 = 1 << 30;

/// A part for each rank, or from each.
type Parts = Vec<Vec<u8>>;

/// Why there is no rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MpiError(String);

impl fmt::Display for MpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MpiError {}

/// This process as a rank of its job. MPI ends when it is dropped.
pub struct Mpi {
    rank: usize,
    size: usize,
    /// Ranks on this machine, and those of them that run on the same cores.
    neighbours: [usize; 2],
    started: u64,
    orders: Option<Sender<Vec<Vec<u8>>>>,
    done: Receiver<Vec<Vec<u8>>>,
    /// Exchanges that are done and not finished yet.
    early: BTreeMap<u64, Vec<Vec<u8>>>,
    next: u64,
    thread: Option<JoinHandle<()>>,
}

/// What the thread says of the job when it has begun.
struct Begun {
    rank: usize,
    size: usize,
    neighbours: [usize; 2],
}

impl Mpi {
    /// Begins MPI, for a process that may run on these `cores`, as its system writes them; if it is the first
    /// rank, `watch` tells whom it waits for, from a thread of its own. Once in a process.
    ///
    /// # Errors
    /// If MPI was begun before, or there is no thread for it.
    pub fn start(cores: &str, watch: Watch) -> Result<Self, MpiError> {
        let (orders, taken) = mpsc::channel();
        let (does, done) = mpsc::channel();
        let (begun, begins) = mpsc::channel();
        let mut hasher = DefaultHasher::new();
        cores.hash(&mut hasher);
        let cores = hasher.finish();
        let work = move || own((cores, watch), &begun, (&taken, &does));
        let thread = thread::Builder::new().name("mpi".into()).spawn(work);
        let thread = thread.map_err(|e| MpiError(format!("cannot start a thread for MPI: {e}")))?;
        let begun = begins.recv().ok().flatten();
        let Some(Begun { rank, size, neighbours }) = begun else {
            return Err(MpiError("MPI was begun before in this process".into()));
        };
        let (orders, thread) = (Some(orders), Some(thread));
        Ok(Mpi { rank, size, neighbours, started: 0, orders, done, early: BTreeMap::new(), next: 0, thread })
    }

    /// Ranks on this machine, this one included.
    pub fn neighbours(&self) -> usize {
        self.neighbours[0]
    }

    /// Those of them that run on the same cores, this one included: all where the launcher binds none, this
    /// one alone where it binds each to cores of its own.
    pub fn sharing(&self) -> usize {
        self.neighbours[1]
    }

    /// The results of exchange `number`; those of later ones are kept for their turn.
    fn result(&mut self, number: u64) -> Vec<Vec<u8>> {
        loop {
            if let Some(parts) = self.early.remove(&number) {
                return parts;
            }
            let Ok(parts) = self.done.recv() else { panic!("rank {}: MPI has ended", self.rank) };
            self.early.insert(self.next, parts);
            self.next += 1;
        }
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn start(&mut self, parts: Vec<Vec<u8>>) -> Ticket {
        assert_eq!(parts.len(), self.size, "a part for each rank");
        self.started += 1;
        // A thread that is gone is noticed by whoever waits for it.
        let _ = self.orders.as_ref().map(|orders| orders.send(parts));
        Ticket::new(self.started - 1)
    }

    fn finish(&mut self, ticket: Ticket) -> Vec<Vec<u8>> {
        self.result(ticket.number())
    }

    /// Ends this process; whatever started the job ends the others, for this one leaves without MPI's
    /// farewell.
    fn abort(&mut self, code: i32) -> ! {
        std::process::exit(code)
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        drop(self.orders.take());
        if !thread::panicking() {
            // MPI's farewell waits for the other ranks.
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

/// What the thread does that owns MPI.
fn own(
    (cores, mut watch): (u64, Watch),
    begun: &Sender<Option<Begun>>,
    (orders, done): (&Receiver<Parts>, &Sender<Parts>),
) {
    let Some((universe, _)) = initialize_with_threading(Threading::Funneled) else {
        let _ = begun.send(None);
        return;
    };
    let world = universe.world();
    let own = |n: i32| usize::try_from(n).expect("MPI counts ranks from 0");
    let (rank, size) = (own(world.rank()), own(world.size()));
    let machine = world.split_shared(world.rank());
    let mut all = vec![0u64; own(machine.size())];
    machine.all_gather_into(&cores, &mut all[..]);
    let neighbours = [all.len(), all.iter().filter(|&&others| others == cores).count()];
    if begun.send(Some(Begun { rank, size, neighbours })).is_err() {
        return;
    }
    while let Ok(parts) = orders.recv() {
        meet(&world, &mut watch);
        if done.send(exchange(&world, &parts)).is_err() {
            return;
        }
    }
}

/// The tag of a message that says no more than that a rank has come to an exchange.
const HERE: i32 = 1;

/// Waits until all ranks have come to the exchange, on the first one, which tells who is late.
///
/// MPI's collectives do not say whom they wait for, so each rank says that it is here before they begin: a
/// message of one byte, which nobody answers. The exchange behind it could not be done before the last rank
/// has come either, and takes the first one some microseconds longer. Steps take milliseconds.
fn meet(world: &SimpleCommunicator, watch: &mut Watch) {
    if world.rank() != 0 {
        world.process_at_rank(0).send_with_tag(&[0u8][..], HERE);
        return;
    }
    let mut late: Vec<usize> = (1..world.size() as usize).collect();
    let mut wait = watch.begin();
    while !late.is_empty() {
        late.retain(|&rank| {
            let rank = world.process_at_rank(rank as i32);
            let here = rank.immediate_probe_with_tag(HERE).is_some();
            if here {
                rank.receive_into_with_tag(&mut [0u8][..], HERE);
            }
            !here
        });
        wait.look(&late);
        // Where ranks share cores, another one may need this.
        thread::yield_now();
    }
}

/// Sends a part to each rank; what each has sent to this one.
fn exchange(world: &SimpleCommunicator, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let sizes: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
    let mut coming = vec![0u64; sizes.len()];
    world.all_to_all_into(&sizes[..], &mut coming[..]);
    // All ranks cut at the same places, so often as the largest part of any needs it.
    let piece = PIECE / parts.len() as u64;
    let (own, mut largest) = (sizes.iter().copied().max().unwrap_or(0), 0u64);
    world.all_reduce_into(&own, &mut largest, SystemOperation::max());
    let mut received: Vec<Vec<u8>> = coming.iter().map(|&size| Vec::with_capacity(size as usize)).collect();
    for first in (0..largest).step_by(piece as usize) {
        let cut = |size: u64| size.saturating_sub(first).min(piece) as usize;
        // Never without memory: where an empty vector points to is what MPI takes for `MPI_IN_PLACE`.
        let mut send: Vec<u8> = Vec::with_capacity(sizes.iter().map(|&size| cut(size)).sum::<usize>() + 1);
        for (part, &size) in parts.iter().zip(&sizes) {
            send.extend_from_slice(&part[first.min(size) as usize..][..cut(size)]);
        }
        let (send_counts, send_places) = counted(sizes.iter().map(|&size| cut(size)));
        let (counts, places) = counted(coming.iter().map(|&size| cut(size)));
        let coming = counts.iter().map(|&n| n as usize).sum::<usize>();
        let mut receive = vec![0u8; coming + 1];
        world.all_to_all_varcount_into(
            &Partition::new(&send[..], &send_counts[..], &send_places[..]),
            &mut PartitionMut::new(&mut receive[..coming], &counts[..], &places[..]),
        );
        let mut rest = &receive[..coming];
        for (received, &count) in received.iter_mut().zip(&counts) {
            let (own, others) = rest.split_at(count as usize);
            received.extend_from_slice(own);
            rest = others;
        }
    }
    received
}

/// Counts as MPI takes them, and where each part begins.
fn counted(sizes: impl Iterator<Item = usize>) -> (Vec<i32>, Vec<i32>) {
    let counts: Vec<i32> = sizes.map(|size| i32::try_from(size).expect("pieces are cut to fit")).collect();
    let places = counts.iter().scan(0, |place, &count| {
        let own = *place;
        *place += count;
        Some(own)
    });
    let places = places.collect();
    (counts, places)
}
