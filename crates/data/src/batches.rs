//! Rows in batches: from memory with a full shuffle, from a stream with a window shuffle or as they come, and
//! decoding ahead of any.
use crate::batch::{Arity, Batch, BatchSource, Layout};
use crate::error::Result;
use crate::rng::Rng;
use crate::threads;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Rows in memory in a new random order every epoch. The order depends on (seed, epoch) alone.
pub struct MemoryBatches {
    rows: Arc<Batch>,
    arities: Vec<Arity>,
    order: Vec<u32>,
    batch_size: usize,
    at: usize,
}

impl MemoryBatches {
    /// Epoch `epoch` of `rows`, after its first `skip` batches.
    pub fn new(rows: Arc<Batch>, batch_size: usize, seed: u64, epoch: u64, skip: u64) -> Self {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        Rng::new(seed, epoch).shuffle(&mut order);
        let at = order.len().min((skip as usize).saturating_mul(batch_size));
        MemoryBatches { arities: rows.arities(), rows, order, batch_size, at }
    }

    /// Leaves the ids of these features out: their bags are empty.
    #[must_use]
    pub fn without(mut self, features: &[usize]) -> Self {
        features.iter().for_each(|&feature| self.arities[feature] = Arity::None);
        self
    }
}

impl BatchSource for MemoryBatches {
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        out.clear();
        let end = self.order.len().min(self.at + self.batch_size);
        out.push_rows_of(&self.rows, &self.order[self.at..end], &self.arities);
        self.at = end;
        Ok(!out.is_empty())
    }
}

/// Encoded rows, run after run.
pub trait RowStream: Send {
    /// Appends up to `most` (at least 1) further rows to `batch` and tells how many; 0 only at the end.
    ///
    /// # Errors
    /// As the data behind it.
    fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize>;
}

/// Rows that are read at a time.
const BURST: usize = 1 << 14;

/// Rows of a stream, window by window: a window of consecutive rows is read, put in random order and emitted.
/// Rows move within their window only, so a file sorted by label or time needs a window of a good share of
/// it.
///
/// While one window is emitted the next is read, some batches' worth of rows at a time: no batch waits for a
/// whole window, and most steps have the cores for themselves, for a step whose threads are held up unevenly
/// waits for the last of them.
pub struct StreamBatches {
    rows: Box<dyn RowStream>,
    ended: bool,
    window: Batch,
    arities: Vec<Arity>,
    without: Vec<usize>,
    order: Vec<u32>,
    at: usize,
    next: Batch,
    /// Rows emitted that have not been made up for.
    due: usize,
    size: usize,
    batch_size: usize,
    rng: Rng,
}

impl StreamBatches {
    /// One pass.
    pub fn new(
        rows: Box<dyn RowStream>,
        layout: &Layout,
        batch_size: usize,
        window: usize,
        rng: Rng,
    ) -> Self {
        StreamBatches {
            rows,
            ended: false,
            window: Batch::new(layout),
            arities: Vec::new(),
            without: Vec::new(),
            order: Vec::new(),
            at: 0,
            next: Batch::new(layout),
            due: 0,
            size: window.max(1),
            batch_size,
            rng,
        }
    }

    /// Leaves the ids of these features out: their bags are empty.
    #[must_use]
    pub fn without(self, features: Vec<usize>) -> Self {
        StreamBatches { without: features, ..self }
    }

    /// Reads up to `rows` rows of the next window.
    fn read(&mut self, rows: usize) -> Result<()> {
        let goal = self.size.min(self.next.len() + rows);
        while self.next.len() < goal && !self.ended {
            let most = goal - self.next.len();
            self.ended = self.rows.append_rows(&mut self.next, most)? == 0;
        }
        Ok(())
    }

    /// Goes on to the next window; `false` at the end of the stream.
    fn turn(&mut self) -> Result<bool> {
        self.read(self.size)?;
        self.due = 0;
        std::mem::swap(&mut self.window, &mut self.next);
        self.next.clear();
        self.arities = self.window.arities();
        self.without.iter().for_each(|&feature| self.arities[feature] = Arity::None);
        self.order.clear();
        self.order.extend(0..self.window.len() as u32);
        self.rng.shuffle(&mut self.order);
        self.at = 0;
        Ok(!self.window.is_empty())
    }
}

impl BatchSource for StreamBatches {
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        out.clear();
        while out.len() < self.batch_size {
            if self.at == self.order.len() && !self.turn()? {
                break;
            }
            let end = self.order.len().min(self.at + self.batch_size - out.len());
            out.push_rows_of(&self.window, &self.order[self.at..end], &self.arities);
            self.due += end - self.at;
            self.at = end;
            if self.due >= BURST {
                let due = std::mem::take(&mut self.due);
                self.read(due)?;
            }
        }
        Ok(!out.is_empty())
    }
}

/// Rows of a stream in their order.
pub struct OrderedBatches {
    rows: Box<dyn RowStream>,
    batch_size: usize,
}

impl OrderedBatches {
    /// One pass.
    pub fn new(rows: Box<dyn RowStream>, batch_size: usize) -> Self {
        OrderedBatches { rows, batch_size }
    }
}

impl BatchSource for OrderedBatches {
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        out.clear();
        while out.len() < self.batch_size {
            let most = self.batch_size - out.len();
            if self.rows.append_rows(out, most)? == 0 {
                break;
            }
        }
        Ok(!out.is_empty())
    }
}

