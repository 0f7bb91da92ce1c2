//! Latency of one row, and rows per second of a batch, of scoring with a DLRM of the Criteo-Kaggle shape.
//!
//! `cargo bench --bench inference` measures (about 2.5 GB of memory) on two threads; `-- --quick` runs small tables for a moment.
//! The workload is that of benches/training.rs; one line of JSON per size of batch is printed, as by benches/peers/infer.py.
use dlrm::data::Batch;
use dlrm::data::batch::{Bags, Feature, Layout, Table};
use dlrm::data::rng::Rng;
use dlrm::engine::Network;
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::nn::Isa;
use std::time::{Duration, Instant};

/// Rows of the 26 tables of the Criteo Kaggle data set, in the order of its columns.
const KAGGLE: [usize; 26] = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306, 10, 5652, 2173, 4,
    7_046_547, 18, 15, 286_181, 105, 142_572,
];
const DENSE: usize = 13;
const BATCHES: usize = 64;
const THREADS: usize = 2;

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

fn batch(rows: usize, tables: &[usize], rng: &mut Rng) -> Batch {
    let bags = tables.iter().map(|&n| Bags {
        ids: (0..rows).map(|_| power_law(rng, n)).collect(),
        weights: None,
        offsets: (0..=rows as u32).collect(),
    });
    Batch {
        bags: bags.collect(),
        dense: (0..rows * DENSE).map(|_| rng.normal() as f32).collect(),
        labels: vec![0.0; rows],
        weights: None,
        groups: None,
    }
}

/// Seconds of each call in a window, after one that warms up.
fn seconds(network: &Network, batches: &[Batch], window: Duration) -> Vec<f64> {
    let mut took = Vec::new();
    for window in [window / 4, window] {
        took.clear();
        let begun = Instant::now();
        for batch in batches.iter().cycle() {
            let start = Instant::now();
            let scores: Vec<f32> = network.logits(batch).iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
            std::hint::black_box(scores);
            took.push(start.elapsed().as_secs_f64());
            if begun.elapsed() >= window {
                break;
            }
        }
    }
    took
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (scale, window) = if quick { (1000, Duration::from_millis(20)) } else { (1, Duration::from_secs(4)) };
    let tables = KAGGLE.map(|rows| (rows / scale).max(3));
    let config = DlrmConfig { bottom: vec![512, 256, 64], top: vec![512, 256], ..DlrmConfig::default() };
    let network = Network::new(&ModelConfig::Dlrm(config), &layout(&tables), 0, Isa::detect()).expect("a model");
    let pool = dlrm::engine::learner::pool(THREADS).expect("threads");
    let mut rng = Rng::new(0, 0);
    for rows in [1, 1024] {
        let batches: Vec<Batch> = (0..BATCHES).map(|_| batch(rows, &tables, &mut rng)).collect();
        let mut took = pool.install(|| seconds(&network, &batches, window));
        let rate = (rows * took.len()) as f64 / took.iter().sum::<f64>();
        took.sort_by(f64::total_cmp);
        let percentile = |p: usize| 1e6 * took[(took.len() - 1) * p / 100];
        println!(
            r#"{{"task": "infer", "workload": "k", "batch": {rows}, "rows_per_s": {rate:.1}, "p50_us": {:.1}, "p99_us": {:.1}}}"#,
            percentile(50),
            percentile(99)
        );
    }
}
