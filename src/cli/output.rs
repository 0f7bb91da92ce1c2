//! Text for people on standard output.
use super::failure::{Failure, INTERRUPTED, RESOURCES, io};
use super::session::Session;
pub(super) use dlrm::data::format::count;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Writes results to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes the help or version that clap answers with, coloured where that is wanted.
pub(super) fn help(answer: &clap::Error) -> Result<(), Failure> {
    printed(answer.print().and_then(|()| std::io::stdout().flush()))
}

/// What became of a write to standard output; a closed pipe (`| head`) ends quietly.
pub(super) fn printed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
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

/// Whether errors are told as JSON: for the one that no caller is there to tell of.
pub(super) static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Says on standard error that the system has refused so many bytes. Allocates nothing.
pub(super) fn out_of_memory(bytes: usize) {
    let mut err = std::io::stderr().lock();
    let hint = "free some memory, or use less: --memory-limit refuses early, --stream keeps rows on disk";
    let _ = if AS_JSON.load(Ordering::Relaxed) {
        let error = format_args!("out of memory: the system refused {bytes} bytes");
        writeln!(err, "{{\"error\":\"{error}\",\"hint\":\"{hint}\",\"exit_code\":{RESOURCES}}}")
    } else {
        writeln!(err, "error: out of memory: the system refused {bytes} bytes\n  hint: {hint}")
    };
}

/// Malformed rows that are shown.
const SHOWN: usize = 10;

/// Says on standard error which malformed rows were skipped.
pub(super) fn bad_rows<T: std::fmt::Display>(session: &Session, bad: &[T], all: u64) {
    if all == 0 || session.quiet {
        return;
    }
    bad.iter().take(SHOWN).for_each(|bad| tell(&format!("skipped: {bad}")));
    let more = if all > SHOWN.min(bad.len()) as u64 { ", the first of them above" } else { "" };
    tell(&format!("note: {} malformed rows were skipped{more}", count(all)));
}
