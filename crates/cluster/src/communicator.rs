//! What ranks can do together.

/// An exchange that was started and is to be finished, once.
#[derive(Debug)]
#[must_use = "an exchange that is started must be finished by all ranks"]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket of a communicator's exchange with this number.
    pub fn new(number: u64) -> Self {
        Ticket(number)
    }

    /// The number of the exchange.
    pub fn number(&self) -> u64 {
        self.0
    }
}

/// One rank's end of the connections among all.
///
/// All ranks start the same exchanges in the same order. They may finish them in any order, and may start
/// others before.
///
/// # Panics
/// All methods panic where another rank is gone: no rank can go on without the others.
pub trait Communicator: Send {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Starts to send `parts[r]` to each rank r, this one included, without waiting for any.
    fn start(&mut self, parts: Vec<Vec<u8>>) -> Ticket;

    /// Waits for the exchange's parts: element r is what rank r has sent to this one.
    fn finish(&mut self, ticket: Ticket) -> Vec<Vec<u8>>;

    /// Ends all ranks, with this exit code where they are processes of their own.
    fn abort(&mut self, code: i32) -> !;

    /// Sends `own` to every rank; returns what each has sent, by rank.
    fn all_gather(&mut self, own: Vec<u8>) -> Vec<Vec<u8>> {
        let mut parts = vec![own.clone(); self.size() - 1];
        parts.push(own);
        let ticket = self.start(parts);
        self.finish(ticket)
    }

    /// Sends `bytes` of rank `root` to every rank, which returns them; what other ranks give is ignored.
    fn broadcast(&mut self, root: usize, bytes: Vec<u8>) -> Vec<u8> {
        let parts =
            if self.rank() == root { vec![bytes; self.size()] } else { vec![Vec::new(); self.size()] };
        let ticket = self.start(parts);
        self.finish(ticket).swap_remove(root)
    }

    /// Sends `own` to rank `root`, which returns what each has sent, by rank; the others return nothing.
    fn gather(&mut self, root: usize, own: Vec<u8>) -> Vec<Vec<u8>> {
        let mut parts = vec![Vec::new(); self.size()];
        parts[root] = own;
        let ticket = self.start(parts);
        let received = self.finish(ticket);
        if self.rank() == root { received } else { Vec::new() }
    }

    /// Waits until every rank is here.
    fn barrier(&mut self) {
        self.all_gather(Vec::new());
    }
}
