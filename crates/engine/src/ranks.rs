//! The ranks of a run: processes that share its steps.
//!
//! Every rank does the same run on the same rows and computes its share of each step's gradients. The first
//! one is the run as one process would do it: it alone looks at the clock and at signals, writes, saves and
//! prints. What it decides by these it tells the others, which assist until its training is over.
use crate::error::{Error, Result};
use dlrm_cluster::Communicator;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ranks of a run, seen from one of them. One rank alone by default.
#[derive(Clone, Default)]
pub struct Ranks {
    shared: Option<Arc<Mutex<Shared>>>,
    rank: usize,
    others: usize,
}

struct Shared {
    communicator: Box<dyn Communicator>,
    /// Whether this rank or the first one has left.
    is_over: bool,
}

/// What ends a message: whether the rank that sent it goes on.
const GOES_ON: u8 = 0;
const LEAVES: u8 = 1;
const FAILS: u8 = 2;

impl Ranks {
    /// Those of a communicator.
    pub fn new(communicator: Box<dyn Communicator>) -> Self {
        let (rank, others) = (communicator.rank(), communicator.size() - 1);
        let shared = (others > 0).then(|| Arc::new(Mutex::new(Shared { communicator, is_over: false })));
        Ranks { shared, rank, others }
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of ranks.
    pub fn size(&self) -> usize {
        self.others + 1
    }

    /// Whether this is the rank that writes, saves and prints.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    fn lock(&self) -> Option<MutexGuard<'_, Shared>> {
        Some(self.shared.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends `own` to every rank; returns what each has sent, by rank.
    ///
    /// # Errors
    /// [`Error::Assisted`] if the first rank has left, [`Error::Rank`] if another one cannot go on.
    pub(crate) fn all_gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.exchange(own, GOES_ON)
    }

    /// What the first rank decides; `own` is not asked for on others.
    ///
    /// # Errors
    /// As [`Ranks::all_gather`].
    pub(crate) fn decide(&self, own: impl FnOnce() -> bool) -> Result<bool> {
        if self.others == 0 {
            return Ok(own());
        }
        let own = if self.is_first() { vec![u8::from(own())] } else { Vec::new() };
        Ok(self.all_gather(own)?.first().is_some_and(|first| first == &[1]))
    }

    /// The last exchange of this rank. Where the first one leaves in the middle, the others learn of it.
    pub fn leave(&self) {
        // Whoever has left before has nobody to tell.
        let _ = self.exchange(Vec::new(), LEAVES);
    }

    /// Tells the others that this rank cannot go on; whether the first one has left by itself, and has said
    /// why.
    pub fn fail(&self) -> bool {
        let left = matches!(self.exchange(Vec::new(), FAILS), Err(Error::Assisted));
        if let Some(mut shared) = self.lock() {
            shared.is_over = true;
        }
        left
    }

    fn exchange(&self, mut own: Vec<u8>, tag: u8) -> Result<Vec<Vec<u8>>> {
        let Some(mut shared) = self.lock() else { return Ok(vec![own]) };
        if shared.is_over {
            return Err(Error::Assisted);
        }
        own.push(tag);
        let mut all = shared.communicator.all_gather(own);
        let tags: Vec<Option<u8>> = all.iter_mut().map(Vec::pop).collect();
        let failed = tags.iter().position(|tag| *tag == Some(FAILS));
        let left = tag == LEAVES || tags.first() == Some(&Some(LEAVES));
        shared.is_over = left || failed.is_some();
        match failed {
            _ if left => Err(Error::Assisted),
            Some(rank) if rank != self.rank => Err(Error::Rank { rank }),
            _ => Ok(all),
        }
    }

    /// Ends all ranks with this exit code.
    pub fn abort(&self, code: i32) -> ! {
        match self.lock() {
            Some(mut shared) => shared.communicator.abort(code),
            None => std::process::exit(code),
        }
    }
}

impl fmt::Debug for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}
