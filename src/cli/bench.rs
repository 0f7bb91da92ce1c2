//! `dlrm bench`: synthetic workloads; servers are [`super::load`]'s.
use super::bench_args::{BenchArgs, TrainingBenchArgs};
use super::failure::Failure;
use super::files::Target;
use super::session::Session;
use super::{bench_beside, load, output};
use dlrm::bench::memory;
use dlrm::bench::{
    BAG, Bench, Earlier, Loading, Machine, MachineSize, Measured, Operator, Peaks, RandomRows, StepShare,
    Windows, Workload,
};
use dlrm::data::format;
use dlrm::data::format::bytes;
use dlrm::engine::Error;
use dlrm::engine::train_config::TrainConfig;
use dlrm::report::terminal::table;
use dlrm::report::{OperatorBar, StepBreakdown, breakdown_svg};
use std::path::Path;
use std::time::Duration;

/// The table of random rows, where there is memory enough: large beside any cache.
const TABLE_BYTES: u64 = 2 << 30;
/// Length of one measurement of the machine.
const PEAK_WINDOW: Duration = Duration::from_millis(30);
/// What is measured where nothing is said.
const BATCH: usize = 2048;
const WINDOWS: usize = 5;
const SECONDS: f64 = 1.5;
/// With `--quick`: everything still runs, nothing is worth quoting.
const QUICK_SCALE: usize = 1000;
const QUICK_TABLE_BYTES: u64 = 8 << 20;
const QUICK_WINDOW: Duration = Duration::from_millis(10);

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &BenchArgs) -> Result<(), Failure> {
    if args.workloads.iter().any(|name| load::is_server(name)) {
        return load::run(session, args);
    }
    if let Some(flag) = args.load.given() {
        let message = format!("{flag}: expected a server (http://HOST:PORT), found workloads to train");
        return Err(Failure::usage(message, "name the server first: dlrm bench http://localhost:8000 …"));
    }
    let (names, seconds, args) = (&args.workloads, args.seconds, &args.training);
    let target = |path| Target { flag: "--svg", path, overwrite: args.overwrite };
    let svg = args.svg.as_deref().map(target);
    // Found out before the work, not after it.
    svg.map_or(Ok(()), |svg| svg.check(&[]))?;
    let earlier = args.compare.as_deref().map(Earlier::read).transpose()?;
    // A directory may be called as a workload is: then a path with more than the name means it.
    let is_model = |name: &&str| !Workload::NAMES.contains(name) && Path::new(name).is_dir();
    let (models, names): (Vec<&str>, Vec<&str>) = names.iter().map(String::as_str).partition(is_model);
    let workloads = workloads(&names, !models.is_empty(), args)?;
    if let Some(flag) = asks_for_workloads(args).filter(|_| workloads.is_empty()) {
        let message = format!("{flag}: expected a workload to train, found models to load alone");
        return Err(Failure::usage(message, "name a workload too: dlrm bench k runs/demo …"));
    }
    let batches = if args.batch.is_empty() { vec![BATCH] } else { args.batch.clone() };
    let bench = bench(session, args, &batches, seconds);
    let memory = memory::free();
    workloads.iter().try_for_each(|workload| plan(session, &bench, workload, &batches, memory))?;
    let load = |name: &&str| {
        say(session, &format!("loading {name} …"));
        Loading::measure(Path::new(name), session.isa, bench.windows.count, memory)
    };
    let loaded = models.iter().map(load).collect::<Result<Vec<_>, Error>>()?;
    if workloads.is_empty() {
        let texts: String = loaded.iter().map(loading_text).collect();
        let json = || format!("{}\n", serde_json::json!({ "models": loaded }));
        return output::print(&if session.json { json() } else { texts });
    }
    let size = machine_size(args, memory);
    say(session, &format!("measuring the machine, with a table of {} …", bytes(size.table_bytes as u64)));
    let machine = Machine::measure(session.isa, session.threads, size)?;
    let mut all = Vec::new();
    for workload in &workloads {
        say(session, &format!("training {} …", workload.name));
        all.extend(bench.run(workload, &batches, &machine)?);
    }
    svg.map_or(Ok(()), |svg| {
        svg.write(session, breakdown_svg(&all.iter().map(picture).collect::<Vec<_>>()).as_bytes())
    })?;
    if session.json {
        let mut found = serde_json::json!({"machine": machine, "workloads": all, "models": loaded});
        if let Some(earlier) = &earlier {
            found["earlier"] =
                all.iter().map(|now| serde_json::json!(earlier.rows_per_second(now))).collect();
        }
        return output::print(&format!("{found}\n"));
    }
    let beside = earlier.as_ref().zip(args.compare.as_deref());
    let beside = beside.map(|(earlier, file)| bench_beside::text(earlier, file, &machine, &all));
    let parts = all.iter().map(text).chain(loaded.iter().map(loading_text)).chain(beside);
    output::print(&format!("{}\n{}", machine_text(&machine), parts.collect::<Vec<_>>().join("\n")))
}

