//! What our server is to reach by itself.
use super::http;
use super::model::{CANDIDATES, Made};
use super::options::Options;
use super::sides::{self, Side};
use crate::run::{grouped, number};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A target and what was reached.
pub(super) struct Target {
    pub(super) what: String,
    pub(super) aim: &'static str,
    pub(super) reached: String,
    /// `None` where it could not be measured.
    pub(super) is_met: Option<bool>,
}

/// Models that take the place of one another under load.
const RELOADS: u32 = 1000;
/// Between two of them, unless loading takes longer.
const BETWEEN: Duration = Duration::from_millis(150);
/// Requests per second while they do, of the most that are answered.
const RELOAD_SHARE: f64 = 0.5;
/// Reloads to learn how long one takes.
const FIRST: u32 = 4;
/// The part of the reloads after which memory is looked at first: then there is a model beside the one before
/// it, and every thread has memory of its own.
const WARM: u32 = 20;
/// Columns of the candidates, as in the requests of the other programs.
const ITEMS: &str = "C14,C15,C16,C17,C18,C19,C20,C21,C22,C23,C24,C25,C26";

/// One row: its time over HTTP, with one connection, less that of the same computation in a process.
pub(super) fn one_row(made: &Made, over_http_ms: Option<f64>) -> Target {
    let what = "one row: p50 over HTTP less p50 in the process".to_owned();
    let (aim, http_us) = ("at most 150 µs", over_http_ms.map(|ms| 1e3 * ms));
    let (reached, is_met) = match (in_process(&made.path("a")), http_us) {
        (Ok(own_us), Some(http_us)) => {
            let more = http_us - own_us;
            (format!("{http_us:.0} − {own_us:.0} = {more:.0} µs"), Some(more <= 150.0))
        }
        (Err(why), _) => (why, None),
        (_, None) => ("not asked over HTTP".into(), None),
    };
    Target { what, aim, reached, is_met }
}

/// Microseconds of scoring a row, from its texts on, in the middle.
fn in_process(model: &Path) -> Result<f64, String> {
    let mut command = Command::new("cargo");
    command.args(["bench", "--quiet", "--workspace", "--bench", "inference", "--", "--model"]);
    let model = model.canonicalize().map_err(|e| format!("{}: {e}", model.display()))?;
    let done = command.arg(model).stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
    let text = String::from_utf8_lossy(&done.stdout);
    let line = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    line.and_then(|line| line["p50_us"].as_f64()).ok_or_else(|| "cargo bench --bench inference failed".into())
}

/// Whether the command can ask at a rate.
fn asks_at_a_rate(dlrm: &Path) -> bool {
    let help = Command::new(dlrm).args(["bench", "--help"]).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--rank"))
}

/// Begins to ask for rankings at a rate, whatever becomes of them.
fn begin(made: &Made, side: &Side, (rate, seconds): (f64, f64), connections: usize) -> Result<Child, String> {
    let mut command = Command::new(&made.dlrm);
    command.args(["bench", &format!("http://{}", side.http), "--json", "--quiet"]);
    command.args(["--rank", &CANDIDATES.to_string(), "--items", ITEMS, "--data"]);
    command.arg(made.path("clicks/clicks.tsv"));
    command.args(["--rate", &format!("{rate:.1}"), "--seconds", &format!("{seconds:.1}")]);
    command.args(["--connections", &connections.to_string()]).stdout(Stdio::piped());
    command.spawn().map_err(|e| format!("dlrm bench: {e}"))
}

fn end(child: Child) -> Result<Value, String> {
    let done = child.wait_with_output().map_err(|e| format!("dlrm bench: {e}"))?;
    let printed: Value = serde_json::from_slice(&done.stdout)
        .map_err(|e| format!("dlrm bench ended with {} and printed no figures: {e}", done.status))?;
    Ok(printed["measured"].clone())
}

/// Requests that got no answer, or one that is neither 200 nor 429.
fn failed(measured: &Value) -> f64 {
    let sum = |of: &str, but: &str| -> f64 {
        let counts = measured[of].as_object().into_iter().flatten();
        // The sum of none would be -0.
        counts.filter(|(key, _)| *key != but).fold(0.0, |sum, (_, count)| sum + number(count))
    };
    sum("statuses", "200") + sum("unanswered", "")
}

/// Milliseconds of the answers: p50, p99 and p99.9.
fn times(measured: &Value) -> [f64; 3] {
    ["p50", "p99", "p99.9"].map(|name| number(&measured["latency_ms"][name]))
}

/// What the server does at rates of rankings that are set by those of all that were answered.
pub(super) fn at_rates(made: &Made, peak: Option<f64>, options: &Options) -> Vec<Target> {
    let names = ["rankings at 70 % load", "rankings at three times the capacity", "reloads under load"];
    let aims = ["", "goodput at least 90 % of the peak, the rest 429", ""];
    let none = |why: &str| {
        let target = |(what, aim): (&str, &'static str)| Target {
            what: what.to_owned(),
            aim,
            reached: why.to_owned(),
            is_met: None,
        };
        names.into_iter().zip(aims).map(target).collect()
    };
    let Some(peak) = peak else { return none("not measured: no rate of rankings is known") };
    if !asks_at_a_rate(&made.dlrm) {
        return none("not measured: this `dlrm bench` asks no server");
    }
    let measured = || -> Result<Vec<Target>, String> {
        let served = made.path("served");
        point(&served, &made.path("a"))?;
        let side = sides::dlrm(made, &served)?;
        let seconds = if options.quick { 2.0 } else { 30.0 };
        let mut targets = loaded(made, &side, (peak, seconds))?;
        targets.push(overloaded(made, &side, (peak, seconds))?);
        targets.extend(reloaded(made, &side, peak, options)?);
        Ok(targets)
    };
    measured().unwrap_or_else(|why| none(&why))
}

