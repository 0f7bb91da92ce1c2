//! What the machine can do at most, measured in this process: arithmetic, memory from end to end, and random
//! rows.
use dlrm_data::rng::Rng;
use dlrm_engine::error::Result;
use dlrm_engine::learner::pool;
use dlrm_kernels::embedding::{self, BagsView, Pool, TableView};
use dlrm_kernels::half::Numbers;
use dlrm_kernels::peak;
use dlrm_kernels::{Buffer, Isa, Strided};
use dlrm_nn::Precision;
use serde::Serialize;
use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct MachineSize {
    /// Bytes of the table; caches should be small beside it.
    pub table_bytes: usize,
    /// Length of one measurement.
    pub window: Duration,
}

/// Peaks of one thread and of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Instruction set.
    pub isa: &'static str,
    /// Worker threads of `all`.
    pub threads: usize,
    /// Bytes of the table of random rows.
    pub table_bytes: usize,
    /// One thread.
    pub one: Peaks,
    /// All threads together.
    pub all: Peaks,
}

/// The most that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peaks {
    /// Floating-point operations of f32 per second, two for each multiply-add.
    pub fma_flops: f64,
    /// Those of products of pairs of bf16, where the CPU has such instructions.
    pub bf16_flops: Option<f64>,
    /// Bytes per second read from end to end.
    pub read_bytes: f64,
    /// Bytes per second copied, read and written ones together.
    pub copy_bytes: f64,
    /// Random rows read.
    pub gather: [RandomRows; 2],
    /// Random rows that the embedding kernel reads, sums in bags of [`BAG`] and writes: no peak, but what is
    /// reached of the one above.
    pub embedding: [RandomRows; 2],
    /// Random rows read, changed and written.
    pub update: [RandomRows; 2],
}

impl Peaks {
    /// Floating-point operations per second of products in this precision: of bf16 only where the CPU has
    /// such instructions.
    pub fn flops(&self, precision: Precision) -> f64 {
        self.bf16_flops.filter(|_| precision == Precision::Bf16).unwrap_or(self.fma_flops)
    }
}

/// A rate of random rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RandomRows {
    /// Bytes of a row.
    pub row_bytes: usize,
    /// Rows per second.
    pub rows: f64,
}

impl Peaks {
    /// Seconds to read a random row of that many bytes.
    pub fn gather_seconds(&self, row_bytes: usize) -> f64 {
        between(self.gather, row_bytes)
    }

    /// Seconds to read, change and write a random row.
    pub fn update_seconds(&self, row_bytes: usize) -> f64 {
        between(self.update, row_bytes)
    }
}

/// Seconds per row on the line through two measured widths; below the smaller one no row is cheaper than a
/// share of it.
fn between([small, large]: [RandomRows; 2], row_bytes: usize) -> f64 {
    let slope = (1.0 / large.rows - 1.0 / small.rows) / (large.row_bytes - small.row_bytes) as f64;
    let seconds = 1.0 / small.rows + slope * (row_bytes as f64 - small.row_bytes as f64);
    seconds.max(row_bytes.min(small.row_bytes) as f64 / small.row_bytes as f64 / small.rows)
}

/// Widths of the rows in floats.
const DIMS: [usize; 2] = [16, 64];
/// Distances of prefetching of which the best counts.
const AHEAD: [usize; 4] = [8, 16, 32, 64];
/// Measurements of which the best counts.
const ROUNDS: usize = 3;
/// Random rows of one call.
const CALL: usize = 1 << 14;
/// Rows of a bag of the embedding kernel.
pub const BAG: usize = 64;
/// Ids that are visited before any comes again: their rows do not fit a cache.
const MOST_IDS: usize = 8 << 20;

impl Machine {
    /// Measures one thread and `threads` threads.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn measure(isa: Isa, threads: usize, size: MachineSize) -> Result<Self> {
        let mut table = Buffer::zeroed((size.table_bytes / 4).max(threads * 16 * DIMS[1]));
        let one = peaks(isa, 1, &mut table, size.window)?;
        let all = if threads == 1 { one.clone() } else { peaks(isa, threads, &mut table, size.window)? };
        Ok(Machine { isa: isa.level().name(), threads, table_bytes: 4 * table.len(), one, all })
    }
}

/// A thread's own part of the table, and the random rows of it that it visits.
struct Worker<'a> {
    part: &'a mut [f32],
    ids: [Vec<u32>; 2],
    at: usize,
}

impl<'a> Worker<'a> {
    fn new(part: &'a mut [f32], number: usize) -> Self {
        let mut rng = Rng::new(number as u64, 0);
        let mut ids = |dim: usize| {
            let rows = part.len() / dim;
            (0..rows.clamp(CALL, MOST_IDS)).map(|_| rng.below(rows) as u32).collect()
        };
        Worker { ids: DIMS.map(&mut ids), part, at: 0 }
    }

    /// The next ids of rows of width `DIMS[width]`, and the table.
    fn next(&mut self, width: usize) -> (&[u32], &mut [f32]) {
        let ids = &self.ids[width];
        self.at = if self.at + 2 * CALL > ids.len() { 0 } else { self.at + CALL };
        (&ids[self.at..][..CALL], self.part)
    }
}

/// Threads that work on their parts of the table.
struct Crew<'a> {
    isa: Isa,
    pool: rayon::ThreadPool,
    workers: Vec<Mutex<Worker<'a>>>,
    window: Duration,
}

