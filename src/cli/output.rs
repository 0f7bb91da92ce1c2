//! Text for people on standard output.
use super::failure::{Failure, INTERRUPTED, io};
use super::flags;
use super::session::Session;
use dlrm::data::counts::EncodedCounts;
pub(super) use dlrm::data::format::count;
use dlrm::engine::{Note, Predictor};
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

/// What was noticed of a run, as a line.
pub(super) fn note(note: &Note) -> String {
    let kind = if note.is_decision() { "" } else { "warning: " };
    format!("{kind}{}", flags::in_text(&note.to_string()))
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

/// Says on standard error which columns hold values that the model does not know.
pub(super) fn unknown_values(session: &Session, predictor: &Predictor, counts: &[EncodedCounts]) {
    if !session.quiet {
        predictor.unknown_values(counts).iter().for_each(|text| tell(&format!("warning: {text}")));
    }
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
