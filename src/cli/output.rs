//! Text for people on standard output.
use super::failure::{Failure, INTERRUPTED, io};
pub(super) use dlrm::data::format::count;
use std::io::Write;
use std::path::Path;

/// Writes results to standard output; a closed pipe (`| head`) ends quietly.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(io("write", Path::new("standard output"))),
    }
}

/// Writes a line to standard error. Whoever reads it may have gone, which is no reason to stop working.
pub(super) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says on standard error why the command ends, as text or as JSON.
pub(super) fn failure(failure: &Failure, json: bool) {
    let Failure { code, message, hint } = failure;
    if json {
        tell(&serde_json::json!({"error": message, "hint": hint, "exit_code": code}).to_string());
        return;
    }
    tell(&format!("{}: {message}", if *code == INTERRUPTED { "stopped" } else { "error" }));
    if let Some(hint) = hint {
        tell(&format!("  hint: {hint}"));
    }
}

/// Malformed rows that are shown.
const SHOWN: usize = 10;

/// Says on standard error which malformed rows were skipped.
pub(super) fn bad_rows<T: std::fmt::Display>(session: &super::session::Session, bad: &[T], all: u64) {
    if all == 0 || session.quiet {
        return;
    }
    bad.iter().take(SHOWN).for_each(|bad| tell(&format!("skipped: {bad}")));
    let more = if all > SHOWN.min(bad.len()) as u64 { ", the first of them above" } else { "" };
    tell(&format!("note: {} malformed rows were skipped{more}", count(all)));
}