fn loaded(made: &Made, side: &Side, (peak, seconds): (f64, f64)) -> Result<Vec<Target>, String> {
    let measured = end(begin(made, side, (0.7 * peak, seconds), 64)?)?;
    let [p50, p99, p999] = times(&measured);
    let what = |which: &str| {
        format!("rank of {CANDIDATES}, {} a second (70 % of {}): {which}", grouped(0.7 * peak), grouped(peak))
    };
    let target = |which, aim, reached, met| Target { what: what(which), aim, reached, is_met: Some(met) };
    Ok(vec![
        target("p50", "under 5 ms", format!("{p50:.2} ms"), p50 < 5.0),
        target("p99", "under 15 ms", format!("{p99:.2} ms"), p99 < 15.0),
        target(
            "p99.9",
            "at most twice p99",
            format!("{p999:.2} ms, {:.1} times p99", p999 / p99),
            p999 <= 2.0 * p99,
        ),
    ])
}

fn overloaded(made: &Made, side: &Side, (peak, seconds): (f64, f64)) -> Result<Target, String> {
    let measured = end(begin(made, side, (3.0 * peak, seconds), 512)?)?;
    let (goodput, refused) = (number(&measured["goodput"]), number(&measured["refused"]));
    let (failed, unsent) = (failed(&measured), number(&measured["unsent"]));
    let reached = format!(
        "{} a second, {:.0} % of the peak; refused {}, failed {failed}, never sent {}",
        grouped(goodput),
        100.0 * goodput / peak,
        grouped(refused),
        grouped(unsent)
    );
    Ok(Target {
        what: format!("rank of {CANDIDATES}, {} a second (three times the peak)", grouped(3.0 * peak)),
        aim: "goodput at least 90 % of the peak, the rest 429",
        reached,
        is_met: Some(goodput >= 0.9 * peak && failed == 0.0),
    })
}

fn reloaded(made: &Made, side: &Side, peak: f64, options: &Options) -> Result<Vec<Target>, String> {
    let reloads = if options.quick { 10 } else { RELOADS };
    let rate = RELOAD_SHARE * peak;
    let calm = end(begin(made, side, (rate, if options.quick { 2.0 } else { 20.0 }), 64)?)?;
    let begun = Instant::now();
    for turn in 0..FIRST {
        reload(made, side, turn)?;
    }
    let each = (begun.elapsed() / FIRST).mul_f64(1.5).max(BETWEEN);
    let seconds = each.as_secs_f64() * f64::from(reloads);
    let asking = begin(made, side, (rate, seconds), 64)?;
    let (begun, mut before) = (Instant::now(), None);
    let all = (0..reloads).try_for_each(|turn| {
        std::thread::sleep((each * turn).saturating_sub(begun.elapsed()));
        if turn == reloads / WARM {
            before = side.program.resident();
        }
        reload(made, side, turn)
    });
    let took = begun.elapsed().as_secs_f64();
    let measured = end(asking)?;
    all?;
    let after = side.program.resident();
    let (before, after) = before.zip(after).ok_or("the memory of the server is not known")?;
    let (failed, refused) = (failed(&measured), number(&measured["refused"]));
    let ([_, calm, _], [_, p99, _]) = (times(&calm), times(&measured));
    let what = |which: &str| {
        let count = grouped(f64::from(reloads));
        format!("{count} reloads in {took:.0} s, {} rankings a second: {which}", grouped(rate))
    };
    let target = |which, aim, reached, met| Target { what: what(which), aim, reached, is_met: Some(met) };
    let (ratio, grown) = (p99 / calm, 100.0 * (after / before - 1.0));
    Ok(vec![
        target("failed requests", "none", format!("{}", failed + refused), failed + refused == 0.0),
        target(
            "p99",
            "at most 1.5 times that without",
            format!("{p99:.2} ms, {ratio:.2} times"),
            ratio <= 1.5,
        ),
        target(
            "memory",
            "the same to 5 %",
            format!("{:.0} MB → {:.0} MB ({grown:+.1} %)", before / 1e6, after / 1e6),
            grown.abs() <= 5.0,
        ),
    ])
}

/// Lets the other model take the place of the one that is served.
fn reload(made: &Made, side: &Side, turn: u32) -> Result<(), String> {
    let name = if turn.is_multiple_of(2) { "b" } else { "a" };
    point(&made.path("served"), &made.path(name))?;
    match http::status(side.admin, "POST", "/v2/repository/models/k/load")? {
        200 => Ok(()),
        status => Err(format!("reload {turn}: status {status}")),
    }
}

/// Makes a link to a directory, or lets it point elsewhere at once.
fn point(link: &Path, directory: &Path) -> Result<(), String> {
    let aside = link.with_extension("partial");
    // One may be left from a run that was ended.
    let _ = std::fs::remove_file(&aside);
    let target = directory.canonicalize().map_err(|e| format!("{}: {e}", directory.display()))?;
    let placed = symlink(target, &aside).and_then(|()| std::fs::rename(&aside, link));
    placed.map_err(|e| format!("{}: {e}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_rate() {
        let measured = serde_json::json!({
            "statuses": {"200": 50, "500": 2}, "unanswered": {"connection reset": 1},
            "latency_ms": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0}
        });
        assert_eq!((failed(&measured), times(&measured)), (3.0, [1.0, 2.0, 3.0]));
    }
}
