//! Ranks beside one process, and the time of a step on a slow network beside what is predicted for it.
//!
//! `cargo bench --bench ranks` trains workload `k` with smaller tables by ranks that are threads of one
//! process, once as fast as they can and once with every message on its way for a fixed time and so long as
//! its bytes take at a given speed. `-- --predict` tells what more machines would do; `-- --quick` shows that
//! everything runs.
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
    Builder, DenseOptimizer, Holder, Isa, Loss, Optimizer, Placement, Sharding, SlotSpec, TableOptimizer,
    TablePrecision,
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

/// Seconds of a step of so many rows and of processors for it, the mean of some steps.
fn measure(
    (workload, rows): (&Workload, usize),
    holders: &[Holder],
    network: Option<Way>,
    steps: usize,
) -> (f64, f64) {
    let ranks =
        holders.iter().map(|h| if let Holder::Rank(rank) = h { rank + 1 } else { 1 }).max().unwrap_or(1);
    let batches: Vec<Batch> = (0..8).map(|seed| workload.batch(rows, &mut Rng::new(seed, 0))).collect();
    let times = Threads::run(ranks, |rank| {
        let placement = Placement { rank: rank.rank(), ranks, holders: holders.to_vec() };
        let mut learner = learner(workload, placement);
        if ranks > 1 {
            let paced = Paced { inner: rank, network, due: HashMap::new() };
            learner = learner.with_ranks(Ranks::new(Box::new(paced))).expect("as many lanes as ranks");
        }
        let mut run = |steps: usize| {
            let (begun, before) = (Instant::now(), processor_seconds());
            (0..steps).for_each(|step| drop(learner.step(&batches[step % batches.len()], RATES)));
            (begun.elapsed().as_secs_f64(), processor_seconds() - before)
        };
        run(steps / 4 + 1);
        run(steps)
    });
    let mean = |of: fn(&(f64, f64)) -> f64| times.iter().map(of).fold(0.0, f64::max) / steps as f64;
    (mean(|time| time.0), mean(|time| time.1))
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

/// Bytes of a step, of the rank that sends most.
fn bytes(model: &Builder<'_>, holders: &[Holder], ranks: usize, rows: usize) -> u64 {
    let placement = &Placement { rank: 0, ranks, holders: holders.to_vec() };
    let precision = TablePrecision::F32;
    let sharding = sharding(rows);
    let shape = StepShape { model, precision, placement, sharding, rows, clips: false };
    // One id in each bag, which comes to any rank by chance.
    let uses = |_: &SlotSpec, _: usize, rows: Range<usize>| {
        let share = (rows.len() / ranks) as u64;
        Uses { ids: share, bags: share }
    };
    shape.traffic(&uses).iter().map(Traffic::bytes).max().unwrap_or(0)
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
        let alone = (0..3).map(|_| measure((&small, rows), &[], None, 20_480 / rows + 2).0).collect();
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
            let bytes = bytes(&model, &holders, ranks, rows) as f64;
            print!("{name:5}  {rows:12}  {alone:12.0}  {ranks:5}  {:7.2}", bytes / 1e6);
            for gbit in [25.0, 100.0] {
                let computing = rows as f64 / ranks as f64 / alone;
                let rate = rows as f64 / (computing + 4.0 * 50e-6 + bytes * 8.0 / (gbit * 1e9));
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
        let mut measured = RANKS.map(|_| [(); 3].map(|()| Vec::new()));
        // By turns.
        for _ in 0..rounds {
            for (holders, all) in placed.iter().zip(&mut measured) {
                let (alone, cpu) = measure((&workload, rows), holders, None, steps);
                let (paced, _) = measure((&workload, rows), holders, Some(network), steps);
                all.iter_mut().zip([alone, cpu, paced]).for_each(|(all, one)| all.push(1e3 * one));
            }
        }
        println!("k with tables of a twentieth, {rows} rows; the network has 2.5 Gbit/s and 0.5 ms");
        println!("ranks  ms a step  CPU ms  ratio  with the network  predicted  ratio");
        let mut one = None;
        for ((ranks, holders), all) in RANKS.into_iter().zip(&placed).zip(measured) {
            let [alone, cpu, paced] = all.map(median);
            let of_one = cpu / *one.get_or_insert(cpu);
            print!("{ranks:5}  {alone:9.2}  {cpu:6.1}  {of_one:5.2}");
            if ranks == 1 {
                println!();
                continue;
            }
            // Vectors, gradients, and parameters that were updated.
            let bytes = bytes(&model, holders, ranks, rows) as f64;
            let sending = 3.0 * network.latency.as_secs_f64() + bytes / network.bytes_per_second;
            let predicted = alone + 1e3 * sending;
            println!("  {paced:16.2}  {predicted:9.2}  {:5.2}", paced / predicted);
        }
    }
}
