//! Ranks beside one process, and the time of a step on a slow network beside what is predicted for it.
//!
//! `cargo bench --bench ranks` trains workload `k` with smaller tables by ranks that are threads of one
//! process, once as fast as they can and once with every message on its way for a fixed time and so long as
//! its bytes take at a given speed. With `--features mpi` what it builds can be started by `mpirun` with
//! `--mpi`, for the whole of that workload. `-- --predict` tells what more machines would do; `-- --quick`
//! shows that everything runs.
use dlrm::bench::Workload;
use dlrm::cluster::{Communicator, Threads, Ticket};
use dlrm::data::Batch;
use dlrm::data::rng::Rng;
use dlrm::engine::Learner;
use dlrm::engine::network::{Network, Values};
use dlrm::engine::ranks::Ranks;
use dlrm::engine::traffic::{StepShape, Traffic, Uses};
use dlrm::nn::optimizer::Rates;
use dlrm::nn::{
    Builder, DenseOptimizer, Holder, Isa, Loss, Optimizer, Phase, Placement, Sharding, SlotSpec,
    TableOptimizer, TablePrecision, Timing,
};
use std::collections::HashMap;
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

const RANKS: [usize; 4] = [1, 2, 4, 8];
const SHARDING: Sharding = Sharding { shard_rows: 128, lanes: 16 };
const RATES: Rates = Rates { dense: 0.01, tables: 0.01, linear: 0.01 };

/// The way from rank to rank.
#[derive(Clone, Copy)]
struct Way {
    latency: Duration,
    bytes_per_second: f64,
}

/// A communicator whose messages take their time.
struct Paced {
    inner: Threads,
    network: Option<Way>,
    due: HashMap<u64, Instant>,
}

impl Communicator for Paced {
    fn rank(&self) -> usize {
        self.inner.rank()
    }
    fn size(&self) -> usize {
        self.inner.size()
    }
    fn start(&mut self, parts: Vec<Vec<u8>>) -> Ticket {
        let others = parts.iter().enumerate().filter(|(rank, _)| *rank != self.rank());
        let bytes: usize = others.map(|(_, part)| part.len()).sum();
        let ticket = self.inner.start(parts);
        if let Some(network) = self.network {
            let way = network.latency + Duration::from_secs_f64(bytes as f64 / network.bytes_per_second);
            self.due.insert(ticket.number(), Instant::now() + way);
        }
        ticket
    }
    fn finish(&mut self, ticket: Ticket) -> Vec<Vec<u8>> {
        let due = self.due.remove(&ticket.number());
        let all = self.inner.finish(ticket);
        sleep(due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now())));
        all
    }
    fn abort(&mut self, code: i32) -> ! {
        self.inner.abort(code)
    }
}

/// Seconds of a step of so many rows, of processors for it, and of its update of tables: the mean of some
/// steps, of the rank that takes longest.
fn measure(
    (workload, rows): (&Workload, usize),
    holders: &[Holder],
    network: Option<Way>,
    steps: usize,
) -> [f64; 3] {
    let ranks =
        holders.iter().map(|h| if let Holder::Rank(rank) = h { rank + 1 } else { 1 }).max().unwrap_or(1);
    let times = Threads::run(ranks, |rank| {
        let paced = Paced { inner: rank, network, due: HashMap::new() };
        of_rank((workload, rows), holders, Ranks::new(Box::new(paced)), steps)
    });
    [0, 1, 2].map(|of| times.iter().map(|times| times[of]).fold(0.0, f64::max))
}

/// As [`measure`], of one of the ranks.
fn of_rank((workload, rows): (&Workload, usize), holders: &[Holder], ranks: Ranks, steps: usize) -> [f64; 3] {
    let batches: Vec<Batch> = (0..8).map(|seed| workload.batch(rows, &mut Rng::new(seed, 0))).collect();
    let placement = Placement { rank: ranks.rank(), ranks: ranks.size(), holders: holders.to_vec() };
    let mut learner = learner(workload, placement).with_ranks(ranks).expect("as many lanes as ranks");
    let run = |learner: &mut Learner, steps: usize| {
        let (begun, before) = (Instant::now(), processor_seconds());
        (0..steps).for_each(|step| drop(learner.step(&batches[step % batches.len()], RATES)));
        [begun.elapsed().as_secs_f64(), processor_seconds() - before]
    };
    let few = steps / 4 + 1;
    run(&mut learner, few);
    let [wall, cpu] = run(&mut learner, steps).map(|seconds| seconds / steps as f64);
    learner.time(Timing::On);
    run(&mut learner, few);
    let tables = learner.time(Timing::Off).phases.of(Phase::TableUpdate).as_secs_f64();
    [wall, cpu, tables / few as f64]
}

