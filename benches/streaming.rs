//! Training from a CSV file and from prepared rows against training from memory, and what each stage from bytes to ids costs.
//!
//! `cargo bench --bench streaming` measures on 500,000 rows, `-- --rows N` on others, `-- --quick` runs a few for a moment.
//! The file has the shape of the Criteo Kaggle data set: a label, 13 integers, 26 columns of hexadecimal tokens, some fields
//! empty. Ids follow a bounded power law with exponent 1.05 over the published cardinalities; every column has a vocabulary.
//! The model: dim 16, bottom 512-256-64-16, top 512-256-1, SGD, batch 2048, two threads; windows of 131,072 rows.
use dlrm::data::Batch;
use dlrm::data::batch::Layout;
use dlrm::data::batches::RowStream;
use dlrm::data::dataset::{Fitted, Sources};
use dlrm::data::parse::Labels;
use dlrm::data::prepared::{Cache, Limits, Preparation, PrepareObserver, Prepared, Settings, Start};
use dlrm::data::readers::Input;
use dlrm::data::rng::Rng;
use dlrm::data::rows::{GoodRows, OpenRows};
use dlrm::data::schema::{CategoricalColumn, DenseColumn, Label, Schema, Transform};
use dlrm::data::source::DataSource;
use dlrm::data::split::{Part, Split};
use dlrm::engine::feed::{MemoryFeed, StreamFeed};
use dlrm::engine::trainer::TrainingRows;
use dlrm::engine::{Learner, Network};
use dlrm::models::{DlrmConfig, ModelConfig};
use dlrm::nn::{DenseOptimizer, Isa, Loss, Optimizer, Shape, TableOptimizer};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Rows of the 26 tables of the Criteo Kaggle data set, in the order of its columns.
const KAGGLE: [usize; 26] = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306, 10, 5652, 2173, 4,
    7_046_547, 18, 15, 286_181, 105, 142_572,
];
const DENSE: usize = 13;
const BATCH: usize = 2048;
const WINDOW: usize = 1 << 17;
const THREADS: usize = 2;

/// A number below `n` with density falling as x^-1.05.
fn power_law(rng: &mut Rng, n: usize) -> usize {
    let e = -0.05;
    let x = (1.0 + rng.uniform() * ((n as f64 + 1.0).powf(e) - 1.0)).powf(1.0 / e);
    (x as usize).clamp(1, n) - 1
}

fn column(prefix: char, i: usize) -> String {
    format!("{prefix}{}", i + 1)
}

/// Writes a header and `rows` rows.
fn write_csv(path: &Path, rows: usize) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let names = (0..DENSE).map(|i| column('I', i)).chain((0..KAGGLE.len()).map(|i| column('C', i)));
    writeln!(out, "label,{}", names.collect::<Vec<_>>().join(","))?;
    let mut rng = Rng::new(7, 0);
    for _ in 0..rows {
        write!(out, "{}", u8::from(rng.uniform() < 0.25))?;
        for _ in 0..DENSE {
            match rng.uniform() < 0.12 {
                true => write!(out, ",")?,
                false => write!(out, ",{}", power_law(&mut rng, 20_000))?,
            }
        }
        for (c, &n) in KAGGLE.iter().enumerate() {
            let token = (power_law(&mut rng, n) as u32).wrapping_mul(0x9e37_79b1) ^ (c as u32).wrapping_mul(0x85eb_ca6b);
            match rng.uniform() < 0.05 {
                true => write!(out, ",")?,
                false => write!(out, ",{token:08x}")?,
            }
        }
        writeln!(out)?;
    }
    out.flush()
}

fn schema() -> Schema {
    Schema {
        missing: vec!["NA".into(), "N/A".into(), "NULL".into(), "null".into(), "\\N".into()],
        weight: None,
        group: None,
        time: None,
        label: Label::clicks("label"),
        dense: (0..DENSE).map(|i| DenseColumn::new(column('I', i), Transform::Log1p)).collect(),
        categorical: (0..KAGGLE.len()).map(|i| CategoricalColumn::new(column('C', i))).collect(),
        crosses: Vec::new(),
    }
}

fn learner(layout: &Layout) -> Learner {
    let config = DlrmConfig { bottom: vec![512, 256, 64], top: vec![512, 256], ..DlrmConfig::default() };
    let network = Network::new(&ModelConfig::Dlrm(config), layout, 0, Isa::detect()).expect("a model");
    let (dense, rows) = (DenseOptimizer::Sgd { lr: 0.1, momentum: 0.0, l2: 0.0 }, TableOptimizer::Sgd { lr: 0.1, l2: 0.0 });
    let optimizer = Optimizer::new(network.weights(), dense, rows, None);
    Learner::new(network, optimizer, Loss::default(), Shape { shard_rows: 128, lanes: 8 }, THREADS).expect("threads")
}

/// Seconds by the clock and of all threads in an epoch's first `most` steps, the start of its stream included.
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