/// How the workloads are measured.
fn bench(session: &Session, args: &TrainingBenchArgs, batches: &[usize], seconds: Option<f64>) -> Bench {
    let count = args.windows.unwrap_or(WINDOWS);
    let windows = if args.quick {
        Windows { count: count.min(2), length: QUICK_WINDOW }
    } else {
        Windows { count, length: Duration::from_secs_f64(seconds.unwrap_or(SECONDS)) }
    };
    Bench {
        isa: session.isa,
        threads: session.threads,
        precision: args.precision.unwrap_or_default(),
        table_precision: args.table_precision.unwrap_or_default(),
        sharding: TrainConfig { batch_size: batches.iter().max().copied(), ..TrainConfig::default() }
            .sharding(),
        windows,
    }
}

/// How much of the machine is measured.
fn machine_size(args: &TrainingBenchArgs, free: Option<u64>) -> MachineSize {
    let most = if args.quick { QUICK_TABLE_BYTES } else { TABLE_BYTES };
    MachineSize {
        table_bytes: free.map_or(most, |free| most.min(free / 4)) as usize,
        window: if args.quick { Duration::from_millis(1) } else { PEAK_WINDOW },
    }
}

/// The first flag that asks for workloads.
fn asks_for_workloads(args: &TrainingBenchArgs) -> Option<&'static str> {
    let asks = [("--svg", args.svg.is_some()), ("--compare", args.compare.is_some())];
    asks.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
}

/// The workloads of these names, scaled; one of its own where there is nothing else to do.
fn workloads(names: &[&str], busy: bool, args: &TrainingBenchArgs) -> Result<Vec<Workload>, Failure> {
    let scale = args.scale.unwrap_or(1) * if args.quick { QUICK_SCALE } else { 1 };
    let names = if names.is_empty() && !busy { &["k"] } else { names };
    let named = |name: &&str| Ok(Workload::named(name)?.scaled(scale));
    Ok(names.iter().map(named).collect::<Result<Vec<_>, Error>>()?)
}

/// How long a model took to load, for people.
fn loading_text(loading: &Loading) -> String {
    let Loading { name, bytes: size, seconds } = loading;
    format!(
        "{name}: loading {} takes {:.3} s (windows {:.3} to {:.3}), {:.2} GB/s\n",
        bytes(*size),
        seconds.median,
        seconds.low,
        seconds.high,
        *size as f64 / seconds.median / 1e9,
    )
}

fn say(session: &Session, text: &str) {
    if !session.quiet {
        output::tell(text);
    }
}

fn picture(measured: &Measured) -> StepBreakdown {
    let bar = |operator: &Operator| OperatorBar {
        name: operator.part.title(),
        idle: operator.part == StepShare::Waiting,
        forward: operator.forward,
        backward: operator.backward,
        update: operator.update,
        share: operator.share,
    };
    let facts = format!(
        "{:.0} rows/s, {:.2} ms per step; at the machine's peaks {:.2} ms ({:.0} %)",
        measured.rows_per_second.median,
        1e3 * measured.step_seconds,
        1e3 * measured.floor.seconds(),
        100.0 * measured.share_of_peak,
    );
    let operators = measured.operators.iter().map(bar).collect();
    StepBreakdown { title: measured.title(), facts, threads: measured.threads, operators }
}

