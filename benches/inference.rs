//! Latency of one row, and rows per second of a batch, of scoring with a DLRM of the Criteo-Kaggle shape.
//!
//! `cargo bench --bench inference` measures (about 2.5 GB of memory) on two threads; `-- --quick` runs small
//! tables for a moment. The workload is `k` of `dlrm bench`; one line of JSON per size of batch is printed,
//! as by benches/peers/infer.py.
use dlrm::bench::Workload;
use dlrm::data::Batch;
use dlrm::data::rng::Rng;
use dlrm::engine::{Network, Parallel, Workspace};
use dlrm::nn::{Isa, TablePrecision};
use std::time::{Duration, Instant};

const BATCHES: usize = 64;
const THREADS: usize = 2;

/// Seconds of each call in a window, after one that warms up.
fn seconds(network: &Network, batches: &[Batch], window: Duration, parallel: Parallel<'_>) -> Vec<f64> {
    let (mut took, mut workspace) = (Vec::new(), Workspace::new());
    let mut scores = vec![0.0; batches[0].len()];
    for window in [window / 4, window] {
        took.clear();
        let begun = Instant::now();
        for batch in batches.iter().cycle() {
            let start = Instant::now();
            network.logits(batch, &mut scores, &mut workspace, parallel);
            scores.iter_mut().for_each(|score| *score = 1.0 / (1.0 + (-*score).exp()));
            std::hint::black_box(&mut scores);
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
    let workload = Workload::kaggle().scaled(scale);
    let network = workload.network(Isa::detect(), TablePrecision::F32).expect("a model");
    let pool = dlrm::engine::learner::pool(THREADS).expect("threads");
    let mut rng = Rng::new(0, 0);
    for rows in [1, 1024] {
        let batches: Vec<Batch> = (0..BATCHES).map(|_| workload.batch(rows, &mut rng)).collect();
        let mut took = seconds(&network, &batches, window, Parallel::Pool(&pool));
        let rate = (rows * took.len()) as f64 / took.iter().sum::<f64>();
        took.sort_by(f64::total_cmp);
        let percentile = |p: usize| 1e6 * took[(took.len() - 1) * p / 100];
        println!(
            concat!(
                r#"{{"task": "infer", "workload": "k", "batch": {}, "#,
                r#""rows_per_s": {:.1}, "p50_us": {:.1}, "p99_us": {:.1}}}"#
            ),
            rows,
            rate,
            percentile(50),
            percentile(99)
        );
    }
}
