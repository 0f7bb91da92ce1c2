//! Our side: what our benchmarks print.
use super::table::{Case, Measured, Sample, parse};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The threads of all sides.
const THREADS: &str = "2";
/// Sizes of batches in the table of the training benchmark.
const BATCHES: usize = 2;

fn bench(name: &str) -> Command {
    let mut command = Command::new("cargo");
    command.args(["bench", "--quiet", "--bench", name]);
    command
}

/// Compiles both benchmarks, so that nothing is compiled between timed runs.
pub fn build() -> Result<(), String> {
    for name in ["training", "inference"] {
        let done = bench(name).arg("--no-run").status().map_err(|e| format!("cargo: {e}"))?;
        if !done.success() {
            return Err(format!("cargo bench --bench {name} --no-run failed"));
        }
    }
    Ok(())
}

/// Training of the Criteo-Kaggle shape.
pub fn training() -> Measured {
    let mut child = bench("training").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|e| format!("cargo: {e}"))?;
    let lines = child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok);
    // Closing its output after that ends it at the next line: what else it measures is not asked for.
    let samples: Vec<Sample> = lines.filter_map(|line| row(&line)).take(BATCHES).collect();
    child.wait().map_err(|e| format!("cargo: {e}"))?;
    if samples.len() == BATCHES {
        Ok(samples)
    } else {
        Err("cargo bench --bench training printed no rows of `batch threads rows/s`".into())
    }
}

/// A row `batch threads rows/s` of the table on all threads.
fn row(line: &str) -> Option<Sample> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [batch, THREADS, rate] = fields[..] else { return None };
    let case = Case { task: "train".into(), workload: "k".into(), batch: batch.parse().ok()? };
    Some(Sample { case, rows_per_s: rate.parse().ok()?, latency: None })
}

/// Scoring with the Criteo-Kaggle shape.
pub fn inference() -> Measured {
    let done = bench("inference").stderr(Stdio::inherit()).output().map_err(|e| format!("cargo: {e}"))?;
    parse(&String::from_utf8_lossy(&done.stdout))
        .filter(|_| done.status.success())
        .ok_or_else(|| "cargo bench --bench inference failed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_training_table() {
        let printed = "instruction set avx512\n\nCriteo-Kaggle shape: rows/s, median of 5 windows\nbatch  threads    rows/s\n \
                       2048        1     36020\n 2048        2     69010\n  128        2     41000\n      10000      8.20\n";
        let rows: Vec<(u64, f64)> = printed.lines().filter_map(row).map(|s| (s.case.batch, s.rows_per_s)).collect();
        assert_eq!(rows, [(2048, 69010.0), (128, 41000.0)]);
    }
}
