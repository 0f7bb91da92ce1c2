//! Our side: what our benchmarks print.
use super::table::{Backward, Case, Measured, Sample, parse};
use crate::run::binary;
use serde_json::Value;
use std::process::{Command, Stdio};

/// The threads of all sides.
const THREADS: &str = "2";

/// The benchmark of scoring, with the features that the rest of the workspace is built with.
fn inference_bench(rest: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(["bench", "--quiet", "--workspace", "--bench", "inference"]).args(rest);
    command
}

/// Compiles everything, so that nothing is compiled between timed runs.
pub(super) fn build() -> Result<(), String> {
    binary()?;
    let done = inference_bench(&["--no-run"]).status().map_err(|e| format!("cargo: {e}"))?;
    if done.success() { Ok(()) } else { Err("cargo bench --bench inference --no-run failed".into()) }
}

/// Training by `dlrm bench`, with its flags for workload, batches and precision.
pub(super) fn training(flags: &[&str]) -> Measured {
    let binary = binary()?;
    let mut command = Command::new(&binary);
    command.args(["bench", "--json", "--quiet", "--threads", THREADS, "--seconds", "0.8"]).args(flags);
    let done = command.stderr(Stdio::inherit()).output();
    let done = done.map_err(|e| format!("{}: {e}", binary.display()))?;
    samples(&done.stdout)
        .filter(|_| done.status.success())
        .ok_or_else(|| format!("dlrm bench {} failed", flags.join(" ")))
}

/// What `dlrm bench --json` prints.
fn samples(printed: &[u8]) -> Option<Vec<Sample>> {
    let printed: Value = serde_json::from_slice(printed).ok()?;
    let sample = |measured: &Value| {
        let workload = measured["workload"]["name"].as_str()?.to_owned();
        let case = Case { task: "train".into(), workload, batch: measured["batch"].as_u64()? };
        let rows_per_s = measured["rows_per_second"]["median"].as_f64()?;
        let backward = backward(measured, &printed["machine"]);
        Some(Sample { case, rows_per_s, latency: None, backward })
    };
    printed["workloads"].as_array()?.iter().map(sample).collect()
}

/// The way back through both MLPs, and the machine's peak in the precision of a measurement.
fn backward(measured: &Value, machine: &Value) -> Option<Backward> {
    let peaks = &machine["all"];
    let of_precision = if measured["precision"] == "bf16" { peaks["bf16_flops"].as_f64() } else { None };
    let peak = of_precision.or(peaks["fma_flops"].as_f64())? / machine["threads"].as_f64()?;
    let operators = measured["operators"].as_array()?.iter();
    let of = |key: &str| -> f64 {
        let layers = operators.clone().filter(|o| o["part"] == "bottom_mlp" || o["part"] == "top_mlp");
        layers.filter_map(|o| o[key].as_f64()).sum()
    };
    let (flops, seconds) = (of("backward_flops"), of("backward"));
    (flops > 0.0 && seconds > 0.0).then(|| Backward { flops: flops / seconds, peak })
}

/// Training with the Criteo-Kaggle shape by two ranks of MPI with a thread each.
pub(super) fn ranks() -> Measured {
    let built = Command::new("cargo")
        .args([
            "bench",
            "--quiet",
            "--features",
            "mpi",
            "--bench",
            "ranks",
            "--no-run",
            "--message-format=json",
        ])
        .stderr(Stdio::inherit())
        .output();
    let built = built.map_err(|e| format!("cargo: {e}"))?;
    let lines = String::from_utf8_lossy(&built.stdout).into_owned();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = lines
        .filter(|line| line["target"]["name"] == "ranks")
        .find_map(|line| Some(line["executable"].as_str()?.to_owned()));
    let program =
        program.ok_or("cargo bench --features mpi --bench ranks --no-run failed: is an MPI installed?")?;
    let done = Command::new("mpirun")
        .args([
            "--allow-run-as-root",
            "--bind-to",
            "none",
            "--oversubscribe",
            "-n",
            THREADS,
            &program,
            "--mpi",
        ])
        .stderr(Stdio::inherit())
        .output();
    let done = done.map_err(|e| format!("mpirun: {e}"))?;
    parse(&String::from_utf8_lossy(&done.stdout))
        .filter(|_| done.status.success())
        .ok_or_else(|| format!("mpirun {program} --mpi failed"))
}

/// Scoring with the Criteo-Kaggle shape.
pub(super) fn inference() -> Measured {
    let done = inference_bench(&[]).stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
    parse(&String::from_utf8_lossy(&done.stdout))
        .filter(|_| done.status.success())
        .ok_or_else(|| "cargo bench --bench inference failed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_of_dlrm_bench() {
        let printed = br#"{"machine": {}, "workloads": [{"workload": {"name": "k"}, "batch": 128,
            "rows_per_second": {"median": 5.5}}]}"#;
        let rows: Vec<(u64, f64)> =
            samples(printed).expect("samples").iter().map(|s| (s.case.batch, s.rows_per_s)).collect();
        assert_eq!(rows, [(128, 5.5)]);
        assert!(samples(b"{}").is_none());
    }

    #[test]
    fn the_way_back_beside_the_peak() {
        let printed = br#"{"machine": {"threads": 2, "all": {"fma_flops": 200.0, "bf16_flops": 400.0}},
            "workloads": [
              {"workload": {"name": "k"}, "batch": 8, "precision": "f32", "rows_per_second": {"median": 1.0},
               "operators": [{"part": "top_mlp", "backward": 2.0, "backward_flops": 150.0},
                             {"part": "bottom_mlp", "backward": 1.0, "backward_flops": 90.0},
                             {"part": "embedding", "backward": 9.0, "backward_flops": 0.0}]},
              {"workload": {"name": "k"}, "batch": 8, "precision": "bf16", "rows_per_second": {"median": 1.0},
               "operators": [{"part": "top_mlp", "backward": 1.0, "backward_flops": 150.0}]}]}"#;
        let all: Vec<Backward> =
            samples(printed).expect("samples").iter().filter_map(|s| s.backward).collect();
        let found: Vec<[f64; 2]> = all.iter().map(|backward| [backward.flops, backward.peak]).collect();
        assert_eq!(found, [[80.0, 100.0], [150.0, 200.0]]);
    }
}
