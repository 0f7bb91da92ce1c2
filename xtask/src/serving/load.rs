//! Programs that others have written to ask servers as fast as they answer.
use super::model::Made;
use super::program::seconds_of_children;
use super::sides::Side;
use crate::environment::Environment;
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};
use std::time::Instant;

/// What a window measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// Requests per second that were answered.
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Requests that got no answer, or another status than 200.
    pub failed: u64,
    /// The share of the machine that the asking program took.
    pub share: f64,
}

/// How perf_analyzer asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Json,
    Binary,
    Grpc,
}

/// The program that asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// wrk, at a path.
    Wrk(&'static str),
    Analyzer(Wire),
}

impl Tool {
    /// As tables write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Wrk(_) => "JSON",
            Tool::Analyzer(Wire::Json) => "protocol, JSON",
            Tool::Analyzer(Wire::Binary) => "protocol, HTTP with bytes",
            Tool::Analyzer(Wire::Grpc) => "protocol, gRPC",
        }
    }
}

/// What there is of the programs.
pub(super) struct Tools<'a> {
    pub(super) environment: &'a Environment,
    pub(super) has_wrk: bool,
    pub(super) has_analyzer: bool,
}

impl<'a> Tools<'a> {
    /// Looks which of them start, and says of the others how to get them.
    pub(super) fn find(environment: &'a Environment) -> Tools<'a> {
        let mut tools = Tools { environment, has_wrk: false, has_analyzer: false };
        tools.has_wrk = Command::new("wrk").arg("-v").output().is_ok();
        if !tools.has_wrk {
            eprintln!("wrk is missing (apt-get install wrk): what it asks is left out");
        }
        let version = tools.analyzer().arg("--version").output();
        tools.has_analyzer = version.as_ref().is_ok_and(|done| done.status.success());
        if !tools.has_analyzer {
            let why = version.map_or_else(|e| e.to_string(), |done| last_line(&done));
            eprintln!("perf_analyzer does not start ({why}; apt-get install libb64-0d): it is left out");
        }
        tools
    }

    /// Whether the program is there.
    pub(super) fn have(&self, tool: Tool) -> bool {
        match tool {
            Tool::Wrk(_) => self.has_wrk,
            Tool::Analyzer(_) => self.has_analyzer,
        }
    }

    /// The program with the library of CUDA that it wants to be there.
    fn analyzer(&self) -> Command {
        let mut command = Command::new(self.environment.program("perf_analyzer"));
        if let Some(dir) = self.environment.package_dir("nvidia/cuda_runtime/lib") {
            command.env("LD_LIBRARY_PATH", dir);
        }
        command
    }

    /// Asks for a while over so many connections, each of which waits for its answer.
    pub(super) fn ask(
        &self,
        side: &Side,
        (tool, kind): (Tool, &str),
        (connections, seconds): (usize, usize),
        made: &Made,
    ) -> Result<Sample, String> {
        let (begun, cpu) = (Instant::now(), seconds_of_children());
        let mut sample = match tool {
            Tool::Wrk(path) => wrk(side, (path, kind), (connections, seconds), made)?,
            Tool::Analyzer(wire) => self.analyze(side, (wire, kind), (connections, seconds), made)?,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        if let Some((before, after)) = cpu.zip(seconds_of_children()) {
            sample.share = (after - before) / begun.elapsed().as_secs_f64() / cores;
        }
        Ok(sample)
    }

    fn analyze(
        &self,
        side: &Side,
        (wire, kind): (Wire, &str),
        (connections, seconds): (usize, usize),
        made: &Made,
    ) -> Result<Sample, String> {
        let report = made.path("analyzed.csv");
        // Its figures are those of its last three windows.
        let window = (1000 * seconds / 3).to_string();
        let mut command = self.analyzer();
        command.args(["-m", "k", "--percentile", "99", "--max-trials", "3", "--stability-percentage", "999"]);
        command.args(["--measurement-interval", &window]);
        command.args(["--concurrency-range", &format!("{connections}:{connections}")]);
        command.arg("--input-data").arg(made.requests(kind, side.who.file(), "json"));
        command.arg("-f").arg(&report);
        let address = if wire == Wire::Grpc { side.grpc } else { side.http };
        command.args(["-u", &address.to_string(), "-i", if wire == Wire::Grpc { "grpc" } else { "http" }]);
        if wire == Wire::Json {
            command.args(["--input-tensor-format", "json", "--output-tensor-format", "json"]);
        }
        let done = command.output().map_err(|e| format!("perf_analyzer: {e}"))?;
        if !done.status.success() {
            return Err(format!("perf_analyzer failed: {}", last_line(&done)));
        }
        let text = fs::read_to_string(&report).map_err(|e| format!("{}: {e}", report.display()))?;
        analyzed(&text).ok_or_else(|| "perf_analyzer wrote no figures".into())
    }
}

fn wrk(
    side: &Side,
    (path, kind): (&str, &str),
    (connections, seconds): (usize, usize),
    made: &Made,
) -> Result<Sample, String> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", "--timeout", "10s", "-s", "benches/serving/tools/post.lua"]);
    command.args(["-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
    command.arg(format!("http://{}{path}", side.http)).arg("--");
    command.arg(made.requests(kind, side.who.file(), "txt"));
    let done = command.output().map_err(|e| format!("wrk: {e}"))?;
    let text = String::from_utf8_lossy(&done.stdout);
    told(&text).ok_or_else(|| format!("wrk told nothing: {}", last_line(&done)))
}

/// The line of JSON among what wrk printed.
fn told(printed: &str) -> Option<Sample> {
    let line: Value = printed.lines().find_map(|line| serde_json::from_str(line).ok())?;
    let number = |key: &str| line[key].as_f64();
    let failed = line["refused"].as_u64()? + line["broken"].as_u64()?;
    let (p50_ms, p99_ms) = (number("p50_us")? / 1e3, number("p99_us")? / 1e3);
    Some(Sample { rate: number("rate")?, p50_ms, p99_ms, failed, share: 0.0 })
}

/// The line of the report of perf_analyzer, under its names.
fn analyzed(report: &str) -> Option<Sample> {
    let mut lines = report.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let (names, values) = (lines.next()?, lines.next()?);
    let number = |name: &str| values.get(names.iter().position(|n| *n == name)?)?.parse::<f64>().ok();
    let (p50_ms, p99_ms) = (number("p50 latency")? / 1e3, number("p99 latency")? / 1e3);
    // A request that fails ends it.
    Some(Sample { rate: number("Inferences/Second")?, p50_ms, p99_ms, failed: 0, share: 0.0 })
}

fn last_line(done: &Output) -> String {
    let text = [&done.stdout[..], &done.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print() {
        let wrk = "Running 1s test\n{\"rate\": 10.5, \"p50_us\": 900.0, \"p99_us\": 2000.0, \"refused\": 1, \
                   \"broken\": 2}\n";
        let sample = Sample { rate: 10.5, p50_ms: 0.9, p99_ms: 2.0, failed: 3, share: 0.0 };
        assert_eq!(told(wrk), Some(sample));
        assert_eq!(told("wrk: no such host\n"), None);
        let analyzer =
            "Concurrency,Inferences/Second,Client Send,p50 latency,p99 latency\n4,10.5,9,900,2000\n";
        assert_eq!(analyzed(analyzer), Some(Sample { failed: 0, ..sample }));
        assert_eq!(analyzed("Concurrency\n"), None);
    }
}
