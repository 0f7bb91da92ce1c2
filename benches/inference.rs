//! Latency of one row, and rows per second of a batch, of scoring with a DLRM of the Criteo-Kaggle shape.
//!
//! `cargo bench --bench inference` measures (about 2.5 GB of memory) on two threads; `-- --quick` runs small
//! tables for a moment, and `-- --model DIR` scores single rows of that model instead, from their texts on.
//! The workload is `k` of `dlrm bench`; one line of JSON per size of batch is printed, as by
//! benches/peers/infer.py.
use dlrm::bench::Workload;
use dlrm::data::Batch;
use dlrm::data::rng::Rng;
use dlrm::engine::{Network, Parallel, Predictor, Workspace};
use dlrm::nn::{Isa, TablePrecision};
use std::path::Path;
use std::time::{Duration, Instant};

const BATCHES: usize = 64;
const THREADS: usize = 2;

/// Seconds of each call in a window, after one that warms up. A call is given its number.
fn seconds(window: Duration, mut call: impl FnMut(usize)) -> Vec<f64> {
    let mut took = Vec::new();
    for window in [window / 4, window] {
        took.clear();
        let begun = Instant::now();
        for number in 0.. {
            let start = Instant::now();
            call(number);
            took.push(start.elapsed().as_secs_f64());
            if begun.elapsed() >= window {
                break;
            }
        }
    }
    took
}

/// Scores batches of a network over and over.
fn of_batches(network: &Network, batches: &[Batch], window: Duration, parallel: Parallel<'_>) -> Vec<f64> {
    let mut workspace = Workspace::new();
    let mut scores = vec![0.0; batches[0].len()];
    seconds(window, |number| {
        network.logits(&batches[number % batches.len()], &mut scores, &mut workspace, parallel);
        scores.iter_mut().for_each(|score| *score = 1.0 / (1.0 + (-*score).exp()));
        std::hint::black_box(&mut scores);
    })
}

/// Scores the golden rows of a saved model over and over, one by one, as a server does.
fn of_model(dir: &Path, window: Duration) -> Vec<f64> {
    let predictor = Predictor::load(dir, Isa::detect()).expect("a model");
    let golden = predictor.golden();
    let mut scorer = predictor.row_scorer(&golden.columns).expect("its own columns");
    let (mut workspace, mut logits) = (Workspace::new(), Vec::new());
    seconds(window, |number| {
        let row = &golden.rows[number % golden.rows.len()];
        scorer.push(row.iter().map(String::as_str)).expect("a good row");
        scorer.score(&mut workspace, Parallel::Single, &mut logits);
        std::hint::black_box(predictor.prediction(logits[0]));
    })
}

fn print(workload: &str, rows: usize, mut took: Vec<f64>) {
    let rate = (rows * took.len()) as f64 / took.iter().sum::<f64>();
    took.sort_by(f64::total_cmp);
    let percentile = |p: usize| 1e6 * took[(took.len() - 1) * p / 100];
    println!(
        concat!(
            r#"{{"task": "infer", "workload": "{}", "batch": {}, "#,
            r#""rows_per_s": {:.1}, "p50_us": {:.1}, "p99_us": {:.1}}}"#
        ),
        workload,
        rows,
        rate,
        percentile(50),
        percentile(99)
    );
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|a| a == "--quick");
    let (scale, window) = if quick { (1000, Duration::from_millis(20)) } else { (1, Duration::from_secs(4)) };
    if let Some(flag) = args.iter().position(|a| a == "--model") {
        let dir = args.get(flag + 1).expect("--model DIR");
        return print("model", 1, of_model(Path::new(dir), window));
    }
    let workload = Workload::kaggle().scaled(scale);
    let network = workload.network(Isa::detect(), TablePrecision::F32).expect("a model");
    let pool = dlrm::engine::learner::pool(THREADS).expect("threads");
    let mut rng = Rng::new(0, 0);
    for rows in [1, 1024] {
        let batches: Vec<Batch> = (0..BATCHES).map(|_| workload.batch(rows, &mut rng)).collect();
        print("k", rows, of_batches(&network, &batches, window, Parallel::Pool(&pool)));
    }
}
