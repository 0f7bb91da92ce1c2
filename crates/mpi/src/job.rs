//! A rank of an MPI job.
//!
//! One thread owns MPI: exchanges that are started go there and are done in their order, while whoever
//! started them works on. So MPI has to be safe for no more than that one thread.
use crate::exchange::{FAR, NEAR, exchange};
use dlrm_cluster::{Communicator, Ticket, Watch};
use mpi::Threading;
use mpi::environment::initialize_with_threading;
use mpi::traits::{Communicator as _, CommunicatorCollectives};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// What each rank sends, or has sent, by rank.
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
    let mut on_this = vec![0i32; machine.size() as usize];
    machine.all_gather_into(&world.rank(), &mut on_this[..]);
    let most = |rank| if on_this.contains(&rank) { NEAR } else { FAR };
    let most: Vec<usize> = (0..world.size()).map(most).collect();
    let mut spare = Vec::new();
    while let Ok(parts) = orders.recv() {
        if done.send(exchange(&world, parts, &most, &mut spare, &mut watch)).is_err() {
            return;
        }
    }
}
