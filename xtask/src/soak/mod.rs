//! A server in use for a while: requests of every kind, models that take each other's place, bad models, and
//! clients that go in the middle. No answer may be wrong or missing, and memory may not grow.
mod client;
mod crashes;
mod memory;
mod reloads;
mod stage;
mod traffic;

use client::Client;
use crashes::WAYS;
use memory::Trend;
use reloads::Reloads;
use stage::{Served, Stage};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use traffic::{KINDS, Met};

/// Minutes where nothing is said.
const MINUTES: f64 = 1.0;
/// Clients that behave.
const CLIENTS: u64 = 4;
/// Samples of memory.
const SAMPLES: f64 = 500.0;
const USAGE: &str = "expected cargo xtask soak [--minutes N] [MODEL OTHER], two models of the same columns";

/// What came of a soak.
struct Soaked {
    minutes: f64,
    met: Met,
    crashed: [u64; WAYS.len()],
    reloads: Reloads,
    memory: Option<Trend>,
    /// Requests that met a fault of the server, as it counts them.
    panics: Option<u64>,
}

/// Runs it and prints its figures.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let (minutes, models) = match args {
        ["--minutes", minutes, models @ ..] => {
            let number = minutes.parse::<f64>().ok().filter(|minutes| minutes.is_finite() && *minutes > 0.0);
            let wrong = || format!("--minutes: expected a positive number, found {minutes}");
            (number.ok_or_else(wrong)?, models)
        }
        models => (MINUTES, models),
    };
    if !(models.is_empty() || models.len() == 2) || models.iter().any(|model| model.starts_with('-')) {
        return Err(USAGE.into());
    }
    let models: Vec<PathBuf> = models.iter().map(PathBuf::from).collect();
    let stage = Stage::set(&models)?;
    let served = stage.serve_it()?;
    eprintln!("soaking for {minutes} min");
    let soaked = soak(&stage, &served, minutes);
    let ended = served.end();
    print(&soaked);
    let mut failures = soaked.failures();
    failures.extend(ended.err());
    if stage.said().contains("panicked") {
        failures.push("the server said that it panicked".into());
    }
    if failures.is_empty() {
        println!("\nnothing failed");
        return Ok(());
    }
    Err(format!("soak: {} failures\n  {}", failures.len(), failures.join("\n  ")))
}

fn soak(stage: &Stage, served: &Served, minutes: f64) -> Soaked {
    let over = AtomicBool::new(false);
    let (at, time) = (served.http, Duration::from_secs_f64(60.0 * minutes));
    let mut soaked = thread::scope(|scope| {
        let over = &over;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || traffic::ask(stage, at, 1000 * number, over)))
            .collect();
        let crashing = scope.spawn(move || crashes::crash(stage, at, over));
        let exchanging = scope.spawn(move || reloads::exchange(stage, served, over));
        let samples = samples(served.process(), time);
        over.store(true, Ordering::Relaxed);
        let mut met = Met::default();
        clients.into_iter().for_each(|client| met.add(joined(client)));
        let (crashed, reloads) = (joined(crashing), joined(exchanging));
        Soaked { minutes, met, crashed, reloads, memory: Trend::of(&samples), panics: None }
    });
    soaked.panics = panics(at);
    soaked
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Hours and MB over the time.
fn samples(process: u32, time: Duration) -> Vec<(f64, f64)> {
    let (begun, mut samples) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        thread::sleep(time.div_f64(SAMPLES));
        let hours = begun.elapsed().as_secs_f64() / 3600.0;
        samples.extend(memory::resident(process).map(|mb| (hours, mb)));
    }
    samples
}

fn panics(at: std::net::SocketAddr) -> Option<u64> {
    let answer = Client::new(at).get("/metrics").ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("dlrm_panics_total "))?;
    line.trim().parse().ok()
}

impl Soaked {
    fn failures(&self) -> Vec<String> {
        let mut failures = self.met.messages.clone();
        failures.extend(self.reloads.failures.iter().cloned());
        let mut expect = |holds: bool, message: String| {
            if !holds {
                failures.push(message);
            }
        };
        let failed: u64 = self.met.failed.iter().sum();
        expect(failed == 0, format!("expected no failed request, found {failed}"));
        expect(self.met.checked.len() == 2, "expected answers of both models".into());
        expect(self.panics == Some(0), format!("expected no fault of the server, found {:?}", self.panics));
        expect(self.reloads.swapped > 0 && self.reloads.refused > 0, "expected models exchanged".into());
        match &self.memory {
            Some(trend) => expect(!trend.grows(), format!("expected steady memory, found {trend:?}")),
            None => expect(false, "expected samples of memory, found too few".into()),
        }
        failures
    }
}

fn print(soaked: &Soaked) {
    println!(
        "{:24} {:>9} {:>7} {:>9} {:>9} {:>9}",
        "requests", "answered", "failed", "p50 ms", "p99 ms", "max ms"
    );
    for (kind, name) in KINDS.iter().enumerate() {
        let mut times = soaked.met.times[kind].clone();
        times.sort_by(f32::total_cmp);
        let at = |share: f64| times.get((share * times.len() as f64) as usize).or(times.last()).copied();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| at(share).unwrap_or(f32::NAN));
        let (count, failed) = (times.len(), soaked.met.failed[kind]);
        println!("{name:24} {count:>9} {failed:>7} {p50:>9.2} {p99:>9.2} {max:>9.2}");
    }
    let list = |pairs: Vec<String>| pairs.join(", ");
    let statuses = soaked.met.statuses.iter().map(|(status, count)| format!("{status}: {count}"));
    println!("\nanswers by status: {}", list(statuses.collect()));
    let checked = soaked.met.checked.iter().map(|(version, count)| format!("{version}: {count}"));
    println!("answers by version: {}", list(checked.collect()));
    let Reloads { swapped, refused, failures } = &soaked.reloads;
    println!("models: {swapped} exchanged, {refused} bad ones refused, {} failures", failures.len());
    let crashed = WAYS.iter().zip(soaked.crashed).map(|(way, count)| format!("{way}: {count}"));
    println!("clients that went: {}", list(crashed.collect()));
    if let Some(Trend { start, end, slope, half_width }) = soaked.memory {
        println!(
            "memory over {} min: {start:.1} MB at the beginning of the steady state, {end:.1} MB at the end, \
             {slope:+.1} ± {half_width:.1} MB/h",
            soaked.minutes
        );
    }
}
