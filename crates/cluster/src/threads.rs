//! Ranks as threads of one process, for tests.
use crate::{Communicator, Ticket, Wait, Watch};
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;

/// Why the first rank to fall did.
#[derive(Debug, Clone, Copy)]
enum Fall {
    Panicked,
    Aborted(i32),
}

/// One rank of a group of threads.
///
/// A rank that panics takes the others along: they panic when they next wait for it.
#[derive(Debug)]
pub struct Threads {
    rank: usize,
    started: u64,
    /// To each rank.
    senders: Vec<Sender<(u64, Vec<u8>)>>,
    /// From each rank.
    receivers: Vec<Receiver<(u64, Vec<u8>)>>,
    /// Parts of exchanges that are not finished yet, by rank and number.
    early: Vec<BTreeMap<u64, Vec<u8>>>,
    /// The first rank to fall: the others fall because of it.
    fallen: Arc<OnceLock<(usize, Fall)>>,
    watch: Option<Watch>,
}

impl Threads {
    /// This rank, which tells whom it waits for.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The ranks of a new group of `size`, one for each thread.
    pub fn group(size: usize) -> Vec<Threads> {
        let fallen = Arc::new(OnceLock::new());
        let mut ranks: Vec<Threads> = (0..size)
            .map(|rank| Threads {
                rank,
                started: 0,
                senders: Vec::new(),
                receivers: Vec::new(),
                early: vec![BTreeMap::new(); size],
                fallen: Arc::clone(&fallen),
                watch: None,
            })
            .collect();
        for from in 0..size {
            for to in 0..size {
                let (sender, receiver) = channel();
                ranks[from].senders.push(sender);
                ranks[to].receivers.push(receiver);
            }
        }
        ranks
    }

    /// Does `work` on `size` ranks, each in a thread of its own; returns what each returns, by rank.
    ///
    /// # Panics
    /// As the first rank that does.
    pub fn run<T: Send>(size: usize, work: impl Fn(Threads) -> T + Sync) -> Vec<T> {
        let ranks = Threads::group(size);
        let fallen = ranks.first().map(|rank| Arc::clone(&rank.fallen));
        let results: Vec<thread::Result<T>> = thread::scope(|scope| {
            let handles: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(|| work(rank))).collect();
            handles.into_iter().map(|handle| handle.join()).collect()
        });
        let first = fallen.and_then(|fallen| fallen.get().copied()).map_or(0, |(rank, _)| rank);
        let (mut all, mut panics) = (Vec::with_capacity(size), Vec::new());
        for (rank, result) in results.into_iter().enumerate() {
            match result {
                Ok(done) => all.push(done),
                Err(panic) => panics.push((rank != first, panic)),
            }
        }
        panics.sort_by_key(|(later, _)| *later);
        match panics.into_iter().next() {
            Some((_, panic)) => resume_unwind(panic),
            None => all,
        }
    }

    /// The part of exchange `number` from rank `from`; parts of later exchanges are kept for their turn.
    fn receive(&mut self, from: usize, number: u64, wait: &mut Option<Wait<'_>>) -> Vec<u8> {
        loop {
            if let Some(part) = self.early[from].remove(&number) {
                return part;
            }
            let received = match wait {
                Some(wait) => self.receivers[from].recv_timeout(wait.left()),
                None => self.receivers[from].recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match (received, &mut *wait) {
                (Ok((number, part)), _) => {
                    self.early[from].insert(number, part);
                }
                (Err(RecvTimeoutError::Timeout), Some(wait)) => wait.look(&self.late(from, number)),
                (Err(_), _) => self.deserted(from),
            }
        }
    }

    /// From which ranks, `first` and those behind it, no part of exchange `number` has come.
    fn late(&mut self, first: usize, number: u64) -> Vec<usize> {
        for (receiver, early) in self.receivers.iter().zip(&mut self.early) {
            early.extend(receiver.try_iter());
        }
        (first..self.size()).filter(|&from| !self.early[from].contains_key(&number)).collect()
    }

    fn deserted(&self, by: usize) -> ! {
        let why = match self.fallen.get() {
            Some((rank, Fall::Panicked)) => format!("rank {rank} panicked"),
            Some((rank, Fall::Aborted(code))) => format!("rank {rank} aborted all with code {code}"),
            None => format!("rank {by} left before the others"),
        };
        panic!("rank {}: {why}", self.rank)
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.senders.len()
    }

    fn start(&mut self, parts: Vec<Vec<u8>>) -> Ticket {
        assert_eq!(parts.len(), self.size(), "a part for each rank");
        let number = self.started;
        self.started += 1;
        for (to, part) in self.senders.iter().zip(parts) {
            // A rank that is gone needs none; who waits for its part finds out.
            let _ = to.send((number, part));
        }
        Ticket::new(number)
    }

    fn finish(&mut self, ticket: Ticket) -> Vec<Vec<u8>> {
        let mut watch = self.watch.take();
        let mut wait = watch.as_mut().map(Watch::begin);
        let parts = (0..self.size()).map(|from| self.receive(from, ticket.number(), &mut wait)).collect();
        self.watch = watch;
        parts
    }

    /// Ends this rank by a panic; the others panic when they next wait for it. The process is theirs too, so
    /// it stays.
    fn abort(&mut self, code: i32) -> ! {
        let _ = self.fallen.set((self.rank, Fall::Aborted(code)));
        panic!("rank {} aborts all with code {code}", self.rank)
    }
}

impl Drop for Threads {
    /// Before the channels close, so that who waits on them learns why.
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.fallen.set((self.rank, Fall::Panicked));
        }
    }
}
