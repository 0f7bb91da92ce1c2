//! Libraries in C that stand between the command and the system, and fail as a system may.
use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// The library of `NAME.c`, for LD_PRELOAD, made by the compiler that links Rust's programs too; `None` where
/// there is none.
pub(super) fn made(name: &str) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/faults/{name}.c"));
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(source).arg("-ldl");
    (cfg!(target_os = "linux") && compiler.status().is_ok_and(|status| status.success())).then_some(made)
}
