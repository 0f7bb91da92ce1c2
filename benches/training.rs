//! Training throughput of a DLRM of the Criteo-Kaggle shape, and the time of a step against the size of its tables.
//!
//! `cargo bench --bench training` measures (about 5 GB of memory); `-- --quick` runs small tables for a moment.
//! Ids follow a bounded power law with exponent 1.05 over the published cardinalities. Settings of the model: dim 16,
//! bottom 512-256-64-16, top 512-256-1, SGD, batch 2048.
use dlrm::data::Batch;
use dlrm::data::batch::{Bags, Feature, Layout, Table};
use dlrm::data::rng::Rng;
use dlrm::engine::{Learner, Network};
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::nn::{DenseOptimizer, Isa, Loss, Optimizer, Shape, TableOptimizer};
use std::time::{Duration, Instant};

/// Rows of the 26 tables of the Criteo Kaggle data set, in the order of its columns.
const KAGGLE: [usize; 26] = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306, 10, 5652, 2173, 4,
    7_046_547, 18, 15, 286_181, 105, 142_572,
];
const DENSE: usize = 13;
const BATCHES: usize = 64;

fn layout(rows: &[usize]) -> Layout {
    let name = |i: usize| format!("C{}", i + 1);
    let feature = |i| Feature { name: name(i), table: i, weighted: false, embedding_dim: None, pooling: None, crossed: false };
    Layout {
        dense: (0..DENSE).map(|i| format!("I{}", i + 1)).collect(),
        features: (0..rows.len()).map(feature).collect(),
        tables: rows.iter().enumerate().map(|(i, &rows)| Table { name: name(i), rows }).collect(),
        sample_weights: false,
        groups: false,
    }
}

/// Ids below `n` with density falling as x^-1.05.
fn power_law(rng: &mut Rng, n: usize) -> u32 {
    let e = -0.05;
    let x = (1.0 + rng.uniform() * ((n as f64 + 1.0).powf(e) - 1.0)).powf(1.0 / e);
    (x as usize).clamp(1, n) as u32 - 1
}

fn batch(rows: usize, ids_below: &[usize], rng: &mut Rng) -> Batch {
    let bags = ids_below.iter().map(|&n| Bags {
        ids: (0..rows).map(|_| power_law(rng, n)).collect(),
        weights: None,
        offsets: (0..=rows as u32).collect(),
    });
    Batch {
        bags: bags.collect(),
        dense: (0..rows * DENSE).map(|_| rng.normal() as f32).collect(),
        labels: (0..rows).map(|_| f32::from(rng.uniform() < 0.25)).collect(),
        weights: None,
        groups: None,
    }
}

fn learner(tables: &[usize], threads: usize) -> Learner {
    let config = DlrmConfig { bottom: vec![512, 256, 64], top: vec![512, 256], ..DlrmConfig::default() };
    let network = Network::new(&ModelConfig::Dlrm(config), &layout(tables), 0, Isa::detect()).expect("a model");
    let (dense, rows) = (DenseOptimizer::Sgd { lr: 0.1, momentum: 0.0, l2: 0.0 }, TableOptimizer::Sgd { lr: 0.1, l2: 0.0 });
    let optimizer = Optimizer::new(network.weights(), dense, rows, None);
    let shape = Shape { shard_rows: shard_rows(), lanes: 8 };
    Learner::new(network, optimizer, Loss::default(), shape, threads).expect("threads")
}

/// `--shard-rows N` for experiments.
fn shard_rows() -> usize {
    let mut args = std::env::args().skip_while(|a| a != "--shard-rows").skip(1);
    args.next().and_then(|n| n.parse().ok()).unwrap_or(128)
}

/// Median rows per second over five windows.
fn rows_per_second(learner: &mut Learner, batches: &[Batch], window: Duration) -> f64 {
    let rates = learner.optimizer().base_rates();
    let mut rates_seen = Vec::new();
    for round in 0..6 {
        let (start, mut rows) = (Instant::now(), 0);
        for batch in batches.iter().cycle() {
            learner.step(batch, rates).expect("a finite loss");
            rows += batch.len();
            if start.elapsed() >= window {
                break;
            }
        }
        // The first window warms up.
        if round > 0 {
            rates_seen.push(rows as f64 / start.elapsed().as_secs_f64());
        }
    }
    rates_seen.sort_by(f64::total_cmp);
    rates_seen[rates_seen.len() / 2]
}

/// A line of /proc/self/status in bytes.
fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (scale, window) = if quick { (1000, Duration::from_millis(20)) } else { (1, Duration::from_secs(2)) };
    let tables = KAGGLE.map(|rows| (rows / scale).max(3));
    let mut rng = Rng::new(0, 0);
    println!("instruction set {}", Isa::detect().level().name());

    println!("\nCriteo-Kaggle shape: rows/s, median of 5 windows");
    println!("batch  threads    rows/s");
    let count = if quick { 2 } else { BATCHES };
    for rows in [2048, 128] {
        let batches: Vec<Batch> = (0..count).map(|_| batch(rows, &tables, &mut rng)).collect();
        for threads in [1, 2] {
            let mut learner = learner(&tables, threads);
            println!("{rows:>5}  {threads:>7}  {:>8.0}", rows_per_second(&mut learner, &batches, window));
        }
    }
    let table_bytes = tables.iter().sum::<usize>() as f64 * 16.0 * 4.0;
    println!("peak memory {:.3} GB, tables {:.3} GB, ratio {:.3}", status("VmHWM") / 1e9, table_bytes / 1e9, status("VmHWM") / table_bytes);

    println!("\nStep time against table size: 26 tables, the same ids below 10,000, batch 2048, 2 threads");
    println!("rows per table   ms/step");
    let largest = if quick { 10_000 } else { 1_000_000 };
    let ids_below = [10_000; 26];
    let batches: Vec<Batch> = (0..count).map(|_| batch(2048, &ids_below, &mut rng)).collect();
    for rows in [10_000, 100_000, 1_000_000].into_iter().filter(|&r| r <= largest) {
        let mut learner = learner(&[rows; 26], 2);
        println!("{rows:>14}  {:>8.2}", 2048e3 / rows_per_second(&mut learner, &batches, window));
    }
    if !quick {
        // Ten million rows: 8 tables, or the memory of a small machine would not do.
        println!("\nThe same with 8 tables");
        println!("rows per table   ms/step");
        let batches: Vec<Batch> = (0..count).map(|_| batch(2048, &ids_below[..8], &mut rng)).collect();
        for rows in [10_000, 10_000_000] {
            let mut learner = learner(&[rows; 8], 2);
            println!("{rows:>14}  {:>8.2}", 2048e3 / rows_per_second(&mut learner, &batches, window));
        }
    }
}
