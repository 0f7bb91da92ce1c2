//! The campaign of faults (tests/it/faults.rs) for as long as it is told, and mutated inputs
//! (tests/it/fuzzed.rs) by the same measure.
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Parts of the campaign of faults, which share the time.
const PARTS: f64 = 6.0;
/// Mutated inputs of each kind for each minute; they come on top of it.
const FUZZED: f64 = 500.0;
/// What decides all that is chosen at random.
const SEED: &str = "DLRM_FAULTS_SEED";

/// Runs it for so many minutes and prints its figures.
pub(crate) fn run(minutes: &str) -> Result<(), String> {
    let number = minutes.parse::<f64>().ok().filter(|minutes| minutes.is_finite() && *minutes > 0.0);
    let minutes = number.ok_or_else(|| format!("--minutes: expected a positive number, found {minutes}"))?;
    // Another one each time, unless one is to be repeated.
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |clock| clock.as_nanos() as u64);
    let seed = std::env::var(SEED).unwrap_or_else(|_| clock().to_string());
    println!("{SEED}={seed}");
    let mut command = Command::new("cargo");
    command.args(["test", "--workspace", "--test", "it", "--", "faults::", "fuzzed::"]);
    // A name of which the first one is a part; its tests do not depend on the time.
    command.args(["--skip", "prepare_faults::", "--nocapture", "--test-threads=1"]);
    command.env("DLRM_FAULTS_SECONDS", (60.0 * minutes / PARTS).to_string());
    command.env("DLRM_FUZZED", ((FUZZED * minutes).ceil() as u64).to_string());
    command.env(SEED, seed);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("the campaign of faults failed: {other:?}")),
    }
}
