//! Training from a CSV file and from prepared rows against training from memory, and what each stage from
//! bytes to ids costs.
//!
//! `cargo bench --bench streaming` measures on 500,000 rows, `-- --rows N` on others, `-- --quick` runs a few
//! for a moment. The rows are those of `dlrm generate clicks`: the shape of the Criteo Kaggle data set, 13
//! integers and 26 columns of hexadecimal tokens, ids of a bounded power law over the published
//! cardinalities; every column has a vocabulary. The model: dim 16, bottom 512-256-64-16, top 512-256-1, SGD,
//! batch 2048, two threads; windows of 131,072 rows. A pass begins with a window that nothing can be trained
//! beside: the more rows, the less that counts.
use dlrm::data::Batch;
use dlrm::data::batch::Layout;
use dlrm::data::batches::RowStream;
use dlrm::data::dataset::{Fitted, Sources};
use dlrm::data::parse::Labels;
use dlrm::data::prepared::{Cache, Limits, Preparation, PrepareObserver, Prepared, Settings, Start};
use dlrm::data::readers::Input;
use dlrm::data::rows::{GoodRows, OpenRows};
use dlrm::data::schema::Schema;
use dlrm::data::source::DataSource;
use dlrm::data::split::{Part, Split};
use dlrm::engine::feed::{MemoryFeed, StreamFeed};
use dlrm::engine::training_rows::TrainingRows;
use dlrm::engine::{Learner, Network};
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::nn::{DenseOptimizer, Isa, Loss, Optimizer, Sharding, TableOptimizer};
use dlrm::synth::criteo::{CriteoConfig, CriteoProcess, Teacher};
use dlrm::synth::process::DataGeneratingProcess;
use dlrm::synth::writer::{Files, Form, write_log};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const BATCH: usize = 2048;
const WINDOW: usize = 1 << 17;
const THREADS: usize = 2;

fn learner(layout: &Layout) -> Learner {
    let config = DlrmConfig { bottom: vec![512, 256, 64], top: vec![512, 256], ..DlrmConfig::default() };
    let network = Network::new(&ModelConfig::Dlrm(config), layout, 0, Isa::detect()).expect("a model");
    let (dense, rows) =
        (DenseOptimizer::Sgd { lr: 0.1, momentum: 0.0, l2: 0.0 }, TableOptimizer::Sgd { lr: 0.1, l2: 0.0 });
    let optimizer = Optimizer::new(network.weights(), dense, rows, None);
    Learner::new(network, optimizer, Loss::default(), Sharding { shard_rows: 128, lanes: 8 }, THREADS)
        .expect("threads")
}

/// Seconds by the clock and of all threads in an epoch's first `most` steps, the start of its stream
/// included.
fn epoch(learner: &mut Learner, feed: &mut dyn TrainingRows, number: u64, most: usize) -> [f64; 2] {
    let (start, used, rates) = (Instant::now(), cpu_seconds(), learner.optimizer().base_rates());
    let mut batch = Batch::default();
    feed.start(number, 0, &mut || false).expect("an epoch");
    for _ in 0..most {
        if !feed.next_batch(&mut batch).expect("a batch") {
            break;
        }
        learner.step(&batch, rates).expect("a finite loss");
    }
    [start.elapsed().as_secs_f64(), cpu_seconds() - used]
}

/// Seconds that all threads of this process have computed. Unlike the clock it hardly sees what else the
/// machine does.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold blanks: user and system time are the 12th and 13th, in hundredths.
    let ticks = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    ticks.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Seconds of `work`.
fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// One thread from bytes to ids: medians of three passes.
fn stages(input: &Input, sources: &Sources<'_>, fitted: &Fitted, print: &dyn Fn(&str, f64)) {
    let read = || {
        let (mut source, mut row) = (input.open_rows().expect("a file"), dlrm::data::RawRow::default());
        while source.next_row(&mut row).expect("a row") {}
    };
    let parse = || {
        let mut rows = GoodRows::open(input, fitted.encoder.schema(), Labels::Required, 0).expect("a file");
        while rows.advance().expect("a row") {}
    };
    print("read", median((0..3).map(|_| seconds(read)).collect()));
    print("read, parse", median((0..3).map(|_| seconds(parse)).collect()));
    print("read, parse, encode", encoding(sources, fitted));
}

/// Seconds that one thread takes from bytes to ids: the median of three passes.
fn encoding(sources: &Sources<'_>, fitted: &Fitted) -> f64 {
    let encode = || {
        let (mut rows, mut batch) =
            (sources.stream(fitted).expect("a file"), Batch::new(&fitted.encoder.layout()));
        while rows.append_rows(&mut batch, BATCH).expect("rows") > 0 {
            batch.clear();
        }
    };
    median((0..3).map(|_| seconds(encode)).collect())
}

struct Silent;

impl PrepareObserver for Silent {
    fn stage(&mut self, _: &str) {}

    fn rows(&mut self, _: u64) -> bool {
        true
    }
}

