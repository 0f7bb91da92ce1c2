//! Training throughput of a DLRM of the Criteo-Kaggle shape, and the time of a step against the size of its
//! tables.
//!
//! `cargo bench --bench training` measures (about 7 GB of memory); `-- --quick` runs small tables for a
//! moment. The workload is `k` of `dlrm bench`, which measures more of it.
use dlrm::bench::{Windows, Workload, rows_per_second};
use dlrm::data::Batch;
use dlrm::data::rng::Rng;
use dlrm::engine::Learner;
use dlrm::nn::{DenseOptimizer, Isa, Loss, Optimizer, Precision, Sharding, TableOptimizer, TablePrecision};
use std::time::Duration;

const BATCHES: usize = 64;

/// `--shard-rows N` for experiments.
fn shape() -> Sharding {
    let mut args = std::env::args().skip_while(|a| a != "--shard-rows").skip(1);
    Sharding { shard_rows: args.next().and_then(|n| n.parse().ok()).unwrap_or(128), lanes: 8 }
}

/// Median rows per second on `threads` threads.
fn speed(workload: &Workload, threads: usize, batches: &[Batch], windows: Windows) -> f64 {
    let mut learner = workload
        .learner(shape(), Isa::detect(), (Precision::F32, TablePrecision::F32), threads)
        .expect("a model and threads");
    rows_per_second(&mut learner, batches, windows).expect("a finite loss").median
}

/// Trains for a moment with lazy Adam on the tables, the largest state there is, and tells the peak of
/// memory.
fn print_memory_with_adam(workload: &Workload, batches: &[Batch]) {
    let network = workload.network(Isa::detect(), TablePrecision::F32).expect("a model");
    let (lr, beta1, beta2, eps, l2) = (1e-3, 0.9, 0.999, 1e-8, 0.0);
    let dense = DenseOptimizer::Adam { lr, beta1, beta2, eps, l2 };
    let optimizer = Optimizer::new(
        network.weights(),
        dense,
        TableOptimizer::AdamLazy { lr, beta1, beta2, eps, l2 },
        None,
    );
    let mut learner = Learner::new(network, optimizer, Loss::default(), shape(), 2).expect("threads");
    rows_per_second(&mut learner, batches, Windows { count: 1, length: Duration::from_millis(200) })
        .expect("a finite loss");
    let (dense, tables) = learner.network().weights().count();
    let bytes = 3.0 * 4.0 * (dense + tables) as f64;
    println!(
        "\npeak memory with Adam {:.3} GB, weights and state {:.3} GB, ratio {:.3}",
        status("VmHWM") / 1e9,
        bytes / 1e9,
        status("VmHWM") / bytes
    );
}

/// A line of /proc/self/status in bytes.
fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (scale, length) = if quick { (1000, Duration::from_millis(20)) } else { (1, Duration::from_secs(2)) };
    let windows = Windows { count: 5, length };
    let workload = Workload::kaggle().scaled(scale);
    let mut rng = Rng::new(0, 0);
    println!("instruction set {}", Isa::detect().level().name());

    println!("\nCriteo-Kaggle shape: rows/s, median of 5 windows");
    println!("batch  threads    rows/s");
    let count = if quick { 2 } else { BATCHES };
    for rows in [2048, 128] {
        let batches: Vec<Batch> = (0..count).map(|_| workload.batch(rows, &mut rng)).collect();
        for threads in [1, 2] {
            println!("{rows:>5}  {threads:>7}  {:>8.0}", speed(&workload, threads, &batches, windows));
        }
    }
    let table_bytes = workload.tables.iter().sum::<usize>() as f64 * 16.0 * 4.0;
    println!(
        "peak memory {:.3} GB, tables {:.3} GB, ratio {:.3}",
        status("VmHWM") / 1e9,
        table_bytes / 1e9,
        status("VmHWM") / table_bytes
    );

    let kaggle_batches: Vec<Batch> = (0..count).map(|_| workload.batch(2048, &mut rng)).collect();
    println!("\nStep time against table size: 26 tables, the same ids below 10,000, batch 2048, 2 threads");
    println!("rows per table   ms/step");
    let largest = if quick { 10_000 } else { 1_000_000 };
    let tables_of = |count: usize, rows: usize| Workload { tables: vec![rows; count], ..Workload::kaggle() };
    let batches_of = |tables: usize, rng: &mut Rng| -> Vec<Batch> {
        let workload = tables_of(tables, 10_000);
        (0..count).map(|_| workload.batch(2048, rng)).collect()
    };
    let batches = batches_of(26, &mut rng);
    for rows in [10_000, 100_000, 1_000_000].into_iter().filter(|&r| r <= largest) {
        println!("{rows:>14}  {:>8.2}", 2048e3 / speed(&tables_of(26, rows), 2, &batches, windows));
    }
    if !quick {
        // Ten million rows: 8 tables, or the memory of a small machine would not do.
        println!("\nThe same with 8 tables");
        println!("rows per table   ms/step");
        let batches = batches_of(8, &mut rng);
        for rows in [10_000, 10_000_000] {
            println!("{rows:>14}  {:>8.2}", 2048e3 / speed(&tables_of(8, rows), 2, &batches, windows));
        }
    }
    print_memory_with_adam(&workload, &kaggle_batches);
}
