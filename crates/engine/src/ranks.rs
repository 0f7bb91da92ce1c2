//! The ranks of a run: processes that share its steps.
//!
//! Every rank does the same run on the same rows, holds its share of the tables and computes its share of
//! each step's gradients. The first one is the run as one process would do it: it alone looks at the clock
//! and at signals, writes, saves and prints. What it decides by these it tells the others. Where it works
//! alone, while it saves and once training is over, the others answer what it asks of them.
use crate::error::{Error, Result};
use crate::spare::Spare;
use dlrm_cluster::{Communicator, Ticket};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ranks of a run, seen from one of them. One rank alone by default.
#[derive(Clone, Default)]
pub struct Ranks {
    shared: Option<Arc<Mutex<Shared>>>,
    rank: usize,
    others: usize,
    spare: Arc<Spare>,
}

struct Shared {
    communicator: Box<dyn Communicator>,
    /// What the others have sent for the next exchange of the first rank, which asked them something first.
    early: Option<Vec<Vec<u8>>>,
    /// Whether this rank or the first one has left.
    is_over: bool,
    /// Whether the first one has left by itself.
    first_left: bool,
}

/// What ends a message: whether the rank that sent it goes on.
const GOES_ON: u8 = 0;
const LEAVES: u8 = 1;
const FAILS: u8 = 2;
/// Of the first rank alone: the others are to answer, and then to wait for what they have waited for.
const ASKS: u8 = 3;

/// What a rank that waits for the first one answers to its question.
pub(crate) type Answer<'a> = &'a mut dyn FnMut(&[u8]) -> Vec<u8>;

impl Ranks {
    /// Those of a communicator.
    pub fn new(communicator: Box<dyn Communicator>) -> Self {
        let (rank, others) = (communicator.rank(), communicator.size() - 1);
        let shared = (others > 0).then(|| {
            Arc::new(Mutex::new(Shared { communicator, early: None, is_over: false, first_left: false }))
        });
        // Those of two exchanges, one of which is on its way.
        let spare = Arc::new(Spare::new(2 * others));
        Ranks { shared, rank, others, spare }
    }

    /// Bytes that end a message: who makes room for them saves a copy.
    const TAG: usize = 1;

    /// An empty message with room for so many bytes.
    pub(crate) fn message(&self, bytes: usize) -> Vec<u8> {
        self.spare.take(bytes + Ranks::TAG)
    }

    /// These messages have been read.
    pub(crate) fn have_read(&self, messages: Vec<Vec<u8>>) {
        self.spare.put(messages);
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
        self.exchange(vec![own; self.size()], GOES_ON, &mut |_| Vec::new())
    }

    /// Sends a part to each rank; returns what each has sent to this one. Until the first one is there too,
    /// this one answers its questions.
    ///
    /// # Errors
    /// As [`Ranks::all_gather`].
    pub(crate) fn swap(&self, parts: Vec<Vec<u8>>, answer: Answer<'_>) -> Result<Vec<Vec<u8>>> {
        self.exchange(parts, GOES_ON, answer)
    }

    /// Begins to send a part to each rank in the middle of a step, where the first one asks nothing.
    pub(crate) fn start(&self, mut parts: Vec<Vec<u8>>) -> Option<Ticket> {
        let mut shared = self.lock()?;
        parts.iter_mut().for_each(|part| part.push(GOES_ON));
        Some(shared.communicator.start(parts))
    }

    /// What each rank has sent in an exchange that was started.
    pub(crate) fn finish(&self, ticket: Ticket) -> Vec<Vec<u8>> {
        let Some(mut shared) = self.lock() else { return Vec::new() };
        let mut all = shared.communicator.finish(ticket);
        for part in &mut all {
            part.pop();
        }
        all
    }

    /// Asks each of the others something, from the first rank, wherever they wait for it; what each answers.
    ///
    /// # Errors
    /// [`Error::Rank`] if another one cannot go on.
    pub(crate) fn ask(&self, mut questions: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let Some(mut shared) = self.lock() else { return Ok(questions) };
        if shared.is_over {
            return Err(Error::Assisted);
        }
        questions.iter_mut().for_each(|question| question.push(ASKS));
        let waiting = shared.swap(questions);
        if let Some(rank) = position(&waiting, FAILS) {
            shared.is_over = true;
            return Err(Error::Rank { rank });
        }
        shared.early.get_or_insert(waiting);
        Ok(shared.swap(vec![Vec::new(); self.size()]))
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
        let _ = self.exchange(vec![Vec::new(); self.size()], LEAVES, &mut |_| Vec::new());
    }

    /// Tells the others that this rank cannot go on, once; whether the first one has left by itself, and has
    /// said why.
    pub fn fail(&self) -> bool {
        let nothing = vec![Vec::new(); self.size()];
        // Where all is over, there is nobody to tell.
        let _ = self.exchange(nothing, FAILS, &mut |_| Vec::new());
        self.lock().is_some_and(|mut shared| {
            shared.is_over = true;
            shared.first_left
        })
    }

    fn exchange(&self, mut parts: Vec<Vec<u8>>, tag: u8, answer: Answer<'_>) -> Result<Vec<Vec<u8>>> {
        let Some(mut shared) = self.lock() else { return Ok(parts) };
        if shared.is_over {
            return Err(Error::Assisted);
        }
        parts.iter_mut().for_each(|part| part.push(tag));
        let mut all = shared.swap(parts);
        if let Some(early) = shared.early.take() {
            all.splice(1.., early.into_iter().skip(1));
        }
        let failed = position(&all, FAILS);
        while failed.is_none() && position(&all, ASKS) == Some(0) {
            let mut answers = vec![Vec::new(); self.size()];
            all[0].pop();
            answers[0] = answer(&all[0]);
            shared.swap(answers);
            all[0] = shared.swap(vec![Vec::new(); self.size()]).swap_remove(0);
        }
        shared.first_left = all[0].last() == Some(&LEAVES);
        let left = tag == LEAVES || shared.first_left;
        for part in &mut all {
            part.pop();
        }
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

impl Shared {
    fn swap(&mut self, parts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let ticket = self.communicator.start(parts);
        self.communicator.finish(ticket)
    }
}

/// The first rank whose message ends with `tag`.
fn position(messages: &[Vec<u8>], tag: u8) -> Option<usize> {
    messages.iter().position(|message| message.last() == Some(&tag))
}

impl fmt::Debug for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}