/// Writes the rows as a prepared data set too; says how long that takes.
fn prepare(sources: &Sources<'_>, schema: &Schema, dir: &Path, bytes: u64) -> Prepared {
    let start = Instant::now();
    let preparation = Preparation {
        sources,
        schema,
        settings: Settings::default(),
        limits: Limits::default(),
        start: Start::Fresh,
    };
    let prepared = preparation.run(&dir.join("prepared"), &mut Silent).expect("a prepared data set");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "prepared in {seconds:.2} s: {:.0} MB/s with two passes, of fitting and of encoding",
        bytes as f64 / 1e6 / seconds
    );
    prepared
}

fn main() {
    let mut args = std::env::args().skip_while(|a| a != "--rows").skip(1);
    let quick = std::env::args().any(|a| a == "--quick");
    let rows: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(if quick { 10_000 } else { 500_000 });
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let config = CriteoConfig { rows, teacher: Teacher::Lr, days: 8, seed: 7, ..CriteoConfig::default() };
    let process = CriteoProcess::new(config).expect("a law");
    let schema = process.schema();
    let write = |form, files| {
        let dir = scratch.path().join(format!("{form:?}"));
        std::fs::create_dir(&dir).expect("a directory");
        let written = write_log(&process, form, files, &dir, THREADS, &mut |_| true)
            .expect("a written log")
            .expect("all rows");
        let paths: Vec<_> = written.files.iter().map(|file| dir.join(&file.name)).collect();
        (Input::new(&paths), written.files.iter().map(|file| file.bytes).sum::<u64>())
    };
    let ((input, bytes), (columns, _)) = (write(Form::Csv, Files::One), write(Form::Parquet, Files::PerDay));
    println!(
        "{rows} rows, {:.0} bytes each; instruction set {}",
        bytes as f64 / rows as f64,
        Isa::detect().level().name()
    );

    let split = Split::Random { validation: 0.0, test: 0.0, seed: 0 };
    let sources = Sources::of(&input, &split, THREADS);
    let parquet = Sources { main: &columns, ..sources };
    let fitted = sources.fit(&schema).expect("a fitted encoder");
    let layout = fitted.encoder.layout();
    println!(
        "{} rows in {} tables\n",
        layout.tables.iter().map(|t| t.rows).sum::<usize>(),
        layout.tables.len()
    );

    println!("one thread, median of 3        rows/s   µs/row");
    let print = |what: &str, seconds: f64| {
        println!("{what:<25}  {:>9.0}  {:>7.2}", rows as f64 / seconds, seconds * 1e6 / rows as f64)
    };
    stages(&input, &Sources { threads: 1, ..sources }, &fitted, &print);
    print("the same from Parquet", encoding(&Sources { threads: 1, ..parquet }, &fitted));

    println!("\ntraining, {THREADS} threads            rows/s   µs/row  of memory   CPU µs   of memory");
    let train =
        sources.encode(&fitted, |part| part == Part::Train).expect("encoded rows").parts.map(Arc::new);
    let prepared = prepare(&sources, &schema, scratch.path(), bytes);
    let found = prepared.fitted();
    let [mut from_memory, mut first, mut second, mut columnar, mut mapped] = [const { Vec::new() }; 5];
    for _ in 0..if quick { 1 } else { 3 } {
        let (mut model, mut feed) =
            (learner(&layout), MemoryFeed::new(train[Part::Train].clone(), layout.clone(), BATCH, 0));
        // The first steps also take memory from the system.
        epoch(&mut model, &mut feed, 0, 20);
        from_memory.push(epoch(&mut model, &mut feed, 1, usize::MAX));
        let cache = Cache::new(scratch.path().join("rows"), String::new(), &fitted.encoder);
        let mut feed = StreamFeed::new(DataSource::Raw(&sources), &fitted, BATCH, WINDOW, 0)
            .with_cache(Some(cache.clone()));
        first.push(epoch(&mut model, &mut feed, 0, usize::MAX));
        second.push(epoch(&mut model, &mut feed, 1, usize::MAX));
        std::fs::remove_dir_all(cache.dir()).expect("a cache");
        let mut feed = StreamFeed::new(DataSource::Raw(&parquet), &fitted, BATCH, WINDOW, 0);
        columnar.push(epoch(&mut model, &mut feed, 0, usize::MAX));
        let mut feed = StreamFeed::new(DataSource::Prepared(&prepared), &found, BATCH, WINDOW, 0);
        mapped.push(epoch(&mut model, &mut feed, 0, usize::MAX));
    }
    let of = |rounds: &[[f64; 2]], i: usize| median(rounds.iter().map(|round| round[i]).collect());
    let rounds = [
        ("from memory", &from_memory),
        ("from the file, epoch 1", &first),
        ("from its cache, epoch 2", &second),
        ("from a Parquet directory", &columnar),
        ("from prepared rows", &mapped),
    ];
    for (what, rounds) in rounds {
        let ([clock, used], [base, base_used]) =
            ([0, 1].map(|i| of(rounds, i)), [0, 1].map(|i| of(&from_memory, i)));
        let (micros, cpu) = (clock * 1e6 / rows as f64, used * 1e6 / rows as f64);
        let (share, cpu_share) = (100.0 * base / clock, 100.0 * base_used / used);
        println!(
            "{what:<25}  {:>9.0}  {micros:>7.2}  {share:>9.1} %  {cpu:>7.2}  {cpu_share:>9.1} %",
            rows as f64 / clock
        );
    }
}