/// As one rank of an MPI job: a line of JSON about a workload by its name, from the first one.
#[cfg(feature = "mpi")]
fn of_job(name: &str, rows: usize) {
    let watch = dlrm::cluster::Watch::new(Duration::from_secs(60), |_, _| {});
    let mpi = dlrm::mpi::Mpi::start("", watch).expect("MPI");
    let workload = Workload::named(name).expect("a workload");
    let layout = workload.layout();
    let mut model = Builder::new(&layout);
    workload.config().build(&mut model).expect("a model");
    let (first, size) = (mpi.rank() == 0, mpi.size());
    let holders = holders(&model, size);
    let [wall, ..] = of_rank((&workload, rows), &holders, Ranks::new(Box::new(mpi)), 204_800 / rows);
    if first {
        let rate = rows as f64 / wall;
        println!(
            "{{\"task\": \"train on {size} ranks\", \"workload\": \"{name}\", \"batch\": {rows}, \
             \"rows_per_s\": {rate:.1}}}"
        );
    }
}

fn learner(workload: &Workload, placement: Placement) -> Learner {
    let isa = Isa::detect();
    let threads = if placement.ranks == 1 { 2 } else { 1 };
    let of = (TablePrecision::F32, 0, isa);
    let network = Network::placed(Values::Drawn, (&workload.config(), &workload.layout()), of, placement);
    let network = network.expect("a model");
    let dense = DenseOptimizer::Sgd { lr: 0.01, momentum: 0.0, l2: 0.0 };
    let tables = TableOptimizer::Sgd { lr: 0.01, l2: 0.0 };
    let optimizer = Optimizer::new(network.weights(), dense, tables, None);
    Learner::new(network, optimizer, Loss::default(), SHARDING, threads).expect("threads")
}

/// Of this process so far: its own and the system's for it.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Whose table is whose: by turns, the largest first, and back, so that all hold about as many look-ups.
fn holders(model: &Builder<'_>, ranks: usize) -> Vec<Holder> {
    let mut order: Vec<usize> = (0..model.tables().len()).collect();
    order.sort_by_key(|&table| std::cmp::Reverse(model.tables()[table].rows));
    let mut holders = vec![Holder::Rank(0); order.len()];
    for (number, table) in order.into_iter().enumerate() {
        let (turn, at) = (number / ranks, number % ranks);
        holders[table] = Holder::Rank(if turn % 2 == 0 { at } else { ranks - 1 - at });
    }
    holders
}

/// What the rank sends in a step that sends most.
fn traffic(model: &Builder<'_>, holders: &[Holder], ranks: usize, rows: usize) -> Traffic {
    let placement = &Placement { rank: 0, ranks, holders: holders.to_vec() };
    let precision = TablePrecision::F32;
    let sharding = sharding(rows);
    let shape = StepShape { model, precision, placement, sharding, rows, clips: false };
    // One id in each bag, which comes to any rank by chance.
    let uses = |_: &SlotSpec, _: usize, rows: Range<usize>| {
        let share = (rows.len() / ranks) as u64;
        Uses { ids: share, bags: share }
    };
    shape.traffic(&uses).into_iter().max_by_key(Traffic::bytes).unwrap_or_default()
}

