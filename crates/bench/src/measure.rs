//! How fast a workload trains, and how fast it could at most.
use super::breakdown::{self, Operator, Timed};
use super::{Machine, Peaks, Workload};
use dlrm_data::Batch;
use dlrm_data::rng::Rng;
use dlrm_engine::error::Result;
use dlrm_engine::learner::Learner;
use dlrm_nn::optimizer::Rates;
use dlrm_nn::{Isa, Precision, Sharding, TablePrecision, Timing};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long is measured; one more window warms up.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// Number of windows.
    pub count: usize,
    /// Least length of each.
    pub length: Duration,
}

/// What several windows gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Rate {
    /// Of one value of each window, at least one.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Rate { median: values[values.len() / 2], low: values[0], high: values[values.len() - 1] }
    }
}

/// What all workloads have in common.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// Instruction set.
    pub isa: Isa,
    /// Worker threads.
    pub threads: usize,
    /// What the products of steps multiply.
    pub precision: Precision,
    /// How tables are kept.
    pub table_precision: TablePrecision,
    /// How batches are cut.
    pub sharding: Sharding,
    /// How long is measured.
    pub windows: Windows,
}

/// The least seconds that a step can take on this machine: its multiply-adds at the measured peak, then every
/// different row of the batch read once and updated once at the measured rates of random rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Floor {
    /// Multiply-adds.
    pub arithmetic: f64,
    /// Rows read.
    pub gather: f64,
    /// Rows updated.
    pub update: f64,
}

impl Floor {
    /// One after the other.
    pub fn seconds(&self) -> f64 {
        self.arithmetic + self.gather + self.update
    }
}

/// What came of a workload at one size of batches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The workload.
    pub workload: Workload,
    /// Rows per step.
    pub batch: usize,
    /// Worker threads.
    pub threads: usize,
    /// What the products multiplied.
    pub precision: Precision,
    /// How tables were kept.
    pub table_precision: TablePrecision,
    /// Rows trained per second.
    pub rows_per_second: Rate,
    /// Seconds of a step, median.
    pub step_seconds: f64,
    /// Multiply-adds of forward and backward pass per second, each counted twice; without embeddings.
    pub flops: f64,
    /// Ids per step.
    pub ids: usize,
    /// Different rows of tables per step, mean.
    pub distinct_rows: f64,
    /// Bytes of table rows per second: read for each id, read and written for each different row.
    pub embedding_bytes: f64,
    /// What a step takes at least.
    pub floor: Floor,
    /// Floor over measured time.
    pub share_of_peak: f64,
    /// Where the thread time went.
    pub operators: Vec<Operator>,
}

impl Measured {
    /// What was measured, for people.
    pub fn title(&self) -> String {
        let threads = if self.threads == 1 { "thread" } else { "threads" };
        let precision = if self.precision == Precision::Bf16 { ", bf16" } else { "" };
        let tables = match self.table_precision {
            TablePrecision::F32 => "",
            TablePrecision::Bf16 => ", bf16 tables",
            TablePrecision::F16 => ", f16 tables",
        };
        format!("{}, batch {}, {} {threads}{precision}{tables}", self.workload.name, self.batch, self.threads)
    }
}

impl Bench {
    /// Measures a workload with batches of each of these sizes.
    ///
    /// # Errors
    /// If the shape cannot be built, threads cannot be started or the loss becomes infinite.
    pub fn run(
        &self,
        workload: &Workload,
        batch_sizes: &[usize],
        machine: &Machine,
    ) -> Result<Vec<Measured>> {
        let mut learner = workload.learner(
            self.sharding,
            self.isa,
            (self.precision, self.table_precision),
            self.threads,
        )?;
        batch_sizes.iter().map(|&rows| self.measure(workload, &mut learner, rows, &machine.all)).collect()
    }

