//! `dlrm bench http://HOST:PORT`: a running server under load.
use super::bench_args::BenchArgs;
use super::failure::{Failure, INTERRUPTED};
use super::output;
use super::session::Session;
use dlrm::bench::load::{
    Address, Arrivals, Load, LoadError, LoadMeasured, Quantiles, Question, RequestBodies, RequestRows,
    RunEnd, ServedModel, StageTime,
};
use dlrm::data::format;
use dlrm::data::readers::Input;
use dlrm::report::terminal::table;
use serde_json::json;
use std::sync::atomic::Ordering;

/// What is done where nothing is said.
const RATE: f64 = 100.0;
const SECONDS: f64 = 10.0;
const CONNECTIONS: usize = 64;
/// Requests of a run, at most: each keeps its time in memory.
const MOST: f64 = 20e6;

/// Whether the name is meant as a server's, and no workload's.
pub(super) fn is_server(name: &str) -> bool {
    let port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.contains("://") || name.rsplit_once(':').is_some_and(|(_, text)| port(text))
}

/// Runs the subcommand.
pub(super) fn run(session: &Session, args: &BenchArgs) -> Result<(), Failure> {
    let [address] = &args.workloads[..] else {
        let message = format!("expected one server alone, found {}", args.workloads.join(" "));
        return Err(Failure::usage(message, "measure one after the other"));
    };
    if let Some(flag) = args.training.given() {
        let message = format!("{flag}: expected a workload to train, found the server {address}");
        return Err(Failure::usage(message, "leave it out; --help lists the options of a server"));
    }
    let (rate, seconds) = (args.load.rate.unwrap_or(RATE), args.seconds.unwrap_or(SECONDS));
    if rate * seconds > MOST {
        let (most, found) = (format::count(MOST as u64), format::count((rate * seconds) as u64));
        let message = format!("--rate: expected at most {most} requests in all, found {found}");
        return Err(Failure::usage(message, "measure for fewer --seconds"));
    }
    let address = Address::parse(address).map_err(failure)?;
    let key = args.load.key.clone().filter(|key| !key.is_empty());
    if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        let message = "--key: expected letters, digits and signs of ASCII, found others";
        return Err(Failure::usage(message, "give one line of the file that the server's --keys names"));
    }
    let model = ServedModel::ask(&address, key.as_deref(), args.load.served.as_deref()).map_err(failure)?;
    let (load, bodies) = plan(session, args, &model, (address, key), (rate, seconds))?;
    session.stop_by_signal();
    let stop = session.stop.clone();
    let measured = load.run(&bodies, &|| stop.load(Ordering::SeqCst)).map_err(failure)?;
    if session.json {
        let value = json!({
            "server": load.address.to_string(),
            "model": model.name,
            "version": model.version,
            "measured": measured,
        });
        output::print(&format!("{value}\n"))?;
    } else {
        output::print(&text(&measured))?;
    }
    ended(&load, &measured)
}

/// What is asked, and how; says so.
fn plan(
    session: &Session,
    args: &BenchArgs,
    model: &ServedModel,
    (address, key): (Address, Option<String>),
    (rate, seconds): (f64, f64),
) -> Result<(Load, RequestBodies), Failure> {
    let said = &args.load;
    let seed = said.seed.unwrap_or(0);
    let question = match said.rank {
        Some(items) => Question::rank(model, items, &said.items).map_err(failure)?,
        None => Question::Predict { rows: said.rows.unwrap_or(1) },
    };
    let (rows, lacking) = match &said.data {
        Some(path) => RequestRows::read(&Input::new([path]), model).map_err(failure)?,
        None => (RequestRows::varied(model, seed), Vec::new()),
    };
    let wanted = (rate * seconds).ceil() as u64;
    let bodies = RequestBodies::make(model, &question, rows, (wanted, said.served.as_deref()));
    let load = Load {
        address,
        key,
        question,
        arrivals: said.arrivals.unwrap_or(Arrivals::Poisson),
        rate,
        seconds,
        seed,
        connections: said.connections.unwrap_or(CONNECTIONS),
    };
    if !session.quiet {
        if !lacking.is_empty() {
            let lacking = lacking.join(", ");
            output::tell(&format!("note: the table has no {lacking}: missing in every row"));
        }
        output::tell(&format!("{} …", described(&load, model)));
    }
    Ok((load, bodies))
}

