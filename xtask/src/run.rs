//! Runs of the `dlrm` command, and what its reports say.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The absolute path of a directory of data.
pub(crate) fn directory(data: &str, name: &str) -> Result<PathBuf, String> {
    Ok(Path::new(data).canonicalize().map_err(|e| format!("{data}: {e}"))?.join(name))
}

/// The command: the one that `DLRM_BIN` names, or a release build of this tree.
pub(crate) fn binary() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("DLRM_BIN") {
        return Path::new(&path).canonicalize().map_err(|e| format!("DLRM_BIN: {e}"));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    // With the features that the rest of the workspace is built with.
    let built = Command::new(&cargo).args(["build", "--release", "--quiet", "--workspace"]).status();
    if !built.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Err(format!("cargo build --release: {built:?}"));
    }
    let told = Command::new(&cargo).args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let told = told.map_err(|e| format!("cargo metadata: {e}"))?;
    let told: Value = serde_json::from_slice(&told.stdout).map_err(|e| format!("cargo metadata: {e}"))?;
    let target = told["target_directory"].as_str().ok_or("cargo metadata: expected target_directory")?;
    Ok(Path::new(target).join("release").join(format!("dlrm{}", std::env::consts::EXE_SUFFIX)))
}

/// Runs `dlrm --json SUBCOMMAND … -o SCRATCH` and reads what it prints; its progress goes to standard error.
pub(crate) fn dlrm(subcommand: &str, args: &[String]) -> Result<Value, String> {
    let scratch = std::env::temp_dir().join(format!("dlrm-{subcommand}-{}", std::process::id()));
    let binary = binary()?;
    let mut command = Command::new(&binary);
    command.args(["--json", subcommand, "-o"]).arg(&scratch).args(args);
    let done = command.stderr(Stdio::inherit()).output();
    let done = done.map_err(|e| format!("{}: {e}", binary.display()))?;
    // Left-overs in the temporary directory are the system's to clear.
    let _ = std::fs::remove_dir_all(&scratch);
    if !done.status.success() {
        return Err(format!("dlrm {subcommand} failed"));
    }
    serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())
}

/// Runs an example of a crate.
pub(crate) fn example(package: &str, name: &str, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--package", package, "--example", name, "--"]).args(args);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("example {name} of {package}: {other:?}")),
    }
}

/// Words as owned arguments.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Metrics of a candidate on the test rows of a training report.
pub(crate) fn test(report: &Value, candidate: usize) -> Value {
    let splits = report["candidates"][candidate]["splits"].as_array().cloned().unwrap_or_default();
    splits.into_iter().find(|s| s["split"] == "test").unwrap_or(Value::Null)["metrics"].clone()
}

/// Mean and standard deviation of something over the runs of a compared model.
pub(crate) fn over_runs(model: &Value, of: impl Fn(&Value) -> f64) -> (f64, f64) {
    let values: Vec<f64> = model["runs"].as_array().into_iter().flatten().map(of).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance =
        values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0);
    (mean, variance.sqrt())
}

/// A JSON number, or not a number.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The median; sorts the values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// A whole number with commas between thousands: `69,000`.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