    fn measure(
        &self,
        workload: &Workload,
        learner: &mut Learner,
        rows: usize,
        peaks: &Peaks,
    ) -> Result<Measured> {
        let mut rng = Rng::new(0, 0);
        let batches: Vec<Batch> =
            (0..workload.batch_count(rows)).map(|_| workload.batch(rows, &mut rng)).collect();
        let rate = rows_per_second(learner, &batches, self.windows)?;
        let graph = learner.network().graph(&batches[0]);
        let timed = self.timed(learner, &batches)?;
        let flops = graph.nodes.iter().map(breakdown::flops).sum::<f64>() * rows as f64;
        let (row_bytes, distinct_rows) =
            (self.table_precision.bytes() * workload.embedding_dim, distinct_rows(&batches));
        let floor = Floor {
            arithmetic: flops / peaks.flops(self.precision),
            gather: distinct_rows * peaks.gather_seconds(row_bytes),
            update: distinct_rows * peaks.update_seconds(row_bytes),
        };
        let (ids, step_seconds) = (workload.ids(rows), rows as f64 / rate.median);
        Ok(Measured {
            workload: workload.clone(),
            batch: rows,
            threads: self.threads,
            precision: self.precision,
            table_precision: self.table_precision,
            rows_per_second: rate,
            step_seconds,
            flops: flops / step_seconds,
            ids,
            distinct_rows,
            embedding_bytes: (ids as f64 + 2.0 * distinct_rows) * row_bytes as f64 / step_seconds,
            floor,
            share_of_peak: floor.seconds() / step_seconds,
            operators: breakdown::operators(&timed, &graph),
        })
    }

    /// Steps of one window with their times.
    fn timed(&self, learner: &mut Learner, batches: &[Batch]) -> Result<Timed> {
        learner.time(Timing::On);
        let (steps, wall) = steps(learner, batches, self.windows.length)?;
        let times = learner.time(Timing::Off);
        Ok(Timed { times, wall, steps, threads: self.threads, rows: batches[0].len() })
    }
}

/// Rows trained per second.
///
/// # Errors
/// If the loss becomes infinite.
pub fn rows_per_second(learner: &mut Learner, batches: &[Batch], windows: Windows) -> Result<Rate> {
    steps(learner, batches, windows.length)?;
    let mut rates = Vec::with_capacity(windows.count);
    for _ in 0..windows.count {
        let (steps, wall) = steps(learner, batches, windows.length)?;
        rates.push((steps * batches[0].len()) as f64 / wall.as_secs_f64());
    }
    Ok(Rate::of(rates))
}

/// The share of the learning rates that steps are timed with. They cost what they cost at any rate, and
/// labels that are drawn teach nothing: the longer one learns from them, the sooner a large model diverges.
/// (Not zero: FTRL would do nothing.)
const SHARE_OF_RATES: f64 = 1e-6;

/// Trains for at least `length`; how many steps that were, and their time.
fn steps(learner: &mut Learner, batches: &[Batch], length: Duration) -> Result<(usize, Duration)> {
    let Rates { dense, tables, linear } = learner.optimizer().base_rates();
    let [dense, tables, linear] = [dense, tables, linear].map(|rate| rate * SHARE_OF_RATES);
    let rates = Rates { dense, tables, linear };
    let start = Instant::now();
    for (done, batch) in batches.iter().cycle().enumerate() {
        learner.step(batch, rates)?;
        let elapsed = start.elapsed();
        if elapsed >= length {
            return Ok((done + 1, elapsed));
        }
    }
    unreachable!("batches come again and again")
}

