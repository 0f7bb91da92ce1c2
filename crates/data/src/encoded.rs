//! Training rows of raw files, encoded as they are read: by a pass on several threads that runs a little
//! ahead of whoever takes the rows, and stands still while nobody does.
use crate::batch::{Arity, Batch};
use crate::batches::RowStream;
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::parse::Labels;
use crate::pass::{Block, Pass, PassInput, ResumePoint};
use crate::row::RowSource;
use crate::rows::{GoodRow, OpenRows};
use crate::split::Part;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Blocks of rows that may wait to be taken, for each thread.
const WAITING: usize = 2;

/// Decides the part of a row from its number, time and fold.
pub(crate) type PartOf = Box<dyn FnMut(u64, f64, &str) -> Part + Send>;

/// An input that is open already, for one pass.
pub(crate) struct Opened {
    pub source: Mutex<Option<Box<dyn RowSource>>>,
    pub name: String,
    pub labels: Labels,
    /// Column of given folds.
    pub fold: Option<String>,
}

impl OpenRows for Opened {
    fn open_rows(&self) -> Result<Box<dyn RowSource>> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(source.expect("one pass"))
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// The training rows of an input, encoded as they are read.
pub struct EncodedRows {
    blocks: Option<Receiver<Batch>>,
    pass: Option<JoinHandle<Result<()>>>,
    arities: Vec<Arity>,
    /// Rows that are being taken, from `at` on.
    block: Batch,
    at: usize,
    picks: Vec<u32>,
}

impl EncodedRows {
    /// Those of `input` that `part` gives to training; up to `most_bad` malformed rows are skipped. Reads on
    /// `threads` threads; no result depends on it.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub(crate) fn new(
        input: Opened,
        encoder: Arc<Encoder>,
        part: PartOf,
        most_bad: u64,
        threads: usize,
    ) -> Result<Self> {
        let (send, blocks) = sync_channel(WAITING * threads.max(1));
        let (arities, block) = (encoder.arities(), Batch::new(&encoder.layout()));
        let pass = crate::threads::spawn(move || encode(&input, &encoder, part, most_bad, threads, &send))?;
        Ok(EncodedRows { blocks: Some(blocks), pass: Some(pass), arities, block, at: 0, picks: Vec::new() })
    }
}

/// Sends the training rows, block by block, until nobody takes them.
fn encode(
    input: &Opened,
    encoder: &Encoder,
    mut part: PartOf,
    most_bad: u64,
    threads: usize,
    send: &SyncSender<Batch>,
) -> Result<()> {
    let (layout, arities) = (encoder.layout(), encoder.arities());
    let inputs = [PassInput { rows: input, labels: input.labels, fold: input.fold.as_deref() }];
    let (mut picks, mut taken) = (Vec::new(), true);
    let mut part = |_: usize, number: u64, row: &GoodRow, fold: &str| part(number, row.parsed.time, fold);
    let work = |block: &Block| encoder.encode_block(block);
    let pass = Pass { inputs: &inputs, schema: encoder.schema(), threads };
    let ended = pass.run(ResumePoint::start(most_bad), &work, &mut part, &mut |block, encoded, _| {
        block.pick(Part::Train, &mut picks);
        let rows = if picks.len() == encoded.len() {
            encoded
        } else {
            let mut rows = Batch::new(&layout);
            rows.push_rows_of(&encoded, &picks, &arities);
            rows
        };
        taken = rows.is_empty() || send.send(rows).is_ok();
        // Any error ends the pass; nobody is there to read this one.
        if taken { Ok(()) } else { Err(Error::input(input.name(), "somebody to take its rows", "nobody")) }
    });
    if taken { ended.map(|_| ()) } else { Ok(()) }
}

impl RowStream for EncodedRows {
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
        while self.at == self.block.len() {
            let Some(Ok(block)) = self.blocks.as_ref().map(Receiver::recv) else {
                // The pass has ended: with the rows, with an error, or by a panic that must not look like the
                // end of the rows.
                return match self.pass.take().map(JoinHandle::join) {
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    Some(Ok(ended)) => ended.map(|()| 0),
                    None => Ok(0),
                };
            };
            (self.block, self.at) = (block, 0);
        }
        let end = self.block.len().min(self.at + most);
        self.picks.clear();
        self.picks.extend(self.at as u32..end as u32);
        batch.push_rows_of(&self.block, &self.picks, &self.arities);
        Ok(end - std::mem::replace(&mut self.at, end))
    }
}

impl Drop for EncodedRows {
    fn drop(&mut self) {
        // Ends a pass that waits for somebody to take its rows.
        self.blocks = None;
        if let Some(pass) = self.pass.take() {
            // An error of rows that nobody takes concerns nobody; a panic has been reported by its own
            // thread.
            let _ = pass.join();
        }
    }
}
