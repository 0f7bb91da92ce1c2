//! Packed files, unpacked on a thread of their own a little ahead of whoever reads them: to unpack takes
//! longer than to find the rows, and several files can be unpacked at once although their rows come in order.
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

/// Bytes that are handed over at once.
const PIECE: usize = 256 << 10;
/// Pieces that may wait to be read: 16 MiB a file.
const WAITING: usize = 64;

/// Unpacked bytes.
pub(super) struct Unpacking {
    piece: Vec<u8>,
    at: usize,
    /// Further ones, if the first was not all.
    rest: Option<Rest>,
}

/// What comes behind the first piece.
struct Rest {
    pieces: Option<Receiver<io::Result<Vec<u8>>>>,
    /// Memory for further pieces goes back.
    read: Sender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Unpacking {
    /// What `packed` unpacks to. A short file needs no thread.
    ///
    /// # Errors
    /// If the system has no thread for a longer one.
    pub(super) fn new(mut packed: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut piece = Vec::new();
        let rest = match fill(&mut *packed, &mut piece) {
            Ok(()) if piece.len() < PIECE => None,
            first => Some(Rest::begin(packed, first.err())?),
        };
        Ok(Unpacking { piece, at: 0, rest })
    }
}

impl Rest {
    /// Goes on with `packed`, or ends with the error that is known.
    fn begin(mut packed: Box<dyn Read + Send>, error: Option<io::Error>) -> io::Result<Self> {
        let ((send, pieces), (read, free)) = (sync_channel(WAITING), channel::<Vec<u8>>());
        let unpack = move || {
            if let Some(error) = error {
                let _ = send.send(Err(error));
                return;
            }
            loop {
                let mut piece = free.try_recv().unwrap_or_default();
                let ended = fill(&mut *packed, &mut piece);
                let is_last = piece.len() < PIECE;
                // Nobody reads on where sending fails.
                if !piece.is_empty() && send.send(Ok(piece)).is_err() {
                    return;
                }
                if let Err(error) = ended {
                    let _ = send.send(Err(error));
                    return;
                }
                if is_last {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().spawn(unpack)?;
        Ok(Rest { pieces: Some(pieces), read, thread: Some(thread) })
    }
}

/// Refills `piece`, which is shorter than [`PIECE`] at the end or where an error follows.
fn fill(packed: &mut dyn Read, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.resize(PIECE, 0);
    let mut filled = 0;
    while filled < PIECE {
        match packed.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                piece.truncate(filled);
                return Err(error);
            }
        }
    }
    piece.truncate(filled);
    Ok(())
}

impl Read for Unpacking {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let Some(rest) = &mut self.rest else { return Ok(0) };
            match rest.pieces.as_ref().map(Receiver::recv) {
                Some(Ok(piece)) => {
                    let piece = std::mem::replace(&mut self.piece, piece?);
                    // The thread may have ended.
                    let _ = rest.read.send(piece);
                    self.at = 0;
                }
                _ => return rest.end().map(|()| 0),
            }
        }
        let read = out.len().min(self.piece.len() - self.at);
        out[..read].copy_from_slice(&self.piece[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}

impl Rest {
    /// Waits for the thread; a panic of it must not look like the end of the file.
    fn end(&mut self) -> io::Result<()> {
        self.pieces = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => Ok(()),
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        // Ends a thread that waits for somebody to read.
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `bytes` in reads of odd sizes, then an error or the end.
    struct Source(Vec<u8>, usize, Option<ErrorKind>);

    impl Read for Source {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let read = out.len().min(9973).min(self.0.len() - self.1);
            if let (0, Some(kind)) = (read, self.2) {
                return Err(kind.into());
            }
            out[..read].copy_from_slice(&self.0[self.1..self.1 + read]);
            self.1 += read;
            Ok(read)
        }
    }

    #[test]
    fn the_bytes_and_their_error_come_in_order() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, (WAITING + 3) * PIECE + 7] {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            for error in [None, Some(ErrorKind::InvalidData)] {
                let source = Box::new(Source(bytes.clone(), 0, error));
                let mut found = Vec::new();
                let ended = Unpacking::new(source).expect("a thread").read_to_end(&mut found);
                assert!(found == bytes, "{length}");
                assert_eq!(ended.err().map(|error| error.kind()), error, "{length}");
            }
        }
        // Who reads no further waits for nobody.
        let endless = Source(vec![7; 200 * PIECE], 0, None);
        let mut begun = Unpacking::new(Box::new(endless)).expect("a thread");
        begun.read_exact(&mut [0; 10]).expect("read");
    }
}