/// Different rows that a batch touches, on average of the first few.
fn distinct_rows(batches: &[Batch]) -> f64 {
    const SAMPLE: usize = 4;
    let sample = &batches[..SAMPLE.min(batches.len())];
    let distinct = |ids: &[u32]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    };
    sample.iter().flat_map(|batch| &batch.bags).map(|bags| distinct(&bags.ids)).sum::<usize>() as f64
        / sample.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MachineSize, StepShare};
    use dlrm_nn::{DenseOptimizer, Loss, Optimizer, TableOptimizer};

    #[test]
    fn a_model_that_would_diverge_is_measured() {
        let workload = Workload { bottom: vec![8], top: vec![32], ..Workload::kaggle() }.scaled(100_000);
        let learner = || {
            let network = workload.network(Isa::detect(), TablePrecision::F32).unwrap();
            let dense = DenseOptimizer::Sgd { lr: 1000.0, momentum: 0.0, l2: 0.0 };
            let tables = TableOptimizer::Sgd { lr: 1000.0, l2: 0.0 };
            let optimizer = Optimizer::new(network.weights(), dense, tables, None);
            Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 16, lanes: 2 }, 1)
                .unwrap()
        };
        let batch = workload.batch(32, &mut Rng::new(1, 0));
        let mut diverging = learner();
        let rates = diverging.optimizer().base_rates();
        assert!((0..100).any(|_| diverging.step(&batch, rates).is_err()), "a rate that diverges");
        let windows = Windows { count: 2, length: Duration::from_millis(50) };
        assert!(rows_per_second(&mut learner(), &[batch], windows).unwrap().median > 0.0);
    }

    #[test]
    fn the_floor_of_bf16_is_that_of_its_instructions() {
        let size = MachineSize { table_bytes: 1 << 20, window: Duration::from_millis(1) };
        let mut peaks = Machine::measure(Isa::detect(), 1, size).unwrap().all;
        (peaks.fma_flops, peaks.bf16_flops) = (1e9, Some(4e9));
        assert_eq!([Precision::F32, Precision::Bf16].map(|p| peaks.flops(p)), [1e9, 4e9]);
        peaks.bf16_flops = None;
        assert_eq!(peaks.flops(Precision::Bf16), 1e9, "where the CPU has none, f32 are multiplied");
    }

    #[test]
    fn taking_times_changes_no_bit_and_explains_the_step() {
        let workload = Workload { bottom: vec![32], top: vec![32], ..Workload::kaggle() }.scaled(10_000);
        let sharding = Sharding { shard_rows: 16, lanes: 4 };
        let train = |timing: Timing| {
            let mut learner =
                workload.learner(sharding, Isa::detect(), (Precision::F32, TablePrecision::F32), 2).unwrap();
            learner.time(timing);
            let mut rng = Rng::new(1, 0);
            for _ in 0..5 {
                let rates = learner.optimizer().base_rates();
                learner.step(&workload.batch(64, &mut rng), rates).unwrap();
            }
            let times = learner.time(Timing::Off);
            let weights: Vec<u32> = learner
                .network()
                .weights()
                .tensors()
                .iter()
                .flat_map(|(_, _, values)| values.iter().map(|x| x.to_bits()))
                .collect();
            (weights, times)
        };
        let ((plain, none), (timed, times)) = (train(Timing::Off), train(Timing::On));
        assert!(plain == timed, "the same bits");
        assert!(none.tape.forward.is_empty() && none.forward_backward.is_zero());
        assert!(!times.forward_backward.is_zero() && times.tape.forward.len() == times.tape.backward.len());
    }

    #[test]
    fn shares_add_up() {
        let bench = Bench {
            isa: Isa::detect(),
            precision: Precision::Bf16,
            table_precision: TablePrecision::F16,
            threads: 2,
            sharding: Sharding { shard_rows: 16, lanes: 4 },
            windows: Windows { count: 2, length: Duration::from_millis(2) },
        };
        let size = MachineSize { table_bytes: 1 << 20, window: Duration::from_micros(100) };
        let machine = Machine::measure(bench.isa, 2, size).unwrap();
        let measured = bench.run(&Workload::kaggle().scaled(10_000), &[32, 64], &machine).unwrap();
        assert_eq!(measured.iter().map(|m| m.batch).collect::<Vec<_>>(), [32, 64]);
        for m in measured {
            let total: f64 = m.operators.iter().map(|o| o.share).sum();
            assert!((total - 1.0).abs() < 0.01, "{total}");
            for part in [
                StepShare::Embedding,
                StepShare::BottomMlp,
                StepShare::Interaction,
                StepShare::TopMlp,
                StepShare::Loss,
                StepShare::SortIds,
                StepShare::TableUpdate,
            ] {
                assert!(m.operators.iter().any(|o| o.part == part), "{part:?}");
            }
            assert!(m.floor.seconds() > 0.0 && m.flops > 0.0 && m.distinct_rows < m.ids as f64);
        }
    }
}