/// Says what a workload needs before memory is taken, and refuses what does not fit.
fn plan(
    session: &Session,
    bench: &Bench,
    workload: &Workload,
    batches: &[usize],
    free: Option<u64>,
) -> Result<(), Failure> {
    let largest = batches.iter().copied().max().unwrap_or(0);
    let needed = workload.memory_bytes(largest, bench.sharding, bench.table_precision)?;
    let rows: usize = workload.tables.iter().sum();
    say(
        session,
        &format!(
            "plan: {}: {} tables of {} rows in all, {} ids in a batch of {}; {} of memory",
            workload.name,
            workload.tables.len(),
            format::count(rows as u64),
            format::count(workload.ids(largest) as u64),
            format::count(largest as u64),
            bytes(needed),
        ),
    );
    match free {
        Some(free) if needed > free => Err(Error::Memory {
            what: format!("memory for workload {}", workload.name),
            needed: bytes(needed),
            available: bytes(free),
            hint: "make the tables smaller: --scale 10 divides their rows by ten".into(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// What the machine can do at most.
fn machine_text(machine: &Machine) -> String {
    let giga = |x: f64| format!("{:.1}", x / 1e9);
    let peaks = if machine.threads == 1 { vec![&machine.one] } else { vec![&machine.one, &machine.all] };
    let line = |name: &str, of: &dyn Fn(&Peaks) -> String| -> Vec<String> {
        std::iter::once(name.to_owned()).chain(peaks.iter().map(|peaks| of(peaks))).collect()
    };
    let random = |r: RandomRows, touches: f64| {
        format!("{:.1} M rows/s, {} GB/s", r.rows / 1e6, giga(touches * r.rows * r.row_bytes as f64))
    };
    let mut rows = vec![
        line("f32 multiply-add, GFLOP/s", &|p| giga(p.fma_flops)),
        line("bf16 pairs, GFLOP/s", &|p| p.bf16_flops.map_or_else(|| "-".into(), giga)),
        line("read, GB/s", &|p| giga(p.read_bytes)),
        line("copy (read + written), GB/s", &|p| giga(p.copy_bytes)),
    ];
    for width in [0, 1] {
        rows.push(line(&format!("random rows of {} B read", machine.one.gather[width].row_bytes), &|p| {
            random(p.gather[width], 1.0)
        }));
        rows.push(line(&format!("  of it by the embedding kernel, bags of {BAG}"), &|p| {
            format!(
                "{:.1} M rows/s, {:.0} %",
                p.embedding[width].rows / 1e6,
                100.0 * p.embedding[width].rows / p.gather[width].rows
            )
        }));
        rows.push(line(&format!("random rows of {} B updated", machine.one.update[width].row_bytes), &|p| {
            random(p.update[width], 2.0)
        }));
    }
    let all = format!("{} threads", machine.threads);
    let table = table(&["at most", "1 thread", &all][..1 + peaks.len()], &rows);
    format!(
        "machine: {}, random rows in a table of {}\n\n{table}",
        machine.isa,
        bytes(machine.table_bytes as u64)
    )
}

/// One measurement for people.
fn text(m: &Measured) -> String {
    let ms = |seconds: f64| format!("{:.3}", 1e3 * seconds);
    let rate = m.rows_per_second;
    let count = |x: f64| format::count(x.round() as u64);
    let headline = format!(
        "{}: {} rows/s (windows {} to {}), {} ms per step\n",
        m.title(),
        count(rate.median),
        count(rate.low),
        count(rate.high),
        ms(m.step_seconds),
    );
    let floor = format!(
        "  {:.1} GFLOP/s; {} ids and {} different rows per step, {:.2} GB/s of table rows\n  at the \
            machine's peaks {} ms: {} multiply-adds \
         + {} rows read + {} rows updated; the step reaches {:.0} % of that\n\n",
        m.flops / 1e9,
        format::count(m.ids as u64),
        count(m.distinct_rows),
        m.embedding_bytes / 1e9,
        ms(m.floor.seconds()),
        ms(m.floor.arithmetic),
        ms(m.floor.gather),
        ms(m.floor.update),
        100.0 * m.share_of_peak,
    );
    format!("{headline}{floor}{}", operators(m))
}

/// Thread time by operator, as milliseconds of a step: thread seconds over the number of threads.
fn operators(m: &Measured) -> String {
    let threads = m.threads as f64;
    let ms =
        |seconds: f64| if seconds > 0.0 { format!("{:.3}", 1e3 * seconds / threads) } else { "-".into() };
    let row = |o: &Operator| {
        let busy = o.forward + o.backward;
        let speed = if o.flops > 0.0 && o.part != StepShare::Other {
            format!("{:.1}", o.flops / busy / 1e9)
        } else {
            "-".into()
        };
        vec![
            o.part.title().into(),
            ms(o.forward),
            ms(o.backward),
            ms(o.update),
            format!("{:.1} %", 100.0 * o.share),
            speed,
        ]
    };
    let header =
        ["operator, ms per step", "forward", "backward", "update", "thread time", "GFLOP/s per thread"];
    table(&header, &m.operators.iter().filter(|o| o.is_worth_a_line()).map(row).collect::<Vec<_>>())
}
