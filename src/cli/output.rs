//! Text for people on standard output.
use super::failure::{Failure, INTERRUPTED, RESOURCES, io};
use super::flags;
use super::session::Session;
use dlrm::data::counts::EncodedCounts;
pub(super) use dlrm::data::format::count;
use dlrm::engine::{Note, Predictor};
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// `text` as a terminal may see it: what would move its cursor, change its colours or the direction of its
/// text is written as `\u001b`, which JSON reads as the same. Names of columns, values and versions come
/// from files, and whoever wrote these may not command a terminal. Everything that is printed goes through
/// here.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let commands = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands(c) {
            plain.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

/// Standard output for rows: as they are for programs, as [`plain`] has them for a terminal.
pub(super) fn rows() -> Box<dyn Write + Send> {
    let out = std::io::stdout();
    if out.is_terminal() { Box::new(PlainLines { out, begun: Vec::new() }) } else { Box::new(out) }
}

/// Lines as a terminal may see them.
struct PlainLines<W> {
    out: W,
    /// The line that has not ended.
    begun: Vec<u8>,
}

impl<W: Write> Write for PlainLines<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if let Some(last) = self.begun.iter().rposition(|&byte| byte == b'\n') {
            let rest = self.begun.split_off(last + 1);
            let lines = std::mem::replace(&mut self.begun, rest);
            self.out.write_all(plain(&String::from_utf8_lossy(&lines)).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Writes results to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    printed(out.write_all(plain(text).as_bytes()).and_then(|()| out.flush()))
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
    let _ = writeln!(std::io::stderr().lock(), "{}", plain(text));
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

/// Whether errors are told as JSON: for the one that no caller is there to tell of.
pub(super) static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Says on standard error that the system has refused so many bytes. Allocates nothing.
pub(super) fn out_of_memory(bytes: usize) {
    let mut err = std::io::stderr().lock();
    let hint = "free some memory, or use less; commands that have --memory-limit refuse early by it, and \
        training with --stream keeps rows on disk";
    let _ = if AS_JSON.load(Ordering::Relaxed) {
        let error = format_args!("out of memory: the system refused {bytes} bytes");
        writeln!(err, "{{\"error\":\"{error}\",\"hint\":\"{hint}\",\"exit_code\":{RESOURCES}}}")
    } else {
        writeln!(err, "error: out of memory: the system refused {bytes} bytes\n  hint: {hint}")
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_on_a_terminal_are_plain() {
        let mut lines = PlainLines { out: Vec::new(), begun: Vec::new() };
        // However the bytes come, the last ones of a character apart from its first.
        for piece in [&b"id\nu\x1b[2J"[..], b"\xc3", b"\xbc,0.5\nrest"] {
            lines.write_all(piece).unwrap();
        }
        assert_eq!(String::from_utf8(lines.out).unwrap(), "id\nu\\u001b[2Jü,0.5\n");
    }

    #[test]
    fn a_terminal_gets_no_commands() {
        assert_eq!(plain("a\tb\nü 学"), "a\tb\nü 学");
        assert_eq!(plain("\u{1b}[31mred\r\u{9b}2J\u{7f}"), "\\u001b[31mred\\u000d\\u009b2J\\u007f");
        assert_eq!(plain("a\u{202e}b"), "a\\u202eb");
        let json = serde_json::json!({"name": "\u{9b}2J"}).to_string();
        assert_eq!(plain(&json), r#"{"name":"\u009b2J"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain(&json)).unwrap()["name"], "\u{9b}2J");
    }
}