/// Batches made ahead on a thread of their own, in recycled memory: the step never waits for decoding.
pub struct Prefetch {
    full: Option<Receiver<Result<Batch>>>,
    empty: SyncSender<Batch>,
    worker: Option<JoinHandle<()>>,
}

/// Batches on their way.
const DEPTH: usize = 3;

impl Prefetch {
    /// Runs `source` ahead.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn new(mut source: Box<dyn BatchSource>, layout: &Layout) -> Result<Self> {
        let (empty, to_fill) = sync_channel::<Batch>(DEPTH);
        let (done, full) = sync_channel(DEPTH);
        for _ in 0..DEPTH {
            // The channel holds DEPTH batches and its other end is right here.
            empty.send(Batch::new(layout)).expect("an open channel");
        }
        let worker = threads::spawn(move || {
            for mut batch in to_fill {
                let message = match source.next_batch(&mut batch) {
                    Ok(true) => Ok(batch),
                    // The closed channel tells the end.
                    Ok(false) => return,
                    Err(error) => Err(error),
                };
                let last = message.is_err();
                if done.send(message).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Prefetch { full: Some(full), empty, worker: Some(worker) })
    }
}

impl BatchSource for Prefetch {
    fn next_batch(&mut self, out: &mut Batch) -> Result<bool> {
        let Some(Ok(batch)) = self.full.as_ref().map(Receiver::recv) else {
            // The worker has ended: regularly, or by a panic that must not look like the end of the data.
            if let Some(Err(panic)) = self.worker.take().map(JoinHandle::join) {
                std::panic::resume_unwind(panic);
            }
            out.clear();
            return Ok(false);
        };
        let used = std::mem::replace(out, batch?);
        // A worker that has ended needs no more memory. A batch of another layout (the first) is not
        // recycled.
        if used.has_form_of(out) {
            let _ = self.empty.try_send(used);
        } else {
            let mut fresh = out.clone();
            fresh.clear();
            let _ = self.empty.try_send(fresh);
        }
        Ok(true)
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // Closing the channel ends a worker that waits to send; the recycled batches end one that waits for
        // memory.
        self.full = None;
        let (closed, _) = sync_channel(0);
        self.empty = closed;
        if let Some(worker) = self.worker.take() {
            // A panic of the worker has already been reported by its own thread.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Bags, Feature, TableLayout};

    /// Rows and labels are where they would be, whatever is left out.
    #[test]
    fn ids_are_left_out_and_nothing_else_moves() {
        let layout = Layout {
            features: ["a", "b"].map(|name| Feature::new(name, 0)).to_vec(),
            tables: vec![TableLayout { name: "t".into(), rows: 100 }],
            ..Layout::default()
        };
        let mut rows = Batch::new(&layout);
        for row in 0..50 {
            rows.bags[0].ids.push(row);
            rows.bags[1].ids.extend(0..row % 3);
            rows.bags.iter_mut().for_each(|bags| bags.offsets.push(bags.ids.len() as u32));
            rows.labels.push(row as f32);
        }
        let all = Arc::new(rows);
        let memory = || MemoryBatches::new(all.clone(), 8, 1, 0, 0);
        let stream = || StreamBatches::new(Box::new(Once(all.clone(), 0)), &layout, 8, 20, Rng::new(1, 0));
        for left_out in [0usize, 1] {
            let without: [Box<dyn BatchSource>; 2] =
                [Box::new(memory().without(&[left_out])), Box::new(stream().without(vec![left_out]))];
            let with: [Box<dyn BatchSource>; 2] = [Box::new(memory()), Box::new(stream())];
            for (mut without, mut with) in without.into_iter().zip(with) {
                let (mut batch, mut expected) = (Batch::new(&layout), Batch::new(&layout));
                while with.next_batch(&mut expected).unwrap() {
                    assert!(without.next_batch(&mut batch).unwrap());
                    expected.bags[left_out] = Bags { offsets: vec![0; expected.len() + 1], ..Bags::new() };
                    assert_eq!(batch, expected);
                }
                assert!(!without.next_batch(&mut batch).unwrap());
            }
        }
    }

    /// A stream of rows, from one of them on.
    struct Once(Arc<Batch>, usize);

    impl RowStream for Once {
        fn append_rows(&mut self, batch: &mut Batch, most: usize) -> Result<usize> {
            let rows = self.0.len().min(self.1 + most) - self.1;
            (0..rows).for_each(|row| batch.push_row_of(&self.0, self.1 + row));
            self.1 += rows;
            Ok(rows)
        }
    }

    #[test]
    fn recycled_batches_keep_their_weights() {
        let layout =
            Layout { dense: vec!["x".into()], sample_weights: true, groups: true, ..Layout::default() };
        let n = 40;
        let numbers: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let rows = Batch {
            dense: numbers.clone(),
            bags: Vec::new(),
            labels: vec![0.0; n],
            weights: Some(numbers),
            groups: Some((0..n as u64).collect()),
        };
        let mut batches =
            Prefetch::new(Box::new(MemoryBatches::new(Arc::new(rows), 3, 1, 0, 0)), &layout).unwrap();
        // As the trainer begins: a batch that has no form yet.
        let (mut out, mut seen) = (Batch::default(), 0);
        while batches.next_batch(&mut out).expect("a batch") {
            assert_eq!(out.weights.as_deref(), Some(&out.dense[..]));
            assert_eq!(out.groups.as_ref().map(Vec::len), Some(out.len()));
            seen += out.len();
        }
        assert_eq!(seen, n);
    }
}