/// What is about to be done.
fn described(load: &Load, model: &ServedModel) -> String {
    let asked = match &load.question {
        Question::Predict { rows } => format!("predict of {} row{}", rows, plural(*rows)),
        Question::Rank { items, columns } => {
            format!("rank of {} item{} that differ in {}", items, plural(*items), columns.join(", "))
        }
    };
    let spread = match load.arrivals {
        Arrivals::Poisson => "independent of each other (Poisson)",
        Arrivals::Even => "evenly spaced",
    };
    let Load { address, rate, seconds, connections, seed, .. } = load;
    let ServedModel { name, version, .. } = model;
    format!(
        "{address}: model \"{name}\", version {version}: {asked}\nopen loop: {rate} requests a second, \
         {spread}, for {seconds} s, at most {connections} at once (seed {seed})"
    )
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// How the command ends.
fn ended(load: &Load, measured: &LoadMeasured) -> Result<(), Failure> {
    let after = format!("after {:.1} s of {} s", measured.seconds, load.seconds);
    match &measured.end {
        RunEnd::Planned => Ok(()),
        RunEnd::Interrupted => {
            let message = format!("{after}; the figures are of that time");
            Err(Failure { code: INTERRUPTED, message, hint: None })
        }
        RunEnd::Gone(error) => {
            let message =
                format!("{}: expected a server that listens, found none {after}: {error}", load.address);
            Err(Failure::resources(message, "the figures are of the time before; its own output may say why"))
        }
    }
}

/// What was measured, for people.
fn text(measured: &LoadMeasured) -> String {
    let mut text = format!("{}\n{}", rates(measured), latencies(measured));
    if measured.unsent + measured.held_back > 0 {
        text.push_str(&format!(
            "\n{} requests left late and {} never, for all {} connections waited for answers; both count, \
             with the time they waited\n",
            format::count(measured.held_back),
            format::count(measured.unsent),
            measured.connections,
        ));
    }
    if let Some(late) = &measured.late_ms {
        let (p50, p99) = (milliseconds(late.p50), milliseconds(late.p99));
        text.push_str(&format!("\nthis side sent requests {p50} ms (p50) to {p99} ms (p99) late\n"));
    }
    if !measured.stages.is_empty() {
        text.push_str(&format!("\n{}", stages(&measured.stages)));
    }
    text
}

/// Rates and answers.
fn rates(measured: &LoadMeasured) -> String {
    let count = format::count;
    let mut rows = vec![
        vec!["asked".into(), count(measured.due), format!("{:.1}", measured.due as f64 / measured.seconds)],
        vec!["answered".into(), count(answered(measured)), format!("{:.1}", measured.reached)],
    ];
    let per_second = |n: u64| format!("{:.1}", n as f64 / measured.seconds);
    for (status, &n) in &measured.statuses {
        let goodput = if *status == 200 { " (goodput)" } else { "" };
        rows.push(vec![format!("  status {status}{goodput}"), count(n), per_second(n)]);
    }
    if measured.refused > 0 {
        let refused = measured.refused;
        rows.push(vec!["  status 429 (refused)".into(), count(refused), per_second(refused)]);
    }
    for (what, &n) in &measured.unanswered {
        rows.push(vec![format!("no answer: {what}"), count(n), per_second(n)]);
    }
    if measured.question.rows() > 1 {
        let rows_scored = measured.rows_per_second;
        let total = (rows_scored * measured.seconds).round() as u64;
        rows.push(vec!["rows".into(), count(total), format!("{rows_scored:.1}")]);
    }
    table(&["requests", "in all", "a second"], &rows)
}

fn answered(measured: &LoadMeasured) -> u64 {
    measured.statuses.values().sum::<u64>() + measured.refused
}

fn latencies(measured: &LoadMeasured) -> String {
    let row = |(name, times): (&str, &Quantiles)| {
        let times = [times.p50, times.p90, times.p99, times.p999, times.max];
        let mut row = vec![name.to_owned()];
        row.extend(times.map(milliseconds));
        row
    };
    let all = [("answered", &measured.latency_ms), ("refused", &measured.refused_ms)];
    let rows: Vec<_> =
        all.into_iter().filter_map(|(name, times)| Some(row((name, times.as_ref()?)))).collect();
    table(&["ms since due", "p50", "p90", "p99", "p99.9", "max"], &rows)
}

fn stages(stages: &[StageTime]) -> String {
    let row = |time: &StageTime| {
        let mut row = vec![time.stage.replace('_', "-"), format::count(time.count)];
        row.extend([time.mean, time.p50, time.p99].map(milliseconds));
        row
    };
    let rows: Vec<_> = stages.iter().map(row).collect();
    let table = table(&["ms in the server", "requests", "mean", "p50", "p99"], &rows);
    format!("{table}(quantiles within a factor of two: the server counts times in classes)\n")
}

fn milliseconds(ms: f64) -> String {
    format!("{ms:.3}")
}

fn failure(error: LoadError) -> Failure {
    let message = error.to_string();
    match error {
        LoadError::Address { found, .. } if found == "https" => Failure::usage(
            message,
            "TLS is not spoken here: start the server without it, or ask it at an address of its own machine",
        ),
        LoadError::Address { .. } => Failure::usage(message, "for example http://localhost:8000"),
        LoadError::Unreachable { .. } => {
            Failure::resources(message, "start one: dlrm serve MODEL; it prints where it listens")
        }
        LoadError::Other { .. } => {
            Failure::resources(message, "name the address that `dlrm serve` prints behind http:")
        }
        LoadError::Key { .. } => {
            Failure::usage(message, "put a key into the environment variable DLRM_KEY, or give --key")
        }
        LoadError::Unknown { .. } => Failure::usage(message, "GET /v1/models lists models and columns"),
        LoadError::Refused { .. } => {
            Failure::usage(message, "ask for what it answers; `curl` shows the whole of its words")
        }
        LoadError::Rows(error) => Failure::from(error),
        LoadError::Threads { .. } => Failure::resources(message, "give fewer --connections"),
    }
}