/// Seconds that all threads of this process have computed. Unlike the clock it hardly sees what else the machine does.
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
    let layout = fitted.encoder.layout();
    let read = || {
        let (mut source, mut row) = (input.open_rows().expect("a file"), dlrm::data::RawRow::default());
        while source.next_row(&mut row).expect("a row") {}
    };
    let parse = || {
        let mut rows = GoodRows::open(input, fitted.encoder.schema(), Labels::Required, 0).expect("a file");
        while rows.advance().expect("a row") {}
    };
    let encode = || {
        let (mut rows, mut batch) = (sources.stream(fitted).expect("a file"), Batch::new(&layout));
        while rows.append_rows(&mut batch, BATCH).expect("rows") > 0 {
            batch.clear();
        }
    };
    print("read", median((0..3).map(|_| seconds(read)).collect()));
    print("read, parse", median((0..3).map(|_| seconds(parse)).collect()));
    print("read, parse, encode", median((0..3).map(|_| seconds(encode)).collect()));
}

struct Silent;

impl PrepareObserver for Silent {
    fn stage(&mut self, _: &str) {}

    fn rows(&mut self, _: u64) -> bool {
        true
    }
}

/// The same rows as a prepared data set; says how long that takes.
fn prepare(sources: &Sources<'_>, dir: &Path, bytes: u64) -> Prepared {
    let (schema, start) = (schema(), Instant::now());
    let preparation =
        Preparation { sources, schema: &schema, settings: Settings::default(), limits: Limits::default(), start: Start::Fresh };
    let prepared = preparation.run(&dir.join("prepared"), &mut Silent).expect("a prepared data set");
    let seconds = start.elapsed().as_secs_f64();
    println!("prepared in {seconds:.2} s: {:.0} MB/s with two passes, of fitting and of encoding", bytes as f64 / 1e6 / seconds);
    prepared
}

fn main() {
    let mut args = std::env::args().skip_while(|a| a != "--rows").skip(1);
    let quick = std::env::args().any(|a| a == "--quick");
    let rows = args.next().and_then(|n| n.parse().ok()).unwrap_or(if quick { 10_000 } else { 500_000 });
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let path = scratch.path().join("clicks.csv");
    write_csv(&path, rows).expect("a written file");
    let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
    println!("{rows} rows, {:.0} bytes each; instruction set {}", bytes as f64 / rows as f64, Isa::detect().level().name());

    let input = Input::new([&path]);
    let split = Split::Random { validation: 0.0, test: 0.0, seed: 0 };
    let sources = Sources { main: &input, validation: None, test: None, split: &split, max_bad_rows: 0, threads: 2 };
    let fitted = sources.fit(&schema()).expect("a fitted encoder");
    let layout = fitted.encoder.layout();
    println!("{} rows in {} tables\n", layout.tables.iter().map(|t| t.rows).sum::<usize>(), layout.tables.len());

    println!("one thread, median of 3        rows/s   µs/row");
    let print = |what: &str, seconds: f64| println!("{what:<25}  {:>9.0}  {:>7.2}", rows as f64 / seconds, seconds * 1e6 / rows as f64);
    stages(&input, &sources, &fitted, &print);

    println!("\ntraining, {THREADS} threads            rows/s   µs/row  of memory   CPU µs   of memory");
    let train = sources.encode(&fitted, |part| part == Part::Train).expect("encoded rows").parts.map(Arc::new);
    let prepared = prepare(&sources, scratch.path(), bytes);
    let found = prepared.fitted();
    let (mut from_memory, mut first, mut second, mut mapped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..if quick { 1 } else { 3 } {
        let (mut model, mut feed) = (learner(&layout), MemoryFeed::new(train[0].clone(), layout.clone(), BATCH, 0));
        // The first steps also take memory from the system.
        epoch(&mut model, &mut feed, 0, 20);
        from_memory.push(epoch(&mut model, &mut feed, 1, usize::MAX));
        let cache = Cache::new(scratch.path().join("rows"), String::new(), &fitted.encoder);
        let mut feed = StreamFeed::new(DataSource::Raw(&sources), &fitted, BATCH, WINDOW, 0).with_cache(Some(cache.clone()));
        first.push(epoch(&mut model, &mut feed, 0, usize::MAX));
        second.push(epoch(&mut model, &mut feed, 1, usize::MAX));
        std::fs::remove_dir_all(cache.dir()).expect("a cache");
        let mut feed = StreamFeed::new(DataSource::Prepared(&prepared), &found, BATCH, WINDOW, 0);
        mapped.push(epoch(&mut model, &mut feed, 0, usize::MAX));
    }
    let of = |rounds: &[[f64; 2]], i: usize| median(rounds.iter().map(|round| round[i]).collect());
    let rounds = [
        ("from memory", &from_memory),
        ("from the file, epoch 1", &first),
        ("from its cache, epoch 2", &second),
        ("from prepared rows", &mapped),
    ];
    for (what, rounds) in rounds {
        let ([clock, used], [base, base_used]) = ([0, 1].map(|i| of(rounds, i)), [0, 1].map(|i| of(&from_memory, i)));
        let (micros, cpu) = (clock * 1e6 / rows as f64, used * 1e6 / rows as f64);
        let (share, cpu_share) = (100.0 * base / clock, 100.0 * base_used / used);
        println!("{what:<25}  {:>9.0}  {micros:>7.2}  {share:>9.1} %  {cpu:>7.2}  {cpu_share:>9.1} %", rows as f64 / clock);
    }
}