fn peaks(isa: Isa, threads: usize, table: &mut [f32], window: Duration) -> Result<Peaks> {
    let pool = pool(threads)?;
    let own = table.len() / threads / DIMS[1] * DIMS[1];
    let parts = table.chunks_exact_mut(own).take(threads).enumerate();
    let workers = parts.map(|(number, part)| Mutex::new(Worker::new(part, number))).collect();
    let crew = Crew { isa, pool, workers, window };
    Ok(Peaks {
        fma_flops: crew.fastest(&|_| multiply_adds(isa)),
        bf16_flops: isa.has_bf16().then(|| crew.fastest(&|_| pairs_of_bf16(isa))),
        read_bytes: crew.fastest(&|worker| {
            black_box(peak::sum(isa, worker.part));
            4.0 * worker.part.len() as f64
        }),
        copy_bytes: crew.fastest(&|worker| {
            let (from, to) = worker.part.split_at_mut(worker.part.len() / 2);
            to[..from.len()].copy_from_slice(from);
            black_box(&to);
            8.0 * from.len() as f64
        }),
        gather: [0, 1].map(|width| crew.gather(width)),
        embedding: [0, 1].map(|width| crew.embedding(width)),
        update: [0, 1].map(|width| crew.update(width)),
    })
}

impl Crew<'_> {
    /// Work per second of all threads, the best of a few measurements.
    fn fastest(&self, work: &(dyn Fn(&mut Worker<'_>) -> f64 + Sync)) -> f64 {
        (0..ROUNDS).map(|_| rate(&self.pool, &self.workers, self.window, work)).fold(0.0, f64::max)
    }

    /// Random rows of `DIMS[width]` per second at the best distance of prefetching, which `work` is given.
    fn rows(&self, width: usize, work: &(dyn Fn(&mut Worker<'_>, usize) + Sync)) -> RandomRows {
        let at = |ahead| {
            self.fastest(&|worker| {
                work(worker, ahead);
                CALL as f64
            })
        };
        RandomRows { row_bytes: 4 * DIMS[width], rows: AHEAD.into_iter().map(at).fold(0.0, f64::max) }
    }

    fn gather(&self, width: usize) -> RandomRows {
        self.rows(width, &|worker, ahead| {
            let mut sum = [0.0; DIMS[1]];
            let (ids, part) = worker.next(width);
            peak::gather(self.isa, &mut sum[..DIMS[width]], part, ids, ahead);
            black_box(sum);
        })
    }

    fn embedding(&self, width: usize) -> RandomRows {
        let dim = DIMS[width];
        let offsets: Vec<u32> = (0..=CALL / BAG).map(|bag| (bag * BAG) as u32).collect();
        let rows = self.fastest(&|worker| {
            let (ids, part) = worker.next(width);
            let mut pooled = [0.0; CALL / BAG * DIMS[1]];
            let bags = BagsView { ids, offsets: &offsets };
            let y = Strided::new(&mut pooled[..CALL / BAG * dim], dim);
            embedding::forward(self.isa, y, TableView { values: Numbers::F32(part), dim }, bags, Pool::Sum);
            black_box(pooled);
            CALL as f64
        });
        RandomRows { row_bytes: 4 * dim, rows }
    }

    fn update(&self, width: usize) -> RandomRows {
        self.rows(width, &|worker, ahead| {
            let (ids, part) = worker.next(width);
            peak::update(self.isa, part, DIMS[width], ids, ahead, 1.0);
        })
    }
}

const MULTIPLY_ROUNDS: usize = 10_000;

fn multiply_adds(isa: Isa) -> f64 {
    let mut acc = vec![1.0; peak::fma_len(isa)];
    peak::fma(isa, &mut acc, MULTIPLY_ROUNDS, black_box(0.5), black_box(0.5));
    black_box(&acc);
    (2 * acc.len() * MULTIPLY_ROUNDS) as f64
}

fn pairs_of_bf16(isa: Isa) -> f64 {
    let mut acc = [1.0; peak::BF16_DOT_LEN];
    peak::bf16_dot(isa, &mut acc, MULTIPLY_ROUNDS, black_box([0.5, 0.25]), black_box([0.5, 0.25]));
    black_box(&acc);
    (4 * acc.len() * MULTIPLY_ROUNDS) as f64
}

/// Work per second of all threads, which start together and each go on for at least `window`.
fn rate(
    pool: &rayon::ThreadPool,
    workers: &[Mutex<Worker<'_>>],
    window: Duration,
    work: &(dyn Fn(&mut Worker<'_>) -> f64 + Sync),
) -> f64 {
    let start = Barrier::new(workers.len());
    let rates = pool.broadcast(|thread| {
        let mut worker = workers[thread.index()].lock().unwrap_or_else(PoisonError::into_inner);
        start.wait();
        let (start, mut done) = (Instant::now(), 0.0);
        loop {
            done += work(&mut worker);
            let elapsed = start.elapsed();
            if elapsed >= window {
                return done / elapsed.as_secs_f64();
            }
        }
    });
    rates.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peak_is_measured() {
        let size = MachineSize { table_bytes: 1 << 20, window: Duration::from_micros(100) };
        let machine = Machine::measure(Isa::detect(), 2, size).unwrap();
        for peaks in [&machine.one, &machine.all] {
            let rates = [
                peaks.fma_flops,
                peaks.read_bytes,
                peaks.copy_bytes,
                peaks.gather[0].rows,
                peaks.embedding[0].rows,
                peaks.update[1].rows,
            ];
            assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 0.0), "{peaks:?}");
        }
    }

    #[test]
    fn rows_between_and_beyond_the_measured_widths() {
        let rows = [RandomRows { row_bytes: 64, rows: 100.0 }, RandomRows { row_bytes: 256, rows: 40.0 }];
        assert!((between(rows, 64) - 0.010).abs() < 1e-12 && (between(rows, 256) - 0.025).abs() < 1e-12);
        assert!((between(rows, 160) - 0.0175).abs() < 1e-12);
        assert!(between(rows, 512) > 0.04 && between(rows, 16) > 0.0);
    }
}
