//! The campaign of faults (tests/it/faults.rs), for as long as it is told.
use std::process::Command;

/// Parts of the campaign, which share the time.
const PARTS: f64 = 5.0;

/// Runs it for so many minutes and prints its figures.
pub(crate) fn run(minutes: &str) -> Result<(), String> {
    let number = minutes.parse::<f64>().ok().filter(|minutes| minutes.is_finite() && *minutes > 0.0);
    let minutes = number.ok_or_else(|| format!("--minutes: expected a positive number, found {minutes}"))?;
    let mut command = Command::new("cargo");
    command.args([
        "test",
        "--workspace",
        "--test",
        "it",
        "--",
        "faults::",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env("DLRM_FAULTS_SECONDS", (60.0 * minutes / PARTS).to_string());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("the campaign of faults failed: {other:?}")),
    }
}