/// What nothing here could measure: the time of steps on so many machines as this one, from the rows that it
/// trains in a second and the bytes of the formula.
fn predict() {
    println!("Predicted, not measured: for machines like this one, two threads each; every link 0.05 ms.");
    println!(
        "shape   rows a step  rows/s alone  ranks  MB sent  25 Gbit/s  of linear  100 Gbit/s  of linear"
    );
    // Tables of a terabyte: those of `t`, 113 times as long; the large ones lie row by row.
    let shapes = [
        ("k", Workload::kaggle(), 20, 1, 2048),
        ("k", Workload::kaggle(), 20, 1, 16_384),
        ("p", Workload::paper(), 20, 1, 2048),
        ("1 TB", Workload::terabyte(), 20, 113, 16_384),
    ];
    for (name, workload, shorter, longer, rows) in shapes {
        let small = workload.clone().scaled(shorter);
        let alone = (0..3).map(|_| measure((&small, rows), &[], None, 20_480 / rows + 2)[0]).collect();
        let alone = rows as f64 / median(alone);
        let whole =
            Workload { tables: workload.tables.iter().map(|rows| rows * longer).collect(), ..workload };
        let layout = whole.layout();
        let mut model = Builder::new(&layout);
        whole.config().build(&mut model).expect("a model");
        let all: usize = model.tables().iter().map(|table| table.rows).sum();
        for ranks in [4, 8, 16, 32, 64] {
            let mut holders = holders(&model, ranks);
            for (holder, table) in holders.iter_mut().zip(model.tables()) {
                if longer > 1 && table.rows > all / ranks {
                    *holder = Holder::ByRow;
                }
            }
            let sent = traffic(&model, &holders, ranks, rows);
            let (bytes, later) = (sent.bytes() as f64, 0.75 * sent.vectors as f64);
            print!("{name:5}  {rows:12}  {alone:12.0}  {ranks:5}  {:7.2}", bytes / 1e6);
            for gbit in [25.0, 100.0] {
                let computing = rows as f64 / ranks as f64 / alone;
                let way = |bytes: f64| bytes * 8.0 / (gbit * 1e9);
                let sending = 4.0 * 50e-6 + way(bytes - later) + (way(later) - computing / 4.0).max(0.0);
                let rate = rows as f64 / (computing + sending);
                print!("  {rate:9.0}  {:9.2}", rate / alone / ranks as f64);
            }
            println!();
        }
    }
}

/// Shards of 128 rows in as many lanes as the ranks need.
fn sharding(rows: usize) -> Sharding {
    Sharding { lanes: 16.max((rows / SHARDING.shard_rows).min(64)), ..SHARDING }
}

/// The middle of the measurements.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    let said = |arg: &str| std::env::args().any(|said| said == arg);
    #[cfg(feature = "mpi")]
    if said("--mpi") {
        return of_job("k", 2048);
    }
    if said("--predict") {
        return predict();
    }
    let quick = said("--quick") || said("--test");
    let workload = Workload::kaggle().scaled(if quick { 1000 } else { 20 });
    let network = Way { latency: Duration::from_micros(500), bytes_per_second: 2.5e9 / 8.0 };
    let layout = workload.layout();
    let mut model = Builder::new(&layout);
    workload.config().build(&mut model).expect("a model");
    for rows in [2048, 16_384] {
        let (rounds, steps) = if quick { (1, 1) } else { (5, 40_960 / rows) };
        let placed = RANKS.map(|ranks| holders(&model, ranks));
        let mut measured = RANKS.map(|_| [(); 4].map(|()| Vec::new()));
        // By turns.
        for _ in 0..rounds {
            for (holders, all) in placed.iter().zip(&mut measured) {
                let [alone, cpu, tables] = measure((&workload, rows), holders, None, steps);
                let [paced, ..] = measure((&workload, rows), holders, Some(network), steps);
                all.iter_mut().zip([alone, cpu, tables, paced]).for_each(|(all, one)| all.push(one));
            }
        }
        println!("k with tables of a twentieth, {rows} rows; the network has 2.5 Gbit/s and 0.5 ms");
        println!("ranks  ms a step  CPU ms  ratio  with the network  predicted  ratio");
        let mut one = None;
        for ((ranks, holders), all) in RANKS.into_iter().zip(&placed).zip(measured) {
            let [alone, cpu, tables, paced] = all.map(median);
            let of_one = cpu / *one.get_or_insert(cpu);
            print!("{ranks:5}  {:9.2}  {:6.1}  {of_one:5.2}", 1e3 * alone, 1e3 * cpu);
            if ranks == 1 {
                println!();
                continue;
            }
            // The first vectors, gradients, and what the later vectors take longer than the computing of the
            // first, and updated parameters than the update of tables.
            let sent = traffic(&model, holders, ranks, rows);
            let way = |bytes: f64| network.latency.as_secs_f64() + bytes / network.bytes_per_second;
            let later = 0.75 * sent.vectors as f64;
            let waited = way(0.25 * sent.vectors as f64) + way((sent.gradients + sent.dense) as f64);
            let hidden = (way(later) - alone / 4.0).max(0.0) + (way(sent.updated as f64) - tables).max(0.0);
            let predicted = alone + waited + hidden;
            println!("  {:16.2}  {:9.2}  {:5.2}", 1e3 * paced, 1e3 * predicted, paced / predicted);
        }
    }
}
